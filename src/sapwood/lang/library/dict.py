"""Dicts, written in the language: entries (key, value) in the order of insertion, and a table of their places.

Words: 2 live entries, 3 places used (live and dead), 4 address of the entries, 5 of the table, 6 its slots minus one,
7 places that there are, 8 address of a byte for each place that is 1 where the entry is dead (0: none is). The last
place is always live. Table and entries share one allocation. A slot is 0 (empty), or the hash's tag in its high half
and the place plus one in the low; the table is probed linearly, and deleting moves later slots up, so none is in vain.

A defaultdict whose factory reads values of run time has one more word, 9: the address of a list with one tuple of them.

`kind` is the heap type and `stored` the type of an entry in memory, both known at compile time.
"""

from __future__ import annotations

from sapwood.lang.api.annotations import Ptr
from sapwood.lang.api.dtypes import i64, u8, u64
from sapwood.lang.function import fn, shared_code
from sapwood.lang.library.hashing import mix
from sapwood.lang.library.list import TOO_MANY, bytes_for
from sapwood.lang.ops.heap import (
    allocate,
    elements_at,
    free,
    new_object,
    stored_size,
    take,
    words,
)
from sapwood.lang.ops.memory import address
from sapwood.lang.ops.raw import equal_values, fill_memory, holds_references, keep, move_memory
from sapwood.lang.ops.tables import read_item, table_hash, take_item, write_item

LENGTH, USED, ENTRIES, TABLE, MASK, PLACES, DEAD, KEPT = 2, 3, 4, 5, 6, 7, 8, 9
BYTES = 72
LOW = 0xFFFFFFFF  # the half of a slot that holds the place
LEAST = 8  # slots
MOST = 1 << 32  # slots


@shared_code("elements", unit=True)
def dict_new(kind):
    d = new_object(kind, BYTES)
    w = words(d)
    for i in range(LENGTH, DEAD + 1):
        w[i] = 0
    return d


@fn(unchecked=True)
def dict_end_entries(w: Ptr[i64], stored) -> None:
    """Release what the entries hold and give their memory back; the words stay as they are."""
    if w[PLACES] == 0:
        return
    p = elements_at(Ptr[i64](w[ENTRIES]), stored)
    dead = Ptr[u8](w[DEAD])
    if holds_references(stored):
        for i in range(w[USED]):
            if w[DEAD] == 0 or dead[i] == u8(0):
                take(p, i)
    free(Ptr[i64](w[TABLE]))
    if w[DEAD] != 0:
        free(Ptr[i64](w[DEAD]))


@fn(unchecked=True)
def dict_drop(w: Ptr[i64], stored):
    dict_end_entries(w, stored)
    free(w, BYTES)


# -- with what a factory reads, of the type `kept` in memory ------------------------------------------


@fn(unchecked=True)
def dict_new_with(kind, around, kept):
    d = new_object(kind, BYTES + 8)
    w = words(d)
    for i in range(LENGTH, DEAD + 1):
        w[i] = 0
    elements_at(w + KEPT, kept)[0] = around
    return d


@fn(unchecked=True, inline=True)
def dict_kept(d, kept):
    return elements_at(words(d) + KEPT, kept)[0]


@fn(unchecked=True)
def dict_drop_with(w: Ptr[i64], stored, kept):
    dict_end_entries(w, stored)
    take(elements_at(w + KEPT, kept), 0)
    free(w, BYTES + 8)


# -- all entries at once ------------------------------------------------------------------------------


@fn(unchecked=True)
def dict_clear(kind, d, stored) -> None:
    old = dict_new(kind)
    v, w = words(old), words(d)
    for i in range(LENGTH, DEAD + 1):
        v[i] = w[i]
        w[i] = 0
    keep(old)  # its entries end when the dict is empty


# -- looking ----------------------------------------------------------------------------------------


@fn(unchecked=True, inline=True)
def entries(d, stored):
    return elements_at(Ptr[i64](words(d)[ENTRIES]), stored)


@shared_code("values")
def dict_find(d, stored, key, tag: u64) -> int:
    """The place of a key, or -1."""
    w = words(d)
    if w[PLACES] == 0:
        return -1
    at = tag
    while True:
        at = at & u64(w[MASK])
        slot = Ptr[u64](w[TABLE])[int(at)]
        if slot == u64(0):
            return -1
        if (slot >> u64(32)) == tag:
            place = int(slot & u64(LOW)) - 1
            if equal_values(read_item(entries(d, stored), place, 0), key):
                return place
        at = at + u64(1)


