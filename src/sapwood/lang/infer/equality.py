"""Equality of values as elements and keys: tuples item by item, None, values of unlike types."""

from __future__ import annotations

import enum
import operator
from collections import deque
from collections.abc import Callable
from typing import Any

from sapwood.lang import types as ty
from sapwood.lang.infer.narrow import is_none, is_optional, some
from sapwood.lang.ops import arith
from sapwood.lang.ops.objects import OBJECT
from sapwood.lang.ops.operators import SYMBOLS, logical_and, logical_not, truth, tuple_items
from sapwood.lang.types import BOOL
from sapwood.lang.values import Agg, Known, Value, Var, describe


def compare_with(w: Any, fn: Any, x: Value, y: Value) -> Value:
    """An operator as the program would write it: structs bring their own."""
    return w.operate(fn, x, y)


def equal(w: Any, x: Value, y: Value) -> Value:
    """Python's `x == y` as a bool."""
    if isinstance(x, Known) and isinstance(y, Known):
        return Known(bool(x.value == y.value))
    if is_optional(x) or is_optional(y) or Known(None) in (x, y):
        return _equal_optional(w, x, y)
    if is_tuple(x) and is_tuple(y):
        return _equal_items(w, tuple_items(x), tuple_items(y))
    if not comparable(x, y):
        return Known(False)
    return truth(w.b, compare_with(w, operator.eq, x, y))


def is_tuple(x: Value) -> bool:
    if isinstance(x, Known):
        return isinstance(x.value, tuple)
    return isinstance(x, Agg) and isinstance(x.type, ty.Tuple)


def unlike_equality(w: Any, fn: Any, x: Value, y: Value) -> Value | None:
    """`x == y` or `x != y` where None may be among them, or where the kinds of both say that they are never equal.

    None: both are of one kind, whose own rules compare them.
    """
    if isinstance(x, Known) and isinstance(y, Known) or any(isinstance(v, Var) and v.type == OBJECT for v in (x, y)):
        return None
    if not (is_optional(x) or is_optional(y) or Known(None) in (x, y)) and comparable(x, y):
        return None
    same = equal(w, x, y)
    return same if fn is operator.eq else logical_not(w.b, same)


def _kind(v: Value) -> Any:
    """What values can only be equal to others of; None: unknown, they are compared."""
    member = _member_class(v)
    if member is not None:
        if "__eq__" in vars(member):
            return None
        v = v if member._member_type_ is object else Known(member._member_type_())
        return member if member._member_type_ is object else _kind(v)
    match v:
        case Var(type=ty.Scalar()) | Known(value=bool() | int() | float() | complex()) | Agg(type=ty.Complex()):
            return "number"
        case Var(type=ty.Ref(target=target)):
            if isinstance(target, ty.HeapStruct):
                return _kind_of_class(target.struct.cls)
            return _KINDS.get(type(target))
        case Known(value=tuple()) | Agg(type=ty.Tuple()):
            return tuple
        case Known(value=range()) | Agg(type=ty.Range()):
            return range
        case Agg(type=ty.Character()):
            return str
        case Known(value=str() | bytes() | None as value):
            return type(value)
        case Agg(type=ty.Struct(cls=cls)):
            return _kind_of_class(cls)
    return None


def _member_class(v: Value) -> Any:
    if isinstance(v, Known):
        return type(v.value) if isinstance(v.value, enum.Enum) else None
    return v.type.cls if isinstance(v, Agg) and isinstance(v.type, ty.Enum) else None


_KINDS: dict[type, Any] = {
    ty.List: list, ty.TupleOf: tuple, ty.Dict: dict, ty.Counter: dict, ty.Set: set, ty.Deque: deque, ty.Str: str,
    ty.Bytes: bytes, ty.ByteArray: bytes,
}  # fmt: skip


def _kind_of_class(cls: Any) -> Any:
    return None if "__eq__" in cls.__sapwood_struct__.methods else cls


def comparable(x: Value, y: Value) -> bool:
    """Whether equality of such values can ever hold; else it is False without looking."""
    a, b = _kind(x), _kind(y)
    return a == b or a is None or b is None


def _equal_items(w: Any, xs: tuple[Value, ...], ys: tuple[Value, ...]) -> Value:
    if len(xs) != len(ys):
        return Known(False)
    if all(_cheap(v) for v in (*xs, *ys)):
        result: Value = Known(True)
        for x, y in zip(xs, ys, strict=True):
            result = logical_and(w.b, result, equal(w, x, y))
        return result

    def rest(k: int) -> Value:
        if k == len(xs) - 1:
            return equal(w, xs[k], ys[k])
        return both(w, equal(w, xs[k], ys[k]), lambda: rest(k + 1))

    return rest(0) if xs else Known(True)


