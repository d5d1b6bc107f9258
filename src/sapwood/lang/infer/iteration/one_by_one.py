"""`chain`, `zip_longest` and `compress` that ask what they run over for one item after the other, as CPython does.

They are what may run over iterations that never end, that have begun, or that run code of the program. Each part is
asked in a loop of its own, which is left for the next part where the part has ended.
"""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

from sapwood.lang.errors import BranchTypes
from sapwood.lang.infer.containers.lists import collect
from sapwood.lang.infer.heap import Dead
from sapwood.lang.infer.iteration.adapters import ADAPTERS, Composite, Transformed, adapter, lazy
from sapwood.lang.infer.iteration.protocol import Ended, Indexed, Iteration, LoopSink, Sink, iterate
from sapwood.lang.ops import arith
from sapwood.lang.ops.operators import binary, logical_not, truth
from sapwood.lang.types import BOOL
from sapwood.lang.values import Agg, Known, Value, make_tuple

if TYPE_CHECKING:
    from sapwood.lang.infer.loops import Loop
    from sapwood.lang.infer.walker import FunctionWalker as Walker


def take_or_go_on(w: Walker, it: Iteration, asked: Value, ended: str, after: Value, found: Loop, result: str) -> bool:
    """Leave `found` with the next item in the name `result`. Go on behind this where `asked` does not hold, or where
    the iteration is over: then the name `ended` becomes `after`. True where control never goes on."""
    loc = w.b.loc

    def one(loop: Loop) -> bool:
        def over() -> bool:
            w.vars[ended] = after
            return False

        try:
            LoopSink(w, loop.breaks, None, None).end_unless(truth(w.b, asked))
            w.vars[result] = it.next(w, LoopSink(w, loop.breaks, None, over))
        except (Ended, Dead):
            return True
        found.breaks.append((w.b.region, dict(w.vars)))
        return True

    return w.run_loop((result, ended, loc), [ended, result, *it.names()], loc, one, once=True)


def read(w: Walker, result: str, what: str) -> Value:
    """The item in the name `result`; a mistake about its type says `what`."""
    try:
        return w.read(w.vars.pop(result))
    except BranchTypes as e:
        e.fields["name"] = what
        raise


class ChainOneByOne(Composite):
    """One iteration after the other; the state says which."""

    kind = "itertools.chain"

    def start(self, w: Walker, prefix: str) -> None:
        super().start(w, prefix)
        self.state = [prefix]
        w.vars[prefix] = w.b.index(0)

    def next(self, w: Walker, sink: Sink) -> Value:
        result, place, loc = w.temporary("chained"), self.state[0], w.b.loc
        *firsts, last = self.parts

        def body(found: Loop) -> bool:
            for k, part in enumerate(firsts):
                here = binary(w.b, operator.eq, w.vars[place], Known(k))
                if take_or_go_on(w, part, here, place, w.b.index(k + 1), found, result):
                    return True
                w.b.loc = loc
            try:
                w.vars[result] = last.next(w, sink)
            except Ended:
                return True
            return False

        if w.run_loop((result, loc), [result, *self.names()], loc, body, once=True):
            raise Ended
        return read(w, result, "chain()")


class LongestOneByOne(Composite):
    """Several at once, with a value in place of those that are over; the states say which."""

    kind = "itertools.zip_longest"

    def __init__(self, fill: Value, parts: list[Iteration]) -> None:
        super().__init__(parts)
        self.fill = fill

    def start(self, w: Walker, prefix: str) -> None:
        super().start(w, prefix)
        self.state = [f"{prefix}.over{k}" for k in range(len(self.parts))]
        for name in self.state:
            w.vars[name] = w.b.const(False, BOOL)

    def next(self, w: Walker, sink: Sink) -> Value:
        items = [self._item(w, part, name) for part, name in zip(self.parts, self.state, strict=True)]
        over: Value = Known(True)
        for name in self.state:
            flag = w.b.materialize(w.vars[name])
            over = flag if over == Known(True) else w.b.emit1(arith.band, (w.b.materialize(over), flag), BOOL)
        sink.end_unless(truth(w.b, logical_not(w.b, over)))
        return make_tuple(items)

    def _item(self, w: Walker, part: Iteration, over: str) -> Value:
        result, loc = w.temporary("longest"), w.b.loc

        def body(found: Loop) -> bool:
            left = logical_not(w.b, w.vars[over])
            if take_or_go_on(w, part, left, over, w.b.const(True, BOOL), found, result):
                return True
            w.vars[result] = self.fill
            return False

        if w.run_loop((result, loc), [result, over, *part.names()], loc, body, once=True):
            raise Dead
        return read(w, result, "zip_longest()")


class Compress(Transformed):
    """Items whose selector is true."""

    kind = "itertools.compress"
    skips = True

    def transform(self, w: Walker, item: Value, sink: Sink) -> Value:
        value, selector = item.items  # type: ignore[union-attr]
        sink.skip_unless(truth(w.b, selector))
        return value


@adapter("chain one by one")
def _chain(w: Walker, value: Agg) -> Iteration:
    return ChainOneByOne([iterate(w, v, w.b.loc) for v in value.items])


@adapter("zip_longest one by one")
def _longest(w: Walker, value: Agg) -> Iteration:
    fill, *items = value.items
    return LongestOneByOne(fill, [iterate(w, v, w.b.loc) for v in items])


@adapter("compress")
def _compress(w: Walker, value: Agg) -> Iteration:
    return Compress(ADAPTERS["zip"](w, lazy("zip", *value.items, Known(False))))


def one_by_one(w: Any, iterables: tuple[Value, ...]) -> list[Value] | None:
    """What has to be asked for one item after the other, and can be; else None: nobody sees when the items of sequences
    are asked for."""
    parts = [iterate(w, v, w.b.loc) for v in iterables]
    if any(p.nested for p in parts) or all(isinstance(p, Indexed) and p.pure for p in parts):
        return None
    static = [isinstance(p, Indexed) and p.static for p in parts]  # their items have no place in memory
    return [collect(w, v) if s else v for v, s in zip(iterables, static, strict=True)]