@shared_code("values")
def dict_place(d, stored, key) -> int:
    """The place of a key, or -1, where its hash is not needed again."""
    return dict_find(d, stored, key, mix(table_hash(key)))


# -- room -------------------------------------------------------------------------------------------


@fn(unchecked=True, inline=True)
def places_of(slots: int) -> int:
    """How many entries go with a table."""
    return (slots >> 1) + (slots >> 3)


@shared_code("values")
def dict_resize(d, stored, slots: int) -> None:
    """Entries without gaps, and a table of so many slots."""
    w = words(d)
    size = stored_size(stored)
    places = places_of(slots)
    memory = allocate(slots * 8 + bytes_for(places, size) if slots <= MOST else TOO_MANY)
    table = Ptr[u64](address(memory))
    fill_memory(table, 0, slots * 8)
    mask = u64(slots - 1)
    used = w[USED]
    p, q = elements_at(Ptr[i64](w[ENTRIES]), stored), elements_at(memory + slots * 8, stored)
    if w[PLACES] > 0:
        old = Ptr[u64](w[TABLE])
        if w[DEAD] == 0:
            move_memory(q, p, used * size)
            for i in range(w[MASK] + 1):  # the old table tells the hashes
                slot = old[i]
                if slot != u64(0):
                    insert_slot(table, mask, slot)
        else:
            dead = Ptr[u8](w[DEAD])
            live = 0
            for i in range(used):
                if dead[i] == u8(0):
                    move_memory(q + live, p + i, size)
                    tag = mix(table_hash(read_item(q, live, 0)))
                    live += 1
                    insert_slot(table, mask, (tag << u64(32)) | u64(live))
            used = live
            free(dead)
            w[DEAD] = 0
        free(old)
    w[ENTRIES], w[TABLE] = address(q), address(table)
    w[MASK], w[PLACES], w[USED] = slots - 1, places, used


@fn(unchecked=True, inline=True)
def insert_slot(table: Ptr[u64], mask: u64, slot: u64) -> None:
    at = (slot >> u64(32)) & mask
    while table[int(at)] != u64(0):
        at = (at + u64(1)) & mask
    table[int(at)] = slot


@shared_code("values", unit=True)
def dict_reserve(d, stored, n: int) -> None:
    """Room for n entries in all, before any is there."""
    slots = LEAST
    while places_of(slots) < n and slots < MOST:
        slots *= 2
    if n > 0 and words(d)[PLACES] == 0:
        dict_resize(d, stored, slots)


@shared_code("values", unit=True)
def dict_grow(d, stored) -> None:
    """Room for another entry: twice the table, or the same without the dead ones."""
    w = words(d)
    if w[PLACES] == 0:
        dict_resize(d, stored, LEAST)
    elif w[LENGTH] * 2 > w[PLACES]:
        dict_resize(d, stored, (w[MASK] + 1) * 2)
    else:
        dict_resize(d, stored, w[MASK] + 1)


# -- changing ---------------------------------------------------------------------------------------


@fn(unchecked=True, inline=True)
def dict_add(d, stored, key, value, tag: u64) -> None:
    """An entry for a key that is not there."""
    w = words(d)
    if w[USED] == w[PLACES]:
        dict_grow(d, stored)
    place = w[USED]
    p = entries(d, stored)
    write_item(p, place, 0, key)
    write_item(p, place, 1, value)
    if w[DEAD] != 0:
        Ptr[u8](w[DEAD])[place] = u8(0)
    insert_slot(Ptr[u64](w[TABLE]), u64(w[MASK]), (tag << u64(32)) | u64(place + 1))
    w[USED] = place + 1
    w[LENGTH] = w[LENGTH] + 1


@fn(unchecked=True, inline=True)
def dict_replace(d, stored, place: int, value) -> None:
    """Another value at a place."""
    p = entries(d, stored)
    old = take_item(p, place, 1)
    write_item(p, place, 1, value)
    keep(old)  # ends when the dict is whole again


@shared_code("values")
def dict_set(d, stored, key, value) -> None:
    """`d[key] = value`"""
    tag = mix(table_hash(key))
    place = dict_find(d, stored, key, tag)
    if place < 0:
        dict_add(d, stored, key, value, tag)
    else:
        dict_replace(d, stored, place, value)


@shared_code("values")
def dict_set_at(d, stored, key, value, place: int) -> None:
    """`d[key] = value`, where the place of the key is known; -1: it is not there."""
    if place < 0:
        dict_add(d, stored, key, value, mix(table_hash(key)))
    else:
        dict_replace(d, stored, place, value)


