"""What threads of checked kernels learn of each other through memory: releases, acquisitions and fences.

A release at an address leaves there what its thread knows, for each thread of its block; an acquisition joins it. Other
blocks learn more than they should: all that was done before the release, by whomever. A fence makes the next relaxed
writes of its thread releases of what came before the fence, and earlier relaxed reads acquisitions.
"""

from __future__ import annotations

from sapwood.lang.api.annotations import Ptr
from sapwood.lang.api.dtypes import i64
from sapwood.lang.function import fn
from sapwood.lang.library.simt_check import next_tick, next_word
from sapwood.targets.simt.checked_layout import (
    BUCKETS,
    C_ACQUIRED,
    C_FAR,
    C_FENCES,
    C_LAUNCHED,
    C_NEAR,
    C_PENDING,
    C_RELEASES,
    C_RUN,
    C_STAMPS,
    C_USES_FAR,
    F_SEEN,
    F_TICK,
    F_WORD,
    FAR_BUCKETS,
    FENCE_WORDS,
    G_RELEASED,
    THREAD,
    TICK_AT,
    WHO,
)
from sapwood.targets.simt.layout import S_CHECK, S_THREADS, S_WARP

ACQUIRE, RELEASE = 1, 2  # bits of what a fence does


@fn(unchecked=True)
def released(check: Ptr[i64], address: int) -> Ptr[i64]:
    """The row of what was released at an address: the tick of C_RUN, and up to which tick each thread is known."""
    return Ptr[i64](check[C_RELEASES]) + (address >> 2) % BUCKETS * (THREAD + 2)


@fn(unchecked=True)
def released_far(check: Ptr[i64], address: int) -> Ptr[i64]:
    return Ptr[i64](Ptr[i64](check[C_LAUNCHED])[G_RELEASED]) + (address >> 2) % FAR_BUCKETS


@fn(unchecked=True)
def make_row(check: Ptr[i64], row: Ptr[i64], threads: int) -> None:
    """Make a row one of the block that runs."""
    run = check[C_RUN] >> TICK_AT
    if row[0] != run:
        row[0] = run
        for u in range(threads):
            row[1 + u] = 0


@fn(unchecked=True)
def leave(slot: Ptr[i64], thread: int, address: int, own: int) -> None:
    """Leave at an address what a thread knows, and what it did itself up to a tick."""
    check = Ptr[i64](slot[S_CHECK])
    threads = slot[S_THREADS]
    row = released(check, address)
    make_row(check, row, threads)
    if check[C_USES_FAR] != 0:
        far = Ptr[i64](check[C_FAR]) + thread * (THREAD + 1)
        for u in range(threads):
            row[1 + u] = max(row[1 + u], far[u])
    size = slot[S_WARP]
    first = thread // size * size
    near = Ptr[i64](check[C_NEAR]) + thread * size
    for u in range(first, min(first + size, threads)):
        row[1 + u] = max(row[1 + u], near[u - first])
    row[1 + thread] = own


@fn(unchecked=True)
def begin_anew(slot: Ptr[i64], thread: int) -> None:
    """What a thread does from now on is newer than all that was."""
    check = Ptr[i64](slot[S_CHECK])
    check[C_STAMPS + thread] = next_tick(check) << TICK_AT | check[C_STAMPS + thread] & WHO


@fn(unchecked=True)
def release(slot: Ptr[i64], thread: int, address: int, near: int) -> None:
    """What a thread knows and did can be acquired through an address; `near`: in its own block only."""
    check = Ptr[i64](slot[S_CHECK])
    leave(slot, thread, address, check[C_STAMPS + thread] >> TICK_AT)
    if near == 0:
        released_far(check, address)[0] = next_word(slot)
    begin_anew(slot, thread)


@fn(unchecked=True)
def acquire(slot: Ptr[i64], thread: int, address: int, near: int) -> None:
    """A thread learns what was released through an address."""
    check = Ptr[i64](slot[S_CHECK])
    if near == 0:
        check[C_ACQUIRED] = max(check[C_ACQUIRED], released_far(check, address)[0])
    learn(slot, thread, released(check, address))


@fn(unchecked=True)
def learn(slot: Ptr[i64], thread: int, row: Ptr[i64]) -> None:
    check = Ptr[i64](slot[S_CHECK])
    if row[0] != check[C_RUN] >> TICK_AT:
        return
    check[C_USES_FAR] = 1
    far = Ptr[i64](check[C_FAR]) + thread * (THREAD + 1)
    for u in range(slot[S_THREADS]):
        far[u] = max(far[u], row[1 + u])


# -- fences ----------------------------------------------------------------------------------------------


@fn(unchecked=True)
def fence(slot: Ptr[i64], thread: int, does: int, near: int) -> None:
    """A thread has come to a fence that does ACQUIRE, RELEASE or both; `near`: for its own block only."""
    check = Ptr[i64](slot[S_CHECK])
    own = Ptr[i64](check[C_FENCES]) + thread * FENCE_WORDS
    if does & ACQUIRE != 0:
        learn(slot, thread, Ptr[i64](check[C_PENDING]) + thread * (THREAD + 2))
        if near == 0:
            check[C_ACQUIRED] = max(check[C_ACQUIRED], own[F_SEEN])
    if does & RELEASE != 0:
        own[F_TICK] = check[C_STAMPS + thread] >> TICK_AT
        if near == 0:
            own[F_WORD] = next_word(slot)
        begin_anew(slot, thread)


@fn(unchecked=True)
def publish(slot: Ptr[i64], thread: int, address: int, near: int) -> None:
    """A thread writes in one step, and releases what it did before its last fence."""
    check = Ptr[i64](slot[S_CHECK])
    own = Ptr[i64](check[C_FENCES]) + thread * FENCE_WORDS
    if own[F_TICK] == 0:
        return
    leave(slot, thread, address, own[F_TICK])
    if near == 0:
        row = released_far(check, address)
        row[0] = max(row[0], own[F_WORD])


@fn(unchecked=True)
def observe(slot: Ptr[i64], thread: int, address: int, near: int) -> None:
    """A thread reads in one step, and will know what was released there after its next fence."""
    check = Ptr[i64](slot[S_CHECK])
    row, threads = released(check, address), slot[S_THREADS]
    if near == 0:
        own = Ptr[i64](check[C_FENCES]) + thread * FENCE_WORDS
        own[F_SEEN] = max(own[F_SEEN], released_far(check, address)[0])
    if row[0] != check[C_RUN] >> TICK_AT:
        return
    pending = Ptr[i64](check[C_PENDING]) + thread * (THREAD + 2)
    make_row(check, pending, threads)
    for u in range(threads):
        pending[1 + u] = max(pending[1 + u], row[1 + u])
