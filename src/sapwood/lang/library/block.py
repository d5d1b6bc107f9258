"""What the threads of a block compute together: each warp by itself, then the first warp with what came of them.

All threads of the block come to each of these, and none has returned. It waits for the block twice, and may be called
again at once. x is a number of any type, and results have its type.
"""

from __future__ import annotations

from typing import Any, TypeVar

from sapwood.lang.api.annotations import Const
from sapwood.lang.api.comptime import static_assert
from sapwood.lang.function import fn
from sapwood.lang.library.warp import add, largest, running, smallest
from sapwood.lang.ops.gpu.place import block_dim, lane_id
from sapwood.lang.ops.gpu.shared import shared
from sapwood.lang.ops.gpu.sync import barrier
from sapwood.lang.ops.gpu.warp import warp, warp_id

T = TypeVar("T")
WARPS = 32  # of a block, at most


@fn(inline=True)
def _threads() -> int:
    return block_dim.x * block_dim.y * block_dim.z


@fn(inline=True)
def _number() -> int:
    return warp_id() * warp.size + lane_id()


@fn(inline=True)
def _last_warp() -> int:
    return (_threads() - 1) // warp.size


@fn(inline=True)
def _join(parts: Any, op: Any) -> Any:
    """parts[0] to parts[lane] combined, by the first warp; in lanes beyond the last warp's, anything."""
    return running(parts[min(lane_id(), _last_warp())], op, None)


@fn(inline=True)
def _combine(total: T, op: Any) -> T:
    """What the warps have, combined for all."""
    parts, result = shared(T, WARPS), shared(T, 1)
    if lane_id() == 0:
        parts[warp_id()] = total
    barrier()
    if warp_id() == 0:
        found = _join(parts, op)
        if lane_id() == _last_warp():
            result[0] = found
    barrier()
    return result[0]


@fn(inline=True)
def reduce(x: T, op: Any) -> T:
    """The x of all threads combined by `op`, for each of them: an associative function of two numbers, in the order of
    threads."""
    return _combine(warp.reduce(x, op), op)


@fn(inline=True)
def reduce_add(x: T) -> T:
    """The sum of all threads' x, for each of them."""
    return _combine(warp.reduce_add(x), add)


@fn(inline=True)
def reduce_min(x: T) -> T:
    """The least of all threads' x, for each of them; NaN if one is."""
    return _combine(warp.reduce_min(x), smallest)


@fn(inline=True)
def reduce_max(x: T) -> T:
    """The greatest of all threads' x, for each of them; NaN if one is."""
    return _combine(warp.reduce_max(x), largest)


@fn(inline=True)
def scan(x: T, op: Any, init: Any = None, exclusive: Const[bool] = False) -> T:
    """The x of the threads up to this one combined by `op`, an associative function of two numbers, in their order.

    exclusive: without this thread's own; the first thread gets `init`, which must be given. `init` comes before all of
    them.
    """
    static_assert(not exclusive or init is not None, "block.scan: an exclusive scan needs init, what the first gets")
    sums, joined = shared(T, WARPS), shared(T, WARPS)
    total = warp.scan(x, op)
    if lane_id() == warp.size - 1 or _number() == _threads() - 1:
        sums[warp_id()] = total
    barrier()
    if warp_id() == 0:
        found = _join(sums, op)
        if lane_id() <= _last_warp():
            joined[lane_id()] = found
    before = warp.shuffle_up(total, 1)
    barrier()
    if init is None:
        return T(op(joined[warp_id() - 1], total)) if warp_id() > 0 else total
    out = T(init)
    if warp_id() > 0:
        out = T(op(out, joined[warp_id() - 1]))
    if not exclusive:
        out = T(op(out, total))
    elif lane_id() > 0:
        out = T(op(out, before))
    return out


@fn(inline=True)
def scan_add(x: T, exclusive: Const[bool] = False) -> T:
    """The sum of x over the threads up to this one, or with `exclusive` before it (0 for the first)."""
    return scan(x, add, 0 if exclusive else None, exclusive)


@fn(inline=True)
def broadcast(x: T, source: int = 0) -> T:
    """The x of the thread with that number, counted x first, for all threads; the number is the same for all."""
    box = shared(T, 1)
    if _number() == source:
        box[0] = x
    barrier()
    found = box[0]
    barrier()
    return found
