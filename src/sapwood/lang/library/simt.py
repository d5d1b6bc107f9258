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
from sapwood.lang.library import simt_check, simt_orders
from sapwood.lang.library.simt_copies import clear_queues, finish_all, finish_events, mbarrier_test
from sapwood.lang.library.simt_warps import (
    MOVED,
    NOBODY,
    apart,
    block_number,
    deadlock,
    is_at_warp,
    line_of,
    meet,
    unnamed,
)
from sapwood.lang.ops.atomics import atomic_add, atomic_cas, atomic_load
from sapwood.lang.ops.system import call_address, call_native, symbol_address
from sapwood.runtime.error_layout import CAUSE, CONTEXT
from sapwood.targets.simt.checked_layout import DIVERGED, IDLE_LIMIT, LIVELOCK, STEPS
from sapwood.targets.simt.layout import (
    ALL_STUCK,
    ARENA,
    ARGUMENTS,
    AT_BARRIER,
    AT_CLUSTER,
    AT_GRID,
    AT_MBARRIER,
    AT_NAMED,
    AT_VOTE,
    CHECK,
    CLUSTER,
    COME,
    COPIES_AT,
    DIM,
    DONE,
    DYNAMIC,
    ELSEWHERE,
    FAILED,
    FLAG,
    FRAMES_AT,
    GRID,
    GROUP,
    GROUPS,
    HEADER,
    KIND,
    LIMIT,
    NEW,
    NEXT,
    NONE,
    OPEN,
    READY,
    RESUME,
    S_ARGUMENTS,
    S_ARRIVED,
    S_BARRIER,
    S_BLOCK,
    S_BYTES,
    S_CHECK,
    S_CLUSTER,
    S_CLUSTER_DIM,
    S_COOPERATIVE,
    S_COPIES,
    S_DIM,
    S_DYNAMIC,
    S_ELSEWHERE,
    S_FAILED,
    S_FRAMES,
    S_GRID,
    S_LIVE,
    S_PHASE,
    S_RANK,
    S_READY,
    S_RECORD,
    S_SHARED,
    S_STEPS,
    S_THREADS,
    S_WARP,
    SHARED_AT,
    SLOT_WORDS,
    SLOTS,
    START,
    STUCK,
    WARP_SIZE,
    WHOLE,
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
def order(slot: Ptr[i64]) -> tuple[int, int]:
    """Of n things, a power of two, the i-th is `i * step + shift` modulo n: in checked launches any order."""
    if slot[S_CHECK] == 0:
        return 1, 0
    r = simt_check.random(slot)
    return r | 1, r >> 12


@fn(unchecked=True)
def run_warp(context: Ptr[i64], slot: Ptr[i64], first: int, last: int) -> bool:
    """Run a warp until its threads wait for others than those of the warp, have returned or gave way; False if one
    failed. Counts them in the header."""
    size = slot[S_WARP]
    while True:
        left, ready, at_barrier, elsewhere, waiting = 0, 0, 0, 0, 0
        step, shift = order(slot)
        for i in range(size):
            t = first + (i * step + shift & size - 1)
            if t >= last:
                continue
            kind = run_to_wait(context, slot, t) & KIND
            if kind == FAILED:
                return False
            if kind != DONE:
                left += 1
            if kind == READY:
                ready += 1
            elif kind == AT_BARRIER:
                at_barrier += 1
            elif kind >= ELSEWHERE:
                elsewhere += 1
            elif is_at_warp(kind):
                waiting += 1
        found = NOBODY if waiting == 0 else meet(slot, first, last)
        if found == MOVED:
            continue
        if found >= 0:
            unnamed(context, slot, found)
            return False
        if waiting == 0 or ready > 0 or elsewhere > 0:  # who is elsewhere may come yet
            slot[S_LIVE] += left
            slot[S_READY] += ready
            slot[S_BARRIER] += at_barrier
            slot[S_ELSEWHERE] += elsewhere
            return True
        apart(context, slot, first, last)
        return False


@fn(unchecked=True)
def run_block(context: Ptr[i64], slot: Ptr[i64]) -> bool:
    """Run each warp of a block once; False if a thread failed."""
    threads = slot[S_THREADS]
    slot[S_LIVE], slot[S_READY], slot[S_BARRIER], slot[S_ELSEWHERE] = 0, 0, 0, 0
    size, warps = slot[S_WARP], 1
    while warps * size < threads:
        warps *= 2
    step, shift = order(slot)
    for i in range(warps):
        first = (i * step + shift & warps - 1) * size
        if first < threads and not run_warp(context, slot, first, min(first + size, threads)):
            return False
    return True


@fn(unchecked=True)
def open_barrier(slot: Ptr[i64]) -> bool:
    """Let the threads of a block go on if all of them wait at its barrier; those that vote learn how many said yes."""
    threads = slot[S_THREADS]
    status = slot + HEADER
    voters, yes = 0, 0
    if slot[S_ELSEWHERE] > 0:
        for t in range(threads):
            if status[t] & KIND == AT_VOTE:
                voters += 1
                yes += status[2 * threads + t]
    if slot[S_LIVE] == 0 or slot[S_BARRIER] + voters != slot[S_LIVE]:
        return False
    if slot[S_CHECK] != 0:
        simt_check.opened(slot)
    for t in range(threads):
        if status[t] != DONE:
            status[t] = READY
    if voters > 0:
        for t in range(threads):
            status[3 * threads + t] = voters
            status[4 * threads + t] = yes
    return True


@fn(unchecked=True)
def open_others(slot: Ptr[i64]) -> bool:
    """Let those threads of a block go on that wait for what is there by now; whether there are any."""
    threads = slot[S_THREADS]
    status = slot + HEADER
    moved = False
    for t in range(threads):
        if status[t] & KIND == AT_NAMED and slot[S_PHASE + status[2 * threads + t]] != status[3 * threads + t]:
            status[t] = READY
            if slot[S_CHECK] != 0:
                simt_orders.acquire(slot, t, status[2 * threads + t] << 2, 1)
            moved = True
        elif status[t] & KIND == AT_MBARRIER:
            if mbarrier_test(Ptr[i64](status[2 * threads + t]), status[3 * threads + t]):
                status[t] = READY
                moved = True
    return moved


@fn(unchecked=True)
def all_are_at(slots: Ptr[i64], stride: int, blocks: int, kind: int) -> bool:
    """Whether all threads of some blocks that have not returned are at a barrier of a cluster or of the grid."""
    for m in range(blocks):
        slot = slots + m * stride
        threads = slot[S_THREADS]
        status = slot + HEADER
        for t in range(threads):
            here = status[t] & KIND == kind
            if kind == AT_CLUSTER:
                here = status[FLAG * threads + t] == COME
            if not here and status[t] != DONE:
                return False
    return True


@fn(unchecked=True)
def open_across(slots: Ptr[i64], stride: int, blocks: int, kind: int) -> bool:
    """Open a barrier of several blocks if all are there; whether a thread goes on."""
    waiting = 0
    for m in range(blocks):
        waiting += (slots + m * stride)[S_ELSEWHERE]
    if waiting == 0 or not all_are_at(slots, stride, blocks, kind):
        return False
    moved = False
    now = 0 if slots[S_CHECK] == 0 else simt_check.next_word(slots)
    for m in range(blocks):
        slot = slots + m * stride
        if slot[S_CHECK] != 0:
            simt_check.opened(slot)
            simt_check.together(slot, now)
        threads = slot[S_THREADS]
        status = slot + HEADER
        for t in range(threads):
            if status[t] & KIND == kind:
                status[t] = READY
                moved = True
            if kind == AT_CLUSTER:
                status[FLAG * threads + t] = OPEN
    return moved


@fn(unchecked=True)
def open_barriers(context: Ptr[i64], slots: Ptr[i64]) -> bool:
    """Let threads of a group go on that wait for what is there; whether there are any."""
    members, stride = context[GROUP], context[SLOT_WORDS]
    cluster = context[CLUSTER] * context[CLUSTER + 1] * context[CLUSTER + 2]
    moved = False
    elsewhere = 0
    for m in range(members):
        slot = slots + m * stride
        if slot[S_BARRIER] + slot[S_ELSEWHERE] > 0 and open_barrier(slot):
            moved = True
        elif slot[S_ELSEWHERE] > 0:
            elsewhere += 1
            if open_others(slot):
                moved = True
    if elsewhere == 0:
        return moved
    for first in range(0, members, cluster):
        if open_across(slots + first * stride, stride, cluster, AT_CLUSTER):
            moved = True
    if slots[S_COOPERATIVE] != 0 and open_across(slots, stride, members, AT_GRID):
        moved = True
    return moved


@fn(unchecked=True)
def diverged(context: Ptr[i64], slot: Ptr[i64]) -> bool:
    """Whether threads of a block wait at different barriers of the source, which checked launches refuse."""
    status = slot + HEADER
    first, other = -1, -1
    for t in range(slot[S_THREADS]):
        kind = status[t] & KIND
        if kind == AT_BARRIER or kind == AT_VOTE:
            if first < 0:
                first = t
            elif status[t] != status[first] and other < 0:
                other = t
        elif kind != DONE:
            return False
    if other < 0:
        return False
    deadlock(context, slot, first, other)
    simt_check.wrong(slot, first, DIVERGED, 0, other, 0)
    return True


@fn(unchecked=True)
def finish_copies(slots: Ptr[i64], stride: int, blocks: int) -> bool:
    """Complete what an mbarrier counts of the copies that have been issued, the oldest of each thread."""
    found = False
    for m in range(blocks):
        slot = slots + m * stride
        if slot[S_COPIES] != 0 and finish_events(slot):
            found = True
    return found


@fn(unchecked=True)
def stuck(context: Ptr[i64], slots: Ptr[i64]) -> None:
    """Fill in the record of the first slot: two of the threads that are left, at different lines if there are such."""
    record = slots + S_RECORD
    record[0] = context[ALL_STUCK]
    record[1] = 3
    known = 0
    for m in range(context[GROUP]):
        slot = slots + m * context[SLOT_WORDS]
        status = slot + HEADER
        for t in range(slot[S_THREADS]):
            line = line_of(status[t])
            if status[t] != DONE and (known == 0 or known == 3 and line != record[4]):
                record[2 + known] = block_number(slot)
                record[3 + known] = t
                record[4 + known] = line
                known += 3
    if known > 3:
        record[0] = context[STUCK]
        record[1] = 6


@fn(unchecked=True)
def place_block(context: Ptr[i64], slot: Ptr[i64], number: int) -> None:
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


@fn(unchecked=True)
def begin_block(slot: Ptr[i64]) -> None:
    """Make the threads of a block new."""
    status = slot + HEADER
    threads = slot[S_THREADS]
    for t in range(threads):
        status[t] = NEW
        status[FLAG * threads + t] = 0
    for i in range(16):
        slot[S_ARRIVED + i] = 0
        slot[S_PHASE + i] = 0
    if slot[S_COPIES] != 0:
        clear_queues(slot)
    slot[S_LIVE] = threads
    if slot[S_CHECK] != 0:
        simt_check.begin(slot, block_number(slot))


@fn(unchecked=True)
def run_group(context: Ptr[i64], slots: Ptr[i64], group: int) -> bool:
    """Run the blocks of a group to their ends, in turns; False if a thread failed."""
    members, stride = context[GROUP], context[SLOT_WORDS]
    for m in range(members):
        slot = slots + m * stride
        place_block(context, slot, group * members + m)
        if context[WHOLE] != 0:  # loops over the threads, which run to their ends without us
            if call_address(context[WHOLE], i64, slot, 0) != 0:
                slot[S_FAILED] = group
                return False
        else:
            begin_block(slot)
    if context[WHOLE] != 0:
        return True
    fruitless = 0
    while True:
        live, ready = 0, 0
        for m in range(members):
            slot = slots + m * stride
            if slot[S_LIVE] > 0:
                if not run_block(context, slot) or slot[S_CHECK] != 0 and diverged(context, slot):
                    slot[S_FAILED] = group
                    return False
                live += slot[S_LIVE]
                ready += slot[S_READY]
        if live == 0:
            for m in range(members):
                slot = slots + m * stride
                if slot[S_CHECK] != 0 and slot[S_COPIES] != 0:
                    finish_all(slot)
            if slots[S_CHECK] != 0 and not simt_check.ended(slots):
                stuck(context, slots)  # for a record; the report is another
                slots[S_FAILED] = group
                return False
            return True
        if open_barriers(context, slots):
            fruitless = 0
            continue
        if finish_copies(slots, stride, members):
            continue
        if ready == 0 or slots[S_CHECK] != 0 and fruitless >= IDLE_LIMIT:
            stuck(context, slots)
            if ready > 0:
                simt_check.wrong(slots, 0, LIVELOCK, 0, 0, 0)
            slots[S_FAILED] = group
            return False
        # Threads look in loops whether others, of this group or an earlier one, have done something.
        fruitless += 1
        if fruitless % ROUNDS == 0:
            if atomic_load(context + LIMIT) < group:
                return True  # an earlier one failed, and what they wait for may never be
            call_native("syscall", i64, SCHED_YIELD)


@fn(unchecked=True)
def prepare(context: Ptr[i64], slot: Ptr[i64], base: int, member: int) -> None:
    """Fill in what all blocks that a slot runs have in common; `base` is the slot's address, `member` its number in its
    group."""
    threads = 1
    for axis in range(3):
        slot[S_DIM + axis] = context[DIM + axis]
        slot[S_GRID + axis] = context[GRID + axis]
        slot[S_CLUSTER_DIM + axis] = context[CLUSTER + axis]
        threads *= context[DIM + axis]
    slot[S_THREADS] = threads
    slot[S_WARP] = context[WARP_SIZE]
    slot[S_ARGUMENTS] = context[ARGUMENTS]
    slot[S_SHARED] = base + context[SHARED_AT]
    slot[S_FRAMES] = base + context[FRAMES_AT]
    slot[S_DYNAMIC] = context[DYNAMIC]
    slot[S_COPIES] = base + context[COPIES_AT] if context[COPIES_AT] != 0 else 0
    slot[S_BYTES] = 8 * context[SLOT_WORDS]
    slot[S_COOPERATIVE] = i64(context[GROUPS] == 1)
    slot[S_FAILED] = NONE
    slot[S_CHECK] = 0
    if context[CHECK] != 0:
        slot[S_CHECK] = Ptr[i64](context[CHECK])[member]
        slot[S_STEPS] = STEPS


@fn(unchecked=True)
def run_slots(context: Ptr[i64], worker: int) -> i32:
    """The work of one worker: run groups until there are none left, or none that matters."""
    members, nbytes = context[GROUP], 8 * context[SLOT_WORDS]
    base = context[ARENA] + nbytes * members * worker
    for m in range(members):
        prepare(context, Ptr[i64](base + nbytes * m), base + nbytes * m, m)
    while True:
        group = atomic_add(context + NEXT, 1)
        if Ptr[i64](base)[S_CHECK] != 0:
            group = simt_check.pick(Ptr[i64](base), group, context[GROUPS])
            if group < 0:
                continue
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
