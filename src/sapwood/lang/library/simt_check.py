"""What checked kernels ask before each access, and what the scheduler tells: happens-before, in the language itself.

An access happened before what a thread does now if both are of one thread, if a barrier came between, or if the thread
knows of it: through a meeting of the warp, a named barrier, or an atomic operation that acquired what another released.
Between blocks there are only atomic operations. targets/simt/checked_layout.py has the words.
"""

from __future__ import annotations

from sapwood.lang.api.annotations import Ptr
from sapwood.lang.api.dtypes import i32, i64
from sapwood.lang.function import fn
from sapwood.lang.ops.system import call_address
from sapwood.targets.simt.checked_layout import (
    APART,
    ATOMIC,
    ATOMIC_WRITE,
    C_ACQUIRED,
    C_BASE,
    C_BLOCK,
    C_CLUSTER,
    C_COUNT,
    C_FAR,
    C_FENCES,
    C_GRANULE,
    C_GROUP,
    C_LAUNCH,
    C_LAUNCHED,
    C_NEAR,
    C_REGIONS,
    C_RESIDENT,
    C_RUN,
    C_SHARED_GRANULE,
    C_SINCE,
    C_STAMPS,
    C_TOGETHER,
    C_USES_FAR,
    C_WARP,
    CELL_BYTES_LOG,
    FENCE_WORDS,
    FLYING,
    FOUND_WORDS,
    G_ADDRESS,
    G_BLOCK,
    G_BYTES,
    G_ENSURE,
    G_FETCH,
    G_FLYING,
    G_GROUP,
    G_GROUPS,
    G_KIND,
    G_LEAVE,
    G_OTHER,
    G_PENDING,
    G_RAISED,
    G_RANDOM,
    G_REGION,
    G_RUN_COUNT,
    G_RUNS,
    G_SHIFT,
    G_SIGNALS,
    G_SITE,
    G_STEP,
    G_THREAD,
    G_TICK,
    INTERRUPTED,
    LAST_TICK,
    MISALIGNED,
    OTHER_READ,
    OUTSIDE,
    R_BYTES,
    R_CELLS,
    R_ORIGIN,
    R_SINCE,
    R_START,
    RACE,
    READ,
    REGION_WORDS,
    RESIDENT,
    RESIDENT_AT,
    SCOPE_AT,
    SCOPE_BLOCK,
    SCOPE_DEVICE,
    SITE_AT,
    SITE_BITS,
    STEPS,
    THREAD,
    TICK_AT,
    UNINITIALISED,
    WHO,
    WRITE,
)
from sapwood.targets.simt.layout import S_CHECK, S_STEPS, S_THREADS, S_WARP

END = (1 << 63) - 1  # every access is older


# -- reports -----------------------------------------------------------------------------------------


@fn(unchecked=True)
def report(
    check: Ptr[i64], kind: int, thread: int, site: int, other: int, address: int, region: int, nbytes: int
) -> int:
    """Note what was found; 1, which ends the thread."""
    note(check, 0, kind, thread, site, other, address, region, nbytes)
    return 1


@fn(unchecked=True)
def note(
    check: Ptr[i64], at: int, kind: int, thread: int, site: int, other: int, address: int, region: int, nbytes: int
) -> None:
    launched = Ptr[i64](check[C_LAUNCHED]) + at
    launched[G_KIND] = kind
    launched[G_THREAD] = thread
    launched[G_SITE] = site >> SITE_AT
    launched[G_OTHER] = other
    launched[G_ADDRESS] = address
    launched[G_REGION] = region
    launched[G_BLOCK] = check[C_BLOCK]
    launched[G_BYTES] = nbytes


@fn(unchecked=True)
def unwritten(
    check: Ptr[i64], thread: int, site: int, address: int, region: int, nbytes: int
) -> None:
    """Note a read of what nobody has written. Another thread may be about to write it, which is a race and says more;
    so it is reported when the block ends."""
    if Ptr[i64](check[C_LAUNCHED])[G_PENDING] == 0:
        note(check, G_PENDING - G_KIND, UNINITIALISED, thread, site, 0, address, region, nbytes)


