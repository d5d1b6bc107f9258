"""Members of an Enum that are chosen at run time: one int, and what their class knows about them as tables.

The int is the value of a member whose class is an IntEnum or a Flag, else its place among the members. A member that is
known when the function is compiled stays a constant until it meets another.
"""

from __future__ import annotations

import enum
import inspect
import operator
from typing import Any, TypeGuard

from sapwood.lang import types as ty
from sapwood.lang.enum_members import by_value, code, has_layout, members, spec_of_class
from sapwood.lang.errors import BadOperand, NoOperator
from sapwood.lang.infer.iteration.protocol import Items, Iteration, iterates
from sapwood.lang.ir.ssa import Var
from sapwood.lang.ops import arith
from sapwood.lang.types import BOOL, I64
from sapwood.lang.values import Agg, Known, Spec, Value, describe

_BITS = {operator.and_, operator.or_, operator.xor}


def is_member(x: Value) -> TypeGuard[Agg]:
    """Whether a value is a member that is known at run time only."""
    return isinstance(x, Agg) and isinstance(x.type, ty.Enum)


def class_of(x: Value) -> type[enum.Enum] | None:
    """The class of a member, known or not."""
    if isinstance(x, Known) and isinstance(x.value, enum.Enum):
        return type(x.value)
    return x.type.cls if isinstance(x, Agg) and isinstance(x.type, ty.Enum) else None


def code_of(b: Any, x: Value) -> Var:
    """The int of a member, known or not."""
    if isinstance(x, Known):
        return b.index(code(x.value))
    assert isinstance(x, Agg)
    return b.materialize(x.items[0])


def member_of(cls: type[enum.Enum], n: Value) -> Agg:
    return Agg(ty.Enum(cls), (n,))


# -- what a member stands for -------------------------------------------------------------------------


def data_type(cls: type[enum.Enum]) -> type | None:
    """int, str or another type whose operators the members have; None of a plain Enum."""
    kind = cls._member_type_
    return None if kind is object else kind


def underlying(b: Any, x: Value) -> Value:
    """A member as the number or text that it is, too; other values as they are."""
    cls = class_of(x)
    kind = None if cls is None else data_type(cls)
    if cls is None or kind not in (int, str, float, bytes):
        return x
    if isinstance(x, Known):
        return Known(kind(x.value.value))
    if kind is int:
        return x.items[0]  # type: ignore[union-attr]
    return constant_of(b.interpreter.frames[-1], x, tuple(kind(m.value) for m in members(cls)))


_OF_NUMBERS = (int, float, complex, len, abs, divmod, pow, round, chr, ord, hex, oct, bin)


def wants_number(f: Any) -> bool:
    """Whether a function of Python's takes a member as the number or text that it is."""
    return any(f is known for known in _OF_NUMBERS) or getattr(f, "__module__", None) in ("math", "cmath")


def constant_of(w: Any, x: Value, values: tuple[Any, ...]) -> Value:
    """What a table of the class has for a member."""
    from sapwood.lang.infer.containers.tables import item_at

    if all(type(v) is type(values[0]) and v == values[0] for v in values):
        return Known(values[0])
    return item_at(w, Known(values), place_of(w, x))


def place_of(w: Any, x: Value) -> Var:
    """The place of a member among all; -1: it is a combination of flags that has no name."""
    cls = class_of(x)
    assert cls is not None
    n = code_of(w.b, x)
    return n if not by_value(cls) else find(w, tuple(m.value for m in members(cls)), n)


def find(w: Any, values: tuple[Any, ...], x: Value) -> Var:
    """The place of a value among constants, or below 0."""
    from sapwood.lang.library.enums import find_constant
    from sapwood.lang.ops.operators import binary

    if isinstance(x, Var) and x.type == I64 and values == tuple(range(values[0], values[0] + len(values))):
        at = w.b.materialize(binary(w.b, operator.sub, x, Known(values[0])))
        outside = w.b.emit1(arith.compare, (w.b.convert(at, ty.U64), w.b.const(len(values), ty.U64)), BOOL, test="ge")
        return w.b.emit1(arith.select, (outside, w.b.index(-1), at), I64)
    return w.b.materialize(w.call_compiled(find_constant, [Known(values), x], {}))


