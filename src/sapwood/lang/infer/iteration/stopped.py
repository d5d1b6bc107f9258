"""StopIteration inside a generator expression: it becomes RuntimeError, as PEP 479 says."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from sapwood.lang.infer.heap import Dead
from sapwood.lang.ir.ssa import Function, Region
from sapwood.lang.ops import control
from sapwood.lang.ops import exceptions as ops
from sapwood.lang.types import BOOL
from sapwood.lang.values import Value

if TYPE_CHECKING:
    from sapwood.lang.infer.walker import FunctionWalker as Walker


def without_stop(w: Walker, evaluate: Callable[[], Value]) -> Value:
    """What `evaluate` gives, in a generator expression. Where it cannot raise StopIteration, which is seen once it has
    been walked, nothing is emitted for that; else it is walked again, inside a try."""
    before, loc, region = dict(w.vars), w.b.loc, w.b.region
    start = len(region.ops)
    try:
        found: Value | None = evaluate()
    except Dead:
        found = None
    walked = Region()
    walked.ops = region.ops[start:]
    if not _may_stop(w, walked, set()):
        if found is None:
            raise Dead
        return found
    del region.ops[start:]
    w.vars, w.b.loc = before, loc
    return _in_try(w, evaluate)


def _in_try(w: Walker, evaluate: Callable[[], Value]) -> Value:
    name, loc = w.temporary("element"), w.b.loc

    def body() -> bool:
        w.vars[name] = evaluate()
        return False

    def stopped() -> bool:
        record = w.b.emit1(ops.catch_error, (), ops.RECORD)

        def fail() -> bool:
            cause = w.b.emit(ops.share_error, (record,), (ops.CELL,))
            parts = [{"value": "generator raised StopIteration"}]
            w.b.emit(control.raise_, cause, (), {"exception": RuntimeError, "parts": parts, "cause": "cell"})
            return True

        return w.while_handling(record, fail, None, loc)

    def again() -> bool:
        w.b.emit(ops.reraise, (), (), {})
        return True

    def handler() -> bool:
        w.b.loc = loc
        test = w.b.emit1(ops.error_matches, (), BOOL, classes=(StopIteration,))
        return w.split(test, (stopped, again), loc)

    if w.protect(body, handler, None, loc):
        raise Dead
    return w.read(w.vars.pop(name))


def _may_stop(w: Walker, region: Region, seen: set[Function]) -> bool:
    """Whether an operation may raise StopIteration."""
    for op in region.walk():
        if op.name in ("raise", "raise_if"):
            if issubclass(op.attrs["exception"], StopIteration):
                return True
        elif op.name in ("python_call", "call_indirect"):
            return True
        function = op.attrs.get("function") if op.name == "call" else None
        if function is not None and function not in seen:
            seen.add(function)
            if _is_walked_with_stops(w, function) or _may_stop(w, function.body, seen):
                return True
    return False


def _is_walked_with_stops(w: Walker, function: Function) -> bool:
    """Whether a function that is being walked, so that its operations are not known yet, names what may stop."""
    for frame in w.interp.frames:
        if frame.instance is not None and frame.instance.function is function and frame.instance.result is None:
            return not {"next", "StopIteration"}.isdisjoint(frame.python.__code__.co_names)
    return False
