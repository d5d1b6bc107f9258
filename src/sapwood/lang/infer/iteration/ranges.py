"""`range` as a value: how it is iterated, its length, membership, indexing and equality."""

from __future__ import annotations

import builtins
import operator
from typing import TYPE_CHECKING, Any

from sapwood.lang import types as ty
from sapwood.lang.errors import BadOperand
from sapwood.lang.infer.iteration.protocol import Indexed, Sink, iterates
from sapwood.lang.ir.ssa import Var
from sapwood.lang.ops import arith
from sapwood.lang.ops.operators import binary, logical_not, require_index
from sapwood.lang.types import BOOL, I64, U64
from sapwood.lang.values import Agg, Known, Value

if TYPE_CHECKING:
    from sapwood.lang.infer.walker import FunctionWalker as Walker


def make_range(w: Walker, start: Value, stop: Value, step: Value) -> Agg:
    if isinstance(step, Known) and step.value == 0:
        raise BadOperand(w.b.loc, function="range", detail="the step is 0", hint="use a step of 1 or more")
    if isinstance(step, Var) and not w.b.unchecked:
        zero = w.b.emit1(arith.compare, (step, w.b.index(0)), BOOL, test="eq")
        w.b.raise_if(zero, ValueError, "range() arg 3 must not be zero")
    return Agg(ty.Range(), (start, stop, step))


def bounds(value: Value) -> tuple[Value, Value, Value]:
    """(start, stop, step) of a range value."""
    if isinstance(value, Known):
        r = value.value
        return Known(r.start), Known(r.stop), Known(r.step)
    assert isinstance(value, Agg)
    start, stop, step = value.items
    return start, stop, step


def is_range(value: Value) -> bool:
    return isinstance(value, Agg) and isinstance(value.type, ty.Range) or (
        isinstance(value, Known) and isinstance(value.value, range)
    )


class RangeItems(Indexed):
    kind = "range_iterator"
    sequence = True

    def __init__(self, value: Value) -> None:
        super().__init__()
        self.start_at, self.stop, self.step = bounds(value)

    @property
    def _known(self) -> range | None:
        parts = (self.start_at, self.stop, self.step)
        if all(isinstance(p, Known) for p in parts):
            return range(*(p.value for p in parts))  # type: ignore[union-attr]
        return None

    def length(self, w: Walker) -> Value:
        known = self._known
        if known is not None:
            return Known(builtins.max(0, _len(known)))
        if self.step == Known(1) and self.start_at == Known(0):
            return w.b.apply(arith.maximum, self.stop, Known(0))
        count = w.b.convert(self._count(w), I64)
        most = w.b.const(2**63 - 1, I64)  # more than that would take longer than anybody waits
        negative = w.b.emit1(arith.compare, (count, w.b.index(0)), BOOL, test="lt")
        return w.b.emit1(arith.select, (negative, most, count), I64)

    def _count(self, w: Walker) -> Var:
        from sapwood.lang.library.ranges import range_length

        operands = [w.b.materialize(v) for v in (self.start_at, self.stop)]
        count = w.call_compiled(range_length, [*operands, self.step], {})
        return w.b.materialize(count)

    def bound(self, w: Walker) -> Value:
        return self.stop if self.step == Known(1) and self.start_at == Known(0) else self.length(w)

    def at(self, w: Walker, i: Value) -> Value:
        b = w.b
        offset = binary(b, operator.mul, i, self.step) if self.step != Known(1) else i
        value = offset if self.start_at == Known(0) else binary(b, operator.add, self.start_at, offset)
        if isinstance(value, Var) and self._proven(w):
            b.below[value] = b.below.get(value, set()) | self._proven(w)
        return value

    def dims(self) -> set[Any]:
        if self.start_at != Known(0) or self.step != Known(1):
            return set()
        return {self.stop.value if isinstance(self.stop, Known) else self.stop}

    def _proven(self, w: Walker) -> set[Any]:
        """What the numbers are known to be below, if none is negative."""
        if not isinstance(self.step, Known) or self.step.value <= 0:
            return set()
        start = self.start_at
        if isinstance(start, Known) and start.value >= 0 or isinstance(start, Var) and start in w.b.below:
            return {self.stop.value if isinstance(self.stop, Known) else self.stop}
        return set()

    # Alone, a range counts with its own numbers.

    def prepare(self, w: Walker) -> None:
        self.limit = self.bound(w)

    def start(self, w: Walker, prefix: str) -> None:
        b = w.b
        self.by_one = isinstance(self.step, Known) and self.step.value in (1, -1)
        self.first, self.last = b.materialize(self.start_at), b.materialize(self.stop)
        self.state = [prefix]
        w.vars[prefix] = self.first
        if not self.by_one:
            self.state = [prefix, f"{prefix}.left"]
            w.vars[f"{prefix}.left"] = self._count(w)

    def next(self, w: Walker, sink: Sink) -> Value:
        b = w.b
        i = w.vars[self.state[0]]
        assert isinstance(i, Var)
        if self.by_one:
            assert isinstance(self.step, Known)
            test = "lt" if self.step.value > 0 else "gt"
            sink.end_unless(b.emit1(arith.compare, (i, self.last), BOOL, test=test))
        else:
            left = w.vars[self.state[1]]
            assert isinstance(left, Var)
            goes_on = b.emit1(arith.compare, (left, b.const(0, U64)), BOOL, test="ne", counts=(i, self.last, self.step))
            sink.end_unless(goes_on)
            w.vars[self.state[1]] = b.emit1(arith.sub, (left, b.const(1, U64)), U64)
        proven = self._proven(w)
        if proven:
            b.below[i] = proven
        w.vars[self.state[0]] = binary(b, operator.add, i, self.step)
        return i