# -- operators ----------------------------------------------------------------------------------------


def binary(b: Any, fn: Any, x: Value, y: Value) -> Value | None:
    """An operator with a member on one side; None when a member is none of the operands."""
    from sapwood.lang.ops import operators

    p, q = class_of(x), class_of(y)
    if p is None and q is None:
        return None
    if fn in (operator.is_, operator.is_not, operator.eq, operator.ne) and p is q:
        test = "eq" if fn in (operator.is_, operator.eq) else "ne"
        return b.emit1(arith.compare, (code_of(b, x), code_of(b, y)), BOOL, test=test)
    if fn in (operator.is_, operator.is_not):
        other = y if p is not None else x
        if isinstance(other, Var) and isinstance(other.type, ty.Ref) and other.type.target == ty.Object():
            return None
        return Known(fn is operator.is_not)
    if fn in _BITS:
        found = _combined(b, fn, x, y)
        if found is not None:
            return found
    u, v = underlying(b, x), underlying(b, y)
    if u is not x or v is not y:
        return operators.binary(b, fn, u, v)
    if fn in (operator.eq, operator.ne):
        return Known(fn is operator.ne)
    if fn is operator.mod and p is None:
        return None  # a template
    hint = "a plain Enum has no operators: compute with member.value, or make the class an IntEnum"
    raise NoOperator(b.loc, left=describe(x), op=operators.SYMBOLS[fn], right=describe(y), hint=hint)


def _combined(b: Any, fn: Any, x: Value, y: Value) -> Value | None:
    """Two flags as one; an IntFlag also takes an int."""
    from sapwood.lang.ops import operators

    cls = class_of(x) or class_of(y)
    if cls is None or not issubclass(cls, enum.Flag) or not by_value(cls):
        return None
    for v in (x, y):
        if class_of(v) is not cls and not (class_of(v) is None and data_type(cls) is int and _is_int(v)):
            return None
    parts = [v if class_of(v) is None else code_of(b, v) for v in (x, y)]
    return member_of(cls, b.materialize(operators.binary(b, fn, parts[0], parts[1])))


def _is_int(v: Value) -> bool:
    if isinstance(v, Known):
        return isinstance(v.value, int)
    return isinstance(v, Var) and v.type == I64


def unary(b: Any, fn: Any, x: Agg) -> Value:
    """`~flag`, and the operators of numbers on members that are numbers."""
    from sapwood.lang.ops import operators

    cls = class_of(x)
    assert cls is not None
    if fn is operator.invert and issubclass(cls, enum.Flag):
        from sapwood.lang.library.enums import inverted_flags

        singles = cls._singles_mask_  # type: ignore[attr-defined]
        keeps = cls._boundary_ is enum.KEEP or cls._boundary_ is enum.EJECT  # type: ignore[attr-defined]
        every = (1 << cls._flag_mask_.bit_length()) - 1  # type: ignore[attr-defined]
        arguments = [x.items[0], Known(every if keeps else singles), Known(keeps)]
        return member_of(cls, b.interpreter.frames[-1].call_compiled(inverted_flags, arguments, {}))
    return operators.unary(b, fn, _number(b, x, fn))


def _number(b: Any, x: Agg, fn: Any) -> Value:
    found = underlying(b, x)
    if found is x:
        symbol = {operator.neg: "-", operator.pos: "+", operator.invert: "~"}[fn]
        raise NoOperator(b.loc, left=symbol, op="on", right=str(x.type), hint="the operand must be a number")
    return found


def truth(b: Any, x: Agg) -> Known | Var:
    from sapwood.lang.ops import operators

    w, cls = b.interpreter.frames[-1], class_of(x)
    assert cls is not None
    own = method(x, "__bool__")
    if own is not None:
        return operators.truth(b, w.call(own, [], {}, b.loc))
    value = x.items[0] if issubclass(cls, enum.Flag) else underlying(b, x)
    return Known(True) if value is x else operators.truth(b, value)


def contains(w: Any, flags: Value, item: Value) -> Value | None:
    """`flag in flags`; None: they are no flags of one class."""
    cls = class_of(flags)
    if cls is None or cls is not class_of(item) or not issubclass(cls, enum.Flag):
        return None
    wanted = code_of(w.b, item)
    common = w.b.emit1(arith.band, (code_of(w.b, flags), wanted), I64)
    return w.b.emit1(arith.compare, (common, wanted), BOOL, test="eq")


