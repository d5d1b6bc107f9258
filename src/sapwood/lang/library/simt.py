"""Runs the threads of blocks, in the language itself.

A thread is a coroutine that gives up control where it waits. A warp runs until each of its threads waits at a
barrier or has returned; shuffles are resolved on the way. When all warps of a block are there, the barrier is
open. Workers of the pool take blocks from a common counter, in ascending order.
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
    BLOCKS,
    DEADLOCK,
    DIM,
    DONE,
    FAILED,
    FRAMES_AT,
    GRID,
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
    S_BLOCK,
    S_DIM,
    S_FAILED,
    S_FRAMES,
    S_GRID,
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
def run_warp(context: Ptr[i64], slot: Ptr[i64], first: int, last: int) -> int:
    """Run a warp until its threads wait at barriers or have returned: how many wait; -1 if one failed."""
    status = slot + HEADER
    while True:
        left = 0
        waiting = -1
        for t in range(first, last):
            kind = run_to_wait(context, slot, t) & KIND
            if kind == FAILED:
                return -1
            if kind != DONE:
                left += 1
            if kind == AT_SHUFFLE and waiting < 0:
                waiting = t
        if waiting < 0:
            return left
        for t in range(first, last):
            if status[t] != status[waiting] and status[t] != DONE:
                deadlock(context, slot, waiting, t)
                return -1
        shuffle(slot, first, last, waiting)


@fn(unchecked=True)
def run_block(context: Ptr[i64], slot: Ptr[i64]) -> bool:
    """Run a block to its end; False if a thread failed."""
    threads = slot[S_THREADS]
    status = slot + HEADER
    for t in range(threads):
        status[t] = NEW
    left = threads
    while left > 0:
        left = 0
        for first in range(0, threads, WARP):
            n = run_warp(context, slot, first, min(first + WARP, threads))
            if n < 0:
                return False
            left += n
        for t in range(threads):
            if status[t] & KIND == AT_BARRIER:
                status[t] = READY
    return True


@fn(unchecked=True)
def prepare(context: Ptr[i64], slot: Ptr[i64], base: int) -> None:
    """Fill in what all blocks that a slot runs have in common; `base` is the slot's address."""
    threads = 1
    for axis in range(3):
        slot[S_DIM + axis] = context[DIM + axis]
        slot[S_GRID + axis] = context[GRID + axis]
        threads *= context[DIM + axis]
    slot[S_THREADS] = threads
    slot[S_ARGUMENTS] = context[ARGUMENTS]
    slot[S_SHARED] = base + context[SHARED_AT]
    slot[S_FRAMES] = base + context[FRAMES_AT]
    slot[S_FAILED] = NONE


@fn(unchecked=True)
def run_slot(context: Ptr[i64], number: int) -> i32:
    """The work of one worker: run blocks until there are none left, or none that matters."""
    base = context[ARENA] + 8 * context[SLOT_WORDS] * number
    slot = Ptr[i64](base)
    prepare(context, slot, base)
    gx, gy = context[GRID], context[GRID + 1]
    while True:
        block = atomic_add(context + NEXT, 1)
        if block >= context[BLOCKS] or block > atomic_load(context + LIMIT):
            return i32(0)
        slot[S_BLOCK] = block % gx
        slot[S_BLOCK + 1] = block // gx % gy
        slot[S_BLOCK + 2] = block // gx // gy
        if not run_block(context, slot):
            slot[S_FAILED] = block
            limit = atomic_load(context + LIMIT)
            while block < limit:
                limit = atomic_cas(context + LIMIT, limit, block)
            return i32(0)


@fn(unchecked=True)
def launch(context: Ptr[i64], record: Ptr[i64]) -> i32:
    """Run all blocks on the pool; 1 if one failed, with the exception record of the first such block."""
    context[NEXT] = 0
    context[LIMIT] = NONE
    body = symbol_address("sapwood_simt_run_slot")
    call_native("sapwood_parallel_for", i32, body, context, context[SLOTS], record)
    failed = context[LIMIT]
    if failed == NONE:
        return i32(0)
    for number in range(context[SLOTS]):
        slot = Ptr[i64](context[ARENA]) + number * context[SLOT_WORDS]
        if slot[S_FAILED] == failed:
            for i in range(RECORD_WORDS):
                record[i] = slot[S_RECORD + i]
            record[CONTEXT] = 0
            record[CAUSE] = 0
    return i32(1)
