"""Runs the threads of blocks, in the language itself.

A thread is a coroutine that gives up control where it waits, and where it is about to look, in a loop, whether others
have done something. A warp runs until each of its threads waits at a barrier, has returned or gave way; shuffles are
resolved on the way. Then the next warp runs, and the next block of the group; then barriers open that all threads have
come to, and it begins anew. Workers of the pool take groups from a common counter, in ascending order: what waits for
an earlier group waits for one that runs or has run.
"""

from __future__ import annotations

from sapwood.lang.api.annotations import Ptr
from sapwood.lang.api.dtypes import i32, i64
from sapwood.lang.function import fn
from sapwood.lang.ops.atomics import atomic_add, atomic_cas, atomic_load
from sapwood.lang.ops.system import call_address, call_native, symbol_address
from sapwood.runtime.error_layout import CAUSE, CONTEXT
from sapwood.targets.simt.layout import (
    ARENA,
    ARGUMENTS,
    AT_BARRIER,
    AT_SHUFFLE,
    CLUSTER,
    DEADLOCK,
    DIM,
    DONE,
    DYNAMIC,
    FAILED,
    FRAMES_AT,
    GRID,
    GROUP,
    GROUPS,
    HEADER,
    KIND,
    LIMIT,
    LINE_AT,
    NEW,
    NEXT,
    NONE,
    READY,
    RESUME,
    S_ARGUMENTS,
    S_BARRIER,
    S_BLOCK,
    S_CLUSTER,
    S_CLUSTER_DIM,
    S_DIM,
    S_DYNAMIC,
    S_FAILED,
    S_FRAMES,
    S_GRID,
    S_LIVE,
    S_RANK,
    S_READY,
    S_RECORD,
    S_SHARED,
    S_THREADS,
    SHARED_AT,
    SLOT_WORDS,
    SLOTS,
    START,
    WARP,
)

RECORD_WORDS = 8
ROUNDS = 64  # in which nothing happens, after which the processor is offered to others
SCHED_YIELD = 24  # syscall number on x86-64


@fn(unchecked=True)
def run_to_wait(context: Ptr[i64], slot: Ptr[i64], thread: int) -> int:
    """Run a thread that can run until it waits, returns or fails; its status then."""
    threads = slot[S_THREADS]
    status = slot + HEADER
    handle = status + threads
    now = status[thread]
    if now == NEW:
        status[thread] = READY
        handle[thread] = call_address(context[START], i64, slot, thread)
    elif now == READY:
        call_address(context[RESUME], i64, handle[thread])
    return status[thread]


@fn(unchecked=True)
def shuffle(slot: Ptr[i64], first: int, last: int, waiting: int) -> None:
    """Give every thread of a warp that waits at the shuffle its value, and let it go on."""
    threads = slot[S_THREADS]
    status = slot + HEADER
    offered = status + 2 * threads
    source = offered + threads
    result = source + threads
    here = status[waiting]
    for t in range(first, last):
        if status[t] == here:
            s = source[t]
            if s >= last or status[s] != here:
                s = t
            result[t] = offered[s]
    for t in range(first, last):
        if status[t] == here:
            status[t] = READY


@fn(unchecked=True)
def deadlock(context: Ptr[i64], slot: Ptr[i64], waiting: int, other: int) -> None:
    """Fill in the record: `waiting` is at a shuffle that `other` cannot come to."""
    status = slot + HEADER
    record = slot + S_RECORD
    mask = (1 << 32) - 1
    record[0] = context[DEADLOCK]
    record[1] = 5
    record[2] = slot[S_BLOCK] + slot[S_GRID] * (slot[S_BLOCK + 1] + slot[S_GRID + 1] * slot[S_BLOCK + 2])
    record[3] = waiting
    record[4] = (status[waiting] >> LINE_AT) & mask
    record[5] = other
    record[6] = (status[other] >> LINE_AT) & mask


@fn(unchecked=True)
def run_warp(context: Ptr[i64], slot: Ptr[i64], first: int, last: int) -> bool:
    """Run a warp until its threads wait for others than those of the warp, have returned or gave way; False if one
    failed. Counts them in the header."""
    status = slot + HEADER
    while True:
        left, ready, at_barrier, waiting = 0, 0, 0, -1
        for t in range(first, last):
            kind = run_to_wait(context, slot, t) & KIND
            if kind == FAILED:
                return False
            if kind != DONE:
                left += 1
            if kind == READY:
                ready += 1
            elif kind == AT_BARRIER:
                at_barrier += 1
            elif kind == AT_SHUFFLE and waiting < 0:
                waiting = t
        if waiting < 0 or ready > 0:
            slot[S_LIVE] += left
            slot[S_READY] += ready
            slot[S_BARRIER] += at_barrier
            return True
        for t in range(first, last):
            if status[t] != status[waiting] and status[t] != DONE:
                deadlock(context, slot, waiting, t)
                return False
        shuffle(slot, first, last, waiting)


