"""`itertools` in compiled code.

What is taken by number stays so: `product`, `combinations` and `permutations` compute the i-th item. `accumulate`,
`groupby` and `chain.from_iterable` gather their items at once. What asks for items one by one: one_by_one.py.
"""

from __future__ import annotations

import itertools
import operator
from typing import Any

from sapwood.lang import types as ty
from sapwood.lang.errors import BadOperand
from sapwood.lang.infer.builtins import builtin
from sapwood.lang.infer.containers.lists import LENGTH, collect, element, is_empty, word
from sapwood.lang.infer.iteration.adapters import Composite, Filter, Map, Transformed, adapter, lazy
from sapwood.lang.infer.iteration.one_by_one import ChainOneByOne, LongestOneByOne, one_by_one
from sapwood.lang.infer.iteration.protocol import Indexed, Iteration, Sink, iterate
from sapwood.lang.infer.narrow import is_none, is_optional, some
from sapwood.lang.ir.ssa import Var
from sapwood.lang.ops import arith
from sapwood.lang.ops.operators import binary, logical_not, require_index, truth, tuple_items
from sapwood.lang.types import BOOL
from sapwood.lang.values import Agg, Known, Value, make_tuple

NONE = Known(None)


def gathered(w: Any, iterable: Value) -> Var:
    """The items as a list, which nobody else has."""
    return collect(w, _finite(w, iterable))


def _finite(w: Any, iterable: Value) -> Value:
    """An iterable whose items are gathered at once."""
    if _is_endless(iterate(w, iterable, w.b.loc)):
        hint = "cut it with islice or takewhile, or write the loop"
        raise BadOperand(w.b.loc, function="itertools", detail="all items are gathered, and they never end", hint=hint)
    return iterable


def _is_endless(it: Iteration) -> bool:
    if isinstance(it, Slice):
        return it.stop == NONE and _is_endless(it.inner)
    if isinstance(it, Transformed):
        return not isinstance(it, TakeWhile) and _is_endless(it.inner)
    if isinstance(it, ChainOneByOne | LongestOneByOne):
        return any(map(_is_endless, it.parts))
    if isinstance(it, Composite):
        return all(map(_is_endless, it.parts))
    return isinstance(it, Count | Forever | Cycle)


def _items(value: Agg) -> list[Value]:
    return list(value.items)


def _at(w: Any, xs: Value, i: Value) -> Value:
    assert isinstance(xs, Var)
    return element(w, xs, w.b.materialize(i))


def _length(w: Any, xs: Value) -> Var:
    assert isinstance(xs, Var)
    return word(w.b, xs, LENGTH)


class ByNumber(Indexed):
    """Items that are computed from their number."""

    kind = "itertools object"

    def __init__(self, value: Agg) -> None:
        super().__init__()
        self.items = _items(value)


# -- infinite -----------------------------------------------------------------------------------------


@builtin(itertools.count)
def _count(walker: Any, start: Value = Known(0), step: Value = Known(1)) -> Value:
    return lazy("count", walker.b.materialize(start), walker.b.materialize(step))


@adapter("count")
class Count(Iteration):
    kind = "itertools.count"

    def __init__(self, w: Any, value: Agg) -> None:
        super().__init__()
        self.first, self.step = value.items

    def start(self, w: Any, prefix: str) -> None:
        self.state = [prefix]
        w.vars[prefix] = w.operate(operator.add, self.first, w.operate(operator.sub, self.step, self.step))

    def next(self, w: Any, sink: Sink) -> Value:
        found = w.vars[self.state[0]]
        w.vars[self.state[0]] = w.operate(operator.add, found, self.step)
        return found


@builtin(itertools.repeat)
def _repeat(walker: Any, object: Value, times: Value = NONE) -> Value:
    count = times if times == NONE else require_index(walker.b, times, "how often to repeat")
    return lazy("repeat", object, count)


@adapter("repeat")
def _make_repeat(w: Any, value: Agg) -> Iteration:
    return Forever(value.items[0]) if value.items[1] == NONE else Repeat(value)