@fn(unchecked=True)
def ended(slot: Ptr[i64]) -> bool:
    """A block has run to its end; False if something is reported of it."""
    launched = Ptr[i64](Ptr[i64](slot[S_CHECK])[C_LAUNCHED])
    for k in range(FOUND_WORDS):
        launched[G_KIND + k] = launched[G_PENDING + k]
    return launched[G_KIND] == 0


@fn(unchecked=True)
def wrong(slot: Ptr[i64], thread: int, kind: int, site: int, value: int, nbytes: int) -> int:
    """Report something that the thread itself has found."""
    return report(Ptr[i64](slot[S_CHECK]), kind, thread, site, value, 0, -1, nbytes)


# -- happens-before ----------------------------------------------------------------------------------


@fn(unchecked=True)
def known(check: Ptr[i64], thread: int, me: int, word: int) -> bool:
    """Whether an access happened before what the thread does now."""
    if word < check[C_LAUNCH]:
        return True
    if word >= FLYING:
        return False
    if word < check[C_RUN] or (word ^ me) & RESIDENT != 0:
        # of another block
        return word < check[C_ACQUIRED] or check[C_GROUP] <= word < check[C_TOGETHER]
    if word < check[C_BASE] or (word ^ me) & WHO == 0:
        return True
    other, tick = word & THREAD, word >> TICK_AT
    bits = check[C_WARP]
    if other >> bits == thread >> bits:
        if Ptr[i64](check[C_NEAR])[(thread << bits) + (other & (1 << bits) - 1)] >= tick:
            return True
    if check[C_USES_FAR] == 0:
        return False
    return Ptr[i64](check[C_FAR])[thread * (THREAD + 1) + other] >= tick


@fn(unchecked=True)
def find(check: Ptr[i64], address: int, nbytes: int) -> int:
    """The region that an address is in, -1 if there is none."""
    regions = Ptr[i64](check[C_REGIONS])
    for r in range(check[C_COUNT]):
        at = address - regions[r * REGION_WORDS + R_START]
        if at >= 0 and at <= regions[r * REGION_WORDS + R_BYTES] - nbytes:
            return r
    return -1


@fn(unchecked=True)
def locate(
    check: Ptr[i64], thread: int, region: int, address: int, nbytes: int, what: int, site: int
) -> int:
    """The address of the first cell of an access; 0 if it may not be, which is then reported.

    `what`: log2 of the granule's bytes, and from bit 8 the bits of an address that must not be set.
    """
    if region < 0:
        region = find(check, address, nbytes)
        if region < 0:
            report(check, OUTSIDE, thread, site, 0, address, region, nbytes)
            return 0
    r = Ptr[i64](check[C_REGIONS]) + region * REGION_WORDS
    at = address - r[R_START]
    if at < 0 or at > r[R_BYTES] - nbytes:
        report(check, OUTSIDE, thread, site, 0, address, region, nbytes)
        return 0
    if address & (what >> 8) != 0:
        report(check, MISALIGNED, thread, site, (what >> 8) + 1, address, region, nbytes)
        return 0
    check[C_SINCE] = check[r[R_SINCE]]
    return r[R_CELLS] + ((address - r[R_ORIGIN]) >> (what & 255) << CELL_BYTES_LOG)


@fn(unchecked=True)
def race(
    check: Ptr[i64], thread: int, site: int, word: int, region: int, address: int, nbytes: int
) -> int:
    if region < 0:
        region = find(check, address, nbytes)
    return report(check, APART if word & site & ATOMIC != 0 else RACE, thread, site, word, address, region, nbytes)


@fn(unchecked=True)
def apart(check: Ptr[i64], me: int, word: int) -> bool:
    """Whether two atomic accesses are not one step to each other: of different blocks, and the scope of one is too
    narrow."""
    scope = max(word >> SCOPE_AT & 3, me >> SCOPE_AT & 3)
    if scope == SCOPE_DEVICE or word >= check[C_RUN] and (word ^ me) & RESIDENT == 0:
        return False
    size = check[C_CLUSTER] << RESIDENT_AT
    return scope == SCOPE_BLOCK or word < check[C_GROUP] or (word & RESIDENT) // size != (me & RESIDENT) // size


