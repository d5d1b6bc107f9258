"""The methods of `list`."""

from __future__ import annotations

import operator
from typing import Any

from sapwood.lang import types as ty
from sapwood.lang.infer.containers.lists import (
    LENGTH,
    add_element,
    checked_index,
    copy_list,
    element_spec,
    foresee,
    is_empty,
    is_list,
    new_list,
    nothing_there,
    set_word,
    sought,
    store_value,
    stored_of,
    word,
)
from sapwood.lang.infer.containers.slices import slice_bounds
from sapwood.lang.infer.heap import Dead
from sapwood.lang.ir.ssa import Var
from sapwood.lang.join import known_element, storable
from sapwood.lang.ops import heap
from sapwood.lang.ops.operators import binary, logical_not, truth
from sapwood.lang.types import I64
from sapwood.lang.values import Agg, Known, Spec, Value, spec_of

NONE = Known(None)


# -- adding -----------------------------------------------------------------------------------------


def append(w: Any, xs: Var, x: Value, /) -> Value:
    add_element(w, xs, x)
    return NONE


def extend(w: Any, xs: Var, iterable: Value, /) -> Value:
    from sapwood.lang.infer.iteration.reductions import each
    from sapwood.lang.library.list_edit import list_extend

    if is_list(iterable) and (is_empty(iterable) or element_spec(iterable) == element_spec(xs)):
        if is_empty(iterable):
            return NONE
        n = word(w.b, iterable, LENGTH)
        w.call_compiled(list_extend, [xs, stored_of(xs), iterable, Known(0), Known(1), n], {})
        return NONE
    if is_list(iterable) and is_empty(xs):
        element_spec(xs).data.learn(element_spec(iterable))
        return NONE
    each(w, iterable, [], lambda item, _: add_element(w, xs, item))
    return NONE


def insert(w: Any, xs: Var, index: Value, x: Value, /) -> Value:
    from sapwood.lang.library.list_edit import list_insert
    from sapwood.lang.ops.operators import require_index

    i = w.b.materialize(require_index(w.b, index, "an index"))
    x = store_value(w, xs, x)
    if not is_empty(xs):
        w.call_compiled(list_insert, [xs, stored_of(xs), i, _as_element(w, x, element_spec(xs))], {})
    return NONE


def _as_element(w: Any, x: Value, elem: Spec) -> Value:
    """The value with the leaves of an element, so that library functions are compiled once for all values."""
    from sapwood.lang.infer.adapt import adapt
    from sapwood.lang.values import rebuild

    return rebuild(elem, iter(adapt(w.b, x, elem)))


# -- taking away ------------------------------------------------------------------------------------


def pop(w: Any, xs: Var, index: Value = Known(-1), /) -> Value:
    from sapwood.lang.library.list_edit import list_take
    from sapwood.lang.ops.heap import take

    if is_empty(xs):
        nothing_there(w, IndexError, "pop from empty list")
    b, n = w.b, word(w.b, xs, LENGTH)
    b.raise_if(binary(b, operator.eq, n, Known(0)), IndexError, "pop from empty list")
    if index == Known(-1):
        last = binary(b, operator.sub, n, Known(1))
        x = b.apply(take, b.apply(heap.elements, xs), last)
        set_word(b, xs, LENGTH, last)
        return x
    i = checked_index(b, index, n, "pop index out of range")
    return w.call_compiled(list_take, [xs, stored_of(xs), i], {})


def remove(w: Any, xs: Var, x: Value, /) -> Value:
    from sapwood.lang.library.list_edit import list_discard

    i = _find(w, xs, x, Known(0), None)
    missing = "list.remove(x): x not in list"
    if i is None:
        nothing_there(w, ValueError, missing)
    w.b.raise_if(binary(w.b, operator.lt, i, Known(0)), ValueError, missing)
    w.call_compiled(list_discard, [xs, stored_of(xs), i], {})
    return NONE


def clear(w: Any, xs: Var, /) -> Value:
    from sapwood.lang.library.list_edit import list_clear

    if not is_empty(xs):
        w.call_compiled(list_clear, [xs, stored_of(xs)], {})
    return NONE


