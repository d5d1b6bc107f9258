"""Where paths meet: the value that two values become, and how each is brought to it.

`join(a, b)` gives the spec of the meeting point; `adapt` emits, at the end of one path, what turns that
path's value into leaves of the spec. Weak literals take the other side's type, ints widen to floats; all
else is a mistake, reported by the caller, who knows both places.
"""

from __future__ import annotations

from typing import Any

from sapwood.lang import types as ty
from sapwood.lang.ir.ssa import Var
from sapwood.lang.values import Agg, Known, Spec, Unbound, Value, rebuild


class Clash(Exception):
    """Two values have no meeting point."""

    def __init__(self, reason: str = "") -> None:
        self.reason = reason


def default_leaf(v: object) -> ty.Scalar | None:
    """The run-time type of a literal."""
    match v:
        case bool():
            return ty.BOOL
        case int():
            return ty.I64
        case float():
            return ty.F64
    return None


UNBOUND = Spec("unbound", None)


def join(a: Spec, b: Spec) -> Spec:
    if a == b:
        return a
    if a.kind == "unbound" or b.kind == "unbound":
        return UNBOUND
    if a.kind == "known" and isinstance(a.data.value, tuple):
        a = _tuple_spec(a)
    if b.kind == "known" and isinstance(b.data.value, tuple):
        b = _tuple_spec(b)
    if a.kind == "agg" and b.kind == "agg":
        return _join_aggregates(a, b)
    if a.kind == "known" and b.kind == "known":
        p, q = default_leaf(a.data.value), default_leaf(b.data.value)
        if p is None or q is None:
            raise Clash("compile-time values must be the same on both paths")
        return Spec("leaf", _meet(p, q))
    if a.kind == "leaf" and b.kind == "leaf":
        return Spec("leaf", _meet(a.data, b.data))
    if a.kind == "known":
        a, b = b, a
    if a.kind != "leaf" or b.kind != "known":
        raise Clash
    weak = default_leaf(b.data.value)
    if weak is None or not isinstance(a.data, ty.Scalar | ty.Simd):
        raise Clash
    return Spec("leaf", _meet_weak(a.data, weak))


def _tuple_spec(s: Spec) -> Spec:
    items = tuple(Spec("known", Known(v)) for v in s.data.value)
    return Spec("agg", ty.Tuple(len(items)), items)


def _join_aggregates(a: Spec, b: Spec) -> Spec:
    p, q = a.data, b.data
    if isinstance(p, ty.Tensor) and isinstance(q, ty.Tensor) and p.elem == q.elem and p.rank == q.rank:
        order = ("contiguous", "inner", "strided")
        layout = max(p.layout, q.layout, key=order.index)
        p = q = ty.Tensor(p.elem, p.rank, layout)
    if p != q or len(a.items) != len(b.items):
        raise Clash
    return Spec("agg", p, tuple(join(x, y) for x, y in zip(a.items, b.items, strict=True)))


def _meet(p: ty.Leaf, q: ty.Leaf) -> ty.Leaf:
    if p == q:
        return p
    if isinstance(p, ty.Scalar) and isinstance(q, ty.Scalar):
        if p == ty.I64 and q == ty.F64 or p == ty.F64 and q == ty.I64:
            return ty.F64
        if p.is_int and q.is_float:
            return q
        if p.is_float and q.is_int:
            return p
    raise Clash


def _meet_weak(strong: ty.Scalar | ty.Simd, weak: ty.Scalar) -> ty.Leaf:
    elem = ty.elem_of(strong)
    if weak == ty.BOOL or elem == ty.BOOL:
        if weak == elem and isinstance(strong, ty.Scalar):
            return strong
        raise Clash
    if weak == ty.F64 and elem.is_int:
        if elem == ty.I64:
            return ty.like(strong, ty.F64)
        raise Clash
    return strong


def adapt(b: Any, value: Value, spec: Spec) -> list[Var]:
    """Leaves of `value` as `spec` wants them; emits conversions at the builder's place."""
    if spec.kind == "leaf":
        if isinstance(value, Var) and value.type == spec.data:
            return [value]
        leaf = spec.data
        assert isinstance(leaf, ty.Scalar | ty.Simd)
        if isinstance(value, Known):
            return [b.const(value.value, leaf)]
        assert isinstance(value, Var)
        return [b.convert(value, leaf)]
    if spec.kind == "agg":
        items: Any = value.items if isinstance(value, Agg) else tuple(Known(v) for v in value.value)  # type: ignore[union-attr]
        return [leaf for item, s in zip(items, spec.items, strict=True) for leaf in adapt(b, item, s)]
    return []


def fresh(spec: Spec, name: str = "") -> tuple[Value, list[Var]]:
    """A value of a spec with new variables as its leaves."""
    leaves = [Var(t, name) for t in spec.leaves()]
    return rebuild(spec, iter(leaves)), leaves


def same(a: Value, b: Value) -> bool:
    """Whether two values are the very same: equal constants, or the same variables."""
    if a is b:
        return True
    if isinstance(a, Agg) and isinstance(b, Agg):
        return a.type == b.type and all(same(x, y) for x, y in zip(a.items, b.items, strict=True))
    if isinstance(a, Known) and isinstance(b, Known):
        return a == b
    return isinstance(a, Unbound) and isinstance(b, Unbound)


