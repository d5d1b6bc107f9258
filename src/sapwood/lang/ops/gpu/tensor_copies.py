"""Copies of boxes of tensors between global and shared memory, which one thread issues: TMA.

On NVIDIA the hardware is told of a tensor by a tensor map, which the launch makes and passes in: `tensor_map` notes
which tensor of the kernel's arguments it is for, and which box. Elsewhere a box is rows of bulk copies
(lang/library/tensor_copies.py). Source: PTX ISA, "Data Movement and Conversion Instructions: Tensor copy" and
"Tensors"; CUDA Driver API, cuTensorMapEncodeTiled.
"""

from __future__ import annotations

import math
from typing import Any

from sapwood.lang.errors import BadOperand
from sapwood.lang.immutable import immutable
from sapwood.lang.ir.ssa import Var
from sapwood.lang.ops import arith
from sapwood.lang.ops.base import operation
from sapwood.lang.ops.gpu.copies import BULK, aligned
from sapwood.lang.ops.gpu.matrix_warpgroup import SWIZZLES, exchanged
from sapwood.lang.types import BOOL, Ptr, Scalar, Tensor, Tuple
from sapwood.lang.values import Agg, Known, Value, describe

MAX_RANK = 5
MAX_BOX = 256  # elements along an axis
ALIGN = 128  # bytes, of a box in shared memory


@immutable
class TensorMap:
    """A tensor that boxes are copied of: where the kernel's parameters have it, and the box."""

    param: int  # the number of its address among the parameters; sizes and strides follow
    elem: str
    itemsize: int
    box: tuple[int, ...]
    swizzle: int


def _wrong(b: Any, function: str, detail: str, hint: str) -> BadOperand:
    return BadOperand(b.loc, function=function, detail=detail, hint=hint)


def _box(b: Any, tile: Value, x: Value, swizzle: Value, function: str) -> tuple[tuple[int, ...], int]:
    """The box that a tile is for, and its swizzle. Raises BadOperand for what the hardware has not."""
    hint = "tile = shared(f32, (16, 32), align=128)"
    shape = _shape_of_tile(tile)
    if shape is None:
        raise _wrong(b, function, f"its tile cannot be {describe(tile)}", hint)
    kind, other = tile.type, getattr(x, "type", None)  # type: ignore[union-attr]
    if not isinstance(x, Agg) or not isinstance(other, Tensor) or x.items[0] not in b.interpreter.parameters:
        raise _wrong(
            b, function, f"its tensor cannot be {describe(x)}",
            "name an argument of the kernel itself, no view of it: the launch tells the hardware of it",
        )  # fmt: skip
    if (kind.elem, kind.rank) != (other.elem, other.rank) or not isinstance(kind.elem, Scalar):
        raise _wrong(b, function, f"{kind} and {other} are not of one type and rank", "both sides have one")
    size = kind.elem.itemsize
    row = shape[-1] * size
    if kind.rank > MAX_RANK or max(shape) > MAX_BOX or row % BULK:
        detail = f"a box of {' x '.join(map(str, shape))} {kind.elem}"
        raise _wrong(b, function, detail, "it has at most 5 axes of 256, and rows of a multiple of 16 bytes")
    span = b.known(swizzle, f"the swizzle of {function}", int)
    if span not in SWIZZLES or span and row > span:
        hint = f"it is 0, 32, 64 or 128 bytes, and not less than a row, which has {row}"
        raise _wrong(b, function, f"a swizzle of {span}", hint)
    return shape, span


def _shape_of_tile(tile: Value) -> tuple[int, ...] | None:
    """Of a dense tensor in shared memory whose shape is known at compile time."""
    if not isinstance(tile, Agg) or not isinstance(tile.type, Tensor) or tile.type.layout != "contiguous":
        return None
    p, sizes = tile.items[0], tile.items[1 : 1 + tile.type.rank]
    if not isinstance(p, Var) or not isinstance(p.type, Ptr) or p.type.space != "shared":
        return None
    known = tuple(n.value for n in sizes if isinstance(n, Known) and isinstance(n.value, int))
    return known if known and len(known) == len(sizes) else None


