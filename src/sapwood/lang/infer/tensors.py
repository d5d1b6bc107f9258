"""Tensors: bounds checks, element addresses, vector access, views."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

from sapwood.lang import types as ty
from sapwood.lang.errors import BadOperand, NotIndexable
from sapwood.lang.infer import layout
from sapwood.lang.infer.classes.records import record_at, write_record
from sapwood.lang.ir.ssa import Var
from sapwood.lang.ops import arith, bounds, memory, simd
from sapwood.lang.ops.operators import binary, require_index
from sapwood.lang.types import BOOL, I64
from sapwood.lang.values import Agg, Known, Value, describe

if TYPE_CHECKING:
    from sapwood.lang.infer.walker import FunctionWalker as Walker

_TEXT = "index {0} is out of bounds for axis %d with size {1}"


def parts(x: Agg) -> tuple[Var, tuple[Value, ...], tuple[Value, ...]]:
    """(pointer, shape, strides) of a tensor value."""
    assert isinstance(x.type, ty.Tensor) and isinstance(x.items[0], Var)
    rank = x.type.rank
    return x.items[0], x.items[1 : 1 + rank], x.items[1 + rank :]


def _checks(w: Walker) -> bool:
    """Whether indices are tested: also in unchecked kernels, where the target looks for what is wrong in them."""
    return not w.b.unchecked or w.b.target.checks and w.interp.kernel is not None


def check_index(w: Walker, i: Value, dim: Value, axis: int, checks: bool | None = None) -> Value:
    """The index brought into 0 .. dim-1: negative ones count from the end; raises IndexError if `checks`. In unchecked
    code only those count from the end that are known at compile time."""
    b = w.b
    checks = _checks(w) if checks is None else checks
    if isinstance(i, Known):
        k = i.value
        if isinstance(dim, Known):
            if -dim.value <= k < dim.value:
                return Known(k % dim.value)
            if not checks:
                return i
        if k < 0:
            at = binary(b, operator.add, dim, i)
            if checks:
                low = binary(b, operator.lt, at, Known(0))
                b.raise_if(b.materialize(low), IndexError, _TEXT % axis, b.index(k), b.materialize(dim))
            return at
        if checks:
            high = b.materialize(binary(b, operator.le, dim, i))
            b.raise_if(high, IndexError, _TEXT % axis, b.index(k), b.materialize(dim))
        return i
    if not checks:
        return i
    assert isinstance(i, Var)
    proven = b.below.get(i, ())
    if isinstance(dim, Known):
        if any(isinstance(p, int) and p <= dim.value for p in proven):
            return i
    elif dim in proven:
        return i
    size = b.materialize(dim)
    if w.interp.kernel is None:
        front = i in b.below
        return b.emit1(bounds.check_index, (i, size), I64, exception=IndexError, message=_TEXT % axis, front=front)
    at = i
    if i not in b.below and not b.unchecked:
        negative = b.emit1(arith.compare, (i, b.index(0)), BOOL, test="lt")
        at = b.emit1(arith.select, (negative, b.emit1(arith.add, (i, size), I64), i), I64)
    outside = _outside(b, at, size)
    b.raise_if(outside, IndexError, _TEXT % axis, i, size)
    return at


def _outside(b: Any, at: Var, size: Var) -> Var:
    """Not 0 <= at < size, as one unsigned comparison."""
    from sapwood.lang.ops.convert import convert
    from sapwood.lang.types import U64

    p, q = b.emit1(convert, (at,), U64), b.emit1(convert, (size,), U64)
    return b.emit1(arith.compare, (p, q), BOOL, test="ge")


def element_pointer(
    w: Walker, x: Agg, index: tuple[Value, ...], last_extent: int = 1, masked: bool = False
) -> Var:
    """The address of x[index]; `last_extent` elements along the last axis must be inside, unless they are masked."""
    pointer, shape, strides = parts(x)
    t = x.type
    assert isinstance(t, ty.Tensor)
    if len(index) != t.rank:
        detail = f" with {len(index)} indices: it has rank {t.rank}"
        raise NotIndexable(w.b.loc, type=t, detail=detail, hint="give one index for each axis")
    total: Value = Known(0)
    checks = _checks(w) and not masked
    for axis, (i, dim, stride) in enumerate(zip(index, shape, strides, strict=True)):
        at = check_index(w, require_index(w.b, i, "an index"), dim, axis, checks)
        if axis == t.rank - 1 and last_extent > 1 and checks:
            end = binary(w.b, operator.add, at, Known(last_extent))
            beyond = w.b.materialize(binary(w.b, operator.gt, end, dim))
            end_var = w.b.materialize(binary(w.b, operator.sub, end, Known(1)))
            w.b.raise_if(beyond, IndexError, _TEXT % axis, end_var, w.b.materialize(dim))
        total = binary(w.b, operator.add, total, binary(w.b, operator.mul, at, stride))
    return memory.offset(w.b, pointer, total)


def _lanes_inside(w: Walker, x: Agg, index: tuple[Value, ...], mask: Var) -> None:
    """In checked code every lane that is on must be inside the last axis."""
    if not _checks(w):
        return
    _, shape, _ = parts(x)
    b = w.b
    assert isinstance(mask.type, ty.Simd)
    lanes = ty.Simd(I64, mask.type.lanes)
    start = b.materialize(require_index(b, index[-1], "an index"))
    at = b.emit1(arith.add, (b.emit1(simd.iota, (), lanes), b.convert(start, lanes)), lanes)
    size = b.convert(b.materialize(shape[-1]), lanes)
    flags = ty.Simd(BOOL, lanes.lanes)
    over = b.emit1(arith.compare, (at, size), flags, test="ge")
    under = b.emit1(arith.compare, (at, b.const(0, lanes)), flags, test="lt")
    bad = b.emit1(arith.band, (b.emit1(arith.bor, (over, under), flags), mask), flags)
    any_bad = b.apply(simd.any_lane, bad)
    b.raise_if(any_bad, IndexError, f"a lane of the access at index {{0}} is out of bounds for axis "
               f"{len(shape) - 1} with size {{1}}", start, b.materialize(shape[-1]))


def _masked_pointer(w: Walker, x: Agg, index: tuple[Value, ...], mask: Var) -> Var:
    """Address for a masked access: only lanes that are on are checked."""
    _lanes_inside(w, x, index, mask)
    saved = w.b.unchecked
    head = Agg(x.type, x.items)
    w.b.unchecked = True
    try:
        return element_pointer(w, head, index, masked=True)
    finally:
        w.b.unchecked = saved


def load_elements(w: Walker, x: Agg, index: tuple[Value, ...], width: Value, mask: Value) -> Value:
    t = x.type
    assert isinstance(t, ty.Tensor)
    if width == Known(None):
        if mask != Known(None):
            raise BadOperand(w.b.loc, function="load", detail="a mask needs a width", hint="add width=")
        if isinstance(t.elem, ty.Complex):
            return layout.read(w.b, element_pointer(w, x, index), t.elem)
        if isinstance(t.elem, ty.Record):
            return record_at(w.b, element_pointer(w, x, index))
        return w.b.emit1(memory.load, (element_pointer(w, x, index),), t.elem)
    _no_complex_lanes(w, t, "load")
    vector = simd.vector_type(w.b, t.elem, w.b.known(width, "width", int))
    flags = None if mask == Known(None) else _mask(w, mask, vector.lanes)
    stride = parts(x)[2][-1]
    if stride == Known(1):
        if flags is not None:
            return w.b.emit1(memory.load, (_masked_pointer(w, x, index, flags), flags), vector)
        return w.b.emit1(memory.load, (element_pointer(w, x, index, vector.lanes),), vector)
    if flags is not None:
        raise BadOperand(
            w.b.loc, function="load", detail="a masked load needs elements next to each other",
            hint="pass a C-contiguous array",
        )
    pointer = element_pointer(w, x, index, vector.lanes)
    out = w.b.const(0, vector)
    for lane in range(vector.lanes):
        at = memory.offset(w.b, pointer, binary(w.b, operator.mul, Known(lane), stride))
        out = w.b.emit1(simd.insert, (out, w.b.index(lane), w.b.emit1(memory.load, (at,), t.elem)), vector)
    return out


def _no_complex_lanes(w: Walker, t: ty.Tensor, function: str) -> None:
    if isinstance(t.elem, ty.Complex):
        hint = f"view the array as floats with one more axis, x.view(np.float{8 * t.elem.elem.itemsize})"
        raise BadOperand(w.b.loc, function=function, detail="a vector cannot hold complex numbers", hint=hint)


def _mask(w: Walker, mask: Value, lanes: int) -> Var:
    if isinstance(mask, Var) and mask.type == ty.Simd(BOOL, lanes):
        return mask
    detail = f"the mask is {describe(mask)}"
    raise BadOperand(w.b.loc, function="load/store", detail=detail, hint=f"it must be SIMD[bool, {lanes}]")


def store_elements(
    w: Walker, x: Agg, index: tuple[Value, ...], value: Value, mask: Value, scalar: bool = False
) -> None:
    t = x.type
    assert isinstance(t, ty.Tensor)
    if isinstance(t.elem, ty.Complex) and not (isinstance(value, Var) and isinstance(value.type, ty.Simd)):
        layout.write(w.b, element_pointer(w, x, index), t.elem, value)
        return
    if isinstance(t.elem, ty.Record):
        write_record(w.b, element_pointer(w, x, index), value)
        return
    if not isinstance(value, Var) or not isinstance(value.type, ty.Simd):
        w.b.emit(memory.store, (element_pointer(w, x, index), w.b.coerce(value, t.elem)))
        return
    if scalar:
        hint = "use x.store(i, v) to write the lanes of a vector"
        raise BadOperand(w.b.loc, function="assignment", detail=f"cannot store {value.type}", hint=hint)
    _no_complex_lanes(w, t, "store")
    vector = ty.Simd(t.elem, value.type.lanes)
    value = w.b.coerce(value, vector)
    stride = parts(x)[2][-1]
    flags = None if mask == Known(None) else _mask(w, mask, vector.lanes)
    if stride == Known(1):
        if flags is not None:
            w.b.emit(memory.store, (_masked_pointer(w, x, index, flags), value, flags))
        else:
            w.b.emit(memory.store, (element_pointer(w, x, index, vector.lanes), value))
        return
    if flags is not None:
        raise BadOperand(
            w.b.loc, function="store", detail="a masked store needs elements next to each other",
            hint="pass a C-contiguous array",
        )
    pointer = element_pointer(w, x, index, vector.lanes)
    for lane in range(vector.lanes):
        at = memory.offset(w.b, pointer, binary(w.b, operator.mul, Known(lane), stride))
        w.b.emit(memory.store, (at, w.b.emit1(simd.extract, (value, w.b.index(lane)), t.elem)))


# -- views -------------------------------------------------------------------------------------------


def _expand(items: tuple[Value, ...], rank: int) -> list[Value]:
    full = Agg(ty.Tuple(3), (Known(slice), Known(None), Known(None), Known(None)))
    out = list(items)
    if Known(...) in out:
        at = out.index(Known(...))
        out[at : at + 1] = [full] * (rank - len(out) + 1)
    return out + [full] * (rank - len(out))


def tensor_view(w: Walker, x: Agg, items: tuple[Value, ...]) -> Value:
    """x[i], x[a:b], x[:, j:k:2] ...: a view; shape and strides follow Python's slice rules."""
    pointer, shape, strides = parts(x)
    t = x.type
    assert isinstance(t, ty.Tensor)
    start: Value = Known(0)
    new_shape: list[Value] = []
    new_strides: list[Value] = []
    dense = t.layout == "contiguous"
    for axis, item in enumerate(_expand(items, t.rank)):
        dim, stride = shape[axis], strides[axis]
        if isinstance(item, Agg) and item.items[:1] == (Known(slice),):
            if any(v != Known(None) for v in item.items[1:]):
                first, dim, step = _slice_bounds(w, item, dim)
                start = binary(w.b, operator.add, start, binary(w.b, operator.mul, first, stride))
                stride = binary(w.b, operator.mul, stride, step)
                dense = dense and not new_shape and step == Known(1)
            new_shape.append(dim)
            new_strides.append(stride)
        else:
            at = check_index(w, require_index(w.b, item, "an index"), dim, axis)
            start = binary(w.b, operator.add, start, binary(w.b, operator.mul, at, stride))
            dense = dense and not new_shape
    rank = len(new_shape)
    inner = not rank or new_strides[-1] == Known(1)
    layout = "strided" if not inner else "contiguous" if dense else "inner"
    place = memory.offset(w.b, pointer, start)
    return Agg(ty.Tensor(t.elem, rank, layout), (place, *new_shape, *new_strides))