class Forever(Iteration):
    kind = "itertools.repeat"

    def __init__(self, value: Value) -> None:
        super().__init__()
        self.value = value

    def start(self, w: Any, prefix: str) -> None:
        pass

    def next(self, w: Any, sink: Sink) -> Value:
        return self.value


class Repeat(ByNumber):
    def length(self, w: Any) -> Value:
        return w.call(Known(max), [self.items[1], Known(0)], {}, w.b.loc)

    def at(self, w: Any, i: Value) -> Value:
        return self.items[0]


@builtin(itertools.cycle)
def _cycle(walker: Any, iterable: Value) -> Value:
    if _is_endless(iterate(walker, iterable, walker.b.loc)):
        return iterable  # it never begins again
    return lazy("cycle", gathered(walker, iterable))


@adapter("cycle")
class Cycle(Iteration):
    kind = "itertools.cycle"

    def __init__(self, w: Any, value: Agg) -> None:
        super().__init__()
        (self.xs,) = value.items

    def start(self, w: Any, prefix: str) -> None:
        self.state = [prefix]
        w.vars[prefix] = w.b.index(0)

    def next(self, w: Any, sink: Sink) -> Value:
        n, i = _length(w, self.xs), w.vars[self.state[0]]
        sink.end_unless(w.b.emit1(arith.compare, (n, w.b.index(0)), BOOL, test="gt"))
        after = w.b.materialize(binary(w.b, operator.add, i, Known(1)))
        last = w.b.emit1(arith.compare, (after, n), BOOL, test="eq")
        w.vars[self.state[0]] = w.b.emit1(arith.select, (last, w.b.index(0), after), ty.I64)
        return _at(w, self.xs, i)


# -- of one iterable ----------------------------------------------------------------------------------


@builtin(itertools.islice)
def _islice(walker: Any, iterable: Value, start: Value, stop: Value | None = None, step: Value = NONE, /) -> Value:
    b = walker.b
    first, last = (NONE, start) if stop is None else (start, stop)
    bounds: list[Value] = []
    for v, least in ((first, 0), (last, 0), (step, 1)):
        bounds.append(v if v == NONE else require_index(b, v, "a bound of islice"))
        if v != NONE:
            bad = binary(b, operator.lt, bounds[-1], Known(least))
            if bad != Known(False):
                b.raise_if(b.materialize(bad), ValueError, _islice_text(v is step, v is last))
    return lazy("islice", iterable, *bounds)


def _islice_text(is_step: bool, is_stop: bool) -> str:
    from sapwood.lang.python_texts import python_text

    arguments = ((), 0, 1, 0) if is_step else ((), 0, -1) if is_stop else ((), -1, 0)
    return python_text(itertools.islice, *arguments)


@adapter("islice")
class Slice(Transformed):
    kind = "itertools.islice"
    skips = ends = True

    def __init__(self, w: Any, value: Agg) -> None:
        super().__init__(iterate(w, value.items[0], w.b.loc))
        self.first, self.stop, self.step = value.items[1:]

    @property
    def pushed(self) -> bool:
        return False

    def begin(self, w: Any, prefix: str) -> None:
        self.state = [prefix]
        w.vars[prefix] = w.b.index(0)

    def ask(self, w: Any, sink: Sink) -> None:
        if self.stop != NONE:  # CPython passes over what is before `start` in any case
            last = self.stop if self.first == NONE else w.call(Known(max), [self.first, self.stop], {}, w.b.loc)
            sink.end_unless(truth(w.b, binary(w.b, operator.lt, w.vars[self.state[0]], last)))

    def next(self, w: Any, sink: Sink) -> Value:
        self.ask(w, sink)
        return super().next(w, sink)

    def transform(self, w: Any, item: Value, sink: Sink) -> Value:
        b, i = w.b, w.vars[self.state[0]]
        w.vars[self.state[0]] = binary(b, operator.add, i, Known(1))
        first = Known(0) if self.first == NONE else self.first
        if first != Known(0):
            sink.skip_unless(truth(b, binary(b, operator.ge, i, first)))
        if self.step not in (NONE, Known(1)):
            behind = binary(b, operator.mod, binary(b, operator.sub, i, first), self.step)
            sink.skip_unless(truth(b, binary(b, operator.eq, behind, Known(0))))
        return item


