"""Structs in compiled code: construction, attributes, properties, comparisons, hashes, `super()`."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from sapwood.lang import memory_layout
from sapwood.lang import types as ty
from sapwood.lang.declared import Bindings, Declared, declared_of, fields_of, struct_type
from sapwood.lang.errors import BadOperand, ImmutableField, Loc, NoAttribute, WrongArgumentCount
from sapwood.lang.errors.generic import ReadOnlyProperty
from sapwood.lang.immutable import immutable
from sapwood.lang.infer import layout
from sapwood.lang.infer.classes.heap_structs import new_object, read_field, struct_of, write_field
from sapwood.lang.infer.fit import fit_argument
from sapwood.lang.infer.generics import bind_type_variables
from sapwood.lang.ir.ssa import Var
from sapwood.lang.memory_layout import is_heap
from sapwood.lang.ops import memory
from sapwood.lang.structs import StructInfo, member_of
from sapwood.lang.values import Agg, Known, Value, describe

if TYPE_CHECKING:
    from sapwood.lang.infer.walker import FunctionWalker as Walker


def info_of(x: Any) -> StructInfo:
    """What the compiler knows of a struct class, type or value."""
    if isinstance(x, Agg | Var):
        x = struct_of(x)
    return (x.cls if isinstance(x, ty.Struct) else x).__sapwood_struct__


def is_struct_value(v: Any) -> bool:
    return struct_of(v) is not None


def lift(b: Any, value: Value) -> Value:
    """A struct instance known at compile time as a struct of known fields, an element of a structured array as a
    struct; other values as they are."""
    if isinstance(value, Agg) and isinstance(value.type, ty.Record):
        from sapwood.lang.infer.classes.records import load_record

        return load_record(b, value)
    if isinstance(value, Known) and hasattr(type(value.value), "__sapwood_struct__"):
        x = value.value
        info = info_of(type(x))
        if info.frozen and not is_heap(struct_type(type(x))):
            items = tuple(lift(b, Known(getattr(x, n))) for n in info.fields)
            return Agg(struct_type(type(x), type_arguments(b, type(x), items)), items)
    return value


# -- construction ------------------------------------------------------------------------------------


def construct_struct(
    w: Walker, cls: type, args: list[Value], kwargs: dict[str, Value], loc: Loc, given_arguments: tuple[Any, ...] = ()
) -> Value:
    """`Point(1.0, y=2.0)`: fields in order, by keyword, with the class's defaults; then `__post_init__`."""
    info = info_of(cls)
    own = info.methods.get("__init__")
    if own is not None:
        return _construct_by_init(w, cls, own, args, kwargs, loc, given_arguments)
    values, extra, arguments = field_values(w, cls, args, kwargs, loc, given_arguments)
    value = make_struct(w, cls, values, arguments)
    init = info.methods.get("__post_init__")
    if init is not None:
        w.call(Agg(ty.BoundMethod(init), (value,)), extra, {}, loc)
    return value


def _construct_by_init(
    w: Walker, cls: type, init: Any, args: list[Value], kwargs: dict[str, Value], loc: Loc, given: tuple[Any, ...]
) -> Value:
    """A class with an `__init__` of its own: storage of zeros, which it fills in."""
    info = info_of(cls)
    if info.frozen:
        hint = "leave __init__ out and use defaults or a @classmethod, or leave frozen=True out"
        raise ImmutableField(loc, what=f"the fields of the frozen struct {cls.__name__} in __init__", hint=hint)
    t = struct_type(cls, given)
    value = new_object(w, t, None) if is_heap(t) else empty_struct(w, t)
    w.call(Agg(ty.BoundMethod(init), (value,)), args, kwargs, loc)
    return value


def empty_struct(w: Walker, t: ty.Struct) -> Agg:
    """New storage of a mutable struct, all zero bytes."""
    size = max(layout.size_of(w.b, t), 1)
    pointer = memory.allocate_stack(w.b, t, size)
    clear_memory(w, pointer, size)
    return Agg(t, (pointer,))


