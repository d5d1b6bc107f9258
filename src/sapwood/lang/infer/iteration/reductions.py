"""Built-in functions over any iterable: `sum`, `any`, `all`, `min`, `max`, `tuple`, `iter`, `next` and the adapters."""

from __future__ import annotations

import builtins
import operator
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sapwood.lang import types as ty
from sapwood.lang.errors import BadOperand
from sapwood.lang.errors.iteration import NotAnIterator
from sapwood.lang.infer.builtins import BUILTINS, builtin
from sapwood.lang.infer.heap import Dead
from sapwood.lang.infer.iteration.adapters import known_items, lazy
from sapwood.lang.infer.iteration.protocol import (
    Ended,
    Indexed,
    Iteration,
    LoopSink,
    RaiseSink,
    branch_away,
    iterate,
)
from sapwood.lang.ir.ssa import Var
from sapwood.lang.ops import arith, control
from sapwood.lang.ops.operators import require_index, truth
from sapwood.lang.ops.simd import all_lanes, any_lane
from sapwood.lang.values import Agg, Known, Value, describe, make_tuple

if TYPE_CHECKING:
    from sapwood.lang.infer.loops import Exits, Loop
    from sapwood.lang.infer.walker import FunctionWalker as Walker


# -- adapters ----------------------------------------------------------------------------------------


@builtin(builtins.zip)
def _zip(walker: Walker, *iterables: Value, strict: Value = Known(False)) -> Value:
    flag = walker.b.known(strict, "strict")
    return lazy("zip", *(_checked(walker, v) for v in iterables), Known(bool(flag)))


@builtin(builtins.enumerate)
def _enumerate(walker: Walker, iterable: Value, start: Value = Known(0)) -> Value:
    first = require_index(walker.b, start, "the start of enumerate")
    return lazy("enumerate", _checked(walker, iterable), first)


@builtin(builtins.reversed)
def _reversed(walker: Walker, sequence: Value) -> Value:
    if isinstance(sequence, Known) and isinstance(sequence.value, str) or (
        isinstance(sequence, Var) and sequence.type == ty.Ref(ty.Str())
    ):  # characters differ in size: they are turned once
        from sapwood.lang.infer.text.strings import slice_text

        none = Known(None)
        sequence = slice_text(walker, walker.b.materialize(sequence), (none, none, Known(-1)))
        return lazy("iter", _checked(walker, sequence))
    value = lazy("reversed", sequence)
    return _checked(walker, value)


@builtin(builtins.map)
def _map(walker: Walker, function: Value, *iterables: Value) -> Value:
    if not iterables:
        hint = "for example map(f, xs)"
        raise BadOperand(walker.b.loc, function="map", detail="needs an iterable", hint=hint)
    return lazy("map", function, *(_checked(walker, v) for v in iterables))


@builtin(builtins.filter)
def _filter(walker: Walker, function: Value, iterable: Value) -> Value:
    return lazy("filter", function, _checked(walker, iterable))


@builtin(builtins.iter)
def _iter(walker: Walker, iterable: Value) -> Value:
    if isinstance(iterable, Agg) and isinstance(iterable.type, ty.Lazy | ty.Iterator):
        return iterable
    return lazy("iter", _checked(walker, iterable))


def _checked(w: Walker, value: Value) -> Value:
    iterate(w, value, w.b.loc)
    return value


# -- items -------------------------------------------------------------------------------------------


@builtin(builtins.next)
def _next(walker: Walker, iterator: Value, default: Value | None = None) -> Value:
    w, loc = walker, walker.b.loc
    if not (isinstance(iterator, Agg) and isinstance(iterator.type, ty.Lazy | ty.Iterator)):
        raise NotAnIterator(loc, type=describe(iterator))
    it = iterate(w, iterator, loc)
    if it.nested and isinstance(iterator.type, ty.Lazy):
        return _first_of_nest(w, it, default)
    if not it.lasting:
        it.start(w, w.temporary("next", "@"))
    try:
        if default is None:
            return it.next(w, RaiseSink(w, StopIteration, ""))
        return _first_or(w, it, lambda: default)
    finally:
        it.forget(w)


def _first_of_nest(w: Walker, it: Iteration, default: Value | None) -> Value:
    """The first item of several loops, which nobody asks for more: they are left with it."""
    result = w.temporary("next")

    def look(item: Value, exits: Exits) -> bool:
        assert exits.breaks is not None
        w.vars[result] = item
        exits.breaks.append((w.b.region, dict(w.vars)))
        return True

    def end() -> bool:
        if default is None:
            w.b.emit(control.raise_, (), (), {"exception": StopIteration, "parts": []})
            return True
        w.vars[result] = default
        return False

    each(w, it, [result], look, end, breaks=True)
    return w.read(w.vars.pop(result))


