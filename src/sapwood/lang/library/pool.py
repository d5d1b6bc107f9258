"""The thread pool behind `parallel`, written in the language.

One pool per process. A job is (body, context, chunks). Chunks are claimed from an atomic counter; the caller
takes part, so progress never needs a helper. Workers spin for a while (at most about 50 us), then wait on a
futex: two processes with endlessly spinning pools on two cores would slow each other down forty-fold. While a
job runs, every other region (nested, or of another thread) runs on its caller.

The state is a block of i64 words, so that its address is all that is shared.
"""

from __future__ import annotations

from sapwood.lang.api.annotations import Ptr
from sapwood.lang.api.dtypes import i32, i64
from sapwood.lang.function import fn
from sapwood.lang.library.pool_layout import (
    ACTIVE,
    BODY,
    BUSY,
    CHUNKS,
    CONTEXT,
    FAILED,
    GENERATION,
    JOINED,
    LIMIT,
    LOCK,
    NEXT,
    OPEN,
    RECORD,
    SIGNALS,
    SLEEPERS,
    STARTED,
    THREAD_IDS,
    THREADS,
)
from sapwood.lang.ops.atomics import atomic_add, atomic_cas, atomic_load, atomic_store
from sapwood.lang.ops.system import call_address, call_native, cpu_pause, symbol_address
from sapwood.runtime.error_layout import WORDS as RECORD_WORDS

NONE = 1 << 62
SPINS = 400
FUTEX, WAIT, WAKE = 202, 128, 129  # syscall number on x86-64; private futexes


@fn(unchecked=True)
def futex_wait(word: Ptr[i64], value: int) -> None:
    """Sleep while the low half of `word` is `value`."""
    call_native("syscall", i64, FUTEX, word, WAIT, value & 0xFFFFFFFF, 0, 0, 0)


@fn(unchecked=True)
def futex_wake(word: Ptr[i64]) -> None:
    call_native("syscall", i64, FUTEX, word, WAKE, 1 << 30, 0, 0, 0)


@fn(unchecked=True)
def run_chunks(state: Ptr[i64], record: Ptr[i64]) -> None:
    """Claim and run chunks until none is left; keep the error of the lowest failing one."""
    body, context, chunks = state[BODY], state[CONTEXT], state[CHUNKS]
    while True:
        chunk = atomic_add(state + NEXT, 1)
        if chunk >= chunks:
            break
        if chunk > atomic_load(state + FAILED):
            continue
        if call_address(body, i32, context, chunk, record) != 0:
            keep_error(state, record, chunk)


@fn(unchecked=True)
def keep_error(state: Ptr[i64], record: Ptr[i64], chunk: int) -> None:
    while atomic_cas(state + LOCK, 0, 1) != 0:
        cpu_pause()
    before = atomic_load(state + FAILED)
    if chunk < before:
        if before != NONE:
            call_native("sapwood_error_discard", i32, state + RECORD)
        atomic_store(state + FAILED, chunk)
        for i in range(RECORD_WORDS):
            state[RECORD + i] = record[i]
    else:
        call_native("sapwood_error_discard", i32, record)
    atomic_store(state + LOCK, 0)


@fn(unchecked=True)
def worker(state: Ptr[i64], record: Ptr[i64]) -> None:
    """A worker thread: waits for a new generation, then helps with the open job."""
    call_native("pthread_sigmask", i32, 0, state + SIGNALS, 0)  # signals belong to Python's threads
    seen = 0
    while True:
        spins = 0
        while atomic_load(state + GENERATION) == seen and spins < SPINS:
            cpu_pause()
            spins += 1
        if atomic_load(state + GENERATION) == seen:
            atomic_add(state + SLEEPERS, 1)
            futex_wait(state + GENERATION, seen)
            atomic_add(state + SLEEPERS, -1)
            continue
        seen = atomic_load(state + GENERATION)
        # Counted before the test of OPEN: the caller closes the job first and waits for the count then.
        atomic_add(state + ACTIVE, 1)
        if atomic_load(state + OPEN) == 1:
            limit = state[LIMIT]
            if limit == 0 or atomic_add(state + JOINED, 1) < limit - 1:
                run_chunks(state, record)
        left = atomic_add(state + ACTIVE, -1)
        if left == 1 and atomic_load(state + OPEN) == 0:
            futex_wake(state + ACTIVE)


@fn(unchecked=True)
def run_alone(body: int, context: int, chunks: int, record: Ptr[i64]) -> i32:
    for chunk in range(chunks):
        if call_address(body, i32, context, chunk, record) != 0:
            return i32(1)
    return i32(0)


@fn(unchecked=True)
def start_workers(state: Ptr[i64]) -> None:
    """Create the threads; a thread that cannot be created is done without."""
    for _ in range(state[THREADS] - 1):
        call_native("pthread_create", i32, state + THREAD_IDS, 0, symbol_address("sapwood_pool_worker"), state)
        call_native("pthread_detach", i32, state[THREAD_IDS])


@fn(unchecked=True)
def parallel_for(state: Ptr[i64], body: int, context: int, chunks: int, record: Ptr[i64]) -> i32:
    """Run `body(context, chunk, record)` for every chunk; 1 if one raised, its record filled in."""
    if chunks <= 1 or state[THREADS] <= 1 or state[LIMIT] == 1:
        return run_alone(body, context, chunks, record)
    if atomic_cas(state + BUSY, 0, 1) != 0:
        return run_alone(body, context, chunks, record)
    if state[STARTED] == 0:
        state[STARTED] = 1
        start_workers(state)
    state[BODY], state[CONTEXT], state[CHUNKS] = body, context, chunks
    atomic_store(state + NEXT, 0)
    atomic_store(state + FAILED, NONE)
    atomic_store(state + JOINED, 0)
    atomic_store(state + OPEN, 1)
    atomic_add(state + GENERATION, 1)
    if atomic_load(state + SLEEPERS) > 0:
        futex_wake(state + GENERATION)
    run_chunks(state, record)
    atomic_store(state + OPEN, 0)
    spins = 0
    while atomic_load(state + ACTIVE) != 0:
        spins += 1
        if spins < SPINS:
            cpu_pause()
        else:
            active = atomic_load(state + ACTIVE)
            if active != 0:
                futex_wait(state + ACTIVE, active)
    status = i32(0)
    if atomic_load(state + FAILED) != NONE:
        status = i32(1)
        for i in range(RECORD_WORDS):
            record[i] = state[RECORD + i]
    atomic_store(state + BUSY, 0)
    return status