# -- looking ----------------------------------------------------------------------------------------


def _find(w: Any, xs: Var, x: Value, start: Value, stop: Value | None) -> Value | None:
    from sapwood.lang.library.list import list_find

    if is_empty(xs):
        return None
    n = word(w.b, xs, LENGTH)
    return w.call_compiled(list_find, [xs, sought(w, x), start, n if stop is None else stop], {})


def place_between(w: Any, xs: Var, x: Value, start: Value, stop: Value) -> Value | None:
    """The place of x from start to stop, or below 0; None: nothing was ever put in."""
    if start == Known(0) and stop == NONE:
        return _find(w, xs, x, start, None)
    bounds = Agg(ty.Tuple(4), (Known(slice), start, stop, NONE))
    first, _, count = slice_bounds(w, bounds, word(w.b, xs, LENGTH))
    return _find(w, xs, x, first, binary(w.b, operator.add, first, count))


def index(w: Any, xs: Var, x: Value, start: Value = Known(0), stop: Value = NONE, /) -> Value:
    found = place_between(w, xs, x, start, stop)
    if found is None:
        _missing(w, None, x)
    assert isinstance(found, Var)
    _missing(w, binary(w.b, operator.lt, found, Known(0)), x)
    return found


def _missing(w: Any, test: Value | None, x: Value) -> None:
    """ValueError: x is not in list, if the test holds (None: always)."""
    if isinstance(x, Known) and isinstance(x.value, bool | int | float | str | None):
        message = f"{x.value!r} is not in list"
        if test is None:
            nothing_there(w, ValueError, message)
        w.b.raise_if(test, ValueError, message.replace("{", "{{").replace("}", "}}"))
        return
    if not (isinstance(x, Var) and isinstance(x.type, ty.Scalar)):
        from sapwood.lang.library.list import list_require

        w.call_compiled(list_require, [Known(False) if test is None else logical_not(w.b, test), x], {})
        if test is None:
            raise Dead
        return
    if test is None:
        w.b.raise_if(w.b.materialize(Known(True)), ValueError, "{0!r} is not in list", x)
        nothing_there(w, ValueError, "")
    w.b.raise_if(test, ValueError, "{0!r} is not in list", x)


def count(w: Any, xs: Var, x: Value, /) -> Value:
    from sapwood.lang.library.list import list_count

    return w.b.index(0) if is_empty(xs) else w.call_compiled(list_count, [xs, sought(w, x)], {})


def copy(w: Any, xs: Var, /) -> Value:
    return copy_list(w, xs)


# -- order ------------------------------------------------------------------------------------------


def reverse(w: Any, xs: Var, /) -> Value:
    from sapwood.lang.library.list_edit import list_reverse

    if not is_empty(xs):
        w.call_compiled(list_reverse, [xs], {})
    return NONE


def is_plain(spec: Spec) -> bool:
    """Whether comparing such values can neither raise nor run code of the program."""
    if spec.kind == "leaf":
        t = spec.data
        if isinstance(t, ty.Ref):
            target = t.target
            return not t.nullable and (
                isinstance(target, ty.Str) or type(target).__name__ == "Bytes"
                or isinstance(target, ty.List) and is_plain(target.elem)
            )  # fmt: skip
        return isinstance(t, ty.Scalar)
    return spec.kind == "agg" and isinstance(spec.data, ty.Tuple) and all(map(is_plain, spec.items))