def clear_memory(w: Walker, pointer: Var, size: int) -> None:
    from sapwood.lang.library.memory import fill

    at = layout.at_offset(w.b, pointer, 0, ty.U8)
    w.b.interpreter.call_function(fill, (at, w.b.index(size), w.b.const(0, ty.U8)))


def field_values(
    w: Walker, cls: type, args: list[Value], kwargs: dict[str, Value], loc: Loc, given_arguments: tuple[Any, ...] = ()
) -> tuple[list[Value], list[Value], tuple[Any, ...]]:
    """(values of all fields, values of InitVars, type arguments) of a call of the generated `__init__`."""
    info = info_of(cls)
    declared = dict(fields_of(struct_type(cls, given_arguments)))
    pseudo = _init_vars(cls)
    parameters = [*_parameters_in_order(cls)]
    positional = [n for n, f in parameters if not f.kw_only]
    signature = _signature(cls, parameters)

    def wrong(problem: str) -> WrongArgumentCount:
        return WrongArgumentCount(loc, function=cls.__name__, problem=problem, signature=signature)

    if len(args) > len(positional):
        raise wrong(f"takes {len(positional)} values, but {len(args)} were given")
    given = dict(zip(positional, args, strict=False))
    names = [n for n, _ in parameters]
    for k, v in kwargs.items():
        if k not in names:
            raise wrong(f"has no field '{k}'")
        if k in given:
            raise wrong(f"got two values for '{k}'")
        given[k] = v
    for n, f in [*parameters, *((n, f) for n, f in info.fields.items() if not f.init)]:
        if n not in given:
            default = _default(w, f, loc)
            if default is not None:
                given[n] = default
            elif n in names:
                raise wrong(f"needs a value for '{n}'")
            else:
                raise wrong(f"leaves the field '{n}' without a value (init=False and no default)")
    bindings: Bindings = {}
    w.b.loc = loc
    order = [n for n in names if n in declared] + [n for n in declared if n not in names]
    bind_type_variables(w.b, [declared[n] for n in order], [given[n] for n in order], bindings)
    values: list[Value] = []
    for n, d in declared.items():
        w.b.loc = loc
        values.append(fit_argument(w.b, d, given[n], bindings, n, cls.__name__, None, field=True))
    extra = [fit_argument(w.b, pseudo[n], given[n], bindings, n, cls.__name__, None) for n in pseudo]
    arguments = given_arguments or tuple(
        declared_of(bindings[p]) if p in bindings else Declared("any") for p in info.parameters
    )
    return values, extra, arguments


def _parameters_in_order(cls: type) -> list[tuple[str, dataclasses.Field[Any]]]:
    """Parameters of the generated `__init__`: keyword-only ones last, InitVars among them."""
    every = [(n, f) for n, f in cls.__dataclass_fields__.items() if f.init and not _is_class_var(f)]  # type: ignore[attr-defined]
    return [p for p in every if not p[1].kw_only] + [p for p in every if p[1].kw_only]


def _is_class_var(f: Any) -> bool:
    return f._field_type is dataclasses._FIELD_CLASSVAR  # type: ignore[attr-defined]


def _init_vars(cls: type) -> dict[str, Declared]:
    from sapwood.lang.declared import declare

    out: dict[str, Declared] = {}
    for n, f in cls.__dataclass_fields__.items():  # type: ignore[attr-defined]
        if f._field_type is dataclasses._FIELD_INITVAR:  # type: ignore[attr-defined]
            kind = info_of(cls)._evaluate(f)
            out[n] = declare(kind.type if isinstance(kind, dataclasses.InitVar) else kind, n, None)
    return out


def _signature(cls: type, parameters: list[tuple[str, Any]]) -> str:
    parts: list[str] = []
    for n, f in parameters:
        if f.kw_only and "*" not in parts:
            parts.append("*")
        parts.append(n)
    return f"{cls.__name__}({', '.join(parts)})"