def _first_or(
    w: Walker, it: Iteration, default: Callable[[], Value], go_on: Callable[[Value], Value] = lambda v: v
) -> Value:
    """`go_on` with the next item of an iteration that has begun, or the default where there is none."""
    result = w.temporary("next")
    loc = w.b.loc

    def body(loop: Loop) -> bool:
        def none() -> bool:
            w.vars[result] = default()
            return False

        try:
            item = it.next(w, LoopSink(w, loop.breaks, None, none))
        except Ended:
            return True
        w.b.loc = loc
        w.vars[result] = go_on(item)
        return False

    if w.run_loop((result, loc), [result, *it.names()], loc, body, once=True):
        raise Dead
    return w.read(w.vars.pop(result))


# -- reductions --------------------------------------------------------------------------------------


def each(
    w: Walker,
    iterable: Value | Iteration,
    names: list[str],
    consume: Callable[[Value, Exits], bool | None],
    other: Callable[[], bool] | None = None,
    breaks: bool = False,
    started: bool = False,
) -> None:
    """Run `consume` on each item; `names` are those that it assigns."""
    loc = w.b.loc
    it = iterable if isinstance(iterable, Iteration) else iterate(w, iterable, loc)
    key = (names[0] if names else "each", loc)
    if w.drive(it, key, names, loc, lambda v, e: bool(consume(v, e)), other, breaks, started=started):
        raise Dead
    w.b.loc = loc


@builtin(builtins.sum)
def _sum(walker: Walker, iterable: Value, start: Value = Known(0)) -> Value:
    w = walker
    if isinstance(start, Known) and isinstance(start.value, str | bytes | bytearray):
        kind = type(start.value).__name__
        hint = "use ''.join(texts)" if kind == "str" else f"use {kind}().join(parts)"
        raise BadOperand(w.b.loc, function="sum", detail=f"can't sum {kind}", hint=hint)
    total = w.temporary("sum")
    w.vars[total] = start

    def add(item: Value, exits: Exits) -> None:
        w.vars[total] = w.operate(operator.add, w.vars[total], item)

    each(w, iterable, [total], add)
    return w.read(w.vars.pop(total))


def search(w: Walker, iterable: Value, stop_at: bool, test: Callable[[Value], Value]) -> Value:
    """`stop_at` if the test of an item gives it: the items after it are not looked at."""
    found = w.temporary("found")

    def leave(exits: Exits) -> None:
        assert exits.breaks is not None
        w.vars[found] = Known(stop_at)
        exits.breaks.append((w.b.region, dict(w.vars)))

    def look(item: Value, exits: Exits) -> bool:
        holds = truth(w.b, test(item))
        if isinstance(holds, Var):
            branch_away(w, holds, lambda: leave(exits), when=stop_at)
            return False
        if bool(holds.value) == stop_at:
            leave(exits)
            return True
        return False

    def end() -> bool:
        w.vars[found] = Known(not stop_at)
        return False

    each(w, iterable, [found], look, end, breaks=True)
    return w.vars.pop(found)


def _quantifier(vector: Any, stop_at: bool) -> Callable[..., Value]:
    def rule(walker: Walker, iterable: Value) -> Value:
        if isinstance(iterable, Var) and iterable.type == ty.Simd(ty.BOOL, ty.lanes_of(iterable.type)):
            return walker.b.apply(vector, iterable)
        return search(walker, iterable, stop_at, lambda item: item)

    return rule


def found_in(w: Walker, container: Value, item: Value) -> Value:
    """`item in container`, by looking at the items in turn."""
    from sapwood.lang.front import hir

    loc = w.b.loc
    return search(w, container, True, lambda x: w.call(Known(hir.match_value), [x, item], {}, loc))


BUILTINS[builtins.any] = _quantifier(any_lane, True)
BUILTINS[builtins.all] = _quantifier(all_lanes, False)


def _message(function: Any) -> str:
    """What this version of Python says of an empty iterable."""
    try:
        function(())
    except ValueError as e:
        return str(e)
    raise AssertionError


