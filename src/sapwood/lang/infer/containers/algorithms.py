"""heapq, bisect and functools.reduce. The work is done in library/heaps.py and library/bisection.py."""

from __future__ import annotations

import bisect
import functools
import heapq
import operator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from sapwood.lang import types as ty
from sapwood.lang.errors import BadOperand
from sapwood.lang.infer.builtins import builtin
from sapwood.lang.infer.containers.list_methods import append, insert, is_plain, require_order
from sapwood.lang.infer.containers.lists import (
    LENGTH,
    collect,
    element_spec,
    is_empty,
    is_list,
    make_list,
    nothing_there,
    store_value,
    word,
)
from sapwood.lang.infer.iteration.adapters import lazy
from sapwood.lang.infer.iteration.itertools_module import gathered
from sapwood.lang.infer.objects import get_item
from sapwood.lang.infer.objects import length as length_of
from sapwood.lang.ir.ssa import Var
from sapwood.lang.join import Clash, join
from sapwood.lang.ops.operators import binary, require_index, truth
from sapwood.lang.values import Agg, Known, Value, describe

if TYPE_CHECKING:
    from sapwood.lang.infer.walker import FunctionWalker as Walker

NONE = Known(None)


# -- heapq --------------------------------------------------------------------------------------------


def _heap(w: Walker, xs: Value, function: Any) -> Var:
    if not is_list(xs):
        hint = "heaps are lists: make one, and heapify it"
        raise BadOperand(w.b.loc, function=function.__name__, detail=f"needs a list, not {describe(xs)}", hint=hint)
    assert isinstance(xs, Var)
    if not is_empty(xs):
        require_order(w, element_spec(xs))
    return xs


def _plain(xs: Var) -> Known:
    return Known(is_plain(element_spec(xs)))


@builtin(heapq.heappush)
def _heappush(walker: Walker, heap: Value, item: Value, /) -> Value:
    from sapwood.lang.library.heaps import sift_down

    xs = _heap(walker, heap, heapq.heappush)
    append(walker, xs, item)
    if not is_empty(xs):
        last = binary(walker.b, operator.sub, word(walker.b, xs, LENGTH), Known(1))
        walker.call_compiled(sift_down, [xs, Known(0), last, _plain(xs)], {})
    return NONE


@builtin(heapq.heapify)
def _heapify(walker: Walker, heap: Value, /) -> Value:
    from sapwood.lang.library.heaps import heapify

    xs = _heap(walker, heap, heapq.heapify)
    if not is_empty(xs):
        walker.call_compiled(heapify, [xs, _plain(xs)], {})
    return NONE


def _require_items(w: Walker, xs: Var) -> None:
    if is_empty(xs):
        nothing_there(w, IndexError, "index out of range")
    none = binary(w.b, operator.eq, word(w.b, xs, LENGTH), Known(0))
    w.b.raise_if(w.b.materialize(none), IndexError, "index out of range")


@builtin(heapq.heappop)
def _heappop(walker: Walker, heap: Value, /) -> Value:
    from sapwood.lang.library.heaps import heap_pop

    xs = _heap(walker, heap, heapq.heappop)
    _require_items(walker, xs)
    return walker.call_compiled(heap_pop, [xs, _plain(xs)], {})


@builtin(heapq.heapreplace)
def _heapreplace(walker: Walker, heap: Value, item: Value, /) -> Value:
    from sapwood.lang.library.heaps import heap_replace

    xs = _heap(walker, heap, heapq.heapreplace)
    x = store_value(walker, xs, item)
    _require_items(walker, xs)
    return walker.call_compiled(heap_replace, [xs, x, _plain(xs)], {})


@builtin(heapq.heappushpop)
def _heappushpop(walker: Walker, heap: Value, item: Value, /) -> Value:
    from sapwood.lang.library.heaps import heap_replace

    w, xs = walker, _heap(walker, heap, heapq.heappushpop)
    x = store_value(w, xs, item)
    if is_empty(xs):
        return x

    def smaller() -> Value:
        return truth(w.b, w.operate(operator.lt, get_item(w, xs, Known(0)), x))

    some = truth(w.b, binary(w.b, operator.gt, word(w.b, xs, LENGTH), Known(0)))
    less = w.choose(some, smaller, lambda: Known(False), "heappushpop()")
    return w.choose(
        less, lambda: w.call_compiled(heap_replace, [xs, x, _plain(xs)], {}), lambda: x, "heappushpop()"
    )


