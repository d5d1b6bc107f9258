"""The memory of a launch, in 64-bit words: what the launcher, the scheduler and the threads agree on.

A launch has one context. It has a slot for each worker; a slot runs one block at a time:

    header | status | handle | offered | source | result | shared memory | coroutine frames
             `---------- one word for each thread -------'
"""

from __future__ import annotations

# -- context of a launch
START = 0  # address of start(slot, thread) -> handle: begins a thread and runs it to where it first waits
RESUME = 1  # address of resume(handle): runs a thread on to where it waits next
DEADLOCK = 2  # the exception record's descriptor for threads that wait for each other
ARENA = 3  # address of the first slot
SLOT_WORDS = 4
SLOTS = 5
BLOCKS = 6  # blocks of the grid
NEXT = 7  # the next block to run
LIMIT = 8  # blocks after this one need not run, because this one failed
ARGUMENTS = 9  # address of the kernel's arguments
SHARED_AT = 10  # where shared memory begins in a slot, in bytes
FRAMES_AT = 11  # where the frames begin in a slot, in bytes
GRID = 12  # three words
DIM = 15  # three words
CONTEXT_WORDS = 18

# -- header of a slot
S_BLOCK = 0  # block_idx, three words
S_DIM = 3
S_GRID = 6
S_THREADS = 9
S_ARGUMENTS = 10
S_SHARED = 11  # address
S_FRAMES = 12  # address
S_FAILED = 13  # the block that failed, or NONE
S_RECORD = 16  # its exception record, 8 words
HEADER = 24

NONE = 1 << 62

# -- status of a thread: one of these, with the source line above bit 8 and the operation above bit 40
NEW = 0
READY = 1
DONE = 2
FAILED = 3
AT_BARRIER = 4
AT_SHUFFLE = 5
KIND = 255
LINE_AT = 8
SITE_AT = 40

WARP = 32
ARRAYS = 5


def align(nbytes: int, to: int = 64) -> int:
    return -(-nbytes // to) * to
