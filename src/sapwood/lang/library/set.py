"""Sets, written in the language: a table of open addressing that grows and probes as CPython's, so that sets of ints
have the order of CPython's.

Words: 2 elements, 3 slots that are or were used, 4 slots minus one, 5 address of the slots (0: none yet), 6 where `pop`
goes on looking. A slot is (hash, element); hashes UNUSED and GONE say that there is no element.

`kind` is the heap type and `stored` the type of a slot in memory, both known at compile time.
"""

from __future__ import annotations

from sapwood.lang.api.annotations import Ptr
from sapwood.lang.api.dtypes import i64, u64
from sapwood.lang.function import fn, shared_code
from sapwood.lang.library.list import bytes_for
from sapwood.lang.ops.heap import allocate, elements_at, free, new_object, stored_size, words
from sapwood.lang.ops.memory import address
from sapwood.lang.ops.raw import equal_values, holds_references, keep, move_memory
from sapwood.lang.ops.tables import python_hash, read_item, take_item, write_item

LENGTH, FILL, MASK, SLOTS, FINGER = 2, 3, 4, 5, 6
BYTES = 56
UNUSED, GONE = -(1 << 63), 1 - (1 << 63)
LEAST = 8  # slots
PROBES = 9  # slots that are looked at one after the other
LARGE = 50000  # elements from which on a table doubles, where a smaller one quadruples


@shared_code("elements", unit=True)
def set_new(kind):
    s = new_object(kind, BYTES)
    w = words(s)
    for i in range(LENGTH, FINGER + 1):
        w[i] = 0
    w[MASK] = LEAST - 1
    return s


@fn(unchecked=True, inline=True)
def slots(s, stored):
    return elements_at(Ptr[i64](words(s)[SLOTS]), stored)


@fn(unchecked=True)
def set_drop(w: Ptr[i64], stored):
    if w[SLOTS] != 0:
        p = elements_at(Ptr[i64](w[SLOTS]), stored)
        if holds_references(stored):
            for i in range(w[MASK] + 1):
                if read_item(p, i, 0) > GONE:
                    take_item(p, i, 1)
        free(Ptr[i64](w[SLOTS]))
    free(w, BYTES)


@fn(unchecked=True)
def set_clear(kind, s) -> None:
    old = set_new(kind)
    v, w = words(old), words(s)
    for i in range(LENGTH, FINGER):
        v[i], w[i] = w[i], v[i]
    keep(old)  # its elements end when the set is empty


@fn(unchecked=True, inline=True)
def element_hash(x) -> int:
    h = python_hash(x)
    return h if h > GONE else h + 2


@fn(unchecked=True)
def set_find(s, stored, x, h: int) -> int:
    """The slot of an element; -1 - the slot where it would go, if it is not there."""
    w = words(s)
    if w[SLOTS] == 0:
        return -1
    i, perturb = u64(h), u64(h)
    gone = -1
    while True:
        i = i & u64(w[MASK])
        at = int(i)
        probes = PROBES if at + PROBES <= w[MASK] else 0
        while probes >= 0:
            found = read_item(slots(s, stored), at, 0)
            if found == UNUSED:
                return -1 - (at if gone < 0 else gone)
            if found == GONE:
                gone = at  # the last of them is taken again
            elif found == h and equal_values(read_item(slots(s, stored), at, 1), x):
                return at
            at += 1
            probes -= 1
        perturb = perturb >> u64(5)
        i = i * u64(5) + u64(1) + perturb


@fn(unchecked=True)
def free_slot(p, mask: int, h: int) -> int:
    """An unused slot in a table where nothing is gone and the element is not."""
    i, perturb = u64(h), u64(h)
    while True:
        i = i & u64(mask)
        at = int(i)
        probes = PROBES if at + PROBES <= mask else 0
        while probes >= 0:
            if read_item(p, at, 0) == UNUSED:
                return at
            at += 1
            probes -= 1
        perturb = perturb >> u64(5)
        i = i * u64(5) + u64(1) + perturb


@shared_code("slots", unit=True)
def set_resize(s, stored, least: int) -> None:
    """A table of more slots than `least`, without those that are gone."""
    n = LEAST
    while n <= least:
        n *= 2
    w = words(s)
    size = stored_size(stored)
    memory = allocate(bytes_for(n, size))
    q, p = elements_at(memory, stored), slots(s, stored)
    for i in range(n):
        write_item(q, i, 0, UNUSED)
    if w[SLOTS] != 0:
        for i in range(w[MASK] + 1):
            h = read_item(p, i, 0)
            if h > GONE:
                move_memory(q + free_slot(q, n - 1, h), p + i, size)
        free(Ptr[i64](w[SLOTS]))
    w[SLOTS], w[MASK], w[FILL] = address(memory), n - 1, w[LENGTH]