@fn(unchecked=True)
def read(
    slot: Ptr[i64], thread: int, region: int, address: int, nbytes: int, what: int, site: int, shared: int
) -> int:
    """A thread is about to read; 1 if it must not. `site`: where, at SITE_AT, and ATOMIC if it is."""
    check = Ptr[i64](slot[S_CHECK])
    at = locate(check, thread, region, address, nbytes, what, site)
    if at == 0:
        return 1
    cell = Ptr[i64](at)
    me = check[C_STAMPS + thread] | site
    run, base = check[C_RUN], check[C_BASE]
    launch = check[C_SINCE]
    for _ in range(nbytes >> (what & 255)):
        word = cell[WRITE]
        if word < launch and shared != 0:
            unwritten(check, thread, site, address, region, nbytes)
        if word >= launch and (word < run or word >= base or (word ^ me) & RESIDENT != 0):
            if ((word & site & ATOMIC) == 0 or apart(check, me, word)) and not known(check, thread, me, word):
                return race(check, thread, site, word, region, address, nbytes)
            if site & ATOMIC == 0 and cell[ATOMIC_WRITE] >= launch:
                word = cell[ATOMIC_WRITE]
                if not known(check, thread, me, word):
                    return race(check, thread, site, word, region, address, nbytes)
        first = cell[READ]
        if first < launch or (first ^ me) & WHO == 0 and first >= run or known(check, thread, me, first):
            cell[READ] = me
        else:
            other = cell[OTHER_READ]
            if (first ^ me) & WHO < 1 << check[C_WARP] and (other < launch or known(check, thread, me, other)):
                cell[OTHER_READ] = first
                cell[READ] = me
            else:
                cell[OTHER_READ] = me
        cell += 4
    return 0


@fn(unchecked=True)
def write(
    slot: Ptr[i64], thread: int, region: int, address: int, nbytes: int, what: int, site: int, shared: int
) -> int:
    """A thread is about to write."""
    check = Ptr[i64](slot[S_CHECK])
    at = locate(check, thread, region, address, nbytes, what, site)
    if at == 0:
        return 1
    cell = Ptr[i64](at)
    me = check[C_STAMPS + thread] | site
    launch = check[C_SINCE]
    for _ in range(nbytes >> (what & 255)):
        for k in range(4):
            word = cell[k]
            if word >= launch and not known(check, thread, me, word):
                return race(check, thread, site, word, region, address, nbytes)
        cell[WRITE] = me
        cell[ATOMIC_WRITE] = 0
        cell[READ] = 0
        cell[OTHER_READ] = 0
        cell += 4
    return 0


@fn(unchecked=True)
def update(
    slot: Ptr[i64], thread: int, region: int, address: int, nbytes: int, what: int, site: int, shared: int
) -> int:
    """A thread is about to write in one step, or to read and write: `shared` has bit 1 set if it reads."""
    check = Ptr[i64](slot[S_CHECK])
    at = locate(check, thread, region, address, nbytes, what, site)
    if at == 0:
        return 1
    cell = Ptr[i64](at)
    me = check[C_STAMPS + thread] | site
    launch = check[C_SINCE]
    for _ in range(nbytes >> (what & 255)):
        last = cell[WRITE]
        if shared == 3 and last < launch:
            unwritten(check, thread, site, address, region, nbytes)
        for k in range(4):
            word = cell[k]
            if word >= launch and (word & ATOMIC == 0 or apart(check, me, word)) and not known(check, thread, me, word):
                return race(check, thread, site, word, region, address, nbytes)
        if last >= launch and last & ATOMIC != 0 and not known(check, thread, me, last):
            cell[ATOMIC_WRITE] = last
        cell[WRITE] = me
        cell += 4
    return 0


@fn(unchecked=True)
def lanes(
    slot: Ptr[i64], thread: int, region: int, address: int, nbytes: int, what: int, site: int, shared: int, mask: int,
    writes: int,
) -> int:
    """A thread is about to access those of up to 64 neighbours whose bit is set."""
    for k in range(64):
        if mask >> k & 1 != 0:
            at = address + k * nbytes
            if writes != 0:
                if write(slot, thread, region, at, nbytes, what, site, shared) != 0:
                    return 1
            elif read(slot, thread, region, at, nbytes, what, site, shared) != 0:
                return 1
    return 0


