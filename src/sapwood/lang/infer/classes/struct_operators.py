"""Operators of structs: their methods in Python's order, the comparisons and hashes that `dataclass` generates."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

from sapwood.lang import types as ty
from sapwood.lang.errors import Loc, NoOperator
from sapwood.lang.errors.generic import NoOrder, Unhashable
from sapwood.lang.infer.classes.heap_structs import struct_of
from sapwood.lang.infer.classes.structs import (
    GENERATED,
    Generated,
    field_tuple,
    find_method,
    get_field,
    info_of,
    is_struct_value,
    lift,
)
from sapwood.lang.ir.ssa import Var
from sapwood.lang.memory_layout import refers_to_itself
from sapwood.lang.values import Agg, Known, Value, describe

if TYPE_CHECKING:
    from sapwood.lang.infer.walker import FunctionWalker as Walker


_ORDER = {operator.lt: "__lt__", operator.le: "__le__", operator.gt: "__gt__", operator.ge: "__ge__"}
_SWAPPED = {
    operator.lt: operator.gt, operator.gt: operator.lt, operator.le: operator.ge, operator.ge: operator.le,
    operator.eq: operator.eq, operator.ne: operator.ne,
}  # fmt: skip
_NOT_IMPLEMENTED = Known(NotImplemented)


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
    optional = isinstance(v, Var) and isinstance(v.type, ty.Ref) and v.type.nullable
    return optional and isinstance(v.type.target, ty.HeapStruct)  # type: ignore[union-attr]


def _present(w: Walker, fn: Any, v: Value, other: Value) -> Value:
    """An operand that may be None as the struct that it must be."""
    from sapwood.lang.infer.heap import require_some
    from sapwood.lang.ops.operators import SYMBOLS

    if not _may_be_none(v):
        return v
    text = f"unsupported operand type(s) for {SYMBOLS.get(fn, 'divmod()')}: 'NoneType' and '{describe(other)}'"
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

    equal = w.choose(missing, lambda: other, lambda: w.choose(other, lambda: Known(False), compare))
    return logical_not(w.b, equal) if fn is operator.ne else equal


def _no_operator(fn: Any, name: str, x: Value, y: Value, loc: Loc) -> None:
    from sapwood.lang.ops.operators import SYMBOLS

    left, right = describe(x), describe(y)
    owner = left if is_struct_value(x) else right
    if fn in _ORDER:
        hint = f"write @struct(order=True), or define {name} in {owner}"
        raise NoOrder(loc, op=SYMBOLS[fn], left=left, right=right, hint=hint)
    method = name if is_struct_value(x) else f"__r{name[2:]}"
    raise NoOperator(loc, left=left, op=SYMBOLS.get(fn, fn.__name__), right=right, hint=f"define {method} in {owner}")


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
    return w.choose(first, lambda: _all_equal(w, rest), lambda: Known(False))


def _lexicographic(
    w: Walker, fn: Any, p: tuple[Value, ...], q: tuple[Value, ...], first: bool = True
) -> Value:
    from sapwood.lang.infer.equality import has_no_order, raise_no_order
    from sapwood.lang.ops.operators import truth

    if not p or not q:
        return Known(fn(len(p), len(q)))
    unordered = not first and has_no_order(fn, p[0], q[0])

    def differ() -> Value:
        return raise_no_order(w, fn, p[0]) if unordered else w.operate(fn, p[0], q[0])

    if len(p) == len(q) == 1 and not unordered:
        return differ()
    equal = truth(w.b, w.operate(operator.eq, p[0], q[0]))
    if isinstance(equal, Known):
        return _lexicographic(w, fn, p[1:], q[1:], False) if equal.value else differ()
    return w.choose(equal, lambda: _lexicographic(w, fn, p[1:], q[1:], False), differ)


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


def hashed_fields(w: Walker, x: Value) -> list[Value]:
    """The fields that the generated hash of a struct looks at; raises Unhashable if it has none."""
    t = struct_of(x)
    assert t is not None
    info = info_of(x)
    if "__hash__" not in info.generated:
        hint = "write @struct(frozen=True), or define __hash__"
        raise Unhashable(w.b.loc, type=t.cls.__name__, hint=hint)
    names = [n for n, f in info.fields.items() if (f.compare if f.hash is None else f.hash)]
    return [get_field(w, x, n) for n in names]  # type: ignore[misc]


def hash_struct(w: Walker, x: Value) -> Value:
    """hash() of a struct: its own `__hash__`, or that of the tuple of its fields."""
    from sapwood.lang.infer.hashing import python_hash

    x = lift(w.b, x)
    found = find_method(x, "__hash__")
    if found is not None:
        return w.call(found, [], {}, w.b.loc)
    items = tuple(hashed_fields(w, x))
    return python_hash(w, Agg(ty.Tuple(len(items)), items))


def _generated_comparison(fn: Any) -> Any:
    def rule(w: Walker, g: Generated, receiver: Value, *args: Value) -> Value:
        pair = args if isinstance(receiver, Known) else (receiver, *args)  # `Point.__lt__(a, b)`
        found = generated_comparison(w, fn, pair[0], pair[1])
        return Known(NotImplemented) if found is None else found

    return rule


GENERATED.update({
    "__eq__": _generated_comparison(operator.eq),
    "__lt__": _generated_comparison(operator.lt),
    "__le__": _generated_comparison(operator.le),
    "__gt__": _generated_comparison(operator.gt),
    "__ge__": _generated_comparison(operator.ge),
    "__hash__": lambda w, g, x, *a: hash_struct(w, a[0] if isinstance(x, Known) else x),
})
