"""Tuples of numbers indexed at run time: constant ones are data in the object code, others go through memory."""

from __future__ import annotations

import operator
from array import array
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from sapwood.lang import types as ty
from sapwood.lang.bits import to_bits
from sapwood.lang.infer import layout
from sapwood.lang.infer.adapt import adapt
from sapwood.lang.ir.ssa import Var
from sapwood.lang.join import Clash, join, storable
from sapwood.lang.ops import arith, memory
from sapwood.lang.ops.constants import data_pointer
from sapwood.lang.ops.numeric import round_float
from sapwood.lang.ops.operators import binary, require_index, tuple_items
from sapwood.lang.types import BOOL, I64, U64
from sapwood.lang.values import Known, Spec, Value, rebuild, spec_of

if TYPE_CHECKING:
    from sapwood.lang.infer.walker import FunctionWalker as Walker

MESSAGE = "tuple index out of range"


def item_at(w: Walker, x: Value, index: Var) -> Value:
    """x[index] of a tuple, where only run time knows the index; all items must have one type."""
    from sapwood.lang.infer.containers.tuples import choose_item

    n = len(x.value) if isinstance(x, Known) else len(tuple_items(x))
    spec = _common(w, x)
    if spec is None or not list(spec.leaves()) or not all(isinstance(f, ty.Scalar | ty.Simd) for f in spec.leaves()):
        return choose_item(w, tuple_items(x), index)
    i = _checked(w.b, index, n)
    columns = _columns(x, spec)
    if columns is not None:
        leaves = []
        for leaf, values in columns:
            p = memory.offset(w.b, table_of(w.b, leaf, values), i)
            leaves.append(w.b.emit1(memory.load, (p,), leaf))
        return rebuild(spec, iter(leaves))
    return _through_memory(w, tuple_items(x), spec, i)


def constant_column(b: Any, items: tuple[Value, ...], scalar: ty.Scalar) -> Var | None:
    """A pointer to numbers that are all known; None if one is not."""
    if not all(isinstance(i, Known) and isinstance(i.value, bool | int | float) for i in items):
        return None
    return table_of(b, scalar, [i.value for i in items])  # type: ignore[union-attr]


def table_of(b: Any, scalar: ty.Scalar, values: list[Any]) -> Var:
    """A pointer to the values, as the scalar type lies in memory."""
    code = {"i64": "q", "f64": "d"}.get(scalar.name)
    if code is not None:
        data = array(code, values).tobytes()
    else:
        exact = [round_float(scalar, float(v)) for v in values] if scalar.is_float else values
        data = b"".join(to_bits(scalar, v).to_bytes(scalar.itemsize, "little") for v in exact)
    return layout.at_offset(b, data_pointer(b, data), 0, scalar)


def _checked(b: Any, index: Value, n: int) -> Var:
    """The index from the front; IndexError when there is no such item."""
    i = b.materialize(require_index(b, index, "the index of a tuple"))
    below = b.emit1(arith.compare, (i, b.index(0)), BOOL, test="lt")
    at = b.emit1(arith.select, (below, binary(b, operator.add, i, Known(n)), i), I64)
    if not b.unchecked or n == 0:
        outside = b.emit1(arith.compare, (b.convert(at, U64), b.const(n, U64)), BOOL, test="ge")
        b.raise_if(outside, IndexError, MESSAGE)
    return at


_PLAIN: dict[Any, Spec] = {bool: Spec("leaf", BOOL), int: Spec("leaf", I64), float: Spec("leaf", ty.F64)}


def _common(w: Walker, x: Value) -> Spec | None:
    """The type that all items have; ints beside floats are floats."""
    if isinstance(x, Known):
        kinds = {type(v) for v in x.value}
        if len(kinds) == 1 and kinds <= _PLAIN.keys():
            return _PLAIN[kinds.pop()]
    spec: Spec | None = None
    for item in tuple_items(x):
        here = storable(spec_of(_lifted(w, item)))
        try:
            spec = here if spec is None or spec == here else join(spec, here)
        except Clash:
            return None
    return spec


def _lifted(w: Walker, item: Value) -> Value:
    from sapwood.lang.infer.classes.structs import lift

    return lift(w.b, item)


def _columns(x: Value, spec: Spec) -> list[tuple[ty.Scalar, list[Any]]] | None:
    """One table for each leaf of the items, if all are constants and numbers."""
    leaves = list(spec.leaves())
    if not all(isinstance(leaf, ty.Scalar) for leaf in leaves):
        return None
    if not isinstance(x, Known):
        return None
    if spec.kind == "leaf" and {type(v) for v in x.value} <= {bool, int, float}:
        return [(leaves[0], list(x.value))]  # type: ignore[list-item]
    columns: list[list[Any]] = [[] for _ in leaves]
    for v in x.value:
        parts = list(_numbers(v, spec))
        if len(parts) != len(leaves):
            return None
        for column, part in zip(columns, parts, strict=True):
            column.append(part)
    return list(zip(leaves, columns, strict=True))  # type: ignore[arg-type]


def _numbers(v: Any, spec: Spec) -> Iterator[Any]:
    """The numbers in a constant, in the order of a spec's leaves."""
    if spec.kind == "leaf":
        if isinstance(v, bool | int | float):
            yield v
    elif spec.kind == "agg" and isinstance(spec.data, ty.Struct):
        for name, s in zip(spec.data.cls.__sapwood_struct__.fields, spec.items, strict=True):  # type: ignore[attr-defined]
            yield from _numbers(getattr(v, name), s)
    elif spec.kind == "agg" and isinstance(spec.data, ty.Enum) and type(v) is spec.data.cls:
        from sapwood.lang.enum_members import code

        yield code(v)
    elif spec.kind == "agg" and isinstance(spec.data, ty.Tuple) and isinstance(v, tuple):
        for part, s in zip(v, spec.items, strict=True):
            yield from _numbers(part, s)


def _through_memory(w: Walker, items: tuple[Value, ...], spec: Spec, i: Var) -> Value:
    b = w.b
    stored = ty.Stored(spec)
    size = layout.size_of(b, stored)
    base = memory.allocate_stack(b, stored, size * len(items))
    for k, item in enumerate(items):
        leaves = adapt(b, _lifted(w, item), spec)
        layout.write_leaves(b, memory.offset(b, base, Known(k), size), spec, leaves)
    return layout.read(b, memory.offset(b, base, i, size), stored)
