"""`list` in compiled code: displays, items, operators. The work is done in library/list.py and its neighbours.

Methods are in list_methods.py, slices in slices.py.
"""

from __future__ import annotations

import builtins
import operator
from collections.abc import Callable
from typing import Any

from sapwood.lang import types as ty
from sapwood.lang.errors import BadConversion, NoOperator
from sapwood.lang.errors.hints import RELATED, elements_hint
from sapwood.lang.front import hir
from sapwood.lang.infer import layout
from sapwood.lang.infer.adapt import adapt
from sapwood.lang.infer.border import demand
from sapwood.lang.infer.builtins import builtin
from sapwood.lang.infer.equality import ordered
from sapwood.lang.infer.erasure import erased_stored
from sapwood.lang.infer.heap import Dead, HeapRules
from sapwood.lang.infer.iteration.protocol import Indexed, iterate
from sapwood.lang.infer.numbers.complex_numbers import as_complex
from sapwood.lang.infer.text.characters import plain
from sapwood.lang.ir.ssa import Region, Var
from sapwood.lang.join import Clash, bring_together, join, known_element, storable, unify, widen
from sapwood.lang.ops import arith, control, heap
from sapwood.lang.ops.bounds import check_index
from sapwood.lang.ops.memory import offset
from sapwood.lang.ops.objects import api, is_of_type
from sapwood.lang.ops.operators import COMPARISONS, SYMBOLS, binary, logical_not, require_index
from sapwood.lang.ops.raw import keep
from sapwood.lang.types import BOOL, I64
from sapwood.lang.values import Agg, Known, Site, Spec, Value, describe, spec_of

LENGTH = 2  # the word that says how many items a container has


# -- displays ---------------------------------------------------------------------------------------


def common_spec(w: Any, specs: list[Spec], what: str) -> Spec:
    """The spec that the elements of a display have in common."""
    spec = storable(specs[0])
    for other in specs[1:]:
        try:
            spec = join(spec, storable(other))
        except Clash:
            bring_together(spec, storable(other))
            hint = RELATED if are_objects(other, spec) else elements_hint(what, describe(other), display=True)
            raise BadConversion(w.b.loc, found=describe(other), expected=describe(spec), hint=hint) from None
    return spec


def is_starred(item: Value) -> bool:
    return isinstance(item, Agg) and item.items[:1] == (Known(hir.Starred),)


@builtin(hir.make_list)
def make_list(w: Any, *args: Value) -> Value:
    """`[a, b, *c]`."""
    items = list(args)
    if any(map(is_starred, items)):
        return _make_starred(w, items)
    if not items:
        return new_list(w, known_element(w.interp.site(w.b.loc)), Known(0))
    spec = _display_spec(w, [spec_of(i) for i in items])
    xs = new_list(w, spec, Known(len(items)))
    p = w.b.apply(heap.elements, xs)
    for i, item in enumerate(items):
        layout.write_leaves(w.b, offset(w.b, p, Known(i)), spec, adapt(w.b, item, spec))
    set_word(w.b, xs, LENGTH, w.b.index(len(items)))
    return xs


@builtin(hir.taken)
def _taken(w: Any, x: Value) -> Value:
    """What never changes can be taken later."""
    fixed = isinstance(x, Agg) and isinstance(x.type, ty.Tuple)
    return x if fixed or isinstance(x, Known) else collect(w, x)


def _display_spec(w: Any, specs: list[Spec]) -> Spec:
    """The elements of a display: what its items have in common, and what else has to go in."""
    site = w.interp.site(w.b.loc, "display")
    site.display = True
    try:
        plain = [s if s.kind == "known" else storable(s) for s in specs]
        if site.spec is not None and all(join(site.spec, s) == site.spec for s in plain):
            return known_element(site)
        spec = common_spec(w, specs, "list")
        if site.spec is None or join(site.spec, spec) != spec:
            site.spec = spec if site.spec is None else join(site.spec, spec)
        return known_element(site)
    except Clash:
        return common_spec(w, specs, "list")