# -- copies that run while threads go on -----------------------------------------------------------------


@fn(unchecked=True)
def cell_of(check: Ptr[i64], address: int) -> tuple[int, int]:
    """The address of the cell of an address, which may be touched, and the granule of cells there."""
    r = Ptr[i64](check[C_REGIONS]) + find(check, address, 1) * REGION_WORDS
    granule = check[C_SHARED_GRANULE] if r[R_SINCE] == C_GROUP else check[C_GRANULE]
    return r[R_CELLS] + ((address - r[R_ORIGIN]) >> granule << CELL_BYTES_LOG), granule


@fn(unchecked=True)
def issued(slot: Ptr[i64], thread: int, address: int, nbytes: int, granule: int, site: int, writes: int) -> None:
    """A copy has begun to read or to write memory, and may do so until it is complete."""
    if nbytes <= 0:
        return
    check = Ptr[i64](slot[S_CHECK])
    stamp = check[C_STAMPS + thread]
    cell = Ptr[i64](cell_of(check, address)[0])
    for _ in range(nbytes >> granule):
        if writes != 0:
            cell[WRITE] = FLYING | stamp & WHO | site
            cell[ATOMIC_WRITE] = stamp | site
        else:
            cell[OTHER_READ] = FLYING | stamp & WHO | site
        cell += 4
    Ptr[i64](check[C_LAUNCHED])[G_FLYING] += 1


@fn(unchecked=True)
def landed(slot: Ptr[i64], thread: int, address: int, nbytes: int, writes: int, now: bool) -> None:
    """A copy is complete: `now`, because the thread has waited for it, or as of when it began, for who waits for its
    mbarrier."""
    if nbytes <= 0:
        return
    check = Ptr[i64](slot[S_CHECK])
    stamp = check[C_STAMPS + thread]
    at, granule = cell_of(check, address)
    cell = Ptr[i64](at)
    for _ in range(nbytes >> granule):
        k = WRITE if writes != 0 else OTHER_READ
        word = cell[k]
        if word >= FLYING and (word ^ stamp) & WHO == 0:
            began = cell[ATOMIC_WRITE] if writes != 0 and not now else stamp | word & SITE_BITS
            cell[k] = began
            if writes != 0:
                cell[ATOMIC_WRITE] = 0
        cell += 4
    Ptr[i64](check[C_LAUNCHED])[G_FLYING] -= 1


# -- what threads learn of each other -------------------------------------------------------------------


@fn(unchecked=True)
def next_tick(check: Ptr[i64]) -> int:
    launched = Ptr[i64](check[C_LAUNCHED])
    tick = launched[G_TICK] + 1
    if tick <= LAST_TICK:
        launched[G_TICK] = tick
    return min(tick, LAST_TICK)


@fn(unchecked=True)
def begin(slot: Ptr[i64], number: int) -> None:
    """A block begins in a slot."""
    check = Ptr[i64](slot[S_CHECK])
    launched = Ptr[i64](check[C_LAUNCHED])
    tick = next_tick(check)
    check[C_RUN] = tick << TICK_AT
    check[C_BASE] = tick << TICK_AT
    check[C_BLOCK] = number
    check[C_USES_FAR] = 0
    check[C_ACQUIRED] = 0
    check[C_TOGETHER] = 0
    if check[C_RESIDENT] == 0:
        launched[G_GROUP] = tick << TICK_AT
    check[C_GROUP] = launched[G_GROUP]
    log = Ptr[i64](launched[G_RUNS]) + 2 * launched[G_RUN_COUNT]
    log[0] = tick << TICK_AT | check[C_RESIDENT]
    log[1] = number
    launched[G_RUN_COUNT] += 1
    for t in range(slot[S_THREADS]):
        check[C_STAMPS + t] = tick << TICK_AT | check[C_RESIDENT] | t
    if check[C_FENCES] != 0:
        fences = Ptr[i64](check[C_FENCES])
        for k in range(FENCE_WORDS * slot[S_THREADS]):
            fences[k] = 0


