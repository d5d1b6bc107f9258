"""The kernels of algorithms.py."""

from __future__ import annotations

from typing import Any

from sapwood.lang.api.annotations import Const
from sapwood.lang.api.dtypes import f32, f64, i32, i64, u32, u64
from sapwood.lang.api.loops import unroll
from sapwood.lang.function import fn, kernel
from sapwood.lang.ops.atomics import atomic_add
from sapwood.lang.ops.convert import bitcast
from sapwood.lang.ops.gpu import barrier, block_dim, block_idx, grid_dim, shared, thread_idx

DIGIT_BITS = 4
DIGITS = 1 << DIGIT_BITS
SORT_THREADS = 64
SORT_EACH = 16  # keys of a thread, which follow each other
SORT_TILE = SORT_THREADS * SORT_EACH
SHARED_BINS = 4096


@fn(inline=True)
def add(a: Any, b: Any) -> Any:
    return a + b


@fn(inline=True)
def place(i: int, shape: Any) -> Any:
    """The place of element i, counted with the last axis first."""
    at, rest = (), i
    for k in unroll(range(len(shape) - 1, -1, -1)):
        at = (rest % shape[k], *at)
        rest //= shape[k]
    return at


@fn(inline=True)
def items(inputs: Any, at: Any, dtype: Any) -> Any:
    """What the inputs have at a place, as a tuple; a number has it everywhere."""
    out = ()
    for k in unroll(range(len(inputs))):
        x = inputs[k]
        out = (*out, x[at] if hasattr(x, "shape") else dtype(x))
    return out


@kernel
def elementwise(f, out, *inputs):
    for i in range(block_idx.x * block_dim.x + thread_idx.x, out.size, grid_dim.x * block_dim.x):
        at = place(i, out.shape)
        out[at] = f(*items(inputs, at, out.dtype))


@kernel
def reduce(op, out, x, init):
    """A block's part: threads go through it in strides, then a tree over those that had any."""
    tile = shared(out.dtype, 256)
    t, n = thread_idx.x, x.size
    first, step = block_idx.x * block_dim.x + t, grid_dim.x * block_dim.x
    active = min(block_dim.x, n - block_idx.x * block_dim.x)
    if first < n:
        total = out.dtype(x[place(first, x.shape)])
        for i in range(first + step, n, step):
            total = out.dtype(op(total, out.dtype(x[place(i, x.shape)])))
        tile[t] = total
    half = 128
    while half > 0:
        barrier()
        if t < half and t + half < active:
            tile[t] = out.dtype(op(tile[t], tile[t + half]))
        half //= 2
    if t == 0:
        out[block_idx.x] = tile[0] if init is None else out.dtype(op(tile[0], out.dtype(init)))


@kernel
def scan_tiles(op, out, ends, x, init, exclusive: Const[bool]):
    """Scan tiles of a block each (Hillis and Steele), and note where each ends. `init` comes before the first."""
    tile = shared(out.dtype, (2, 256))
    t, size = thread_idx.x, block_dim.x
    i = block_idx.x * size + t
    if i < x.size:
        value = out.dtype(x[i])
        if init is not None and i == 0:
            value = out.dtype(op(out.dtype(init), value))
        tile[0, t] = value
    barrier()
    here, step = 0, 1
    while step < size:
        if i < x.size:
            if t >= step:
                tile[1 - here, t] = out.dtype(op(tile[here, t - step], tile[here, t]))
            else:
                tile[1 - here, t] = tile[here, t]
        barrier()
        here, step = 1 - here, 2 * step
    if i < x.size:
        if not exclusive:
            out[i] = tile[here, t]
        elif t > 0:
            out[i] = tile[here, t - 1]
        elif i == 0:
            out[i] = out.dtype(init)
        if t == size - 1 or i == x.size - 1:
            ends[block_idx.x] = tile[here, t]


@kernel
def scan_join(op, out, ends, exclusive: Const[bool]):
    """Put what came before a tile in front of its results."""
    i = block_idx.x * block_dim.x + thread_idx.x
    if block_idx.x > 0 and i < out.size:
        before = ends[block_idx.x - 1]
        if exclusive and thread_idx.x == 0:
            out[i] = before
        else:
            out[i] = out.dtype(op(before, out[i]))