def _place(b: Any, at: Value, rank: int, function: str) -> list[Var]:
    from sapwood.lang.ops.operators import require_index

    items = list(at.items) if isinstance(at, Agg) else [Known(v) for v in at.value] if (
        isinstance(at, Known) and isinstance(at.value, tuple)
    ) else [at]
    if len(items) != rank:
        raise _wrong(b, function, f"a place of {len(items)} coordinates", f"the tensor has {rank} axes")
    return [b.materialize(require_index(b, i, f"a coordinate of {function}")) for i in items]


def _tensor_map(b: Any, x: Agg, box: tuple[int, ...], swizzle: int) -> int:
    """The number of the kernel's tensor map for a tensor and a box."""
    maps = b.interpreter.tensor_maps
    elem = x.type.elem
    wanted = TensorMap(b.interpreter.parameters.index(x.items[0]), str(elem), elem.itemsize, box, swizzle)
    if wanted not in maps:
        maps.append(wanted)
    return maps.index(wanted)


@operation(space="kernel")
def tensor_load(source: Any, target: Any, bar: Any, *place: Any) -> None:
    """Issue the copy of a box to shared memory: attributes `map`, `box`, `swizzle`; place, then sizes and strides of
    the tensor."""


@operation(space="kernel")
def tensor_store_issue(target: Any, source: Any, *place: Any) -> None:
    """Issue the copy of a box from shared memory; as `tensor_load`."""


def _rows(op: Any, words: tuple[int, ...]) -> Any:
    """The box of a copy as rows: (element of the tile, element of the tensor, elements inside of it, elements)."""
    box, swizzle, size = op.attrs["box"], op.attrs["swizzle"], op.operands[0].type.elem.itemsize
    rank = len(box)
    at, shape, strides = words[:rank], words[rank : 2 * rank], words[2 * rank :]
    step = BULK // size if swizzle else box[-1]
    for r in range(math.prod(box[:-1])):
        rest, inside, first = r, True, 0
        for axis in reversed(range(rank - 1)):
            i = at[axis] + rest % box[axis]
            rest //= box[axis]
            inside, first = inside and 0 <= i < shape[axis], first + i * strides[axis]
        for c in range(0, box[-1], step):
            place = exchanged((r * box[-1] + c) * size, swizzle) // size
            low = min(max(-(at[-1] + c), 0), step) if inside else step
            high = min(max(shape[-1] - at[-1] - c, low), step) if inside else step
            yield place, first + at[-1] + c, low, high, step


@tensor_load.reference
def _(ev, op, source, target, bar, *words):
    size = op.operands[0].type.elem.itemsize
    for place, element, low, high, step in _rows(op, words):
        copies = ev.thread.copies
        if low:
            copies.bulk_load(target.add(place, size), source, low * size, 0, bar)
        if low < step:
            ends = target.add(place + low, size), source.add(element + low, size)
            copies.bulk_load(*ends, (step - low) * size, (high - low) * size, bar)
    return ()


@tensor_store_issue.reference
def _(ev, op, target, source, *words):
    size = op.operands[0].type.elem.itemsize
    for place, element, low, high, _ in _rows(op, words):
        if high > low:
            ends = target.add(element + low, size), source.add(place + low, size)
            ev.thread.copies.bulk_store(*ends, (high - low) * size)
    return ()


@tensor_load.lowering
def _(e, op, source, target, bar, *words):
    e.thread.tensor_load(op.attrs["map"], target, words[: len(op.attrs["box"])], bar)


@tensor_store_issue.lowering
def _(e, op, target, source, *words):
    e.thread.tensor_store(op.attrs["map"], source, words[: len(op.attrs["box"])])