@fn(unchecked=True)
def opened(slot: Ptr[i64]) -> None:
    """The barrier of a block is open: its threads know all that came before."""
    check = Ptr[i64](slot[S_CHECK])
    tick = next_tick(check)
    check[C_BASE] = END if tick == LAST_TICK else tick << TICK_AT
    for t in range(slot[S_THREADS]):
        check[C_STAMPS + t] = tick << TICK_AT | check[C_RESIDENT] | t


@fn(unchecked=True)
def met(slot: Ptr[i64], first: int, last: int, lanes: int) -> None:
    """Threads of a warp have waited for each other: each knows what any of them knows and did."""
    check = Ptr[i64](slot[S_CHECK])
    size = slot[S_WARP]
    near, far = Ptr[i64](check[C_NEAR]), Ptr[i64](check[C_FAR])
    for u in range(size):
        newest = 0
        for t in range(first, last):
            if lanes >> (t - first) & 1 != 0:
                newest = max(newest, near[t * size + u])
        if lanes >> u & 1 != 0:
            newest = max(newest, check[C_STAMPS + first + u] >> TICK_AT)
        for t in range(first, last):
            if lanes >> (t - first) & 1 != 0:
                near[t * size + u] = newest
    if check[C_USES_FAR] != 0:
        for u in range(slot[S_THREADS]):
            newest = 0
            for t in range(first, last):
                if lanes >> (t - first) & 1 != 0:
                    newest = max(newest, far[t * (THREAD + 1) + u])
            for t in range(first, last):
                if lanes >> (t - first) & 1 != 0:
                    far[t * (THREAD + 1) + u] = newest
    tick = next_tick(check)
    for t in range(first, last):
        if lanes >> (t - first) & 1 != 0:
            check[C_STAMPS + t] = tick << TICK_AT | check[C_STAMPS + t] & WHO


@fn(unchecked=True)
def next_word(slot: Ptr[i64]) -> int:
    """No access so far is as new as this word."""
    return Ptr[i64](Ptr[i64](slot[S_CHECK])[C_LAUNCHED])[G_TICK] + 1 << TICK_AT


@fn(unchecked=True)
def together(slot: Ptr[i64], word: int) -> None:
    """The blocks of a cluster or of the grid have come together: what is older than `word` is known to all."""
    Ptr[i64](slot[S_CHECK])[C_TOGETHER] = word


# -- time ------------------------------------------------------------------------------------------------


@fn(unchecked=True)
def pause(slot: Ptr[i64], thread: int, site: int) -> int:
    """Loops have gone round often: 1 if Python wants the kernel to end."""
    slot[S_STEPS] = STEPS
    check = Ptr[i64](slot[S_CHECK])
    if not ended(slot):
        return 1
    launched = Ptr[i64](check[C_LAUNCHED])
    held = call_address(launched[G_ENSURE], i32)
    answer = call_address(launched[G_SIGNALS], i32)
    if answer != 0:
        raised = launched + G_RAISED
        call_address(launched[G_FETCH], i32, raised, raised + 1, raised + 2)
    call_address(launched[G_LEAVE], i32, held)
    return 0 if answer == 0 else report(check, INTERRUPTED, thread, site, 0, 0, -1, 0)


@fn(unchecked=True)
def pick(slot: Ptr[i64], number: int, groups: int) -> int:
    """Which group runs as the one of this number; -1 if none. Numbers go on to a power of two."""
    launched = Ptr[i64](Ptr[i64](slot[S_CHECK])[C_LAUNCHED])
    size = launched[G_GROUPS]
    if size == 0 or number >= size:
        return number
    group = number * launched[G_STEP] + launched[G_SHIFT] & size - 1
    return group if group < groups else -1


@fn(unchecked=True)
def random(slot: Ptr[i64]) -> int:
    """A random number of 31 bits. (Steele and Vigna, "Computationally easy, spectrally good multipliers", 2021.)"""
    launched = Ptr[i64](Ptr[i64](slot[S_CHECK])[C_LAUNCHED])
    state = launched[G_RANDOM] * 2862933555777941757 + 3037000493
    launched[G_RANDOM] = state
    return state >> 32 & (1 << 31) - 1
