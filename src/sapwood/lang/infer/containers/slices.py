"""Slices of lists: `xs[a:b:c]` read, assigned and deleted, with any step."""

from __future__ import annotations

import operator
from typing import Any

from sapwood.lang.errors import BadOperand
from sapwood.lang.infer.containers.lists import (
    LENGTH,
    collect,
    element_spec,
    is_empty,
    kind_of,
    raise_now,
    slice_list,
    stored_of,
    word,
)
from sapwood.lang.infer.narrow import is_none, is_optional, some
from sapwood.lang.ir.ssa import Var
from sapwood.lang.ops.operators import binary, require_index
from sapwood.lang.values import Agg, Known, Value, describe, spec_of

LARGEST = (1 << 63) - 1
NONE = Known(None)


def is_slice(index: Value) -> bool:
    return isinstance(index, Agg) and index.items[:1] == (Known(slice),)


def slice_bounds(w: Any, index: Agg, n: Value) -> tuple[Value, Value, Value]:
    """(first index, step, number of items) of a slice of n items; ValueError for a step of 0."""
    from sapwood.lang.library.list_edit import slice_range

    start, stop, step = index.items[1:]
    if start == stop == step == NONE:  # xs[:]
        return Known(0), Known(1), n
    step = _part(w, step, lambda: Known(1))
    if isinstance(step, Known):
        if step.value == 0:
            raise_now(w, ValueError, "slice step cannot be zero")
        step = Known(max(step.value, -LARGEST))
        backward: Value = Known(step.value < 0)
    else:
        step = w.b.materialize(step)
        w.b.raise_if(binary(w.b, operator.eq, step, Known(0)), ValueError, "slice step cannot be zero")
        step = w.call(Known(max), [step, Known(-LARGEST)], {}, w.b.loc)
        backward = binary(w.b, operator.lt, step, Known(0))

    def end(when_backward: int, else_: int) -> Value:
        if isinstance(backward, Known):
            return Known(when_backward if backward.value else else_)
        return w.choose(backward, lambda: Known(when_backward), lambda: Known(else_), "a slice")

    start = _part(w, start, lambda: end(LARGEST, 0))
    stop = _part(w, stop, lambda: end(-LARGEST - 1, LARGEST))
    found = w.call_compiled(slice_range, [w.b.materialize(v) for v in (start, stop, step, n)], {})
    first, count = found.items
    return first, step, count


def _part(w: Any, value: Value, default: Any) -> Value:
    """A bound or step of a slice; None stands for a default."""
    if value == NONE:
        return default()
    if is_optional(value):
        what = "a slice"
        return w.choose(is_none(w.b, value), default, lambda: _part(w, some(w.b, value), default), what)
    if isinstance(value, Known) and isinstance(value.value, int):
        return Known(max(min(value.value, LARGEST), -LARGEST - 1))
    return require_index(w.b, value, "a bound of a slice")


def get_slice(w: Any, xs: Var, index: Agg) -> Value:
    start, step, count = slice_bounds(w, index, word(w.b, xs, LENGTH))
    return slice_list(w, xs, start, step, count)


def set_slice(w: Any, xs: Var, index: Agg, value: Value) -> None:
    """`xs[a:b:c] = iterable`: the list takes over the elements of a new list."""
    from sapwood.lang.library.list_edit import list_replace, list_replace_stepped

    if is_empty(xs):
        ys = collect(w, value)
        element_spec(xs).data.learn(element_spec(ys))
        return
    ys = collect(w, value, element_spec(xs))
    if spec_of(ys) != spec_of(xs):
        raise BadOperand(w.b.loc, function="assignment", detail=f"a slice of {describe(xs)} cannot be {describe(ys)}",
                         hint="the elements must have the list's type")  # fmt: skip
    start, step, count = slice_bounds(w, index, word(w.b, xs, LENGTH))
    kind, stored = kind_of(xs), stored_of(xs)

    def replace() -> Value:
        w.call_compiled(list_replace, [kind, stored, xs, start, count, ys], {})
        return NONE

    def change_places() -> Value:
        n = word(w.b, ys, LENGTH)
        message = "attempt to assign sequence of size {0} to extended slice of size {1}"
        count_now = w.b.materialize(count)
        w.b.raise_if(binary(w.b, operator.ne, n, count_now), ValueError, message, n, count_now)
        w.call_compiled(list_replace_stepped, [xs, stored, start, step, count, ys], {})
        return NONE

    if isinstance(step, Known):
        replace() if step.value == 1 else change_places()
    else:
        w.choose(binary(w.b, operator.eq, step, Known(1)), replace, change_places, "a slice")


def delete_slice(w: Any, xs: Var, index: Agg) -> None:
    from sapwood.lang.library.list_edit import list_delete

    start, step, count = slice_bounds(w, index, word(w.b, xs, LENGTH))
    if not is_empty(xs):
        w.call_compiled(list_delete, [kind_of(xs), stored_of(xs), xs, start, step, count], {})


