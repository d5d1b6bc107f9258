"""Where threads of a warp meet, in the scheduler of simt: who is there, what comes of it, and who cannot come.

A thread at an operation of the warp has in its words what it offers, where a shuffle reads, and the mask of those that
it waits for. Those of them that have not returned meet if each is at the same operation with the same mask.
"""

from __future__ import annotations

from sapwood.lang.api.annotations import Ptr
from sapwood.lang.api.dtypes import i64
from sapwood.lang.function import fn
from sapwood.lang.library import simt_check
from sapwood.targets.simt.checked_layout import MASK_OF_ABSENT, MASKS_DIFFER, NOT_IN_MASK
from sapwood.targets.simt.layout import (
    AT_BALLOT,
    AT_MATCH,
    AT_SHUFFLE,
    AT_SYNC,
    DEADLOCK,
    DONE,
    HEADER,
    KIND,
    LINE_AT,
    MASK,
    OTHER_MASK,
    READY,
    S_BLOCK,
    S_CHECK,
    S_GRID,
    S_RECORD,
    S_THREADS,
    S_WARP,
    WRONG_MASK,
)

MOVED, NOBODY = -1, -2


@fn(unchecked=True)
def is_at_warp(status: int) -> bool:
    kind = status & KIND
    return kind >= AT_SHUFFLE and kind <= AT_SYNC


@fn(unchecked=True)
def all_lanes(slot: Ptr[i64]) -> int:
    return -1 if slot[S_WARP] == 64 else (1 << slot[S_WARP]) - 1


@fn(unchecked=True)
def left_of(slot: Ptr[i64], first: int, last: int) -> int:
    """The lanes of a warp that have not returned, a mask."""
    status = slot + HEADER
    lanes = 0
    for t in range(first, last):
        if status[t] != DONE:
            lanes |= 1 << (t - first)
    return lanes


@fn(unchecked=True)
def meets(slot: Ptr[i64], thread: int, other: int) -> bool:
    """Whether `other` is where `thread` waits for it: at the same operation, or any `sync`, with the same mask."""
    status = slot + HEADER
    mask = status + MASK * slot[S_THREADS]
    a, b = status[thread], status[other]
    return (a == b or (a & KIND == AT_SYNC and b & KIND == AT_SYNC)) and mask[thread] == mask[other]


@fn(unchecked=True)
def resolve(slot: Ptr[i64], first: int, last: int, lanes: int, kind: int) -> None:
    """Give the lanes of a warp that have met what comes of it, and let them go on."""
    threads = slot[S_THREADS]
    status = slot + HEADER
    offered = status + 2 * threads
    source = offered + threads
    result = source + threads
    if kind == AT_BALLOT:
        yes = 0
        for t in range(first, last):
            if lanes >> (t - first) & 1 != 0 and offered[t] != 0:
                yes |= 1 << (t - first)
        for t in range(first, last):
            if lanes >> (t - first) & 1 != 0:
                result[t] = yes
                source[t] = lanes
    elif kind == AT_SHUFFLE:
        for t in range(first, last):
            if lanes >> (t - first) & 1 != 0:
                s = source[t]
                if s >= last or lanes >> (s - first) & 1 == 0:
                    s = t
                result[t] = offered[s]
    elif kind == AT_MATCH:
        for t in range(first, last):
            if lanes >> (t - first) & 1 != 0:
                same = 0
                for u in range(first, last):
                    if lanes >> (u - first) & 1 != 0 and offered[u] == offered[t]:
                        same |= 1 << (u - first)
                result[t] = same
                source[t] = lanes
    elif slot[S_CHECK] != 0:
        simt_check.met(slot, first, last, lanes)
    for t in range(first, last):
        if lanes >> (t - first) & 1 != 0:
            status[t] = READY


@fn(unchecked=True)
def meet(slot: Ptr[i64], first: int, last: int) -> int:
    """Let those threads of a warp go on that have met: all of the mask of one that have not returned.

    MOVED if there are any, NOBODY if not; or the number of a thread that its own mask does not name.
    """
    status = slot + HEADER
    mask = status + MASK * slot[S_THREADS]
    left = left_of(slot, first, last)
    seen, answer = 0, NOBODY
    for t in range(first, last):
        if seen >> (t - first) & 1 != 0 or not is_at_warp(status[t]):
            continue
        lanes = mask[t] & left
        if lanes >> (t - first) & 1 == 0:
            return t
        complete = True
        for u in range(first, last):
            if lanes >> (u - first) & 1 != 0 and not meets(slot, t, u):
                complete = False
        if complete:
            seen |= lanes
            answer = MOVED
            resolve(slot, first, last, lanes, status[t] & KIND)
    return answer


@fn(unchecked=True)
def apart(context: Ptr[i64], slot: Ptr[i64], first: int, last: int) -> None:
    """Fill in the record: a thread of the warp waits for a lane that waits for something else."""
    status = slot + HEADER
    mask = status + MASK * slot[S_THREADS]
    left = left_of(slot, first, last)
    waiting, other = -1, -1
    for t in range(first, last):
        if waiting < 0 and is_at_warp(status[t]):
            waiting = t
    for t in range(first, last):
        if other < 0 and (mask[waiting] & left) >> (t - first) & 1 != 0 and not meets(slot, waiting, t):
            other = t
    deadlock(context, slot, waiting, other)
    masks = is_at_warp(status[other]) and mask[waiting] != mask[other]
    if masks and status[waiting] == status[other]:
        (slot + S_RECORD)[0] = context[OTHER_MASK]
    if slot[S_CHECK] != 0 and mask[waiting] != all_lanes(slot):
        simt_check.wrong(slot, waiting, MASKS_DIFFER if masks else MASK_OF_ABSENT, 0, other, 0)


@fn(unchecked=True)
def unnamed(context: Ptr[i64], slot: Ptr[i64], thread: int) -> None:
    """Fill in the record: a thread waits with a mask that does not name it."""
    deadlock(context, slot, thread, thread)
    (slot + S_RECORD)[0] = context[WRONG_MASK]
    if slot[S_CHECK] != 0:
        simt_check.wrong(slot, thread, NOT_IN_MASK, 0, thread, 0)


@fn(unchecked=True)
def block_number(slot: Ptr[i64]) -> int:
    """The number of the block in a slot, x first."""
    return slot[S_BLOCK] + slot[S_GRID] * (slot[S_BLOCK + 1] + slot[S_GRID + 1] * slot[S_BLOCK + 2])


@fn(unchecked=True)
def line_of(status: int) -> int:
    """The line of the source where a thread waits."""
    return (status >> LINE_AT) & (1 << 32) - 1


@fn(unchecked=True)
def deadlock(context: Ptr[i64], slot: Ptr[i64], waiting: int, other: int) -> None:
    """Fill in the record: `waiting` is at an operation that `other` cannot come to."""
    status = slot + HEADER
    record = slot + S_RECORD
    record[0] = context[DEADLOCK]
    record[1] = 5
    record[2] = block_number(slot)
    record[3] = waiting
    record[4] = line_of(status[waiting])
    record[5] = other
    record[6] = line_of(status[other])