def _extreme(function: Any, machine: Any, compare: Any) -> Callable[..., Value]:
    name = function.__name__
    empty = _message(function)

    def better(w: Walker, new: Value, old: Value) -> Value:
        return truth(w.b, w.operate(compare, new, old))

    def over_values(w: Walker, values: list[Value], key: Value) -> Value:
        if key == Known(None):
            if all(isinstance(v, Known) for v in values):
                return Known(function([v.value for v in values]))  # type: ignore[union-attr]
            if all(_number(v) for v in values):
                result = values[0]
                for v in values[1:]:
                    result = w.b.apply(machine, result, v)
                return result
        best, best_key = values[0], key_of(w, key, values[0])
        for v in values[1:]:
            k = key_of(w, key, v)
            best, best_key = pick(w, k, best_key, v, best)
        return best

    def key_of(w: Walker, key: Value, item: Value) -> Value:
        return item if key == Known(None) else w.call(key, [item], {}, w.b.loc)

    def pick(w: Walker, k: Value, best_key: Value, item: Value, best: Value) -> tuple[Value, Value]:
        test = better(w, k, best_key)
        if k is item and best_key is best:
            chosen = either(w, test, item, best)
            return chosen, chosen
        both = either(w, test, Agg(ty.Tuple(2), (item, k)), Agg(ty.Tuple(2), (best, best_key)))
        assert isinstance(both, Agg)
        return both.items[0], both.items[1]

    def either(w: Walker, test: Value, x: Value, y: Value) -> Value:
        simple = isinstance(test, Var) and isinstance(x, Var) and isinstance(y, Var) and x.type == y.type
        if simple and isinstance(x.type, ty.Scalar):
            return w.b.emit1(arith.select, (test, x, y), x.type)
        return w.choose(test, lambda: x, lambda: y, f"{name}(...)")

    def over(w: Walker, iterable: Value, key: Value, default: Value | None) -> Value:
        loc = w.b.loc
        it = iterate(w, iterable, loc)
        if it.nested:  # all items are made in any case: once more from memory
            from sapwood.lang.infer.containers.collect import list_of

            it = iterate(w, list_of(w, it, loc), loc)
            w.b.loc = loc
        if it.pushed or isinstance(it, Indexed) and it.static:
            items = known_items(w, it)
            values = None if items is None else list(items)
            w.b.loc = loc
            if values:
                return over_values(w, values, key)
        if not it.lasting:
            it.start(w, w.temporary(name, "@"))

        def rest(first: Value) -> Value:
            best, best_key = w.temporary(name), w.temporary(f"{name}.key")
            w.vars[best] = first
            names = [best]
            if key != Known(None):
                w.vars[best_key] = key_of(w, key, first)
                names.append(best_key)

            def look(item: Value, exits: Exits) -> None:
                old = w.vars[best]
                if len(names) == 1:
                    w.vars[best] = pick(w, item, old, item, old)[0]
                else:
                    k = key_of(w, key, item)
                    w.vars[best], w.vars[best_key] = pick(w, k, w.vars[best_key], item, old)

            each(w, it, names, look, started=True)
            for n in names[1:]:
                w.vars.pop(n)
            return w.read(w.vars.pop(best))

        try:
            if default is not None:
                return _first_or(w, it, lambda: default, rest)
            first = it.next(w, RaiseSink(w, ValueError, empty))
            w.b.loc = loc
            return rest(first)
        finally:
            it.forget(w)

    def rule(walker: Walker, *args: Value, key: Value = Known(None), default: Value | None = None) -> Value:
        w = walker
        if not args:
            raise BadOperand(w.b.loc, function=name, detail="needs a value", hint=f"{name}(a, b)")
        if len(args) == 1:
            return over(w, args[0], key, default)
        if default is not None:
            detail = "default= goes with one iterable, not with several values"
            raise BadOperand(w.b.loc, function=name, detail=detail, hint="leave it out: there is a value")
        return over_values(w, list(args), key)

    return rule


def _number(v: Value) -> bool:
    return isinstance(v, Var) and isinstance(v.type, ty.Scalar | ty.Simd) or (
        isinstance(v, Known) and isinstance(v.value, int | float)
    )


BUILTINS[builtins.min] = _extreme(min, arith.minimum, operator.lt)
BUILTINS[builtins.max] = _extreme(max, arith.maximum, operator.gt)


# -- tuples ------------------------------------------------------------------------------------------


@builtin(builtins.tuple)
def _tuple(walker: Walker, iterable: Value = Known(())) -> Value:
    w = walker
    if isinstance(iterable, Known) and isinstance(iterable.value, tuple) or (
        isinstance(iterable, Agg) and isinstance(iterable.type, ty.Tuple)
    ):
        return iterable
    it = iterate(w, iterable, w.b.loc)
    items = known_items(w, it)
    if items is not None:
        return make_tuple(list(items))
    from sapwood.lang.infer.containers.tuple_rows import row_of

    return row_of(w, iterable)