@builtin(itertools.takewhile)
def _takewhile(walker: Any, predicate: Value, iterable: Value, /) -> Value:
    return lazy("takewhile", predicate, iterable)


@adapter("takewhile")
class TakeWhile(Transformed):
    kind = "itertools.takewhile"
    skips = ends = True  # the number of items is not known

    def __init__(self, w: Any, value: Agg) -> None:
        self.function = value.items[0]
        super().__init__(iterate(w, value.items[1], w.b.loc))

    @property
    def pushed(self) -> bool:
        return False

    def transform(self, w: Any, item: Value, sink: Sink) -> Value:
        sink.end_unless(truth(w.b, w.call(self.function, [item], {}, w.b.loc)))
        return item


@builtin(itertools.dropwhile)
def _dropwhile(walker: Any, predicate: Value, iterable: Value, /) -> Value:
    return lazy("dropwhile", predicate, iterable)


@adapter("dropwhile")
class DropWhile(Transformed):
    kind = "itertools.dropwhile"
    skips = True

    def __init__(self, w: Any, value: Agg) -> None:
        self.function = value.items[0]
        super().__init__(iterate(w, value.items[1], w.b.loc))

    @property
    def pushed(self) -> bool:
        return False

    def begin(self, w: Any, prefix: str) -> None:
        self.state = [prefix]
        w.vars[prefix] = w.b.const(False, BOOL)

    def transform(self, w: Any, item: Value, sink: Sink) -> Value:
        def ask() -> Value:
            return logical_not(w.b, w.call(self.function, [item], {}, w.b.loc))

        begun = w.choose(w.vars[self.state[0]], lambda: Known(True), ask, "dropwhile()")
        w.vars[self.state[0]] = w.b.materialize(begun)
        sink.skip_unless(truth(w.b, begun))
        return item


@builtin(itertools.filterfalse)
def _filterfalse(walker: Any, predicate: Value, iterable: Value, /) -> Value:
    return lazy("filterfalse", predicate, iterable)


@adapter("filterfalse")
class FilterFalse(Filter):
    def __init__(self, w: Any, value: Agg) -> None:
        super().__init__(value.items[0], iterate(w, value.items[1], w.b.loc))

    def transform(self, w: Any, item: Value, sink: Sink) -> Value:
        test = item if self.function in (NONE, Known(bool)) else w.call(self.function, [item], {}, w.b.loc)
        sink.skip_unless(truth(w.b, logical_not(w.b, test)))
        return item


@builtin(itertools.compress)
def _compress(walker: Any, data: Value, selectors: Value) -> Value:
    for v in (data, selectors):
        iterate(walker, v, walker.b.loc)
    return lazy("compress", data, selectors)


@builtin(itertools.tee)
def _tee(walker: Any, iterable: Value, n: Value = Known(2), /) -> Value:
    count = walker.b.known(n, "the number of iterators that tee makes", int)
    if count < 0:
        raise BadOperand(walker.b.loc, function="tee", detail="n must be >= 0", hint="n is how many iterators it makes")
    it = iterate(walker, iterable, walker.b.loc)
    source = iterable if isinstance(it, Count | Forever) else gathered(walker, iterable)
    return make_tuple([lazy("iter", source)] * count)


@builtin(itertools.starmap)
def _starmap(walker: Any, function: Value, iterable: Value, /) -> Value:
    return lazy("starmap", function, iterable)


@adapter("starmap")
class StarMap(Map):
    def __init__(self, w: Any, value: Agg) -> None:
        super().__init__(value.items[0], iterate(w, value.items[1], w.b.loc))

    def transform(self, w: Any, item: Value, sink: Sink) -> Value:
        if not isinstance(item, Agg | Known):
            hint = "tuples of known length are; write (f(*x) for x in xs) with the items named"
            raise BadOperand(w.b.loc, function="starmap", detail="the items are no tuples", hint=hint)
        return w.call(self.function, list(tuple_items(item)), {}, w.b.loc)