def _cheap(v: Value) -> bool:
    return isinstance(v, Known) and not isinstance(v.value, str) or isinstance(v, Var) and isinstance(v.type, ty.Scalar)


def both(w: Any, test: Value, more: Callable[[], Value]) -> Value:
    """`test and more()`, of bools."""
    return w.choose(test, lambda: _as_bool(w, more()), lambda: Known(False), "a comparison")


def _as_bool(w: Any, x: Value) -> Value:
    return truth(w.b, x)


def _equal_optional(w: Any, x: Value, y: Value) -> Value:
    """None equals None only."""

    def missing(v: Value) -> Value:
        if v == Known(None):
            return Known(True)
        return is_none(w.b, v) if is_optional(v) else Known(False)

    a, b = missing(x), missing(y)
    if isinstance(a, Known) and isinstance(b, Known):
        return Known(True) if a.value and b.value else Known(False)
    if isinstance(a, Known) and a.value:
        return b
    if isinstance(b, Known) and b.value:
        return a

    def held(v: Value) -> Value:
        return some(w.b, v) if is_optional(v) else v

    if isinstance(a, Known) or isinstance(b, Known):
        there = logical_not(w.b, b if isinstance(a, Known) else a)
        return both(w, there, lambda: equal(w, held(x), held(y)))
    same = w.b.emit1(arith.compare, (w.b.materialize(a), w.b.materialize(b)), BOOL, test="eq")
    return w.choose(
        same, lambda: w.choose(a, lambda: Known(True), lambda: _as_bool(w, equal(w, held(x), held(y))), "=="),
        lambda: Known(False), "a comparison",
    )  # fmt: skip


def less(w: Any, x: Value, y: Value) -> Value:
    """Python's `x < y`, also of tuples: the first items that differ decide."""
    return ordered(w, operator.lt, x, y)


def ordered(w: Any, fn: Any, x: Value, y: Value) -> Value:
    """`x < y`, `<=`, `>` or `>=`."""
    if not (is_tuple(x) and is_tuple(y)) or isinstance(x, Known) and isinstance(y, Known):
        return truth(w.b, compare_with(w, fn, x, y))
    xs, ys = tuple_items(x), tuple_items(y)

    def rest(k: int) -> Value:
        if k == min(len(xs), len(ys)):
            return Known(fn(len(xs), len(ys)))
        if k > 0 and has_no_order(fn, xs[k], ys[k]):
            return w.choose(equal(w, xs[k], ys[k]), lambda: rest(k + 1), lambda: raise_no_order(w, fn, xs[k]))
        if k == len(xs) - 1 == len(ys) - 1:
            return ordered(w, fn, xs[k], ys[k])
        return w.choose(
            equal(w, xs[k], ys[k]), lambda: rest(k + 1), lambda: _as_bool(w, ordered(w, fn, xs[k], ys[k])),
            "a comparison",
        )  # fmt: skip

    return rest(0)


_ORDER = {
    operator.lt: ("__lt__", "__gt__"), operator.le: ("__le__", "__ge__"),
    operator.gt: ("__gt__", "__lt__"), operator.ge: ("__ge__", "__le__"),
}  # fmt: skip


def has_no_order(fn: Any, x: Value, y: Value) -> bool:
    """Whether two items of one type cannot be compared: a mistake only where the items before them are equal."""
    from sapwood.lang.infer.classes.heap_structs import struct_of
    from sapwood.lang.infer.classes.structs import find_method, info_of

    if describe(x) != describe(y):
        return False
    if struct_of(x) is not None:
        return not any(name in info_of(x).generated or find_method(x, name) is not None for name in _ORDER[fn])
    is_dict = isinstance(x, Var) and isinstance(x.type, ty.Ref) and isinstance(x.type.target, ty.Dict)
    return x == Known(None) or is_dict and not isinstance(x.type.target, ty.Counter)  # type: ignore[union-attr]


def raise_no_order(w: Any, fn: Any, x: Value) -> Value:
    """What Python raises for two such items."""
    from sapwood.lang.infer.containers.lists import raise_now

    name = describe(x).partition("[")[0]
    return raise_now(w, TypeError, f"'{SYMBOLS[fn]}' not supported between instances of '{name}' and '{name}'")