@fn(unchecked=True, inline=True)
def roomy(n: int) -> int:
    """What a table with n elements grows beyond."""
    return n * 2 if n > LARGE else n * 4


@fn(unchecked=True, unit=True)
def set_add(s, stored, x, h: int) -> None:
    w = words(s)
    if w[SLOTS] == 0:
        set_resize(s, stored, 0)
    found = set_find(s, stored, x, h)
    if found >= 0:
        return
    at = -1 - found
    if read_item(slots(s, stored), at, 0) == GONE:
        p = slots(s, stored)
        write_item(p, at, 0, h)
        write_item(p, at, 1, x)
        w[LENGTH] = w[LENGTH] + 1
        return
    if (w[FILL] + 1) * 5 >= w[MASK] * 3:  # grow first: then nothing can fail once the element is in
        set_grow_with(s, stored, x, h, at)
        return
    p = slots(s, stored)
    write_item(p, at, 0, h)
    write_item(p, at, 1, x)
    w[FILL] = w[FILL] + 1
    w[LENGTH] = w[LENGTH] + 1


@fn(unchecked=True)
def set_grow_with(s, stored, x, h: int, at: int) -> None:
    """Add an element at a free slot of a table that is to grow.

    CPython grows afterwards, and so the order is its order; but slots have to stay unused, or looking for one would
    take long and at last never end. Where growing has failed so often that few are left, it comes first.
    """
    w = words(s)
    if w[FILL] * 8 >= w[MASK] * 7:
        set_resize(s, stored, roomy(w[LENGTH] + 1))
        at = -1 - set_find(s, stored, x, h)
    p = slots(s, stored)
    write_item(p, at, 0, h)
    write_item(p, at, 1, x)
    w[FILL] = w[FILL] + 1
    w[LENGTH] = w[LENGTH] + 1
    set_resize(s, stored, roomy(w[LENGTH]))


@fn(unchecked=True, inline=True)
def set_put(s, stored, x) -> None:
    set_add(s, stored, x, element_hash(x))


@fn(unchecked=True)
def set_take(s, stored, at: int):
    """The element of a slot, which leaves the set."""
    p = slots(s, stored)
    w = words(s)
    x = take_item(p, at, 1)
    write_item(p, at, 0, GONE)
    w[LENGTH] = w[LENGTH] - 1
    return x


@fn(unchecked=True, inline=True)
def set_discard(s, stored, x, h: int) -> bool:
    """Whether the element was there, which it is not now."""
    at = set_find(s, stored, x, h)
    if at >= 0:
        set_take(s, stored, at)
    return at >= 0


@fn(unchecked=True)
def set_pop(s, stored):
    """Some element of a set that is not empty."""
    w = words(s)
    p = slots(s, stored)
    at = w[FINGER] & w[MASK]
    while read_item(p, at, 0) <= GONE:
        at = at + 1 if at < w[MASK] else 0
    w[FINGER] = at + 1
    return set_take(s, stored, at)


@shared_code("slots")
def set_next(s, stored, i: int) -> int:
    """The first slot from i on that holds an element; one behind the last if there is none."""
    w = words(s)
    if w[SLOTS] == 0:
        return LEAST
    while i <= w[MASK] and read_item(slots(s, stored), i, 0) <= GONE:
        i += 1
    return i


# -- whole sets -------------------------------------------------------------------------------------


@fn(unchecked=True, unit=True)
def set_merge(s, stored, t) -> None:
    """`s |= t`"""
    v, w = words(s), words(t)
    n = w[LENGTH]
    if v[SLOTS] == w[SLOTS] or n == 0:
        return
    if (v[FILL] + n) * 5 >= v[MASK] * 3:
        set_resize(s, stored, (v[LENGTH] + n) * 2)
    elif v[SLOTS] == 0:
        set_resize(s, stored, 0)
    clean = v[FILL] == 0
    same = clean and v[MASK] == w[MASK] and w[FILL] == n
    i = set_next(t, stored, 0)
    while i <= w[MASK]:
        q = slots(t, stored)
        h, x = read_item(q, i, 0), read_item(q, i, 1)
        if clean:
            p = slots(s, stored)
            at = i if same else free_slot(p, v[MASK], h)
            write_item(p, at, 0, h)
            write_item(p, at, 1, x)
            v[LENGTH] = v[LENGTH] + 1
            v[FILL] = v[FILL] + 1
        else:
            set_add(s, stored, x, h)
        i = set_next(t, stored, i + 1)


@fn(unchecked=True)
def set_join(s, stored, t, of) -> None:
    """`s |= t` where s began as a copy of `of`; of the set itself CPython makes room for nothing."""
    if address(words(t)) != address(words(of)):
        set_merge(s, stored, t)