# -- attributes ---------------------------------------------------------------------------------------


def method(x: Value, name: str) -> Value | None:
    """A method that the class of a member, or a base of its own, defines."""
    cls = class_of(x)
    if cls is None:
        return None
    for base in cls.__mro__:
        if base.__module__ in ("enum", "builtins"):
            continue
        found = vars(base).get(name)
        if inspect.isfunction(found) and found.__module__ != "enum":
            from sapwood.lang.function import wrap_function

            return Agg(ty.BoundMethod(wrap_function(found)), (x,))
    return None


def member_operator(w: Any, names: tuple[str, str], x: Value, y: Value) -> Value | None:
    """A binary operator by a method that the class of a member defines; None when none does."""
    for receiver, other, name in ((x, y, names[0]), (y, x, names[1])):
        own = method(receiver, name)
        if own is not None:
            result = w.call(own, [other], {}, w.b.loc)
            if result != Known(NotImplemented):
                return result
    return None


def attribute(w: Any, x: Value, name: str) -> Value | None:
    """An attribute of a member: its name, its value, what `__init__` gave it, properties and methods of its class."""
    from sapwood.lang.infer.objects import get_attribute

    cls = class_of(x)
    assert cls is not None
    w.interp.depend_on_constant(cls.__module__, cls.__qualname__, cls)
    found = method(x, name)
    if found is not None:
        return found
    static = inspect.getattr_static(cls, name, None)
    if isinstance(static, property) and type(static) is property and static.fget is not None:
        from sapwood.lang.function import wrap_function

        return w.call(Agg(ty.BoundMethod(wrap_function(static.fget)), (x,)), [], {}, w.b.loc)
    if isinstance(x, Known):
        return None
    public = {"_name_": "name", "_value_": "value"}.get(name, name)
    if public == "value" and by_value(cls):
        return x.items[0]  # type: ignore[union-attr]
    if public == "name" and issubclass(cls, enum.Flag):
        return _of_object(w, x, "name", Spec("leaf", ty.Ref(ty.Str(), True)))
    if public in ("name", "value") or all(name in vars(m) for m in members(cls)):
        return constant_of(w, x, tuple(getattr(m, public) for m in members(cls)))
    number = underlying(w.b, x)
    return None if number is x else get_attribute(w, number, name, w.b.loc)


def _of_object(w: Any, x: Value, name: str, spec: Spec) -> Value:
    """An attribute by way of the Python object; for what few programs ask."""
    from sapwood.lang.infer.border import box, get_attr, unbox

    return unbox(w, get_attr(w, box(w, x), name), spec)


# -- text ---------------------------------------------------------------------------------------------


def text(w: Any, x: Agg, how: str) -> list[Value]:
    """The pieces of str(x), repr(x) or ascii(x)."""
    from sapwood.lang.infer.text.formatting import as_text, by_python, pieces_of

    cls = class_of(x)
    assert cls is not None
    names = ("__str__", "__repr__") if how == "str" else ("__repr__",)
    for name in names:
        own = method(x, name)
        if own is not None:
            return [as_text(w, w.call(own, [], {}, w.b.loc), name, "the result")]
        if name == "__str__" and cls.__str__ is not enum.Enum.__str__ and not issubclass(cls, enum.Flag):
            number = underlying(w.b, x)  # an IntEnum or StrEnum shows its value
            if number is not x:
                return pieces_of(w, number, "str")
    function = {"str": str, "repr": repr, "ascii": ascii}[how]
    if issubclass(cls, enum.Flag):
        return [by_python(w, function, x)]
    return [constant_of(w, x, tuple(map(function, members(cls))))]


def formatted(b: Any, x: Value) -> Value:
    """What format(x, specifier) formats."""
    cls = class_of(x)
    assert cls is not None
    if cls.__format__ is not enum.Enum.__format__:
        return underlying(b, x)
    from sapwood.lang.infer.text.formatting import text_of

    return text_of(b.interpreter.frames[-1], x, "str")