def _first(w: Walker, n: Value, iterable: Value, key: Value, reverse: bool) -> Value:
    """The first n of the sorted items, as CPython's documentation says what nsmallest and nlargest give."""
    loc = w.b.loc
    xs = w.call(Known(sorted), [iterable], {"key": key, "reverse": Known(reverse)}, loc)
    count = w.call(Known(max), [require_index(w.b, n, "how many items are wanted"), Known(0)], {}, loc)
    return get_item(w, xs, Agg(ty.Tuple(4), (Known(slice), NONE, count, NONE)))


@builtin(heapq.nsmallest)
def _nsmallest(walker: Walker, n: Value, iterable: Value, key: Value = NONE) -> Value:
    return _first(walker, n, iterable, key, False)


@builtin(heapq.nlargest)
def _nlargest(walker: Walker, n: Value, iterable: Value, key: Value = NONE) -> Value:
    return _first(walker, n, iterable, key, True)


@builtin(heapq.merge)
def _merge(walker: Walker, *iterables: Value, key: Value = NONE, reverse: Value = Known(False)) -> Value:
    """The items of all are gathered at once, and merged; CPython asks for each when it is its turn."""
    pools = [gathered(walker, v) for v in iterables]
    pools = [p for p in pools if not is_empty(p)]
    if not pools:
        return lazy("iter", Known(()))
    with suppress(Clash):  # ints beside floats
        elem = functools.reduce(join, map(element_spec, pools))
        pools = [collect(walker, p, elem) if element_spec(p) != elem else p for p in pools]
    return merge_lists(walker, make_list(walker, *pools), key, reverse)


def merge_lists(w: Walker, lists: Value, key: Value, reverse: Value) -> Value:
    """heapq.merge of a list of lists."""
    from sapwood.lang.library.heaps import merged

    assert isinstance(lists, Var)
    if is_empty(lists):
        return lazy("iter", Known(()))
    ranks = lists
    if key == NONE:
        require_order(w, element_spec(lists).data.target.elem)
    else:
        from sapwood.lang.library.heaps import ranked

        ranks = w.call_compiled(ranked, [lists, key], {})  # type: ignore[assignment]
    return lazy("iter", w.call_compiled(merged, [lists, ranks, truth(w.b, reverse)], {}))


# -- bisect -------------------------------------------------------------------------------------------


def _place(w: Walker, function: Any, a: Value, x: Value, lo: Value, hi: Value, key: Value) -> Value:
    if is_list(a) and is_empty(a):  # type: ignore[arg-type]
        return require_index(w.b, lo, "lo")
    low = require_index(w.b, lo, "lo")
    negative = binary(w.b, operator.lt, low, Known(0))
    if negative != Known(False):
        w.b.raise_if(w.b.materialize(negative), ValueError, "lo must be non-negative")
    high = length_of(w, a) if hi == NONE else require_index(w.b, hi, "hi")
    return w.call_compiled(function, [a, x, low, high, key], {})


def _bisect(behind: bool) -> Any:
    def rule(
        walker: Walker, a: Value, x: Value, lo: Value = Known(0), hi: Value = NONE, *, key: Value = NONE
    ) -> Value:
        from sapwood.lang.library.bisection import place_before, place_behind

        return _place(walker, place_behind if behind else place_before, a, x, lo, hi, key)

    return rule


def _insort(behind: bool) -> Any:
    def rule(
        walker: Walker, a: Value, x: Value, lo: Value = Known(0), hi: Value = NONE, *, key: Value = NONE
    ) -> Value:
        w = walker
        if not is_list(a):
            hint = "it inserts into a list"
            raise BadOperand(w.b.loc, function="insort", detail=f"needs a list, not {describe(a)}", hint=hint)
        assert isinstance(a, Var)
        if is_empty(a):
            return append(w, a, x)
        sought = x if key == NONE else w.call(key, [x], {}, w.b.loc)
        return insert(w, a, _bisect(behind)(w, a, sought, lo, hi, key=key), x)

    return rule


builtin(bisect.bisect_left)(_bisect(False))
builtin(bisect.bisect_right)(_bisect(True))
builtin(bisect.insort_left)(_insort(False))
builtin(bisect.insort_right)(_insort(True))


# -- functools ----------------------------------------------------------------------------------------


@builtin(functools.reduce)
def _reduce(walker: Walker, function: Value, iterable: Value, initial: Value | None = None, /) -> Value:
    from sapwood.lang.library.bisection import reduce_from, reduce_items

    if initial is None:
        return walker.call_compiled(reduce_items, [function, iterable], {})
    return walker.call_compiled(reduce_from, [function, iterable, initial], {})
