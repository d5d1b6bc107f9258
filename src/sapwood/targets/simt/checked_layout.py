"""The memory of checked launches, in 64-bit words: what was accessed by whom, and who knows of whom.

Time is counted in ticks: one more at each barrier that opens, each meeting of a warp, each release. An access is one
word: when, where in the source, whether it is atomic, and by which thread. A word that is smaller is older.

    tick: 32 | site: 11 | scope: 2 | atomic: 1 | resident: 8 | thread: 10

`scope` is of atomic accesses: whose operations they are one step to. `resident` numbers the blocks that run at the same
time. Each granule of memory (as many bytes as the kernel's smallest access) has a cell of four such words: the last
write, an atomic write of another thread, and two readers, of different warps if there are.
"""

from __future__ import annotations

TICK_AT = 32
SITE_AT = 21
SITES = 1 << 11
SITE_BITS = SITES - 1 << SITE_AT
SCOPE_AT = 19
SCOPE_DEVICE, SCOPE_CLUSTER, SCOPE_BLOCK = 0, 1, 2
ATOMIC = 1 << 18
RESIDENT_AT = 10
RESIDENTS = 1 << 8
THREAD = 1023
WHO = ATOMIC - 1
RESIDENT = WHO ^ THREAD
LAST_TICK = (1 << 31) - 2
FLYING = (1 << 31) - 1 << TICK_AT  # an access by a copy that is not complete: nobody knows it

# -- a cell
WRITE = 0
ATOMIC_WRITE = 1
READ = 2
OTHER_READ = 3
CELL_BYTES_LOG = 5

# -- of a block that runs: C_STAMPS has for each thread its tick and who it is
C_LAUNCH = 0  # words that are less are of earlier launches
C_RUN = 1  # ... of earlier blocks in this slot
C_BASE = 2  # ... from before the last barrier
C_REGIONS = 3  # address of the table of regions
C_NEAR = 4  # address: for each thread and lane of its warp, up to which tick it knows what that did
C_FAR = 5  # the same for each thread of the block
C_WARP = 6  # log2 of the threads of a warp
C_LAUNCHED = 7  # address of what is below
C_BLOCK = 8  # number of the block
C_RESIDENT = 9  # its number among those that run, at RESIDENT_AT
C_USES_FAR = 10  # whether threads know of others through atomic operations or named barriers
C_ACQUIRED = 11  # a word before which the block knows what others did: a thread acquired what they released
C_RELEASES = 12  # address: what was released through memory, BUCKETS rows of a tick and one for each thread
C_COUNT = 13  # of regions
C_TOGETHER = 14  # what blocks of the group did before this is known: all of them came together
C_GROUP = 15  # words that are less are of earlier groups
C_SINCE = 16  # for the region that is being asked for: words that are less are too old to matter
C_GRANULE = 17  # log2 of the bytes of a granule of global memory
C_SHARED_GRANULE = 18
C_FENCES = 19  # address: for each thread FENCE_WORDS of its fences; 0 in kernels without
C_PENDING = 20  # address: for each thread what a fence that acquires will make known, a row as those of C_RELEASES
C_CLUSTER = 21  # blocks of a cluster
C_STAMPS = 24
BUCKETS = 256
FAR_BUCKETS = 4096

# -- of a thread that has fences
F_TICK = 0  # its tick at its last fence that releases
F_WORD = 1  # ... a word before which other blocks may then know everything
F_SEEN = 2  # what F_WORD was of what it has read since
FENCE_WORDS = 3

# -- of a launch
G_TICK = 0
G_RANDOM = 1
G_KIND = 2  # what was found; the next seven say more
G_SITE = 3
G_OTHER = 4  # the word of the other access, or a number
G_ADDRESS = 5
G_REGION = 6
G_THREAD = 7
G_BLOCK = 8
G_BYTES = 9
G_RUNS = 10  # address of the log of blocks that were begun: tick, resident and number
G_RUN_COUNT = 11
G_SHIFT = 12  # of the order of groups
G_STEP = 13
G_GROUPS = 14  # a power of two, not less than the number of groups; 0: in ascending order
G_PENDING = 15  # the first read of shared memory that nobody had written: as G_KIND and the next seven
G_ENSURE = 23  # addresses of PyGILState_Ensure, PyErr_CheckSignals, PyErr_Fetch, PyGILState_Release
G_SIGNALS = 24
G_FETCH = 25
G_LEAVE = 26
G_RAISED = 27  # what a signal's handler raised: type, value, traceback
G_FLYING = 31  # copies that are not complete
G_GROUP = 30  # the word of the time when the group began
G_RELEASED = 32  # address: for FAR_BUCKETS addresses a word before which who acquires there knows what blocks did
G_WORDS = 33
FOUND_WORDS = 8

# -- a region: what an argument or an array covers
R_START = 0
R_BYTES = 1
R_CELLS = 2  # address of its cells
R_ORIGIN = 3  # of the address that the first cell is for
R_SINCE = 4  # C_LAUNCH, or C_GROUP: of shared memory
REGION_WORDS = 5

# -- what was found
NOTHING = 0
RACE = 1
OUTSIDE = 2
UNINITIALISED = 3
MISALIGNED = 4
OUTSIDE_LOCAL = 5
INTERRUPTED = 7  # by what G_RAISED says
LIVELOCK = 8
DIVERGED = 9
ABSENT_LANE = 16  # of a warp that comes to a matrix operation
APART = 10  # two atomic accesses whose scopes do not hold both threads
NOT_IN_MASK = 11  # a lane waits with a mask that does not name it
MASKS_DIFFER = 12  # ... with another mask than a lane that it names
MASK_OF_ABSENT = 13  # ... for one that waits elsewhere

IDLE_LIMIT = 1 << 16  # rounds of only looking, after which it is taken for a livelock
STEPS = 1 << 22  # rounds of loops between two questions to Python