@fn(inline=True)
def ordered_bits(x: Any) -> u64:
    """An unsigned number that is in the order of x; NaN is the largest."""
    if x.dtype == f32:
        b = u64(bitcast(x, u32))
        sign = u64(0x80000000)
        return u64(0xFFFFFFFF) if x != x else (b ^ u64(0xFFFFFFFF) if b & sign != 0 else b ^ sign)
    if x.dtype == f64:
        b = bitcast(x, u64)
        sign = u64(1) << 63
        return ~u64(0) if x != x else (~b if b & sign != 0 else b ^ sign)
    if x.dtype == i32:
        return u64(bitcast(x, u32)) ^ u64(0x80000000)
    if x.dtype == i64:
        return bitcast(x, u64) ^ (u64(1) << 63)
    return u64(x)


@fn(inline=True)
def digit(x: Any, shift: int) -> int:
    return int((ordered_bits(x) >> u64(shift)) & u64(DIGITS - 1))


@fn(inline=True)
def own_keys(n: int) -> tuple[int, int]:
    """Where the keys of a thread begin and end."""
    first = block_idx.x * SORT_TILE + thread_idx.x * SORT_EACH
    return first, min(n, first + SORT_EACH)


@fn(inline=True)
def digits_of_threads(keys: Any, shift: int) -> Any:
    """How often each digit is in the keys of each thread, [digit, thread], for all threads to see."""
    total = shared(i32, (DIGITS, SORT_THREADS))
    t = thread_idx.x
    for d in range(DIGITS):
        total[d, t] = i32(0)
    first, last = own_keys(keys.size)
    for i in range(first, last):
        total[digit(keys[i], shift), t] += 1
    barrier()
    return total


@kernel
def count_digits(counts, keys, shift: int):
    """How often each digit is in a tile; counts[digit * tiles + tile]."""
    total, t = digits_of_threads(keys, shift), thread_idx.x
    if t < DIGITS:
        found = i64(0)
        for k in range(SORT_THREADS):
            found += i64(total[t, k])
        counts[t * grid_dim.x + block_idx.x] = found


@kernel
def move_by_digit(out, out_values, places, keys, values, shift: int):
    """Put each key where its digit goes; places[digit * tiles + tile] is where that tile's first one goes."""
    total, t = digits_of_threads(keys, shift), thread_idx.x
    if t < DIGITS:
        before = i32(0)
        for k in range(SORT_THREADS):
            count = total[t, k]
            total[t, k] = before
            before += count
    barrier()
    first, last = own_keys(keys.size)
    for i in range(first, last):
        d = digit(keys[i], shift)
        to = places[d * grid_dim.x + block_idx.x] + int(total[d, t])
        total[d, t] += 1
        out[to] = keys[i]
        if values is not None:
            out_values[to] = values[i]


@fn(inline=True)
def bin_of(x: Any, bins: int, low: Any, high: Any) -> int:
    """The bin of x, or -1."""
    if low is None:
        return int(x) if 0 <= x < bins else -1
    v = f64(x)
    if not low <= v <= high:
        return -1
    k = min(int((v - low) / (high - low) * f64(bins)), bins - 1)
    if v < low + f64(k) * ((high - low) / f64(bins)):
        k -= 1
    elif k + 1 < bins and v >= low + f64(k + 1) * ((high - low) / f64(bins)):
        k += 1
    return k


@kernel
def histogram(out, x, low, high, shared_bins: Const[bool]):
    t, bins = thread_idx.x, out.size
    tile = shared(i32, SHARED_BINS if shared_bins else 1)
    if shared_bins:
        for b in range(t, bins, block_dim.x):
            tile[b] = i32(0)
        barrier()
    for i in range(block_idx.x * block_dim.x + t, x.size, grid_dim.x * block_dim.x):
        b = bin_of(x[place(i, x.shape)], bins, low, high)
        if b >= 0:
            if shared_bins:
                atomic_add(tile.ptr + b, i32(1))
            else:
                atomic_add(out.ptr + b, out.dtype(1))
    if shared_bins:
        barrier()
        for b in range(t, bins, block_dim.x):
            if tile[b] != 0:
                atomic_add(out.ptr + b, out.dtype(tile[b]))