@builtin(itertools.pairwise)
def _pairwise(walker: Any, iterable: Value, /) -> Value:
    return lazy("pairwise", gathered(walker, iterable))


@adapter("pairwise")
def _make_pairwise(w: Any, value: Agg) -> Iteration:
    return Pairwise(value)


class Pairwise(ByNumber):
    def length(self, w: Any) -> Value:
        n = binary(w.b, operator.sub, _length(w, self.items[0]), Known(1))
        return w.call(Known(max), [n, Known(0)], {}, w.b.loc)

    def at(self, w: Any, i: Value) -> Value:
        xs = self.items[0]
        return make_tuple([_at(w, xs, i), _at(w, xs, binary(w.b, operator.add, i, Known(1)))])


@builtin(itertools.accumulate)
def _accumulate(walker: Any, iterable: Value, func: Value = NONE, *, initial: Value = NONE) -> Value:
    from sapwood.lang.library.iterations import accumulated

    function = Known(operator.add) if func == NONE else func
    if initial == NONE:
        return lazy("accumulate", function, iterable)
    found = walker.call_compiled(accumulated, [_finite(walker, iterable), function, initial], {})
    return lazy("iter", found)


@adapter("accumulate")
class Accumulate(Transformed):
    kind = "itertools.accumulate"

    def __init__(self, w: Any, value: Agg) -> None:
        self.function = value.items[0]
        super().__init__(iterate(w, value.items[1], w.b.loc))

    @property
    def pushed(self) -> bool:
        return False

    def begin(self, w: Any, prefix: str) -> None:
        self.state = [prefix]
        w.vars[prefix] = NONE

    def transform(self, w: Any, item: Value, sink: Sink) -> Value:
        before, loc = w.vars[self.state[0]], w.b.loc

        def go_on() -> Value:
            return w.call(self.function, [some(w.b, before) if is_optional(before) else before, item], {}, loc)

        if before == NONE:
            found = item
        elif is_optional(before):
            found = w.choose(is_none(w.b, before), lambda: item, go_on, "accumulate()")
        else:
            found = go_on()
        w.vars[self.state[0]] = found
        return found


@builtin(itertools.groupby)
def _groupby(walker: Any, iterable: Value, key: Value = NONE) -> Value:
    from sapwood.lang.library.iterations import groups

    return lazy("iter", walker.call_compiled(groups, [_finite(walker, iterable), key], {}))


# -- of several ---------------------------------------------------------------------------------------


@builtin(itertools.chain)
def _chain(walker: Any, *iterables: Value) -> Value:
    asked = one_by_one(walker, iterables)
    if asked is not None:
        return lazy("chain one by one", *asked)
    pools = [gathered(walker, v) for v in iterables]
    pools = [p for p in pools if not is_empty(p)]
    if not pools:
        return lazy("iter", Known(()))
    return lazy("chain", *pools)


@adapter("chain")
def _make_chain(w: Any, value: Agg) -> Iteration:
    return Chain(value)


class Chain(ByNumber):
    """One list after the other."""

    def length(self, w: Any) -> Value:
        total: Value = Known(0)
        for xs in self.items:
            total = binary(w.b, operator.add, total, _length(w, xs))
        return total

    def at(self, w: Any, i: Value) -> Value:
        def within(k: int, j: Value) -> Value:
            if k == len(self.items) - 1:
                return _at(w, self.items[k], j)
            n = _length(w, self.items[k])
            return w.choose(
                truth(w.b, binary(w.b, operator.lt, j, n)), lambda: _at(w, self.items[k], j),
                lambda: within(k + 1, binary(w.b, operator.sub, j, n)), "chain()",
            )  # fmt: skip

        return within(0, i)


@builtin(itertools.chain.from_iterable)
def _from_iterable(walker: Any, iterables: Value, /) -> Value:
    from sapwood.lang.library.iterations import flattened

    return lazy("iter", walker.call_compiled(flattened, [iterables], {}))


