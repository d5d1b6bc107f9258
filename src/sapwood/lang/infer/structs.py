"""Structs in compiled code: construction, attributes, properties, comparisons, hashes, `super()`."""

from __future__ import annotations

import dataclasses
import operator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sapwood.lang import types as ty
from sapwood.lang.errors import BadOperand, ImmutableField, Loc, NoAttribute, NoOperator, WrongArgumentCount
from sapwood.lang.errors_generic import NoOrder, ReadOnlyProperty, Unhashable
from sapwood.lang.infer import layout
from sapwood.lang.infer.declared import Bindings, Declared, fit_argument, struct_type
from sapwood.lang.infer.generics import bind_type_variables, declared_of
from sapwood.lang.infer.heap_structs import is_heap, new_object, read_field, refers_to_itself, struct_of, write_field
from sapwood.lang.ir.ssa import Var
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
        from sapwood.lang.infer.records import load_record

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
    declared = dict(layout.fields_of(struct_type(cls, given_arguments)))
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
        values.append(fit_argument(w.b, d, given[n], bindings, n, cls.__name__, None))
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
    from sapwood.lang.infer.declared import declare

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
        return w.call(Known(wrap_function(f.default_factory)), [], {}, loc)
    return None


def type_arguments(b: Any, cls: type, items: tuple[Value, ...]) -> tuple[Any, ...]:
    """Type arguments of a generic struct, from the values of its fields."""
    info = info_of(cls)
    if not info.parameters:
        return ()
    bindings: Bindings = {}
    declared = [d for _, d in layout.fields_of(struct_type(cls))]
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
    for (_, f, at), v in zip(layout.struct_layout(t), values, strict=True):
        layout.write(w.b, layout.at_offset(w.b, pointer, at, f), f, v)
    return Agg(t, (pointer,))


# -- attributes --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
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
        rule = _GENERATED.get(name)
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
            rule = _GENERATED.get(name)
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
    for (n, _), v in zip(layout.fields_of(struct_type(g.owner)), values, strict=True):
        set_struct_attribute(w, receiver, n, v)
    return Known(None)


def _generated_comparison(fn: Any) -> Any:
    def rule(w: Walker, g: Generated, receiver: Value, *args: Value) -> Value:
        pair = args if isinstance(receiver, Known) else (receiver, *args)  # `Point.__lt__(a, b)`
        found = generated_comparison(w, fn, pair[0], pair[1])
        return Known(NotImplemented) if found is None else found

    return rule


_GENERATED: dict[str, Any] = {
    "__init__": _generated_init,
    "__eq__": _generated_comparison(operator.eq),
    "__lt__": _generated_comparison(operator.lt),
    "__le__": _generated_comparison(operator.le),
    "__gt__": _generated_comparison(operator.gt),
    "__ge__": _generated_comparison(operator.ge),
    "__hash__": lambda w, g, x, *a: hash_struct(w, a[0] if isinstance(x, Known) else x),
}


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
        raise NoAttribute(w.b.loc, type=describe(x), name=name, hint=attribute_hint(x, name))
    assert isinstance(x, Agg)
    pointer = x.items[0]
    assert isinstance(pointer, Var)
    layout.write(w.b, layout.at_offset(w.b, pointer, found[1], found[0]), found[0], value)


def attribute_hint(x: Value, name: str) -> str:
    import difflib

    names = [n for n, _ in info_of(x).members() if n[:2] != "__"]
    close = difflib.get_close_matches(name, names, 1)
    return f"did you mean '{close[0]}'?" if close else f"it has: {', '.join(names[:12]) or 'no fields'}"


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


# -- operators ---------------------------------------------------------------------------------------

_ORDER = {operator.lt: "__lt__", operator.le: "__le__", operator.gt: "__gt__", operator.ge: "__ge__"}
_SWAPPED = {
    operator.lt: operator.gt, operator.gt: operator.lt, operator.le: operator.ge, operator.ge: operator.le,
    operator.eq: operator.eq, operator.ne: operator.ne,
}  # fmt: skip
_NOT_IMPLEMENTED = Known(NotImplemented)


def find_method(value: Value, name: str) -> Value | None:
    """A method that a struct's class defines itself, bound to the value."""
    if struct_of(value) is not None:
        method = info_of(value).methods.get(name)
        if method is not None:
            return Agg(ty.BoundMethod(method), (value,))
    return None


