"""Asynchronous copies and mbarriers on simt, in the language itself.

Each thread has a queue of what it has issued and what is not complete. A copy is made when the thread waits for its
group; what an mbarrier counts (bulk copies, arrivals after copies), when no thread can go on without it; and the oldest
one when the queue is full. So a thread that does not wait sees what was there before.
"""

from __future__ import annotations

from sapwood.lang.api.annotations import Ptr
from sapwood.lang.api.dtypes import i64, u8
from sapwood.lang.function import fn
from sapwood.lang.library import simt_check
from sapwood.lang.ops.raw import move_memory
from sapwood.targets.simt.layout import (
    ARRIVE,
    BULK_LOAD,
    BULK_STORE,
    COPY,
    M_COUNT,
    M_EXPECTED,
    M_PENDING,
    M_PHASE,
    M_TX,
    M_TX_ZERO,
    Q_BULK_GROUP,
    Q_CAPACITY,
    Q_COUNT,
    Q_ENTRIES,
    Q_ENTRY,
    Q_GROUP,
    Q_WORDS,
    S_CHECK,
    S_COPIES,
    S_THREADS,
)

# -- mbarriers ---------------------------------------------------------------------------------------


@fn(unchecked=True)
def mbarrier_init(at: Ptr[i64], count: int) -> None:
    at[0] = count << M_PENDING | count << M_EXPECTED | M_TX_ZERO << M_TX


@fn(unchecked=True)
def mbarrier_count(at: Ptr[i64], arrivals: int, tx: int) -> None:
    """Count arrivals, and bytes: expected ones are positive. The phase ends when none of either is left."""
    word = at[0]
    pending = ((word >> M_PENDING) & M_COUNT) - arrivals
    expected = (word >> M_EXPECTED) & M_COUNT
    bytes_left = ((word >> M_TX) & (2 * M_TX_ZERO - 1)) + tx
    phase = (word >> M_PHASE) & 1
    if pending == 0 and bytes_left == M_TX_ZERO:
        pending = expected
        phase ^= 1
    at[0] = (
        (pending & M_COUNT) << M_PENDING
        | expected << M_EXPECTED
        | (bytes_left & (2 * M_TX_ZERO - 1)) << M_TX
        | phase << M_PHASE
    )


@fn(unchecked=True)
def mbarrier_test(at: Ptr[i64], parity: int) -> bool:
    """Whether the phase of a parity is complete: the one that runs has the other parity."""
    return (at[0] >> M_PHASE) & 1 != parity & 1


# -- the queue ---------------------------------------------------------------------------------------


@fn(unchecked=True)
def queue_of(slot: Ptr[i64], thread: int) -> Ptr[i64]:
    return Ptr[i64](slot[S_COPIES]) + thread * Q_WORDS


@fn(unchecked=True)
def entry_of(queue: Ptr[i64], number: int) -> Ptr[i64]:
    """Kind, group, target, source, size, bytes that are read, mbarrier."""
    return queue + Q_ENTRIES + number * Q_ENTRY


@fn(unchecked=True)
def remove(queue: Ptr[i64], number: int) -> None:
    left = queue[Q_COUNT] - 1
    for k in range(number * Q_ENTRY, left * Q_ENTRY):
        queue[Q_ENTRIES + k] = queue[Q_ENTRIES + k + Q_ENTRY]
    queue[Q_COUNT] = left


@fn(unchecked=True)
def move(slot: Ptr[i64], thread: int, entry: Ptr[i64], waited: bool) -> None:
    """Make a copy: what is read, and zeros behind it. `waited`: because its thread waits for it."""
    target, source, size, read = entry[2], entry[3], entry[4], entry[5]
    move_memory(Ptr[u8](target), Ptr[u8](source), read)
    rest = Ptr[u8](target) + read
    for k in range(size - read):
        rest[k] = u8(0)
    if slot[S_CHECK] != 0:
        simt_check.landed(slot, thread, target, size, 1, waited)
        simt_check.landed(slot, thread, source, read, 0, waited)


@fn(unchecked=True)
def finish(slot: Ptr[i64], thread: int, number: int, waited: bool) -> None:
    """Complete an entry and take it out: make a copy, or count an arrival when the copies before it are made."""
    queue = queue_of(slot, thread)
    entry = entry_of(queue, number)
    bar = Ptr[i64](entry[6])
    if entry[0] == ARRIVE:
        k = 0
        while k < number:
            if entry_of(queue, k)[0] == COPY:
                move(slot, thread, entry_of(queue, k), waited)
                remove(queue, k)
                number -= 1
            else:
                k += 1
        mbarrier_count(bar, 1, 0)
    else:
        move(slot, thread, entry, waited)
        if entry[0] == BULK_LOAD:
            mbarrier_count(bar, 0, -entry[4])
    remove(queue, number)


@fn(unchecked=True)
def issue(
    slot: Ptr[i64], thread: int, kind: int, target: int, source: int, size: int, read: int, bar: int
) -> None:
    """Enter a copy, or an arrival after copies."""
    queue = queue_of(slot, thread)
    if queue[Q_COUNT] == Q_CAPACITY:
        finish(slot, thread, 0, False)
    entry = entry_of(queue, queue[Q_COUNT])
    entry[0] = kind
    entry[1] = queue[Q_BULK_GROUP] if kind == BULK_STORE else queue[Q_GROUP]
    entry[2], entry[3], entry[4], entry[5], entry[6] = target, source, size, read, bar
    queue[Q_COUNT] += 1


@fn(unchecked=True)
def commit(slot: Ptr[i64], thread: int, which: int) -> None:
    """Close the group of a thread; `which` is Q_GROUP or Q_BULK_GROUP."""
    queue_of(slot, thread)[which] += 1


@fn(unchecked=True)
def wait_groups(slot: Ptr[i64], thread: int, which: int, left: int) -> None:
    """Complete all closed groups but the newest `left`."""
    queue = queue_of(slot, thread)
    kind = COPY if which == Q_GROUP else BULK_STORE
    k = 0
    while k < queue[Q_COUNT]:
        entry = entry_of(queue, k)
        if entry[0] == kind and entry[1] < queue[which] - left:
            finish(slot, thread, k, True)
        else:
            k += 1


# -- for the scheduler -------------------------------------------------------------------------------


@fn(unchecked=True)
def clear_queues(slot: Ptr[i64]) -> None:
    for t in range(slot[S_THREADS]):
        queue = queue_of(slot, t)
        queue[Q_COUNT], queue[Q_GROUP], queue[Q_BULK_GROUP] = 0, 0, 0


@fn(unchecked=True)
def finish_all(slot: Ptr[i64]) -> None:
    """A checked block has ended: complete what its threads did not wait for."""
    for t in range(slot[S_THREADS]):
        while queue_of(slot, t)[Q_COUNT] > 0:
            finish(slot, t, 0, False)


@fn(unchecked=True)
def finish_events(slot: Ptr[i64]) -> bool:
    """Complete the oldest of what an mbarrier counts, of each thread; whether there is any."""
    found = False
    for t in range(slot[S_THREADS]):
        queue = queue_of(slot, t)
        for k in range(queue[Q_COUNT]):
            kind = entry_of(queue, k)[0]
            if kind == ARRIVE or kind == BULK_LOAD:
                finish(slot, t, k, False)
                found = True
                break
    return found