def _slice_bounds(w: Walker, item: Agg, dim: Value) -> tuple[Value, Value, Value]:
    """(first index, number of elements, step) of a slice, by Python's rules; the step must be positive."""
    b = w.b
    low, high, step = item.items[1:]
    if step == Known(None):
        step = Known(1)
    step = require_index(b, step, "a slice step")
    if isinstance(step, Known) and step.value <= 0:
        hint = "step forwards and compute the index"
        raise BadOperand(b.loc, function="slice", detail="the step must be positive", hint=hint)
    if isinstance(step, Var) and not b.unchecked:
        bad = b.emit1(arith.compare, (step, b.index(1)), BOOL, test="lt")
        b.raise_if(bad, ValueError, "the step of a slice must be positive")

    def clamp(v: Value, default: Value) -> Value:
        if v == Known(None):
            return default
        v = require_index(b, v, "a slice bound")
        if isinstance(v, Known) and isinstance(dim, Known):
            k = v.value + dim.value if v.value < 0 else v.value
            return Known(max(0, min(k, dim.value)))
        if isinstance(v, Known) and v.value == 0:
            return v
        negative = binary(b, operator.lt, v, Known(0))
        v = b.apply(arith.select, negative, binary(b, operator.add, v, dim), v)
        return b.apply(arith.minimum, b.apply(arith.maximum, v, Known(0)), dim)

    first = clamp(low, Known(0))
    last = clamp(high, dim)
    span = binary(b, operator.sub, last, first)
    if step != Known(1):
        up = binary(b, operator.sub, binary(b, operator.add, span, step), Known(1))
        span = binary(b, operator.floordiv, up, step)
    if isinstance(span, Known):
        return first, Known(max(0, span.value)), step
    return first, b.apply(arith.maximum, span, Known(0)), step