@fn(unchecked=True)
def set_copy(kind, s, stored):
    out = set_new(kind)
    set_merge(out, stored, s)
    return out


@fn(unchecked=True, unit=True)
def set_intersection(kind, s, t, stored):
    """`s & t`: the smaller one is gone through, t if they are of a size."""
    if address(words(s)) == address(words(t)):
        return set_copy(kind, s, stored)
    out = set_new(kind)
    if words(t)[LENGTH] > words(s)[LENGTH]:
        set_add_common(out, s, t, stored)
    else:
        set_add_common(out, t, s, stored)
    return out


@fn(unchecked=True)
def set_add_common(out, s, t, stored) -> None:
    """Put the elements of s that t has into out."""
    i = set_next(s, stored, 0)
    while i <= words(s)[MASK]:
        p = slots(s, stored)
        h, x = read_item(p, i, 0), read_item(p, i, 1)
        if set_find(t, stored, x, h) >= 0:
            set_add(out, stored, x, h)
        i = set_next(s, stored, i + 1)


@fn(unchecked=True, unit=True)
def set_subtract(kind, s, t, stored) -> None:
    """`s -= t`"""
    v, w = words(s), words(t)
    if v[SLOTS] == w[SLOTS]:
        set_clear(kind, s)
        return
    i = set_next(t, stored, 0)
    while i <= w[MASK]:
        p = slots(t, stored)
        set_discard(s, stored, read_item(p, i, 1), read_item(p, i, 0))
        i = set_next(t, stored, i + 1)
    set_tidy(s, stored)


@fn(unchecked=True)
def set_tidy(s, stored) -> None:
    """After many elements have gone: a table without their slots, if they are more than a quarter."""
    w = words(s)
    if w[FILL] - w[LENGTH] > w[MASK] // 4:
        set_resize(s, stored, roomy(w[LENGTH]))


@fn(unchecked=True, unit=True)
def set_difference(kind, s, t, stored):
    """`s - t`"""
    if (words(s)[LENGTH] >> 2) > words(t)[LENGTH]:
        out = set_copy(kind, s, stored)
        set_subtract(kind, out, t, stored)
        return out
    out = set_new(kind)
    i = set_next(s, stored, 0)
    while i <= words(s)[MASK]:
        p = slots(s, stored)
        h, x = read_item(p, i, 0), read_item(p, i, 1)
        if set_find(t, stored, x, h) < 0:
            set_add(out, stored, x, h)
        i = set_next(s, stored, i + 1)
    return out


@fn(unchecked=True, unit=True)
def set_toggle(kind, s, t, stored) -> None:
    """`s ^= t`"""
    if words(s)[SLOTS] == words(t)[SLOTS]:
        set_clear(kind, s)
        return
    i = set_next(t, stored, 0)
    while i <= words(t)[MASK]:
        p = slots(t, stored)
        h, x = read_item(p, i, 0), read_item(p, i, 1)
        if not set_discard(s, stored, x, h):
            set_add(s, stored, x, h)
        i = set_next(t, stored, i + 1)


@fn(unchecked=True, unit=True)
def set_common(s, t, stored) -> int:
    """How many elements of s are in t, up to the first that is not: len(s) if all are."""
    n = 0
    i = set_next(s, stored, 0)
    while i <= words(s)[MASK]:
        p = slots(s, stored)
        if set_find(t, stored, read_item(p, i, 1), read_item(p, i, 0)) < 0:
            return n
        n += 1
        i = set_next(s, stored, i + 1)
    return n


@fn(unchecked=True)
def set_disjoint(s, t, stored) -> bool:
    i = set_next(s, stored, 0)
    while i <= words(s)[MASK]:
        p = slots(s, stored)
        if set_find(t, stored, read_item(p, i, 1), read_item(p, i, 0)) >= 0:
            return False
        i = set_next(s, stored, i + 1)
    return True


@fn(unchecked=True, unit=True)
def set_hash(s, stored) -> int:
    """The hash of a frozenset: it does not depend on order."""
    h = u64(0)
    i = set_next(s, stored, 0)
    while i <= words(s)[MASK]:
        x = u64(read_item(slots(s, stored), i, 0))
        h = h ^ ((x ^ u64(89869747) ^ (x << u64(16))) * u64(3644798167))
        i = set_next(s, stored, i + 1)
    h = h ^ (u64(words(s)[LENGTH] + 1) * u64(1927868237))
    h = h ^ (h >> u64(11)) ^ (h >> u64(25))
    h = h * u64(69069) + u64(907133923)
    return 590923713 if h == u64(18446744073709551615) else int(h)