def sort(w: Any, xs: Var, /, *, key: Value = NONE, reverse: Value = Known(False)) -> Value:
    from sapwood.lang.library import list_order
    from sapwood.lang.library.list_edit import list_reverse

    if is_empty(xs):
        return NONE
    backward = truth(w.b, reverse)
    elem = element_spec(xs)

    def turn(ys: Var) -> None:
        if backward == Known(False):
            return

        def run() -> Value:
            w.call_compiled(list_reverse, [ys], {})
            return NONE

        w.choose(backward, run, lambda: NONE, "sort()")

    if key == NONE:
        require_order(w, elem)
    if key == NONE and is_plain(elem):
        turn(xs)
        w.call_compiled(list_order.list_sort, [xs, stored_of(xs), NONE, Known(list_order.less_plain)], {})
        turn(xs)
        return NONE
    before = word(w.b, xs, LENGTH), word(w.b, xs, 4)
    if key == NONE:
        _by_places(w, xs, copy_list(w, xs), backward, before)
        return NONE
    spec = _key_spec(w, xs, key)
    require_order(w, spec)
    if not is_plain(spec):
        keys = new_list(w, spec, before[0])
        _each_key(w, xs, key, before, lambda k, _: add_element(w, keys, k))
        _by_places(w, xs, keys, backward, before)
        return NONE
    pairs = new_list(w, Spec("agg", ty.Tuple(2), (spec, Spec("leaf", I64))), before[0])
    _each_key(w, xs, key, before, lambda k, i: add_element(w, pairs, Agg(ty.Tuple(2), (k, i))))
    turn(pairs)
    w.call_compiled(list_order.list_sort, [pairs, stored_of(pairs), NONE, Known(list_order.less_keyed)], {})
    turn(pairs)
    w.call_compiled(list_order.list_permute, [xs, stored_of(xs), pairs, Known(list_order.place_of_pair)], {})
    return NONE


def require_order(w: Any, spec: Spec) -> None:
    """Say here, and not in the library, that such values cannot be compared."""
    from sapwood.lang.infer.adapt import fresh
    from sapwood.lang.infer.equality import less
    from sapwood.lang.ir.ssa import Region

    if not is_plain(spec):
        with w.at(Region(), w.b.loc):
            less(w, fresh(spec)[0], fresh(spec)[0])


def _key_spec(w: Any, xs: Var, key: Value) -> Spec:
    """What a key function gives."""
    from sapwood.lang.infer import layout
    from sapwood.lang.ops.memory import offset

    site = w.interp.site(w.b.loc, "key")
    if site.spec is None:

        def look() -> None:
            place = offset(w.b, w.b.apply(heap.elements, xs), w.b.index(0))
            x = layout.read(w.b, place, ty.Stored(element_spec(xs)))
            site.learn(storable(spec_of(w.call(key, [x], {}, w.b.loc))))

        foresee(w, look, site)
    found = known_element(site)
    return found if found.kind != "never" else Spec("leaf", I64)


def _each_key(w: Any, xs: Var, key: Value, before: tuple[Var, Var], use: Any) -> None:
    """Compute the keys, from first to last; the list must not change meanwhile."""
    from sapwood.lang.infer import layout
    from sapwood.lang.infer.iteration.reductions import each
    from sapwood.lang.ops.memory import offset

    loc = w.b.loc

    def one(i: Value, _: Any) -> None:
        place = offset(w.b, w.b.apply(heap.elements, xs), i)
        k = w.call(key, [layout.read(w.b, place, ty.Stored(element_spec(xs)))], {}, loc)
        _unchanged(w, xs, before)
        use(k, i)

    each(w, w.call(Known(range), [before[0]], {}, loc), [], one)
    w.b.loc = loc


def _unchanged(w: Any, xs: Var, before: tuple[Var, Var]) -> None:
    b = w.b
    for old, i in zip(before, (LENGTH, 4), strict=True):
        changed = binary(b, operator.ne, word(b, xs, i), old)
        b.raise_if(changed, ValueError, "list modified during sort")


def _by_places(w: Any, xs: Var, keys: Var, backward: Value, before: tuple[Var, Var]) -> None:
    """Sort by keys whose comparison may raise: first the places, then the list."""
    from sapwood.lang.library import list_order

    spec = Spec("leaf", I64)
    arguments = [Known(ty.List(spec)), Known(ty.Stored(spec)), keys, backward, Known(list_order.less_placed)]
    order = w.call_compiled(list_order.list_sorted_places, arguments, {})
    _unchanged(w, xs, before)
    w.call_compiled(list_order.list_permute, [xs, stored_of(xs), order, Known(list_order.place_of)], {})


METHODS = {
    "append": append, "extend": extend, "insert": insert, "pop": pop, "remove": remove, "clear": clear,
    "index": index, "count": count, "copy": copy, "reverse": reverse, "sort": sort,
}  # fmt: skip