@builtin(itertools.zip_longest)
def _zip_longest(walker: Any, *iterables: Value, fillvalue: Value = NONE) -> Value:
    asked = one_by_one(walker, iterables)
    if asked is not None:
        return lazy("zip_longest one by one", fillvalue, *asked)
    return lazy("zip_longest", fillvalue, *(gathered(walker, v) for v in iterables))


@adapter("zip_longest")
def _make_longest(w: Any, value: Agg) -> Iteration:
    return ZipLongest(value)


class ZipLongest(ByNumber):
    def length(self, w: Any) -> Value:
        lengths = [_length(w, xs) for xs in self.items[1:]]
        return w.call(Known(max), [Known(0), *lengths], {}, w.b.loc) if lengths else Known(0)

    def at(self, w: Any, i: Value) -> Value:
        def item(xs: Value) -> Value:
            there = truth(w.b, binary(w.b, operator.lt, i, _length(w, xs)))
            return w.choose(there, lambda: _at(w, xs, i), lambda: self.items[0], "zip_longest()")

        return make_tuple([item(xs) for xs in self.items[1:]])


@builtin(itertools.product)
def _product(walker: Any, *iterables: Value, repeat: Value = Known(1)) -> Value:
    times = walker.b.known(repeat, "the repeat of product", int)
    return lazy("product", *[gathered(walker, v) for v in iterables] * times)


@adapter("product")
def _make_product(w: Any, value: Agg) -> Iteration:
    return Product(value)


class Product(ByNumber):
    """The digits of the number are the places in the lists, the last one runs fastest."""

    def length(self, w: Any) -> Value:
        total: Value = Known(1)
        for xs in self.items:
            total = binary(w.b, operator.mul, total, _length(w, xs))
        return total

    def at(self, w: Any, i: Value) -> Value:
        found: list[Value] = []
        for k, xs in reversed(list(enumerate(self.items))):
            n = _length(w, xs)
            found.append(_at(w, xs, i if k == 0 else binary(w.b, operator.mod, i, n)))
            i = i if k == 0 else binary(w.b, operator.floordiv, i, n)
        return make_tuple(found[::-1])


def _chosen(walker: Any, kind: str, iterable: Value, r: Value) -> Value:
    pool = gathered(walker, iterable)
    count = _length(walker, pool) if r == NONE else require_index(walker.b, r, "r")
    negative = binary(walker.b, operator.lt, count, Known(0))
    if negative != Known(False):
        walker.b.raise_if(walker.b.materialize(negative), ValueError, "r must be non-negative")
    return lazy(kind, pool, count)


@builtin(itertools.combinations)
def _combinations(walker: Any, iterable: Value, r: Value) -> Value:
    return _chosen(walker, "combinations", iterable, r)


@builtin(itertools.permutations)
def _permutations(walker: Any, iterable: Value, r: Value = NONE) -> Value:
    return _chosen(walker, "permutations", iterable, r)


class Chosen(ByNumber):
    """Tuples of r items: of r types where r is known, else of one type and any length."""

    def __init__(self, value: Agg, count: Any, places: Any) -> None:
        super().__init__(value)
        self.count, self.places = count, places

    def length(self, w: Any) -> Value:
        return w.call_compiled(self.count, [_length(w, self.items[0]), self.items[1]], {})

    def at(self, w: Any, i: Value) -> Value:
        from sapwood.lang.infer.containers.tuple_rows import row_of
        from sapwood.lang.library.tuple_rows import chosen

        xs, r = self.items
        places = w.call_compiled(self.places, [_length(w, xs), r, i], {})
        if isinstance(r, Known):
            return make_tuple([_at(w, xs, v) for v in (_at(w, places, w.b.index(k)) for k in range(r.value))])
        return row_of(w, w.call_compiled(chosen, [xs, places], {}))


@adapter("combinations")
def _make_combinations(w: Any, value: Agg) -> Iteration:
    from sapwood.lang.library.iterations import binomial, combination

    return Chosen(value, binomial, combination)


@adapter("permutations")
def _make_permutations(w: Any, value: Agg) -> Iteration:
    from sapwood.lang.library.iterations import arrangements, permutation

    return Chosen(value, arrangements, permutation)