@fn(unchecked=True)
def run_block(context: Ptr[i64], slot: Ptr[i64]) -> bool:
    """Run each warp of a block once; False if a thread failed."""
    threads = slot[S_THREADS]
    slot[S_LIVE], slot[S_READY], slot[S_BARRIER] = 0, 0, 0
    for first in range(0, threads, WARP):
        if not run_warp(context, slot, first, min(first + WARP, threads)):
            return False
    return True


@fn(unchecked=True)
def open_barriers(slot: Ptr[i64]) -> bool:
    """Let threads go on that wait for what is there; whether there are any."""
    if slot[S_BARRIER] == 0 or slot[S_BARRIER] != slot[S_LIVE]:
        return False
    status = slot + HEADER
    for t in range(slot[S_THREADS]):
        if status[t] & KIND == AT_BARRIER:
            status[t] = READY
    return True


@fn(unchecked=True)
def begin_block(context: Ptr[i64], slot: Ptr[i64], number: int) -> None:
    """Put a block into a slot. Blocks are counted cluster by cluster, x first."""
    size = context[CLUSTER] * context[CLUSTER + 1] * context[CLUSTER + 2]
    cluster, rank = number // size, number % size
    slot[S_RANK] = rank
    for axis in range(3):
        dim = context[CLUSTER + axis]
        clusters = context[GRID + axis] // dim
        slot[S_CLUSTER + axis] = cluster % clusters
        slot[S_BLOCK + axis] = cluster % clusters * dim + rank % dim
        cluster //= clusters
        rank //= dim
    status = slot + HEADER
    for t in range(slot[S_THREADS]):
        status[t] = NEW
    slot[S_LIVE] = slot[S_THREADS]


@fn(unchecked=True)
def run_group(context: Ptr[i64], slots: Ptr[i64], group: int) -> bool:
    """Run the blocks of a group to their ends, in turns; False if a thread failed."""
    members, stride = context[GROUP], context[SLOT_WORDS]
    for m in range(members):
        begin_block(context, slots + m * stride, group * members + m)
    fruitless = 0
    while True:
        live = 0
        for m in range(members):
            slot = slots + m * stride
            if slot[S_LIVE] > 0:
                if not run_block(context, slot):
                    slot[S_FAILED] = group
                    return False
                live += slot[S_LIVE]
        if live == 0:
            return True
        moved = False
        for m in range(members):
            if open_barriers(slots + m * stride):
                moved = True
        if moved:
            fruitless = 0
            continue
        # Threads that are left look in loops whether others, of this group or an earlier one, have done something.
        fruitless += 1
        if fruitless % ROUNDS == 0:
            if atomic_load(context + LIMIT) < group:
                return True  # an earlier one failed, and what they wait for may never be
            call_native("syscall", i64, SCHED_YIELD)


@fn(unchecked=True)
def prepare(context: Ptr[i64], slot: Ptr[i64], base: int) -> None:
    """Fill in what all blocks that a slot runs have in common; `base` is the slot's address."""
    threads = 1
    for axis in range(3):
        slot[S_DIM + axis] = context[DIM + axis]
        slot[S_GRID + axis] = context[GRID + axis]
        slot[S_CLUSTER_DIM + axis] = context[CLUSTER + axis]
        threads *= context[DIM + axis]
    slot[S_THREADS] = threads
    slot[S_ARGUMENTS] = context[ARGUMENTS]
    slot[S_SHARED] = base + context[SHARED_AT]
    slot[S_FRAMES] = base + context[FRAMES_AT]
    slot[S_DYNAMIC] = context[DYNAMIC]
    slot[S_FAILED] = NONE


@fn(unchecked=True)
def run_slots(context: Ptr[i64], worker: int) -> i32:
    """The work of one worker: run groups until there are none left, or none that matters."""
    members, nbytes = context[GROUP], 8 * context[SLOT_WORDS]
    base = context[ARENA] + nbytes * members * worker
    for m in range(members):
        prepare(context, Ptr[i64](base + nbytes * m), base + nbytes * m)
    while True:
        group = atomic_add(context + NEXT, 1)
        if group >= context[GROUPS] or group > atomic_load(context + LIMIT):
            return i32(0)
        if not run_group(context, Ptr[i64](base), group):
            limit = atomic_load(context + LIMIT)
            while group < limit:
                limit = atomic_cas(context + LIMIT, limit, group)
            return i32(0)


@fn(unchecked=True)
def launch(context: Ptr[i64], record: Ptr[i64]) -> i32:
    """Run all blocks on the pool; 1 if one failed, with the exception record of the first such block."""
    context[NEXT] = 0
    context[LIMIT] = NONE
    body = symbol_address("sapwood_simt_run_slots")
    call_native("sapwood_parallel_for", i32, body, context, context[SLOTS], record)
    failed = context[LIMIT]
    if failed == NONE:
        return i32(0)
    for number in range(context[SLOTS] * context[GROUP]):
        slot = Ptr[i64](context[ARENA]) + number * context[SLOT_WORDS]
        if slot[S_FAILED] == failed:
            for i in range(RECORD_WORDS):
                record[i] = slot[S_RECORD + i]
            record[CONTEXT] = 0
            record[CAUSE] = 0
    return i32(1)