def _len(r: range) -> int:
    try:
        return len(r)
    except OverflowError:
        return 2**63 - 1


@iterates(ty.Range, range)
def _range_items(w: Walker, value: Value) -> RangeItems:
    return RangeItems(value)


# -- as a sequence -----------------------------------------------------------------------------------


def range_length(w: Walker, value: Value) -> Value:
    """len(r)"""
    r = RangeItems(value)
    if r.step == Known(1) and r.start_at == Known(0) or r._known is not None:
        return r.length(w)
    count = r._count(w)
    if not w.b.unchecked:
        big = w.b.emit1(arith.compare, (count, w.b.const(2**63, U64)), BOOL, test="ge")
        w.b.raise_if(big, OverflowError, "Python int too large to convert to C ssize_t")
    return w.b.convert(count, I64)


def range_item(w: Walker, value: Value, index: Value) -> Value:
    """r[i] and r[a:b:c]"""
    r = RangeItems(value)
    known = r._known
    if isinstance(index, Agg) and index.items[:1] == (Known(slice),):
        return _slice(w, r, index.items[1:])
    index = require_index(w.b, index, "an index")
    if known is not None and isinstance(index, Known) and -_len(known) <= index.value < _len(known):
        return Known(known[index.value])
    b = w.b
    n, i = b.materialize(r.length(w)), b.materialize(index)
    negative = b.emit1(arith.compare, (i, b.index(0)), BOOL, test="lt")
    at = b.emit1(arith.select, (negative, b.emit1(arith.add, (i, n), I64), i), I64)
    if not b.unchecked:
        from sapwood.lang.infer.tensors import _outside

        b.raise_if(_outside(b, at, n), IndexError, "range object index out of range")
    return binary(b, operator.add, r.start_at, binary(b, operator.mul, at, r.step))


def _slice(w: Walker, r: RangeItems, parts: tuple[Value, ...]) -> Value:
    known = r._known
    if known is not None and all(isinstance(p, Known) for p in parts):
        return Known(known[slice(*(p.value for p in parts))])  # type: ignore[union-attr]
    raise BadOperand(
        w.b.loc, function="range", detail="only a range known at compile time can be sliced",
        hint="compute the bounds: range(start, stop, step)",
    )  # fmt: skip


def range_contains(w: Walker, value: Value, x: Value) -> Value:
    """x in r"""
    b = w.b
    r = RangeItems(value)
    if isinstance(x, Known) and r._known is not None:
        return Known(x.value in r._known)
    if isinstance(x, Known) and isinstance(x.value, float) and x.value.is_integer():
        x = Known(int(x.value))
    if isinstance(x, Var) and isinstance(x.type, ty.Scalar) and x.type.is_float:
        from sapwood.lang.library.ranges import range_has_float

        operands = [b.materialize(v) for v in (r.start_at, r.stop)]
        return w.call_compiled(range_has_float, [*operands, r.step, b.convert(x, ty.F64)], {})
    whole = isinstance(x, Known) and isinstance(x.value, int) or isinstance(x, Var) and isinstance(x.type, ty.Scalar)
    if not whole:
        return Known(False)
    from sapwood.lang.library.ranges import range_has

    operands = [b.materialize(v) for v in (r.start_at, r.stop)]
    return w.call_compiled(range_has, [*operands, r.step, require_index(b, x, "the number")], {})


def range_equal(w: Walker, fn: Any, x: Value, y: Value) -> Value:
    """r == s: the same numbers in the same order."""
    from sapwood.lang.library.ranges import ranges_equal

    if not (is_range(x) and is_range(y)):
        return Known(fn is operator.ne)
    p, q = RangeItems(x), RangeItems(y)
    if p._known is not None and q._known is not None:
        return Known(fn(p._known, q._known))
    operands = [w.b.materialize(v) for r in (p, q) for v in (r.start_at, r.stop, r.step)]
    same = w.call_compiled(ranges_equal, operands, {})
    return logical_not(w.b, same) if fn is operator.ne else same


def range_truth(w: Walker, value: Value) -> Known | Var:
    start, stop, step = bounds(value)
    if isinstance(step, Known):
        test = operator.lt if step.value > 0 else operator.gt
        result = binary(w.b, test, start, stop)
        assert isinstance(result, Known | Var)
        return result
    n = RangeItems(value)._count(w)
    return w.b.emit1(arith.compare, (n, w.b.const(0, U64)), BOOL, test="ne")
