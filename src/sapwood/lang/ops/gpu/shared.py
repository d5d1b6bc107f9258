"""Memory that the threads of a block share."""

from __future__ import annotations

import math
from typing import Any

from sapwood.lang.errors import BadOperand, NotConstant
from sapwood.lang.ops import arith
from sapwood.lang.ops.base import operation
from sapwood.lang.types import BOOL, I64, Ptr, Tensor
from sapwood.lang.values import Agg, Known
from sapwood.runtime.array import contiguous_strides


@operation(space="kernel")
def shared_storage() -> Any:
    """Memory of the block: attributes `bytes` and `align`. One piece per place in the source, whatever runs it."""


@shared_storage.reference
def _(ev, op):
    return ev.thread.shared(op)


@shared_storage.lowering
def _(e, op):
    return e.thread.shared_storage(op.attrs["bytes"], op.attrs["align"])


MAX_ALIGN = 1024  # bytes


def _sizes(b: Any, shape: Any, function: str) -> tuple[tuple[int, ...], int]:
    """A shape that is known at compile time, and how many elements it has."""
    sizes = b.known(shape, "the shape of shared memory", (int, tuple))
    sizes = sizes if isinstance(sizes, tuple) else (sizes,)
    for n in sizes:
        if not isinstance(n, int) or isinstance(n, bool):
            raise NotConstant(b.loc, what="the shape of shared memory", found=f"{n!r}")
        if n < 1:
            raise BadOperand(b.loc, function=function, detail=f"a size of {n}", hint="sizes are at least 1")
    return sizes, math.prod(sizes)


def _dense(pointer: Any, elem: Any, sizes: tuple[int, ...]) -> Agg:
    """The tensor of that shape, in C order."""
    items = (pointer, *map(Known, sizes), *map(Known, contiguous_strides(sizes)))
    return Agg(Tensor(elem, len(sizes), "contiguous"), items)


@operation(space="kernel")
def shared(dtype: Any, shape: Any, align: int = 16) -> Any:
    """A tensor in the memory that the threads of a block share, of compile-time shape (an int or a tuple).

    It begins at a multiple of `align` bytes, a power of two up to 1024, as the widest swizzle of `wgmma` asks for. Its
    contents are undefined at first. All threads get the same memory; put a `barrier()` between a write by
    one thread and a read by another.
    """


@shared.typing
def _(b, dtype, shape, align):
    from sapwood.lang.ops.convert import dtype_argument
    from sapwood.lang.ops.memory import alignment

    elem = dtype_argument(b, dtype, "shared")
    sizes, count = _sizes(b, shape, "shared")
    to = alignment(b, align, "shared")
    if to > MAX_ALIGN:
        hint = f"shared memory is aligned to {MAX_ALIGN} bytes at most"
        raise BadOperand(b.loc, function="shared", detail=f"an alignment of {to}", hint=hint)
    pointer = b.emit1(
        shared_storage, (), Ptr(elem, "shared"), bytes=count * elem.itemsize, align=max(16, elem.itemsize, to)
    )
    return _dense(pointer, elem, sizes)


@operation(space="kernel")
def dynamic_storage() -> Any:
    """The memory of the block that the launch adds (`shared=`)."""


@dynamic_storage.reference
def _(ev, op):
    return ev.thread.block.dynamic.cast(op.result.type.elem)


@dynamic_storage.lowering
def _(e, op):
    return e.thread.dynamic_storage()


@operation(pure=True, space="kernel")
def dynamic_bytes() -> int:
    """Bytes of the memory that the launch adds."""
    ...


@dynamic_bytes.reference
def _(ev, op):
    return ev.thread.block.dynamic.block.size


@dynamic_bytes.lowering
def _(e, op):
    return e.thread.dynamic_bytes()


@operation(space="kernel")
def dynamic_shared(dtype: Any, offset: int = 0, shape: Any = None) -> Any:
    """The shared memory that the launch adds, `k.launch(grid=, block=, shared=bytes)`, as a tensor.

    It begins `offset` bytes into that memory; several calls give views of the same bytes. Without a shape it has one
    axis and goes to the end, so its size is known at run time; `shape` (an int or a tuple, known at compile time) is
    as that of `shared`. The memory is aligned to 1024 bytes. Its contents are undefined at first. Raises ValueError
    for an offset that is negative or no multiple of the dtype's size, and where the launch has added too little for
    the shape. (PTX: `.extern .shared`, `%dynamic_smem_size`.)
    """


@dynamic_shared.typing
def _(b, dtype, offset, shape):
    from sapwood.lang.library.dynamic_shared import elements
    from sapwood.lang.ops.convert import dtype_argument
    from sapwood.lang.ops.memory import pointer_add
    from sapwood.lang.ops.operators import require_index

    elem = dtype_argument(b, dtype, "dynamic_shared")
    at = require_index(b, offset, "the offset of dynamic_shared")
    pointer = b.emit1(dynamic_storage, (), Ptr(elem, "shared"))
    total = b.emit1(dynamic_bytes, (), I64)
    count = b.interpreter.call_function(elements, (total, at, Known(elem.itemsize)))
    if at != Known(0):
        pointer = b.emit1(pointer_add, (pointer, b.materialize(at)), pointer.type, stride=1)
    if shape == Known(None):
        return Agg(Tensor(elem, 1, "contiguous"), (pointer, count, Known(1)))
    sizes, wanted = _sizes(b, shape, "dynamic_shared")
    if not b.unchecked:
        few = b.emit1(arith.compare, (b.materialize(count), b.index(wanted)), BOOL, test="lt")
        text = f"dynamic_shared: the launch has added room for {{0}} elements from there, not for {wanted}"
        b.raise_if(few, ValueError, text, b.materialize(count))
    return _dense(pointer, elem, sizes)
