"""What happens to an exception between the place that raises it and the one that handles it.

A handler moves the record into a slot of its own frame. When the exception goes on from there (it is raised again, or
becomes the cause or context of another), it moves to a cell with a count of references. Only handlers run this code.
"""

from __future__ import annotations

from sapwood.lang.api.annotations import Ptr
from sapwood.lang.api.dtypes import i32, i64
from sapwood.lang.function import fn
from sapwood.lang.ops.memory import address
from sapwood.lang.ops.system import call_address, call_native
from sapwood.runtime.error_layout import (
    CAUSE,
    CELL_WORDS,
    CLASSES,
    CONTEXT,
    COUNT,
    DESCRIPTOR,
    FROM_NONE,
    OBJECT,
    OBJECTS_AT,
    OWNED_AT,
    SHARED,
    VALUES,
    WORDS,
)


@fn(unchecked=True)
def move(source: Ptr[i64], target: Ptr[i64]) -> None:
    for i in range(WORDS):
        target[i] = source[i]


@fn(unchecked=True)
def contents(record: Ptr[i64]) -> int:
    """Address of the record that holds the exception itself: that in the cell, if it is in one."""
    if record[COUNT] == SHARED:
        return record[DESCRIPTOR] + 8
    return address(record)


@fn(unchecked=True)
def matches(record: Ptr[i64], name: int) -> bool:
    """Whether the exception is of the class with this hash or of one derived from it."""
    inner = Ptr[i64](contents(record))
    if inner[COUNT] == OBJECT:
        return call_native("sapwood_exception_matches", i32, inner[DESCRIPTOR], name) != 0
    table = Ptr[i64](inner[DESCRIPTOR])
    for i in range(table[0] & CLASSES):
        if table[1 + i] == name:
            return True
    return False


@fn(unchecked=True)
def shared(record: Ptr[i64]) -> int:
    """The cell of the exception, where it moves if it is in none; 0 when there is no memory."""
    if record[COUNT] != SHARED:
        cell = call_native("malloc", i64, 8 * CELL_WORDS)
        if cell == 0:
            return 0
        words = Ptr[i64](cell)
        words[0] = 1
        move(record, words + 1)
        record[DESCRIPTOR] = cell
        record[COUNT] = SHARED
        record[CONTEXT] = 0
        record[CAUSE] = 0
    return record[DESCRIPTOR]


@fn(unchecked=True)
def share(record: Ptr[i64]) -> int:
    """The cell of the exception with one reference more."""
    cell = shared(record)
    if cell != 0:
        Ptr[i64](cell)[0] += 1
    return cell


@fn(unchecked=True)
def raise_again(slot: Ptr[i64], record: Ptr[i64]) -> None:
    """Put the exception into the record as well, which must be empty."""
    cell = share(slot)
    if cell == 0:  # no memory: it leaves the slot
        move(slot, record)
        slot[COUNT] = 0
        slot[DESCRIPTOR] = address(slot + CONTEXT)  # an empty table
        slot[CONTEXT] = 0
        slot[CAUSE] = 0
        return
    record[DESCRIPTOR] = cell
    record[COUNT] = SHARED
    record[CONTEXT] = 0
    record[CAUSE] = 0


@fn(unchecked=True)
def as_object(slot: Ptr[i64]) -> int:
    """Address of the exception as a Python object, which it becomes, with one reference more."""
    record = Ptr[i64](contents(slot))
    if record[COUNT] != OBJECT:
        call_native("sapwood_make_exception", i32, record)
    call_native("Py_IncRef", i32, record[DESCRIPTOR])
    return record[DESCRIPTOR]


@fn(unchecked=True)
def give_up(cell: int, pending: int) -> int:
    """One reference less to a cell. The last one puts it in front of the list of those that end."""
    if cell <= FROM_NONE:
        return pending
    words = Ptr[i64](cell)
    words[0] -= 1
    if words[0] != 0:
        return pending
    words[0] = pending
    return cell


@fn(unchecked=True)
def release_object(at: int, record: Ptr[i64]) -> None:
    """One reference less to a heap object, {i64 count, ptr drop, ...}."""
    words = Ptr[i64](at)
    words[0] -= 1
    if words[0] == 0:
        call_address(words[1], i32, at, record)


@fn(unchecked=True)
def give_up_parts(record: Ptr[i64], pending: int) -> int:
    """Give up all that a record refers to; what ends with it goes in front of the list `pending`."""
    count = record[COUNT]
    if count == SHARED:
        return give_up(record[DESCRIPTOR], pending)
    if count == OBJECT:
        call_native("sapwood_release_exception", i32, record[DESCRIPTOR])
    else:
        head = Ptr[i64](record[DESCRIPTOR])[0]
        if head >> OWNED_AT != 0:
            for i in range(count):
                value = record[VALUES + i]
                if value != 0 and head >> (OWNED_AT + i) & 1 != 0:
                    release_object(value, record)
                if value != 0 and head >> (OBJECTS_AT + i) & 1 != 0:
                    call_native("sapwood_release_exception", i32, value)
    pending = give_up(record[CONTEXT], pending)
    return give_up(record[CAUSE], pending)


@fn(unchecked=True)
def discard(record: Ptr[i64]) -> None:
    """End of an exception that nobody sees any more."""
    pending = give_up_parts(record, 0)
    while pending != 0:
        cell = Ptr[i64](pending)
        following = cell[0]
        following = give_up_parts(cell + 1, following)
        call_native("free", i32, cell)
        pending = following


@fn(unchecked=True)
def set_context(record: Ptr[i64], slot: Ptr[i64]) -> None:
    """The exception in the record left the handler of the one in the slot, which ends: it becomes the context of the
    former, or of the last of those that stand between them. It is not made its own context."""
    cell = shared(slot)
    if cell == 0:
        discard(slot)
        return
    if record[COUNT] == SHARED:  # the record's exception may be a context of the slot's: they would form a ring
        at = Ptr[i64](cell) + 1
        while at[COUNT] >= 0 and at[CONTEXT] != 0:
            if at[CONTEXT] == record[DESCRIPTOR]:
                Ptr[i64](at[CONTEXT])[0] -= 1  # the record has another reference
                at[CONTEXT] = 0
            else:
                at = Ptr[i64](at[CONTEXT]) + 1
    last = Ptr[i64](contents(record))
    own = cell + 8
    while address(last) != own and last[COUNT] >= 0 and last[CONTEXT] != 0:
        last = Ptr[i64](last[CONTEXT]) + 1
    if address(last) == own:
        discard(slot)
    elif last[COUNT] == OBJECT:
        call_native("sapwood_set_exception_context", i32, last[DESCRIPTOR], cell)
        discard(slot)
    else:
        last[CONTEXT] = cell