def operator_method(w: Walker, fn: Any, names: tuple[str, str], x: Value, y: Value, loc: Loc) -> Value | None:
    """A binary operator by the methods of its operands, in Python's order; None when neither has one."""
    x, y = lift(w.b, x), lift(w.b, y)
    if fn in (operator.eq, operator.ne) and (_may_be_none(x) or _may_be_none(y)):
        return _optional_equality(w, fn, x, y, loc)
    x, y = _present(w, fn, x, y), _present(w, fn, y, x)
    if not is_struct_value(x) and not is_struct_value(y):
        return None
    if fn in (operator.eq, operator.ne):
        return _equality(w, fn, x, y, loc)
    attempts = [(x, y, names[0], fn), (y, x, names[1], _SWAPPED.get(fn))]
    if _overrides(y, x, names[1]):
        attempts.reverse()
    for receiver, other, name, generated in attempts:
        found = find_method(receiver, name)
        result: Value | None = None
        if found is not None:
            result = w.call(found, [other], {}, loc)
        elif generated in _ORDER and is_struct_value(receiver) and name in info_of(receiver).generated:  # type: ignore[arg-type]
            result = generated_comparison(w, generated, receiver, other)
        if result is not None and result != _NOT_IMPLEMENTED:
            return result
    _no_operator(fn, names[0], x, y, loc)
    return None


def _may_be_none(v: Value) -> bool:
    """Whether a value is a struct on the heap, or None."""
    return isinstance(v, Var) and isinstance(v.type, ty.Ref) and v.type.nullable and isinstance(v.type.target, ty.HeapStruct)


def _present(w: Walker, fn: Any, v: Value, other: Value) -> Value:
    """An operand that may be None as the struct that it must be."""
    from sapwood.lang.infer.heap import require_some
    from sapwood.lang.ops.operators import SYMBOLS

    if not _may_be_none(v):
        return v
    text = f"unsupported operand type(s) for {SYMBOLS[fn]}: 'NoneType' and '{describe(other)}'"
    return require_some(w, v, TypeError, text)


def _optional_equality(w: Walker, fn: Any, x: Value, y: Value, loc: Loc) -> Value:
    """`==` where either side may be None: None equals None alone."""
    from sapwood.lang.infer.narrow import is_none, some
    from sapwood.lang.ops.operators import logical_not, truth

    if not _may_be_none(x):
        x, y = y, x
    missing = truth(w.b, is_none(w.b, x))
    other = truth(w.b, is_none(w.b, y)) if _may_be_none(y) else Known(y == Known(None))

    def compare() -> Value:
        there = some(w.b, y) if _may_be_none(y) else y
        return truth(w.b, _equality(w, operator.eq, some(w.b, x), there, loc))

    equal = w.branch(missing, lambda: other, lambda: w.branch(other, lambda: Known(False), compare))
    return logical_not(w.b, equal) if fn is operator.ne else equal


def _no_operator(fn: Any, name: str, x: Value, y: Value, loc: Loc) -> None:
    from sapwood.lang.ops.operators import SYMBOLS

    left, right = describe(x), describe(y)
    owner = left if is_struct_value(x) else right
    if fn in _ORDER:
        hint = f"write @struct(order=True), or define {name} in {owner}"
        raise NoOrder(loc, op=SYMBOLS[fn], left=left, right=right, hint=hint)
    method = name if is_struct_value(x) else f"__r{name[2:]}"
    raise NoOperator(loc, left=left, op=SYMBOLS[fn], right=right, hint=f"define {method} in {owner}")


def _overrides(y: Value, x: Value, name: str) -> bool:
    """Whether y's class is derived from x's and has a reflected method of its own, which Python asks first."""
    if not is_struct_value(x) or not is_struct_value(y):
        return False
    p, q = struct_of(x).cls, struct_of(y).cls  # type: ignore[union-attr]
    return p is not q and issubclass(q, p) and info_of(q).methods.get(name) is not info_of(p).methods.get(name)


def _equality(w: Walker, fn: Any, x: Value, y: Value, loc: Loc) -> Value:
    from sapwood.lang.ops.operators import logical_not

    own = "__ne__" if fn is operator.ne else "__eq__"
    pairs = [(x, y), (y, x)]
    if _overrides(y, x, own):
        pairs.reverse()
    if fn is operator.ne:
        for receiver, other in pairs:
            found = find_method(receiver, "__ne__")
            result = _NOT_IMPLEMENTED if found is None else w.call(found, [other], {}, loc)
            if result != _NOT_IMPLEMENTED:
                return result
        equal = _equality(w, operator.eq, x, y, loc)
        return logical_not(w.b, equal)
    for receiver, other in pairs:
        found = find_method(receiver, "__eq__")
        result: Value | None = None
        if found is not None:
            result = w.call(found, [other], {}, loc)
        elif is_struct_value(receiver) and "__eq__" in info_of(receiver).generated:
            result = generated_comparison(w, operator.eq, receiver, other)
        if result is not None and result != _NOT_IMPLEMENTED:
            return result
    return _same_object(w, x, y)