def _make_starred(w: Any, items: list[Value]) -> Value:
    from sapwood.lang.infer.containers.list_methods import extend
    from sapwood.lang.infer.iteration.reductions import each

    site, loc = w.interp.site(w.b.loc, "starred"), w.b.loc

    def teach() -> None:
        for item in items:
            if is_starred(item):
                each(w, item.items[1], [], lambda x, _: learn(w, site, x, "list"))  # type: ignore[union-attr]
            else:
                learn(w, site, item, "list")

    if site.spec is None:
        foresee(w, teach, site)
    xs = new_list(w, known_element(site), Known(len(items)))
    for item in items:
        w.b.loc = loc
        if is_starred(item):
            extend(w, xs, item.items[1])  # type: ignore[union-attr]
        else:
            add_element(w, xs, item)
    return xs


def new_list(w: Any, elem: Spec, capacity: Value) -> Var:
    from sapwood.lang.library.list import list_new

    kind = ty.List(elem)
    return made(w.call_compiled(list_new, [Known(kind), Known(ty.Stored(elem)), capacity], {}), kind)


def made(x: Var, kind: ty.HeapType) -> Var:
    """A new container with a type that says where it was made."""
    x.type = ty.Ref(kind)
    return x


# -- words and elements -----------------------------------------------------------------------------


def word(b: Any, x: Var, i: int) -> Var:
    """Word i of an object's memory."""
    return layout.read(b, offset(b, b.emit1(heap.words, (x,), heap.WORDS), Known(i)), I64)  # type: ignore[return-value]


def set_word(b: Any, x: Var, i: int, value: Var) -> None:
    layout.write(b, offset(b, b.emit1(heap.words, (x,), heap.WORDS), Known(i)), I64, value)


def checked_index(b: Any, index: Value, n: Var, message: str) -> Var:
    """An index from either end as one from the front; IndexError when there is no such item."""
    index = require_index(b, index, "an index")
    i = b.materialize(index)
    if not b.unchecked:
        front = isinstance(index, Known) and index.value >= 0
        attrs = {"exception": IndexError, "message": message, "front": front}
        return b.emit1(check_index, (i, n), I64, **attrs)
    if not isinstance(index, Known) or index.value < 0:
        below = b.emit1(arith.compare, (i, b.const(0, I64)), BOOL, test="lt")
        i = b.emit1(arith.select, (below, binary(b, operator.add, i, n), i), I64)
    return i


def element_spec(xs: Var) -> Spec:
    assert isinstance(xs.type, ty.Ref) and isinstance(xs.type.target, ty.List)
    return xs.type.target.elem


def kind_of(xs: Var) -> Known:
    assert isinstance(xs.type, ty.Ref)
    return Known(xs.type.target)


def stored_of(xs: Var) -> Known:
    return Known(ty.Stored(element_spec(xs)))


def is_list(x: Value) -> bool:
    reference = isinstance(x, Var) and isinstance(x.type, ty.Ref) and not x.type.nullable
    return reference and isinstance(x.type.target, ty.List)  # type: ignore[union-attr]


def is_empty(xs: Var) -> bool:
    """Whether nothing was ever put into the list, as far as is known."""
    return element_spec(xs).kind == "never"


def store_value(w: Any, xs: Var, value: Value) -> Value:
    """The value as an element of the list: an empty list learns from it."""
    elem = element_spec(xs)
    if elem.kind == "never":
        learn(w, elem.data, value, "list")
        return value
    return fit_element(w, value, elem, "list")


def learn(w: Any, site: Site, value: Value, what: str) -> None:
    """Note that a value goes into the container of a site."""
    try:
        site.learn(spec_of(value))
    except Clash:
        widen(site, spec_of(value))
        raise misfit(w, value, known_element(site), what) from None


def are_objects(a: Spec, b: Spec) -> bool:
    """Whether both are objects of structs."""
    return all(
        isinstance(s.data, ty.Struct) if s.kind == "agg"
        else s.kind == "leaf" and isinstance(s.data, ty.Ref) and isinstance(s.data.target, ty.HeapStruct)
        for s in (a, b)
    )  # fmt: skip


def misfit(w: Any, value: Value, elem: Spec, what: str) -> BadConversion:
    hint = RELATED if are_objects(spec_of(value), elem) else elements_hint(what, describe(value))
    return BadConversion(w.b.loc, found=describe(value), expected=describe(elem), hint=hint)


