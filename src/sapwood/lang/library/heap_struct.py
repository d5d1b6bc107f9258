"""The end of structs on the heap, written in the language.

Ending an object may end those that its fields lead to, and so on: a list of a million nodes must not take a million
frames. So drop functions call each other some levels deep, and those beyond put their objects into a queue, which the
first one empties. `stored` is the type of the fields in memory; a field may be null while an object is made.
"""

from __future__ import annotations

import operator
from typing import Any

from sapwood.lang.api.annotations import Ptr
from sapwood.lang.api.dtypes import i64
from sapwood.lang.function import fn
from sapwood.lang.ops.heap import HEADER, free, object_at, stored_size, take
from sapwood.lang.ops.heap_struct import compare_fields, fields_at, heap_state
from sapwood.lang.ops.memory import address
from sapwood.lang.types import Str

DEPTH, QUEUE = 1, 2  # words of the shared state: how many drop functions are at work, those that wait for them
DEEPEST = 50  # drop functions that call each other
SOME_OBJECT = Str()


@fn(unchecked=True, inline=True)
def object_drop(w: Ptr[i64], stored):
    """Release the fields and give the memory back."""
    take(fields_at(w, stored), 0)
    free(w, HEADER + stored_size(stored))


@fn(unchecked=True)
def queued_drop(w: Ptr[i64], stored):
    """The same for objects whose fields may lead to others of their kind."""
    state = heap_state()
    depth = state[DEPTH]
    if depth < DEEPEST:
        state[DEPTH] = depth + 1
        object_drop(w, stored)
        while depth == 0 and state[QUEUE] != 0:
            following = Ptr[i64](state[QUEUE])
            state[QUEUE] = following[0]
            following[0] = 1
            object_at(following, SOME_OBJECT)  # nobody uses the reference, so it is released
        state[DEPTH] = depth
    else:
        w[0] = state[QUEUE]
        state[QUEUE] = address(w)


# Comparisons that `dataclass` generates, of classes that refer to themselves.


@fn
def _equal(x, y) -> bool:
    return compare_fields(x, y, operator.eq)


@fn
def _less(x, y) -> bool:
    return compare_fields(x, y, operator.lt)


@fn
def _less_equal(x, y) -> bool:
    return compare_fields(x, y, operator.le)


@fn
def _greater(x, y) -> bool:
    return compare_fields(x, y, operator.gt)


@fn
def _greater_equal(x, y) -> bool:
    return compare_fields(x, y, operator.ge)


COMPARE: dict[Any, Any] = {
    operator.eq: _equal, operator.lt: _less, operator.le: _less_equal, operator.gt: _greater,
    operator.ge: _greater_equal,
}  # fmt: skip
