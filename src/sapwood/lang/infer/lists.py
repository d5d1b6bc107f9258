"""`list` in compiled code: displays, items, methods. The work is done in library/list.py."""

from __future__ import annotations

import operator
from typing import Any

from sapwood.lang import types as ty
from sapwood.lang.errors import BadConversion
from sapwood.lang.infer import layout
from sapwood.lang.infer.border import demand
from sapwood.lang.infer.heap import Dead, HeapRules
from sapwood.lang.infer.join import Clash, adapt, join, known_element, storable
from sapwood.lang.ir.ssa import Var
from sapwood.lang.object_types import elements_misfit
from sapwood.lang.ops import arith, control, heap
from sapwood.lang.ops.memory import offset
from sapwood.lang.ops.objects import api, is_of_type
from sapwood.lang.ops.operators import binary, require_index
from sapwood.lang.types import BOOL, I64, U64
from sapwood.lang.values import Known, Spec, Value, describe, spec_of


def common_spec(w: Any, specs: list[Spec], what: str) -> Spec:
    """The spec that the elements of a display have in common."""
    spec = storable(specs[0])
    for other in specs[1:]:
        try:
            spec = join(spec, storable(other))
        except Clash:
            hint = f"all elements of a {what} must have one type: convert them, or use a tuple"
            raise BadConversion(w.b.loc, found=describe(other), expected=describe(spec), hint=hint) from None
    return spec


def make_list(w: Any, items: list[Value]) -> Value:
    """`[a, b, c]`."""
    if not items:
        return new_list(w, known_element(w.interp.site(w.b.loc)), Known(0))
    spec = common_spec(w, [spec_of(i) for i in items], "list")
    xs = new_list(w, spec, Known(len(items)))
    p = w.b.apply(heap.elements, xs)
    for i, item in enumerate(items):
        layout.write(w.b, offset(w.b, p, Known(i)), ty.Stored(spec), item)
    set_word(w.b, xs, 2, w.b.index(len(items)))
    return xs


def new_list(w: Any, elem: Spec, capacity: Value) -> Var:
    from sapwood.lang.library.list import list_new

    kind = ty.List(elem)
    return w.call_compiled(list_new, [Known(kind), Known(ty.Stored(elem)), capacity], {})


def word(b: Any, x: Var, i: int) -> Var:
    """Word i of an object's memory."""
    return layout.read(b, offset(b, b.emit1(heap.words, (x,), heap.WORDS), Known(i)), I64)  # type: ignore[return-value]


def set_word(b: Any, x: Var, i: int, value: Var) -> None:
    layout.write(b, offset(b, b.emit1(heap.words, (x,), heap.WORDS), Known(i)), I64, value)


def checked_index(b: Any, index: Value, n: Var, message: str) -> Var:
    """An index from either end as one from the front; IndexError when there is no such item."""
    index = require_index(b, index, "an index")
    i = b.materialize(index)
    if not isinstance(index, Known) or index.value < 0:
        below = b.emit1(arith.compare, (i, b.const(0, I64)), BOOL, test="lt")
        i = b.emit1(arith.select, (below, binary(b, operator.add, i, n), i), I64)
    if not b.unchecked:
        bad = b.emit1(arith.compare, (b.convert(i, U64), b.convert(n, U64)), BOOL, test="ge")
        b.raise_if(bad, IndexError, message)
    return i


def store_value(w: Any, xs: Var, value: Value) -> Value:
    """The value as an element of the list: an empty list learns from it."""
    elem = element_spec(xs)
    if elem.kind == "never":
        elem.data.learn(spec_of(value))
        return value
    return layout.fit_spec(w.b, value, elem)


def element_spec(xs: Var) -> Spec:
    assert isinstance(xs.type, ty.Ref) and isinstance(xs.type.target, ty.List)
    return xs.type.target.elem


def nothing_there(w: Any, exception: type[BaseException], message: str) -> Any:
    """Reading from a container that nothing was ever put into raises."""
    w.b.emit(control.raise_, (), (), {"exception": exception, "parts": [{"value": message}]})
    raise Dead


class ListRules(HeapRules):
    type_name = "list"

    def drop(self, target: ty.List) -> tuple[Any, tuple[Value, ...]]:
        from sapwood.lang.library.list import list_drop

        return list_drop, (Var(heap.WORDS), Known(ty.Stored(target.elem)))

    def length(self, w: Any, x: Var) -> Value:
        return word(w.b, x, 2)

    def get_item(self, w: Any, x: Var, index: Value) -> Value:
        elem = element_spec(x)
        if elem.kind == "never":
            nothing_there(w, IndexError, "list index out of range")
        i = checked_index(w.b, index, word(w.b, x, 2), "list index out of range")
        return layout.read(w.b, offset(w.b, w.b.apply(heap.elements, x), i), ty.Stored(elem))

    def set_item(self, w: Any, x: Var, index: Value, value: Value) -> None:
        value = store_value(w, x, value)
        elem = element_spec(x)
        if elem.kind == "never":
            nothing_there(w, IndexError, "list assignment index out of range")
        i = checked_index(w.b, index, word(w.b, x, 2), "list assignment index out of range")
        place = offset(w.b, w.b.apply(heap.elements, x), i)
        leaves = adapt(w.b, value, elem)
        layout.read(w.b, place, ty.Stored(elem), take=True)  # what was there: nobody uses it, so it is released
        layout.write_leaves(w.b, place, elem, leaves)

    def to_object(self, w: Any, x: Var) -> Var:
        from sapwood.lang.library.border import list_to_python

        elem = element_spec(x)
        if elem.kind == "never":
            return api(w.b, "PyList_New", (w.b.index(0),))
        return w.call_compiled(list_to_python, [x], {})

    def misfit(self, target: ty.List, x: Any) -> str | None:
        return elements_misfit(target.elem, x, "item") if isinstance(x, list) else "pass a list"

    def from_object(self, w: Any, x: Var, target: Any) -> Var:
        from sapwood.lang.library.border import list_from_python

        demand(w, is_of_type(w.b, x, "PyList_Type", exact=False), x, "list")
        return w.call_compiled(list_from_python, [x, Known(target), Known(ty.Stored(target.elem)), Known(w.interp.exact)], {})


def _append(w: Any, xs: Var, x: Value) -> Value:
    from sapwood.lang.library.list import list_append

    x = store_value(w, xs, x)
    if element_spec(xs).kind != "never":
        w.call_compiled(list_append, [xs, Known(ty.Stored(element_spec(xs))), x], {})
    return Known(None)


ListRules.methods = {"append": _append}