def fit_element(w: Any, value: Value, elem: Spec, what: str) -> Value:
    """A value as an element of a container that has others; an empty container in it learns what it holds."""
    found = storable(spec_of(value))
    if isinstance(value, Known) and elem.kind == "leaf" and isinstance(elem.data, ty.Scalar) and elem != found:
        try:
            if join(elem, spec_of(value)) == elem:  # a literal takes the dtype
                return adapt(w.b, value, elem)[0]
        except Clash:
            pass
    try:
        if join(elem, found) == elem or unify(elem, found):
            return plain(w.b, value)
    except Clash:
        pass
    if elem.site is not None:
        widen(elem.site, found)
    raise misfit(w, value, elem, what)


def nothing_there(w: Any, exception: type[BaseException], message: str) -> Any:
    """Reading from a container that nothing was ever put into raises."""
    raise_now(w, exception, message)


def raise_now(w: Any, exception: type[BaseException], *parts: Any) -> Any:
    w.b.emit(control.raise_, (), (), {"exception": exception, "parts": [{"value": p} for p in parts]})
    raise Dead


def add_element(w: Any, xs: Var, value: Value) -> None:
    from sapwood.lang.library.list import list_append

    value = store_value(w, xs, value)
    if not is_empty(xs):
        w.call_compiled(list_append, [xs, stored_of(xs), value], {})


# -- lists of what an iterable gives ----------------------------------------------------------------


def sought(w: Any, x: Value) -> Value:
    """A value to look for, at run time where it can be: one search function serves all."""
    if isinstance(x, Known) and isinstance(x.value, complex):
        return as_complex(w.b, x, "in")
    if isinstance(x, Known) and isinstance(x.value, bool | int | float | str | bytes):
        return w.b.materialize(x)
    return x


def foresee(w: Any, make: Callable[[], None], *sites: Site) -> None:
    """Walk something for what it teaches about the elements of containers that are still to be made, and forget the
    code. What it teaches about others counts: they have been made already."""
    from sapwood.lang.errors import CompileError

    before, interp = dict(w.vars), w.interp
    told = len(interp.changes)
    marks = [(e, len(e)) for e in (*interp.open_exits, w.returns)]
    try:
        with w.at(Region(), w.b.loc):
            make()
    except (CompileError, Dead):
        pass  # it will be said again
    finally:
        w.vars = before
        for e, n in marks:
            del e[n:]
        interp.changes[told:] = [c for c in interp.changes[told:] if not any(c is s for s in sites)]


def collect(w: Any, iterable: Value, elem: Spec | None = None) -> Var:
    """A new list of all that an iterable gives: `list(iterable)`. With `elem`, of such elements."""
    from sapwood.lang.infer.containers.collect import to_list
    from sapwood.lang.infer.iteration.reductions import each

    loc = w.b.loc
    if is_list(iterable) and (elem is None or elem == element_spec(iterable)):
        return copy_list(w, iterable)
    if elem is None:
        found = to_list(w, iterable, loc)
        assert isinstance(found, Var)
        return found
    it = iterate(w, iterable, loc)
    n = it.length(w) if not isinstance(it, Indexed) or not it.static else None
    xs = new_list(w, elem, Known(0) if n is None else n)
    each(w, it, [], lambda item, _: add_element(w, xs, item))
    w.b.loc = loc
    return xs


def copy_list(w: Any, xs: Var) -> Var:
    return slice_list(w, xs, w.b.index(0), w.b.index(1), word(w.b, xs, LENGTH))


def slice_list(w: Any, xs: Var, start: Value, step: Value, count: Value) -> Var:
    from sapwood.lang.library.list_edit import list_slice

    if is_empty(xs):
        return new_list(w, element_spec(xs), Known(0))
    kind = kind_of(xs)
    return made(w.call_compiled(list_slice, [kind, stored_of(xs), xs, start, step, count], {}), kind.value)


@builtin(builtins.sorted)
def _sorted(walker: Any, iterable: Value, /, *, key: Value = Known(None), reverse: Value = Known(False)) -> Value:
    from sapwood.lang.infer.containers.list_methods import sort

    xs = collect(walker, iterable)
    sort(walker, xs, key=key, reverse=reverse)
    return xs


# -- rules ------------------------------------------------------------------------------------------


def show_function(how: str) -> Known:
    """What shows the elements of a container that is shown as `how`."""
    return Known(ascii if how == "ascii" else repr)