def _default(w: Walker, f: dataclasses.Field[Any], loc: Loc) -> Value | None:
    from sapwood.lang.function import wrap_function

    if f.default is not dataclasses.MISSING:
        return lift(w.b, Known(f.default))
    if f.default_factory is not dataclasses.MISSING:
        around = w.interp.defaults
        w.interp.defaults = (*around, f.name)
        try:
            return w.call(Known(wrap_function(f.default_factory)), [], {}, loc)
        finally:
            w.interp.defaults = around
    return None


def type_arguments(b: Any, cls: type, items: tuple[Value, ...]) -> tuple[Any, ...]:
    """Type arguments of a generic struct, from the values of its fields."""
    info = info_of(cls)
    if not info.parameters:
        return ()
    bindings: Bindings = {}
    declared = [d for _, d in fields_of(struct_type(cls))]
    bind_type_variables(b, declared, list(items), bindings)
    return tuple(declared_of(bindings[p]) if p in bindings else Declared("any") for p in info.parameters)


def make_struct(w: Any, cls: type, values: list[Value], arguments: tuple[Any, ...] | None = None) -> Value:
    """A struct of field values: itself when frozen, an object on the heap, or new storage on the stack."""
    if arguments is None:
        arguments = type_arguments(w.b, cls, tuple(values))
    t = struct_type(cls, arguments)
    if is_heap(t):
        return new_object(w, t, values)
    if t.frozen:
        return Agg(t, tuple(values))
    pointer = memory.allocate_stack(w.b, t, max(layout.size_of(w.b, t), 1))
    for (_, f, at), v in zip(memory_layout.struct_layout(t), values, strict=True):
        layout.write(w.b, layout.at_offset(w.b, pointer, at, f), f, v)
    return Agg(t, (pointer,))


# -- attributes --------------------------------------------------------------------------------------


@immutable
class Super(ty.Type):
    """`super()`: its item is the receiver, or the class in a classmethod."""

    owner: type

    def __str__(self) -> str:
        return f"super() of {self.owner.__name__}"


def get_field(w: Walker, x: Value, name: str) -> Value | None:
    if isinstance(x, Var):
        return read_field(w, x, name)
    assert isinstance(x, Agg)
    t = x.type
    assert isinstance(t, ty.Struct)
    if t.frozen:
        names = list(info_of(t).fields)
        return x.items[names.index(name)] if name in names else None
    found = layout.field(w.b, t, name)
    if found is None:
        return None
    pointer = x.items[0]
    assert isinstance(pointer, Var)
    return layout.read(w.b, layout.at_offset(w.b, pointer, found[1], found[0]), found[0])


def get_struct_attribute(w: Walker, x: Value, name: str, loc: Loc) -> Value | None:
    """A field, property, method or constant of an instance."""
    t = x.type.struct if isinstance(x, Agg) and isinstance(x.type, ty.Record) else struct_of(x)
    assert t is not None
    info = info_of(t)
    if name in info.properties:
        return read_property(w, info.properties[name], x, loc)
    if name in info.fields:
        return get_field(w, x, name)
    if name == "__class__":
        return Known(t.cls)
    return _class_member(w, t.cls, name, x)


def _class_member(w: Walker, cls: type, name: str, receiver: Value | None) -> Value | None:
    """What a class holds under a name, bound to `receiver` if there is one."""
    info = info_of(cls)
    if name in info.methods:
        method = info.methods[name]
        return Known(method) if receiver is None else Agg(ty.BoundMethod(method), (receiver,))
    if name in info.static:
        return Known(info.static[name])
    if name in info.class_methods:
        return Agg(ty.BoundMethod(info.class_methods[name]), (Known(cls),))
    if name in info.constants:
        return constant_member(w, cls, name, info.constants[name])
    return None


def constant_member(w: Walker, cls: type, name: str, value: Any) -> Value:
    from sapwood.lang.infer.comptime import require_constant

    w.interp.depend_on_constant(cls.__module__, cls.__qualname__, cls)
    return lift(w.b, Known(require_constant(value, f"'{cls.__name__}.{name}'", w.b.loc)))


