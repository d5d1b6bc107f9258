"""Iteration over user classes: `__iter__` and `__next__`, or `__getitem__` until it raises IndexError."""

from __future__ import annotations

import inspect
import operator
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from sapwood.lang import types as ty
from sapwood.lang.errors.iteration import NotAnIterator
from sapwood.lang.infer.heap import Dead
from sapwood.lang.infer.iteration.protocol import Ended, Indexed, Iteration, Sink, iterate, iterates, type_key
from sapwood.lang.ops import exceptions as ops
from sapwood.lang.ops.operators import binary
from sapwood.lang.types import BOOL
from sapwood.lang.values import Agg, Known, Value, describe

if TYPE_CHECKING:
    from sapwood.lang.infer.walker import FunctionWalker as Walker


def until(w: Walker, exception: type[BaseException], take: Callable[[], Value], sink: Sink) -> Value:
    """What `take` gives; the iteration ends where it raises the exception."""
    item = w.temporary("item")
    loc = w.b.loc

    def body() -> bool:
        w.vars[item] = take()
        return False

    def stop() -> bool:
        w.b.emit(ops.discard_error, (w.b.emit1(ops.catch_error, (), ops.RECORD),))
        with suppress(Ended, Dead):
            sink.end_unless(Known(False))
        return True

    def again() -> bool:
        w.b.emit(ops.reraise, (), (), {})
        return True

    def handler() -> bool:
        w.b.loc = loc
        test = w.b.emit1(ops.error_matches, (), BOOL, classes=(exception,))
        return w.split(test, (stop, again), loc)

    if w.protect(body, handler, None, loc):
        raise Ended
    return w.read(w.vars.pop(item))


class ByNext(Iteration):
    """`__iter__` gives what `__next__` is asked of, or something else that can be iterated."""

    def __init__(self, value: Value) -> None:
        super().__init__()
        self.value = value

    def start(self, w: Walker, prefix: str) -> None:
        loc = w.b.loc
        method = w.method_of(self.value, "__iter__")
        assert isinstance(method, Agg)
        made = w.call_in_place(method, loc)
        self.inner: Iteration | None = None
        if w.method_of(made, "__next__") is not None:
            self.iterator = made
            return
        if type_key(made) in (ty.Struct, ty.HeapStruct):
            raise NotAnIterator(loc, type=describe(made))
        self.inner = iterate(w, made, loc)
        self.inner.start(w, prefix)
        self.state = self.inner.names()

    def next(self, w: Walker, sink: Sink) -> Value:
        if self.inner is not None:
            return self.inner.next(w, sink)
        method = w.method_of(self.iterator, "__next__")
        assert method is not None
        return until(w, StopIteration, lambda: w.call(method, [], {}, w.b.loc), sink)


class ByGetItem(Iteration):
    """`__getitem__` of 0, 1, 2 ... until it raises IndexError."""

    def __init__(self, value: Value) -> None:
        super().__init__()
        self.value = value

    def start(self, w: Walker, prefix: str) -> None:
        self.state = [prefix]
        w.vars[prefix] = w.b.index(0)

    def next(self, w: Walker, sink: Sink) -> Value:
        slot = self.state[0]
        i = w.vars[slot]
        method = w.method_of(self.value, "__getitem__")
        assert method is not None
        item = until(w, IndexError, lambda: w.call(method, [i], {}, w.b.loc), sink)
        w.vars[slot] = binary(w.b, operator.add, i, Known(1))
        return item


class ByLength(Indexed):
    """`__len__` and `__getitem__`: how `reversed` sees a class."""

    pure = False
    sequence = True

    def __init__(self, value: Value) -> None:
        super().__init__()
        self.value = value

    def length(self, w: Walker) -> Value:
        from sapwood.lang.infer.builtins import BUILTINS

        return BUILTINS[len](w, self.value)

    def at(self, w: Walker, i: Value) -> Value:
        method = w.method_of(self.value, "__getitem__")
        assert method is not None
        return w.call(method, [i], {}, w.b.loc)


@iterates(ty.Struct, ty.HeapStruct)
def _struct(w: Walker, value: Value) -> Iteration | None:
    method = w.method_of(value, "__iter__")
    if isinstance(method, Agg) and _is_generator(method):
        return iterate(w, w.call(method, [], {}, w.b.loc), w.b.loc)
    if method is not None:
        return ByNext(value)
    return None if w.method_of(value, "__getitem__") is None else ByGetItem(value)


def _is_generator(method: Agg) -> bool:
    function = getattr(method.type, "function", None)
    return inspect.isgeneratorfunction(getattr(function, "__wrapped__", None))


def backwards(w: Walker, value: Value) -> Any:
    """What `reversed` of a class runs over; None if it cannot."""
    if not (isinstance(value, Agg) and isinstance(value.type, ty.Struct)):
        return None
    if w.method_of(value, "__len__") is None or w.method_of(value, "__getitem__") is None:
        return None
    return ByLength(value)