class ListRules(HeapRules):
    def drop(self, target: ty.List) -> tuple[Any, tuple[Value, ...]]:
        from sapwood.lang.library.list import list_drop

        return list_drop, (Var(heap.WORDS), erased_stored(ty.Stored(target.elem), sized=True))

    @property
    def methods(self) -> dict[str, Any]:  # type: ignore[override]
        from sapwood.lang.infer.containers.list_methods import METHODS

        return METHODS

    def length(self, w: Any, x: Var) -> Value:
        return word(w.b, x, LENGTH)

    def get_item(self, w: Any, x: Var, index: Value) -> Value:
        from sapwood.lang.infer.containers.slices import get_slice, is_slice

        if is_slice(index):
            return get_slice(w, x, index)
        elem = element_spec(x)
        if elem.kind == "never":
            nothing_there(w, IndexError, "list index out of range")
        i = checked_index(w.b, index, word(w.b, x, LENGTH), "list index out of range")
        return layout.read(w.b, offset(w.b, w.b.apply(heap.elements, x), i), ty.Stored(elem))

    def set_item(self, w: Any, x: Var, index: Value, value: Value) -> None:
        from sapwood.lang.infer.containers.slices import is_slice, set_slice

        if is_slice(index):
            set_slice(w, x, index, value)
            return
        value = store_value(w, x, value)
        elem = element_spec(x)
        if elem.kind == "never":
            nothing_there(w, IndexError, "list assignment index out of range")
        leaves = adapt(w.b, value, elem)
        i = checked_index(w.b, index, word(w.b, x, LENGTH), "list assignment index out of range")
        place = offset(w.b, w.b.apply(heap.elements, x), i)
        old = layout.read(w.b, place, ty.Stored(elem), take=True)
        layout.write_leaves(w.b, place, elem, leaves)
        if any(isinstance(leaf, ty.Ref) for leaf in elem.leaves()):
            w.b.apply(keep, old)  # what was there ends when the list is whole again

    def del_item(self, w: Any, x: Var, index: Value) -> None:
        from sapwood.lang.infer.containers.slices import delete_slice, is_slice
        from sapwood.lang.library.list_edit import list_discard

        if is_slice(index):
            delete_slice(w, x, index)
            return
        if is_empty(x):
            nothing_there(w, IndexError, "list assignment index out of range")
        i = checked_index(w.b, index, word(w.b, x, LENGTH), "list assignment index out of range")
        w.call_compiled(list_discard, [x, stored_of(x), i], {})

    def contains(self, w: Any, x: Var, item: Value) -> Value | None:
        from sapwood.lang.library.list import list_find

        if is_empty(x):
            return Known(False)
        at = w.call_compiled(list_find, [x, sought(w, item), Known(0), word(w.b, x, LENGTH)], {})
        return binary(w.b, operator.ge, at, Known(0))

    def binary(self, w: Any, fn: Any, x: Value, y: Value) -> Value | None:
        if fn in COMPARISONS and is_list(x) and is_list(y):
            return _compare(w, fn, x, y)
        if fn in (operator.eq, operator.ne):
            hint = "they are never equal; compare with a list, or compare an element of the list"
            raise NoOperator(w.b.loc, left=describe(x), op=SYMBOLS[fn], right=describe(y), hint=hint)
        if fn is operator.add and is_list(x) and is_list(y):
            return _concatenate(w, x, y)
        if fn is operator.mul:
            return _repeat(w, x, y) if is_list(x) else _repeat(w, y, x)
        hint = ""
        if fn is operator.add:
            hint = "a list can only be added to a list; to add one element use append(), or [element]"
        raise NoOperator(w.b.loc, left=describe(x), op=SYMBOLS[fn], right=describe(y), hint=hint)

    def inplace(self, w: Any, fn: Any, x: Var, y: Value) -> Value | None:
        from sapwood.lang.infer.containers.list_methods import extend

        if fn is operator.iadd:
            extend(w, x, y)
            return x
        if fn is operator.imul and isinstance(y, Known | Var) and not is_list(y):
            _repeat_in_place(w, x, y)
            return x
        return None

    def text(self, w: Any, x: Var, how: str) -> list[Value] | None:
        from sapwood.lang.library.container_text import list_text

        if is_empty(x):
            return [Known("[]")]
        return [w.call_compiled(list_text, [x, show_function(how)], {})]

    def to_object(self, w: Any, x: Var) -> Var:
        from sapwood.lang.library.border import list_to_python

        elem = element_spec(x)
        if elem.kind == "never":
            return api(w.b, "PyList_New", (w.b.index(0),))
        return w.call_compiled(list_to_python, [x], {})

    def from_object(self, w: Any, x: Var, target: Any) -> Var:
        from sapwood.lang.library.border import list_from_python

        demand(w, is_of_type(w.b, x, "PyList_Type", exact=False), x, "list")
        known = (target, ty.Stored(target.elem), w.interp.exact)
        return w.call_compiled(list_from_python, [x, *map(Known, known)], {})