def read_property(w: Walker, p: property, x: Value, loc: Loc) -> Value:
    from sapwood.lang.function import wrap_function

    assert p.fget is not None
    return w.call(Agg(ty.BoundMethod(wrap_function(p.fget)), (x,)), [], {}, loc)


def get_class_attribute(w: Walker, cls: type, name: str, loc: Loc) -> Value | None:
    """`Point.origin`, `Point.DIMENSIONS`, `Point.norm`; None for what only Python knows."""
    if name in ("__name__", "__qualname__"):
        return Known(getattr(cls, name))
    if name == "numpy_dtype" and name not in dict(info_of(cls).members()):
        return None
    found = _class_member(w, cls, name, None)
    if found is None and name in info_of(cls).generated:
        rule = GENERATED.get(name)
        return None if rule is None else Agg(ty.BoundMethod(Generated(name, rule)), (Known(cls),))  # type: ignore[arg-type]
    return found


def get_super_attribute(w: Walker, x: Agg, name: str, loc: Loc) -> Value | None:
    """`super().name`: the classes after the owner in the receiver's order of inheritance."""
    assert isinstance(x.type, Super)
    receiver = x.items[0]
    cls = receiver.value if isinstance(receiver, Known) else struct_of(receiver).cls  # type: ignore[union-attr]
    order = cls.__mro__
    for base in order[order.index(x.type.owner) + 1 :]:
        if name not in vars(base) or base is object:
            continue
        raw = vars(base)[name]
        kind, member = member_of(raw)
        info = vars(base).get("__sapwood_struct__")
        if info is not None and name in info.generated:
            rule = GENERATED.get(name)
            if rule is None:
                return None
            return Agg(ty.BoundMethod(Generated(name, rule, base)), (receiver,))  # type: ignore[arg-type]
        match kind:
            case "property":
                return read_property(w, member, receiver, loc)
            case "static":
                return Known(member)
            case "class":
                return Agg(ty.BoundMethod(member), (Known(cls),))
            case "method":
                return Agg(ty.BoundMethod(member), (receiver,))
        return constant_member(w, base, name, raw)
    if name in ("__init__", "__post_init__") and name == "__init__":  # object's own
        return Agg(ty.BoundMethod(Generated(name, lambda w, g, x, *a: Known(None), object)), (receiver,))  # type: ignore[arg-type]
    return None


class Generated:
    """A method that `dataclass` wrote: `rule(walker, generated, receiver, *args)`."""

    def __init__(self, name: str, rule: Any, owner: type | None = None) -> None:
        self.__name__ = name
        self.owner = owner
        self.body = rule

    def rule(self, w: Walker, receiver: Value, *args: Value, **kwargs: Value) -> Value:
        return self.body(w, self, receiver, *args, **kwargs)


def _generated_init(w: Walker, g: Generated, receiver: Value, *args: Value, **kwargs: Value) -> Value:
    """`super().__init__(x, y)`: assigns the base's fields."""
    assert g.owner is not None
    values, _, _ = field_values(w, g.owner, list(args), kwargs, w.b.loc)
    for (n, _), v in zip(fields_of(struct_type(g.owner)), values, strict=True):
        set_struct_attribute(w, receiver, n, v)
    return Known(None)


GENERATED: dict[str, Any] = {"__init__": _generated_init}  # struct_operators.py adds to it


def set_struct_attribute(w: Walker, x: Value, name: str, value: Value) -> None:
    t = struct_of(x)
    assert t is not None
    info = info_of(t)
    if name in info.properties:
        from sapwood.lang.function import wrap_function

        p = info.properties[name]
        if p.fset is None:
            raise ReadOnlyProperty(w.b.loc, name=name, type=t)
        w.call(Agg(ty.BoundMethod(wrap_function(p.fset)), (x,)), [value], {}, w.b.loc)
        return
    if t.frozen:
        hint = "frozen structs are values; make a new one with dataclasses.replace, or leave frozen=True out"
        raise ImmutableField(w.b.loc, what=f"field '{name}' of the frozen struct {t}", hint=hint)
    if isinstance(x, Var) and write_field(w, x, name, value):
        return
    found = layout.field(w.b, t, name) if isinstance(x, Agg) else None
    if found is None:
        raise NoAttribute(w.b.loc, type=describe(x), name=name, hint=_undeclared_hint(x, name, value))
    assert isinstance(x, Agg)
    pointer = x.items[0]
    assert isinstance(pointer, Var)
    layout.write(w.b, layout.at_offset(w.b, pointer, found[1], found[0]), found[0], value)


