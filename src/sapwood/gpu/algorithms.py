"""Algorithms over whole arrays: kernels in the language, one source for every target that runs kernels.

Arrays are what a launch takes: NumPy's, `sapwood.Array`, arrays of a device. Functions that are passed (`f`, `op`) are
an `@fn`, a lambda or a function of the module; they are compiled into the kernel. Results do not depend on the number
of CPU threads or on the order in which blocks run.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from sapwood.gpu import algorithm_kernels as kernels
from sapwood.runtime.array import Array
from sapwood.runtime.device_array import DeviceArray

BLOCK = 256
MAX_BLOCKS = 1024  # blocks that go through an array in strides


def elementwise(f: Callable[..., Any], out: Any, *inputs: Any) -> None:
    """`out[i] = f(*(x[i] for x in inputs))` for every place i of `out`; an input may be a number.

    Arrays have the shape of `out`, any strides, and may be `out` itself. Numbers become `out`'s dtype.
    Raises ValueError for an array of another shape.
    """
    for k, x in enumerate(inputs):
        shape = getattr(x, "shape", None)
        if shape is not None and tuple(shape) != tuple(out.shape):
            raise ValueError(f"elementwise: input {k} has shape {tuple(shape)}, out has {tuple(out.shape)}")
    n = _count(out)
    if n:
        kernels.elementwise[_blocks(n), BLOCK](f, out, *inputs)


def reduce(op: Callable[[Any, Any], Any], x: Any, init: Any = None, dtype: str | None = None) -> Any:
    """All elements of `x` combined by `op`, which must be associative and commutative; `init` is one more element.

    The work is done in `dtype` (a name such as "f64"), which is x's if it is not given. Gives a Python number. The
    order of combination depends on the size of `x` alone. Raises ValueError if `x` is empty and there is no `init`.
    """
    n = _count(x)
    if n == 0:
        if init is None:
            raise ValueError("reduce: the array is empty and there is no init")
        return init
    blocks = min(MAX_BLOCKS, -(-n // (4 * BLOCK)))
    out = _empty(x, 1, dtype)
    if blocks == 1:
        kernels.reduce[1, BLOCK](op, out, x, init)
    else:
        parts = _empty(x, blocks, dtype)
        kernels.reduce[blocks, BLOCK](op, parts, x, None)
        kernels.reduce[1, BLOCK](op, out, parts, init)
    return out[0]


def scan(op: Callable[[Any, Any], Any], out: Any, x: Any, init: Any = None, exclusive: bool = False) -> None:
    """Running results: `out[i]` is `x[0]` to `x[i]` combined by `op`, which must be associative, in order.

    exclusive: without `x[i]` itself; `out[0]` is `init`, which must be given. `init` comes before all elements. `x` and
    `out` have one axis and the same size; they may be the same array. The work is done in out's dtype.
    Raises ValueError for other shapes, or for an exclusive scan without `init`.
    """
    if len(x.shape) != 1 or tuple(x.shape) != tuple(out.shape):
        raise ValueError(f"scan: x and out need one axis and the same size, not {tuple(x.shape)}, {tuple(out.shape)}")
    if exclusive and init is None:
        raise ValueError("scan: an exclusive scan needs init, the first result")
    n = _count(x)
    if n == 0:
        return
    tiles = -(-n // BLOCK)
    ends = _empty(out, tiles)
    kernels.scan_tiles[tiles, BLOCK](op, out, ends, x, init, exclusive)
    if tiles > 1:
        scan(op, ends, ends)
        kernels.scan_join[tiles, BLOCK](op, out, ends, exclusive)


def sort(keys: Any, values: Any = None) -> None:
    """Sort `keys` in place, smallest first; `values` of the same size are put in the same order. Stable.

    A radix sort of four bits at a time. Keys are ints or floats of 32 or 64 bits, with one axis; -0.0 comes before
    0.0, and NaN last. Raises ValueError for other shapes, TypeError for other dtypes.
    """
    if len(keys.shape) != 1 or (values is not None and tuple(values.shape) != tuple(keys.shape)):
        shapes = [tuple(a.shape) for a in (keys, values) if a is not None]
        raise ValueError(f"sort: keys and values need one axis and the same size, not {shapes}")
    size = keys.dtype.itemsize
    if size not in (4, 8):
        raise TypeError(f"sort: keys have 32 or 64 bits, not {keys.dtype}")
    n = _count(keys)
    if n < 2:
        return
    tiles = -(-n // kernels.SORT_TILE)
    counts = _empty(keys, kernels.DIGITS * tiles, "i64")
    more = _empty(keys, n)
    moved = None if values is None else _empty(values, n)
    here, there, at, to = keys, more, values, moved
    for shift in range(0, 8 * size, kernels.DIGIT_BITS):  # an even number of passes: they end in `keys`
        kernels.count_digits[tiles, kernels.SORT_THREADS](counts, here, shift)
        scan(kernels.add, counts, counts, 0, exclusive=True)
        kernels.move_by_digit[tiles, kernels.SORT_THREADS](there, to, counts, here, at, shift)
        here, there, at, to = there, here, to, at


def histogram(out: Any, x: Any, low: float | None = None, high: float | None = None) -> None:
    """Count the elements of `x` in the equal bins of `out`, whose counts (i32 or i64) it adds to.

    Bins divide [low, high], the last one holds `high` itself, as `numpy.histogram` has it; without a range the
    elements are ints, and are the numbers of their bins. What is outside is not counted, nor is NaN.
    Raises ValueError for a range that is none, or an `out` without one axis.
    """
    if len(out.shape) != 1 or _count(out) == 0:
        raise ValueError(f"histogram: out needs one axis and at least one bin, not the shape {tuple(out.shape)}")
    if (low is None) != (high is None) or (low is not None and high is not None and not low < high):
        raise ValueError(f"histogram: [{low}, {high}] is no range")
    n = _count(x)
    if n:
        shared = _count(out) <= kernels.SHARED_BINS
        kernels.histogram[_blocks(n, 4), BLOCK](out, x, low, high, shared)


def _count(x: Any) -> int:
    return math.prod(x.shape)


def _blocks(n: int, each: int = 1) -> int:
    return min(MAX_BLOCKS, -(-n // (BLOCK * each)))


def _empty(like: Any, n: int, dtype: str | None = None) -> Any:
    """Memory for n elements where `like` has its own."""
    where = like.device if isinstance(like, DeviceArray) else Array
    return where.empty(n, like.dtype if dtype is None else dtype)