def _compare(w: Any, fn: Any, x: Var, y: Var) -> Value:
    from sapwood.lang.library.list import list_difference, list_equal

    n, m = word(w.b, x, LENGTH), word(w.b, y, LENGTH)
    if is_empty(x) or is_empty(y):
        return binary(w.b, fn, n, m)
    if fn in (operator.eq, operator.ne):
        same = w.call_compiled(list_equal, [x, y], {})
        return same if fn is operator.eq else logical_not(w.b, same)
    at = w.call_compiled(list_difference, [x, y], {})
    inside = binary(w.b, operator.lt, at, n), binary(w.b, operator.lt, at, m)
    both = w.b.emit1(arith.band, inside, BOOL)

    def elements_decide() -> Value:
        return ordered(w, fn, element(w, x, at), element(w, y, at))

    return w.choose(both, elements_decide, lambda: binary(w.b, fn, n, m), "a comparison")


def element(w: Any, xs: Var, i: Value) -> Value:
    return layout.read(w.b, offset(w.b, w.b.apply(heap.elements, xs), i), stored_of(xs).value)


def _concatenate(w: Any, x: Var, y: Var) -> Value:
    from sapwood.lang.library.list_edit import list_extend

    a, b = element_spec(x), element_spec(y)
    if a.kind == "never" or b.kind == "never":
        kept = y if a.kind == "never" else x
        return copy_list(w, kept)
    if not unify(a, b):
        bring_together(spec_of(x), spec_of(y))
        hint = "both lists must have elements of one type; convert one: [float(v) for v in xs]"
        raise NoOperator(w.b.loc, left=describe(x), op="+", right=describe(y), hint=hint)
    n, m = word(w.b, x, LENGTH), word(w.b, y, LENGTH)
    out = new_list(w, a, binary(w.b, operator.add, n, m))
    for part, count in ((x, n), (y, m)):
        w.call_compiled(list_extend, [out, stored_of(out), part, Known(0), Known(1), count], {})
    return out


def _repeat(w: Any, xs: Var, times: Value) -> Value:
    from sapwood.lang.library.list_edit import list_repeat

    k = _count(w, xs, times)
    if is_empty(xs):
        return new_list(w, element_spec(xs), Known(0))
    kind = kind_of(xs)
    return made(w.call_compiled(list_repeat, [kind, stored_of(xs), xs, k], {}), kind.value)


def _repeat_in_place(w: Any, xs: Var, times: Value) -> None:
    from sapwood.lang.library.list_edit import list_clear, list_repeat_in_place

    k = _count(w, xs, times)
    if is_empty(xs):
        return
    positive = binary(w.b, operator.gt, k, Known(0))

    def repeat() -> Value:
        w.call_compiled(list_repeat_in_place, [xs, stored_of(xs), k], {})
        return Known(None)

    def clear() -> Value:
        w.call_compiled(list_clear, [xs, stored_of(xs)], {})
        return Known(None)

    w.choose(positive, repeat, clear, "a list")


def _count(w: Any, xs: Var, times: Value) -> Value:
    number = isinstance(times, Known) and isinstance(times.value, int) or (
        isinstance(times, Var) and isinstance(times.type, ty.Scalar) and not times.type.is_float
    )
    if not number:
        hint = "a list can only be repeated an int number of times"
        raise NoOperator(w.b.loc, left=describe(xs), op="*", right=describe(times), hint=hint)
    return require_index(w.b, times, "the number of repetitions")
