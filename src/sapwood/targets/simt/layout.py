"""The memory of a launch, in 64-bit words: what the launcher, the scheduler and the threads agree on.

A launch has one context. Blocks that run together are a *group*: those of a cluster, the whole grid of a cooperative
launch, else one block. Each worker runs a group at a time, and has a slot for each of its blocks:

    header | status | handle | offered | source | result | mask | flag | shared memory | coroutine frames
             `---------------- one word for each thread --------------'

Shared memory is what the kernel declares, and behind it what the launch adds.
"""

from __future__ import annotations

# -- context of a launch
START = 0  # address of start(slot, thread) -> handle: begins a thread and runs it to where it first waits
RESUME = 1  # address of resume(handle): runs a thread on to where it waits next
DEADLOCK = 2  # the exception record's descriptor for threads of a warp that wait for each other
ARENA = 3  # address of the first slot
SLOT_WORDS = 4
SLOTS = 5
GROUPS = 6  # groups of the grid
NEXT = 7  # the next group to run
LIMIT = 8  # groups after this one need not run, because this one failed
ARGUMENTS = 9  # address of the kernel's arguments
SHARED_AT = 10  # where shared memory begins in a slot, in bytes
FRAMES_AT = 11  # where the frames begin in a slot, in bytes
GRID = 12  # three words
DIM = 15  # three words
CLUSTER = 18  # blocks of a cluster along each axis, three words
GROUP = 21  # blocks of a group
DYNAMIC = 22  # bytes of shared memory that the launch adds
STUCK = 23  # the descriptor for threads that wait at two places
ALL_STUCK = 24  # ... at one place
WHOLE = 25  # address of whole(slot, 0) -> i64, which runs a block and gives 1 if a thread failed; or 0
CHECK = 26  # address of a word for each block of a group, its S_CHECK; 0 where nothing is checked
COPIES_AT = 27  # where queues of copies begin in a slot, in bytes, or 0
WARP_SIZE = 28
WRONG_MASK = 29  # the descriptor for a thread that is not in the mask it names
OTHER_MASK = 30  # ... for threads at one operation with different masks
CONTEXT_WORDS = 31

# what comes before the arguments of a kernel's launcher, each an i64
LAUNCH = (
    *(f"{what}.{axis}" for what in ("grid", "block", "cluster") for axis in "xyz"),
    "group", "dynamic", "arena", "slots", "check",
)  # fmt: skip

# -- header of a slot
S_BLOCK = 0  # block_idx, three words
S_DIM = 3
S_GRID = 6
S_THREADS = 9
S_ARGUMENTS = 10
S_SHARED = 11  # address
S_FRAMES = 12  # address
S_FAILED = 13  # the group that failed, or NONE
S_LIVE = 14  # threads that have not returned
S_READY = 15  # of those, the ones that do not wait: they gave way
S_RECORD = 16  # its exception record, 8 words
S_CLUSTER = 24  # cluster_idx, three words
S_CLUSTER_DIM = 27
S_RANK = 30  # of the block in its cluster
S_DYNAMIC = 31  # bytes of dynamic shared memory
S_BARRIER = 32  # threads that wait at the barrier of the block
S_ELSEWHERE = 33  # threads that wait for what is not of their warp, and not at that barrier
S_BYTES = 34  # of a slot: the next block of the group is so far away
S_COOPERATIVE = 35  # whether all blocks of the grid are in the group
S_COPIES = 36  # address of the queues of copies, or 0
S_WARP = 37  # threads of a warp
S_CHECK = 38  # address of what checked launches note of the block (checked_layout.py); 0 in others
S_STEPS = 39  # rounds of loops that its threads may go before Python is asked whether to go on
S_ARRIVED = 40  # at each named barrier, 16 words
S_PHASE = 56  # how often each has opened, 16 words
HEADER = 72

NONE = 1 << 62

# -- status of a thread: one of these, with the source line above bit 8 and the operation above bit 40
NEW = 0
READY = 1
DONE = 2
FAILED = 3
AT_BARRIER = 4
AT_SHUFFLE = 5  # this and the next: at an operation of the warp
AT_BALLOT = 6
AT_MATCH = 7
AT_SYNC = 8
ELSEWHERE = 16  # from here on, what others than the threads of the warp resolve
AT_VOTE = 16  # a barrier of the block that counts
AT_NAMED = 17  # offered: which one, source: its phase
AT_CLUSTER = 18
AT_GRID = 19
AT_MBARRIER = 20  # offered: its address, source: the parity
KIND = 255
LINE_AT = 8
SITE_AT = 40

WARP = 32
STATUS, OFFERED, MASK = 0, 2, 5  # numbers of arrays
ARRAYS = 7
FLAG = 6  # the array of what a thread has come to: of the barrier of the cluster
COME, OPEN = 1, 2

# -- the queue of a thread for copies and arrivals that are not complete (library/simt_copies.py), in words
Q_COUNT = 0  # of entries
Q_GROUP = 1  # the number of the group of copies that is not closed
Q_BULK_GROUP = 2
Q_ENTRIES = 4
Q_ENTRY = 7  # words: kind, group, target, source, bytes to write, bytes to read, mbarrier
Q_CAPACITY = 40
Q_WORDS = 288
COPY, BULK_LOAD, BULK_STORE, ARRIVE = 0, 1, 2, 3

# -- an mbarrier: the first bits of its fields
M_PENDING = 0  # arrivals that are missing
M_EXPECTED = 20  # arrivals of a phase
M_TX = 40  # bytes that are missing, plus M_TX_ZERO
M_PHASE = 63
M_COUNT = (1 << 20) - 1
M_TX_ZERO = 1 << 21

SHARED_ALIGN = 1024  # of a block's shared memory: the most that an array can ask for


def align(nbytes: int, to: int = 64) -> int:
    return -(-nbytes // to) * to


def dynamic_at(shared: int) -> int:
    """Where the memory of the launch lies, behind the bytes that the kernel declares."""
    return align(shared, SHARED_ALIGN)