@operation(space="kernel")
def tensor_copy(tile: Any, x: Any, at: Any, bar: Any, swizzle: int = 0) -> None:
    """One thread begins to copy the box of x at `at` (an int for each axis) into the whole of a tile.

    tile: a tensor in shared memory, `shared(f32, (16, 32), align=128)`, whose shape is that of the box: at most 5 axes
    of 256, rows of a multiple of 16 bytes. x: an argument of the kernel, of the same dtype and rank, not empty; its
    address and its strides are multiples of 16 bytes, the last stride is 1. What lies outside of x is zero. `bar` is a
    pointer to an mbarrier, which must expect all bytes of the box. swizzle: 0, 32, 64 or 128; in rows of at most that
    many bytes, chunks of 16 change places, so that rows do not meet in banks; the tile is aligned to 8 * swizzle then.

    Raises ValueError for a tile or a tensor that is not so; on a GPU the launch refuses the tensor. (PTX:
    `cp.async.bulk.tensor`, sm_90 and newer.)
    """


@tensor_copy.typing
def _(b, tile, x, at, bar, swizzle):
    from sapwood.lang.library.tensor_copies import load_box
    from sapwood.lang.ops.gpu.mbarrier import barrier_pointer

    q = barrier_pointer(b, bar, "tensor_copy", remote=False)
    return _copy(b, "tensor_copy", tensor_load, load_box, tile, x, at, swizzle, q)


@operation(space="kernel")
def tensor_store(x: Any, at: Any, tile: Any, swizzle: int = 0) -> None:
    """One thread begins to copy a tile in shared memory into the box of x at `at`; what lies outside of x is left out.

    Tensors and swizzle are as those of `tensor_copy`, groups and fences as those of `bulk_store`. (PTX:
    `cp.async.bulk.tensor.global`, sm_90 and newer.)
    """


@tensor_store.typing
def _(b, x, at, tile, swizzle):
    from sapwood.lang.library.tensor_copies import store_box

    return _copy(b, "tensor_store", tensor_store_issue, store_box, tile, x, at, swizzle)


def _copy(
    b: Any, name: str, op: Any, by_rows: Any, tile: Any, x: Any, at: Value, swizzle: Value, *bar: Var
) -> Value:
    """A copy of a box: operation `op` where the hardware has it, else the function `by_rows` of the library."""
    box, span = _box(b, tile, x, swizzle, name)
    place = _place(b, at, len(box), name)
    aligned(b, name, max(ALIGN, 8 * span), tile.items[0])
    if not b.target.gpu:
        return _call(b, name, by_rows, tile, x, place, box, span, *bar)
    attrs = {"map": _tensor_map(b, x, box, span), "box": box, "swizzle": span}
    words = [b.materialize(v) for v in x.items[1:]]
    b.emit(op, (x.items[0], tile.items[0], *bar, *place, *words), (), attrs)
    return Known(None)


def _call(
    b: Any, name: str, function: Any, tile: Agg, x: Agg, place: list[Var], box: Any, swizzle: int, *bar: Var
) -> Value:
    from sapwood.lang.library.tensor_copies import is_copyable

    rank, walker = len(box), b.interpreter.frames[-1]
    shape, strides = (Agg(Tuple(rank), tuple(b.materialize(v) for v in x.items[i : i + rank])) for i in (1, 1 + rank))
    at = Agg(Tuple(rank), tuple(place))
    size = Known(x.type.elem.itemsize)
    if not b.unchecked:
        good = walker.call_compiled(is_copyable, [x.items[0], shape, strides, size], {})
        wrong = b.emit1(arith.compare, (good, b.const(False, BOOL)), BOOL, test="eq")
        text = f"{name}: the tensor is empty, or its address or a stride is not a multiple of 16 bytes"
        b.raise_if(wrong, ValueError, text)
    ends = [tile.items[0], x.items[0], at, shape, strides]
    return walker.call_compiled(function, [*ends, Known(box), Known(swizzle), size, *bar], {})