def _same_object(w: Walker, x: Value, y: Value) -> Value:
    """Python's last answer to `==`: identity."""
    from sapwood.lang.ops.heap import same_object
    from sapwood.lang.ops.operators import binary

    if isinstance(x, Var) and isinstance(y, Var) and is_struct_value(x) and is_struct_value(y):
        return w.b.apply(same_object, x, y)
    if is_struct_value(x) and is_struct_value(y) and x.type == y.type:  # type: ignore[union-attr]
        if not x.type.frozen:  # type: ignore[union-attr]
            return binary(w.b, operator.eq, x.items[0], y.items[0])  # type: ignore[union-attr]
        hint = "leave eq=False out, or define __eq__: frozen structs are values and have no identity"
        raise NoOperator(w.b.loc, left=describe(x), op="==", right=describe(y), hint=hint)
    return Known(False)


def generated_comparison(w: Walker, fn: Any, x: Value, y: Value) -> Value | None:
    """What `dataclass` generates: the fields in order, if both are of the same class."""
    p, q = struct_of(x), struct_of(y)
    if p is None or q is None or p.cls is not q.cls:
        return None
    if refers_to_itself(p.cls) and isinstance(x, Var):  # a call, which may call itself, and not endless code
        from sapwood.lang.library.heap_struct import COMPARE

        return w.call_compiled(COMPARE[fn], [x, y], {})
    return compare_fields(w, fn, x, y)


def compare_fields(w: Walker, fn: Any, x: Value, y: Value) -> Value:
    return compare_tuples(w, fn, field_tuple(w, x, True).items, field_tuple(w, y, True).items)


def compare_tuples(w: Walker, fn: Any, p: tuple[Value, ...], q: tuple[Value, ...]) -> Value:
    """Tuples item by item: later items are looked at only if the earlier ones are equal."""
    from sapwood.lang.ops.operators import logical_not

    if fn is operator.ne:
        return logical_not(w.b, compare_tuples(w, operator.eq, p, q))
    if fn is operator.eq:
        if len(p) != len(q):
            return Known(False)
        return _all_equal(w, list(zip(p, q, strict=True)))
    return _lexicographic(w, fn, p, q)


def _all_equal(w: Walker, pairs: list[tuple[Value, Value]]) -> Value:
    from sapwood.lang.ops.operators import logical_and, truth

    if not pairs:
        return Known(True)
    (x, y), rest = pairs[0], pairs[1:]
    first = truth(w.b, w.operate(operator.eq, x, y))
    if not rest or first == Known(False):
        return first
    if first == Known(True):
        return _all_equal(w, rest)
    if all(_plain(v) for pair in rest for v in pair):  # nothing to save and nothing to call
        return logical_and(w.b, first, _all_equal(w, rest))
    return w.branch(first, lambda: _all_equal(w, rest), lambda: Known(False))


def _lexicographic(w: Walker, fn: Any, p: tuple[Value, ...], q: tuple[Value, ...]) -> Value:
    from sapwood.lang.ops.operators import truth

    if not p or not q:
        return Known(fn(len(p), len(q)))
    if len(p) == len(q) == 1:
        return w.operate(fn, p[0], q[0])
    equal = truth(w.b, w.operate(operator.eq, p[0], q[0]))
    if isinstance(equal, Known):
        return _lexicographic(w, fn, p[1:], q[1:]) if equal.value else w.operate(fn, p[0], q[0])
    return w.branch(equal, lambda: _lexicographic(w, fn, p[1:], q[1:]), lambda: w.operate(fn, p[0], q[0]))


def _plain(v: Value) -> bool:
    if isinstance(v, Known):
        return isinstance(v.value, int | float | str | None)
    if isinstance(v, Var):
        return isinstance(v.type, ty.Scalar | ty.Simd | ty.Ptr)
    return isinstance(v, Agg) and isinstance(v.type, ty.Tuple) and all(map(_plain, v.items))


def struct_truth(w: Walker, x: Value) -> Value:
    """A struct as a condition: `__bool__`, else `__len__`, else true."""
    from sapwood.lang.ops.operators import truth

    for name in ("__bool__", "__len__"):
        found = find_method(x, name)
        if found is not None:
            return truth(w.b, w.call(found, [], {}, w.b.loc))
    return Known(True)


# -- hashes ------------------------------------------------------------------------------------------


def hash_struct(w: Walker, x: Value) -> Value:
    """hash() of a struct: its own `__hash__`, or that of the tuple of its fields."""
    x = lift(w.b, x)
    t = struct_of(x)
    assert t is not None
    info = info_of(x)
    found = find_method(x, "__hash__")
    if found is not None:
        return w.call(found, [], {}, w.b.loc)
    if "__hash__" not in info.generated:
        hint = "write @struct(frozen=True), or define __hash__"
        raise Unhashable(w.b.loc, type=t.cls.__name__, hint=hint)
    names = [n for n, f in info.fields.items() if (f.compare if f.hash is None else f.hash)]
    items = tuple(get_field(w, x, n) for n in names)
    from sapwood.lang.infer.builtins import BUILTINS

    return BUILTINS[hash](w, Agg(ty.Tuple(len(items)), items))  # type: ignore[arg-type]