def _undeclared_hint(x: Value, name: str, value: Value) -> str:
    """What to do where a field that the class does not declare is assigned."""
    import difflib

    if hasattr(info_of(x).cls, name) or difflib.get_close_matches(name, [n for n, _ in info_of(x).members()], 1):
        return attribute_hint(x, name)
    kind = describe(value)
    if "nothing yet" in kind or kind == "None" or "'" in kind:
        return f"a struct declares its fields: write {name}: int (or what type it has) in the class"
    return f"a struct declares its fields: write {name}: {kind} in the class"


def attribute_hint(x: Value, name: str) -> str:
    import difflib

    names = [n for n, _ in info_of(x).members() if n[:2] != "__"]
    if hasattr(info_of(x).cls, name):
        return f"{name} is no field: give it a type in the class, for example {name}: int = ..."
    if not names:
        return f"a struct declares its fields: write {name}: int (or what type it has) in the class"
    close = difflib.get_close_matches(name, names, 1)
    return f"did you mean '{close[0]}'?" if close else f"it has: {', '.join(names[:12])}"


# -- super, replace ----------------------------------------------------------------------------------


def super_of(w: Walker, *args: Value) -> Value:
    """`super()` in a method of a struct."""
    loc = w.b.loc
    owner = _class_cell(w.python)
    if args:
        kind, receiver = args[0], args[1]
        owner = kind.value if isinstance(kind, Known) else owner
    else:
        first = w.code.params[0].name if w.code.params else ""
        receiver = w.vars.get(first, Known(None))
    inside = is_struct_value(receiver) or isinstance(receiver, Known) and hasattr(receiver.value, "__sapwood_struct__")
    if owner is None or not inside:
        hint = "call it in a method of a @struct"
        raise BadOperand(loc, function="super", detail="there is no class or no receiver here", hint=hint)
    return Agg(Super(owner), (receiver,))


def _class_cell(python: Any) -> type | None:
    """The class that a method was written in."""
    if python is None or "__class__" not in python.__code__.co_freevars:
        return None
    cell = (python.__closure__ or ())[python.__code__.co_freevars.index("__class__")]
    return cell.cell_contents


def replace(w: Walker, x: Value, **changes: Value) -> Value:
    """`dataclasses.replace(x, y=1.0)`: a new struct; `__post_init__` runs, as in Python."""
    x = lift(w.b, x)
    t = struct_of(x)
    if t is None:
        raise BadOperand(w.b.loc, function="replace", detail=f"{describe(x)} is no struct", hint="pass a @struct")
    info = info_of(x)
    for n, f in info.fields.items():
        if not f.init:
            if n in changes:
                detail = f"field '{n}' is declared with init=False"
                raise BadOperand(w.b.loc, function="replace", detail=detail, hint="leave it out")
        elif n not in changes:
            value = get_field(w, x, n)
            assert value is not None
            changes[n] = value
    return construct_struct(w, t.cls, [], changes, w.b.loc)


def field_tuple(w: Walker, value: Value, compared: bool = False) -> Agg:
    """The fields of a struct as a tuple; with `compared`, those that comparisons look at."""
    names = [n for n, f in info_of(value).fields.items() if f.compare or not compared]
    items = tuple(get_field(w, value, n) for n in names)
    return Agg(ty.Tuple(len(items)), items)  # type: ignore[arg-type]


def find_method(value: Value, name: str) -> Value | None:
    """A method that a struct's class defines itself, bound to the value."""
    if struct_of(value) is not None:
        method = info_of(value).methods.get(name)
        if method is not None:
            return Agg(ty.BoundMethod(method), (value,))
    return None