@shared_code("values")
def dict_set_default(d, stored, key, value) -> int:
    """The place of a key, which gets the value if it is new."""
    tag = mix(table_hash(key))
    place = dict_find(d, stored, key, tag)
    if place < 0:
        dict_add(d, stored, key, value, tag)
        place = words(d)[USED] - 1
    return place


@shared_code("values", unit=True)
def dict_forget(d, stored, place: int) -> None:
    """The entry at a place is there no more; what it holds is still to be moved out."""
    w = words(d)
    if place + 1 < w[USED] and w[DEAD] == 0:
        w[DEAD] = address(allocate(w[PLACES]))
        fill_memory(Ptr[u8](w[DEAD]), 0, w[PLACES])
    table, mask = Ptr[u64](w[TABLE]), u64(w[MASK])
    at = mix(table_hash(read_item(entries(d, stored), place, 0))) & mask
    while (table[int(at)] & u64(LOW)) != u64(place + 1):
        at = (at + u64(1)) & mask
    close_slot(table, mask, at)
    w[LENGTH] = w[LENGTH] - 1
    if place + 1 < w[USED]:
        Ptr[u8](w[DEAD])[place] = u8(1)
        return
    used = place
    if w[DEAD] != 0:
        dead = Ptr[u8](w[DEAD])
        while used > 0 and dead[used - 1] != u8(0):
            used -= 1
    w[USED] = used


@fn(unchecked=True)
def close_slot(table: Ptr[u64], mask: u64, hole: u64) -> None:
    """Empty a slot: later ones of the same run move up where they are found from their homes."""
    at = hole
    while True:
        at = (at + u64(1)) & mask
        slot = table[int(at)]
        if slot == u64(0):
            break
        home = slot >> u64(32)
        if ((at - home) & mask) >= ((at - hole) & mask):
            table[int(hole)] = slot
            hole = at
    table[int(hole)] = u64(0)


@fn(unchecked=True)
def dict_take(d, stored, place: int):
    """The value at a place; the entry leaves the dict."""
    dict_forget(d, stored, place)
    p = entries(d, stored)
    key = take_item(p, place, 0)
    value = take_item(p, place, 1)
    keep(key)
    return value


@fn(unchecked=True)
def dict_take_entry(d, stored, place: int):
    dict_forget(d, stored, place)
    p = entries(d, stored)
    return take_item(p, place, 0), take_item(p, place, 1)


# -- whole dicts ------------------------------------------------------------------------------------


@fn(unchecked=True, unit=True)
def dict_skip(w: Ptr[i64], i: int) -> int:
    """The first live place from i on, of a dict with these words."""
    dead = Ptr[u8](w[DEAD])
    while i < w[USED] and dead[i] != u8(0):
        i += 1
    return i


@fn(unchecked=True, inline=True)
def dict_next(d, i: int) -> int:
    return dict_skip(words(d), i) if words(d)[DEAD] != 0 else i


@fn(unchecked=True, inline=True)
def dict_before(d, i: int) -> int:
    """The last live place before i, or -1."""
    w = words(d)
    i = min(i, w[USED]) - 1
    while i >= 0 and w[DEAD] != 0 and Ptr[u8](w[DEAD])[i] != u8(0):
        i -= 1
    return i


@fn(unchecked=True, unit=True)
def dict_update(d, stored, other) -> None:
    """`d.update(other)`, of a dict with the same types."""
    i = dict_next(other, 0)
    while i < words(other)[USED]:
        p = entries(other, stored)
        dict_set(d, stored, read_item(p, i, 0), read_item(p, i, 1))
        i = dict_next(other, i + 1)


@fn(unchecked=True)
def dict_copy(kind, d, stored):
    out = dict_new(kind)
    dict_reserve(out, stored, words(d)[LENGTH])
    dict_update(out, stored, d)
    return out


@fn(unchecked=True, unit=True)
def dict_equal(d, stored, other, other_stored) -> bool:
    if words(d)[LENGTH] != words(other)[LENGTH]:
        return False
    i = dict_next(d, 0)
    while i < words(d)[USED]:
        p = entries(d, stored)
        place = dict_place(other, other_stored, read_item(p, i, 0))
        if place < 0 or not equal_values(read_item(p, i, 1), read_item(entries(other, other_stored), place, 1)):
            return False
        i = dict_next(d, i + 1)
    return True
