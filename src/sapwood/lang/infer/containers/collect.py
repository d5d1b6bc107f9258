"""What gathers items into a container: `list(...)` and list comprehensions."""

from __future__ import annotations

import builtins
from typing import TYPE_CHECKING, Any

from sapwood.lang import types as ty
from sapwood.lang.errors import BadConversion
from sapwood.lang.infer import layout
from sapwood.lang.infer.builtins import builtin
from sapwood.lang.infer.iteration.adapters import Transformed
from sapwood.lang.infer.iteration.generators import COMPREHENSIONS, generator
from sapwood.lang.infer.iteration.protocol import Indexed, Iteration, iterate
from sapwood.lang.infer.iteration.reductions import each
from sapwood.lang.join import Clash, known_element, widen
from sapwood.lang.ops import arith, heap
from sapwood.lang.ops.memory import offset
from sapwood.lang.types import I64
from sapwood.lang.values import Known, Site, Value, describe, spec_of

if TYPE_CHECKING:
    from sapwood.lang.errors import Loc
    from sapwood.lang.infer.loops import Exits
    from sapwood.lang.infer.walker import FunctionWalker as Walker


def to_list(w: Walker, iterable: Value, loc: Loc) -> Value:
    """`list(iterable)`"""
    from sapwood.lang.infer.containers.lists import copy_list, is_list

    w.b.loc = loc
    if is_list(iterable):
        return copy_list(w, iterable)
    return list_of(w, iterate(w, iterable, loc), loc)


def list_of(w: Walker, it: Iteration, loc: Loc) -> Value:
    """A new list of the items, whose memory is reserved once where their number is known."""
    open_lists = w.interp.open_lists
    around = open_lists.count(loc)  # `list(map(list, xs))` makes two kinds of lists at one place
    open_lists.append(loc)
    try:
        return _list_of(w, it, loc, w.interp.site(loc, "" if not around else f"inside {around}"))
    finally:
        open_lists.pop()


def _list_of(w: Walker, it: Iteration, loc: Loc, site: Site) -> Value:
    from sapwood.lang.infer.containers.lists import foresee, new_list, set_word
    from sapwood.lang.library.list import list_append

    w.b.loc = loc
    if isinstance(it, Indexed):
        it.prepare(w)
    n = it.length(w)

    def learn(item: Value) -> None:
        try:
            site.learn(spec_of(item))
        except Clash:
            widen(site, spec_of(item))
            hint = "all elements of a list must have one type: convert them, or use tuples"
            found = describe(item)
            raise BadConversion(loc, found=found, expected=describe(known_element(site)), hint=hint) from None

    if site.spec is None:
        foresee(w, lambda: each(w, it, [], lambda item, _: learn(item)), site)
    elem = known_element(site)
    stored = ty.Stored(elem)
    xs = new_list(w, elem, Known(0) if n is None else n)

    def fitted(item: Value) -> Value | None:
        """The item as an element; None if only now it is known what the elements are (all is walked again)."""
        w.b.loc = loc
        learn(item)
        return item if known_element(site) == elem else None

    if n is None or not _exact(it) or any(isinstance(t, ty.Ref) for t in elem.leaves()):

        def append(item: Value, exits: Exits) -> None:
            value = fitted(item)
            if value is not None:
                w.call_compiled(list_append, [xs, Known(stored), value], {})

        each(w, it, [], append)
        return xs
    # The room is there and nothing has to be released if an item raises: elements are stored, then counted.
    place = None if elem.kind == "never" else w.b.apply(heap.elements, xs)
    count = w.temporary("count")
    w.vars[count] = w.b.index(0)

    def store(item: Value, exits: Exits) -> None:
        value = fitted(item)
        if value is not None:
            at = w.vars[count]
            layout.write(w.b, offset(w.b, place, at), stored, value)
            w.vars[count] = w.b.emit1(arith.advance, (at, w.b.index(1)), I64)

    each(w, it, [count], store)
    set_word(w.b, xs, 2, w.b.materialize(w.vars.pop(count)))
    return xs


def _exact(it: Iteration) -> bool:
    """Whether `length` is the number of items, and not only the most that there may be."""
    if isinstance(it, Transformed):
        return not it.skips and _exact(it.inner)
    return isinstance(it, Indexed) and it.fixed


@builtin(builtins.list)
def _list(walker: Walker, iterable: Value = Known(())) -> Value:
    return to_list(walker, iterable, walker.b.loc)


def _list_comprehension(w: Walker, node: Any) -> Value:
    return to_list(w, generator(w, node), node.loc)


COMPREHENSIONS["list"] = _list_comprehension