# -- the class ----------------------------------------------------------------------------------------


def lookup(w: Any, cls: type[enum.Enum], value: Value) -> Value:
    """`Color(value)`: the member with that value; what is none, Python itself is asked about."""
    from sapwood.lang.infer.border import box, unbox
    from sapwood.lang.infer.python_objects import call_object
    from sapwood.lang.ops.objects import constant_object

    w.interp.depend_on_constant(cls.__module__, cls.__qualname__, cls)
    if class_of(value) is cls:
        return value
    value = underlying(w.b, value)
    if isinstance(value, Known):
        try:
            return Known(cls(value.value))
        except ValueError:
            pass
    require_layout(w, cls)

    def ask() -> Value:
        found = call_object(w, constant_object(w.b, cls), [value], {})
        return unbox(w, found, spec_of_class(cls))

    values = tuple(m.value for m in members(cls))
    sought = w.b.materialize(value) if isinstance(value, Known) and isinstance(value.value, int | str) else value
    at = find(w, values, sought)
    found = w.b.emit1(arith.compare, (at, w.b.index(0)), BOOL, test="ge")

    def there() -> Value:
        return member_of(cls, w.b.convert(sought, I64) if by_value(cls) else at)

    if by_value(cls) and not (isinstance(sought, Var) and isinstance(sought.type, ty.Scalar) and sought.type.is_int):
        return unbox(w, call_object(w, constant_object(w.b, cls), [box(w, value)], {}), spec_of_class(cls))
    return w.choose(found, there, ask, cls.__name__)


def by_name(w: Any, cls: type[enum.Enum], name: Value) -> Value:
    """`Color["RED"]`"""
    from sapwood.lang.infer.containers.dicts import raise_key_error
    from sapwood.lang.infer.containers.tables import item_at

    w.interp.depend_on_constant(cls.__module__, cls.__qualname__, cls)
    if isinstance(name, Known):
        return Known(cls[name.value]) if name.value in cls.__members__ else raise_key_error(w, name)
    require_layout(w, cls)
    at = find(w, tuple(cls.__members__), name)
    found = w.b.emit1(arith.compare, (at, w.b.index(0)), BOOL, test="ge")
    every = Known(tuple(cls.__members__.values()))
    return w.choose(found, lambda: item_at(w, every, at), lambda: raise_key_error(w, name), cls.__name__)


def require_layout(w: Any, cls: type[enum.Enum]) -> None:
    if not has_layout(cls):
        detail = f"the values of {cls.__name__} are no ints of 64 bits" if members(cls) else "it has no members"
        hint = "a member that is chosen at run time is held as its value"
        raise BadOperand(w.b.loc, function=cls.__name__, detail=detail, hint=hint)


@iterates(enum.EnumMeta)
def _members(w: Any, value: Known) -> Iteration:
    cls = value.value
    w.interp.depend_on_constant(cls.__module__, cls.__qualname__, cls)
    return Items(tuple(map(Known, cls)))


# -- the border ---------------------------------------------------------------------------------------


def box_member(w: Any, x: Agg) -> Var:
    """The Python object that a member is."""
    from sapwood.lang.infer.border import box
    from sapwood.lang.infer.python_objects import call_object
    from sapwood.lang.ops.objects import api, constant_object

    cls = class_of(x)
    assert cls is not None
    made = constant_object(w.b, cls)
    if by_value(cls):
        return w.b.materialize(call_object(w, made, [x.items[0]], {}))
    name = constant_of(w, x, tuple(m.name for m in members(cls)))
    return api(w.b, "PyObject_GetAttr", (made, box(w, name)))


def unbox_member(w: Any, x: Var, cls: type[enum.Enum]) -> Value:
    """The member that a Python object is; TypeError of another object."""
    from sapwood.lang.infer.border import demand, get_attr
    from sapwood.lang.ops.objects import api, constant_object, python_long

    require_layout(w, cls)
    yes = api(w.b, "PyObject_IsInstance", (x, constant_object(w.b, cls)), BOOL, "negative")
    demand(w, yes, x, cls.__name__)
    where = "_value_" if by_value(cls) else "_sort_order_"
    return member_of(cls, w.b.emit(python_long, (get_attr(w, x, where),), (I64,))[0])
