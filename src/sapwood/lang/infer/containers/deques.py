"""`collections.deque` in compiled code. The work is done in library/deque.py."""

from __future__ import annotations

import collections
import operator
from collections.abc import Callable
from typing import Any

from sapwood.lang import types as ty
from sapwood.lang.errors import NoOperator, NotIndexable
from sapwood.lang.infer.adapt import adapt
from sapwood.lang.infer.border import box, demand, get_attr, is_none_object
from sapwood.lang.infer.builtins import builtin
from sapwood.lang.infer.containers.lists import (
    LENGTH,
    checked_index,
    fit_element,
    foresee,
    learn,
    made,
    nothing_there,
    show_function,
    sought,
    word,
)
from sapwood.lang.infer.containers.slices import is_slice, slice_bounds
from sapwood.lang.infer.heap import Dead, HeapRules, require_some
from sapwood.lang.infer.iteration.protocol import Items, Iteration, Sink, iterates
from sapwood.lang.ir.ssa import Var
from sapwood.lang.join import known_element
from sapwood.lang.ops import arith, control, heap
from sapwood.lang.ops.objects import api, constant_object
from sapwood.lang.ops.operators import COMPARISONS, SYMBOLS, binary, logical_not, require_index
from sapwood.lang.python_texts import python_text
from sapwood.lang.types import BOOL, I64
from sapwood.lang.values import Agg, Known, Spec, Value, describe, rebuild

NONE = Known(None)
MOST, CHANGES = 6, 7
OUT_OF_RANGE = "deque index out of range"


def target_of(d: Var) -> ty.Deque:
    assert isinstance(d.type, ty.Ref) and isinstance(d.type.target, ty.Deque)
    return d.type.target


def kind_of(d: Var) -> Known:
    return Known(target_of(d))


def stored_of(d: Var) -> Known:
    return Known(ty.Stored(target_of(d).elem))


def is_deque(x: Value) -> bool:
    reference = isinstance(x, Var) and isinstance(x.type, ty.Ref) and not x.type.nullable
    return reference and isinstance(x.type.target, ty.Deque)  # type: ignore[union-attr]


def is_empty(d: Var) -> bool:
    """Whether nothing was ever put into the deque, as far as is known."""
    return target_of(d).elem.kind == "never"


def new_deque(w: Any, elem: Spec, most: Value) -> Var:
    from sapwood.lang.library.deque import deque_new

    kind = ty.Deque(elem)
    return made(w.call_compiled(deque_new, [Known(kind), most], {}), kind)


@builtin(collections.deque)
def _deque(walker: Any, iterable: Value | None = None, maxlen: Value = NONE) -> Value:
    from sapwood.lang.infer.iteration.reductions import each

    w, loc = walker, walker.b.loc
    most: Value = Known(-1)
    if maxlen != NONE:
        most = require_index(w.b, maxlen, "maxlen")
        negative = binary(w.b, operator.lt, most, Known(0))
        w.b.raise_if(w.b.materialize(negative), ValueError, "maxlen must be non-negative")
    site = w.interp.site(loc, "deque")

    def every(use: Callable[[Value], None]) -> None:
        w.b.loc = loc
        each(w, iterable, [], lambda x, _: use(x))
        w.b.loc = loc

    if iterable is not None:
        iterable = require_some(w, iterable, TypeError, "'NoneType' object is not iterable")
        if site.spec is None:
            foresee(w, lambda: every(lambda x: learn(w, site, x, "deque")), site)
    d = new_deque(w, known_element(site), most)
    if iterable is not None:
        every(lambda x: put(w, d, x))
    return d


def as_element(w: Any, d: Var, x: Value) -> Value:
    spec = target_of(d).elem
    if spec.kind == "never":
        learn(w, spec.data, x, "deque")
        return x
    return rebuild(spec, iter(adapt(w.b, fit_element(w, x, spec, "deque"), spec)))


# -- rules --------------------------------------------------------------------------------------------


class DequeRules(HeapRules):
    @property
    def methods(self) -> dict[str, Any]:  # type: ignore[override]
        return METHODS

    def attribute(self, w: Any, x: Var, name: str) -> Value | None:
        if name == "maxlen":
            most = word(w.b, x, MOST)
            some = w.b.emit1(arith.compare, (most, w.b.index(0)), BOOL, test="ge")
            return w.choose(some, lambda: most, lambda: NONE, "maxlen")
        return super().attribute(w, x, name)

    def drop(self, target: ty.Deque) -> tuple[Any, tuple[Value, ...]]:
        from sapwood.lang.library.deque import deque_drop

        return deque_drop, (Var(heap.WORDS), Known(ty.Stored(target.elem)))

    def length(self, w: Any, x: Var) -> Value:
        return word(w.b, x, LENGTH)

    def _index(self, w: Any, x: Var, index: Value) -> Var:
        if is_slice(index):
            hint = "a deque has no slices: make a list of it, or use itertools.islice"
            raise NotIndexable(w.b.loc, type=describe(x), detail=" by a slice", hint=hint)
        if is_empty(x):
            nothing_there(w, IndexError, OUT_OF_RANGE)
        return checked_index(w.b, index, word(w.b, x, LENGTH), OUT_OF_RANGE)

    def get_item(self, w: Any, x: Var, index: Value) -> Value:
        from sapwood.lang.library.deque import deque_at

        return w.call_compiled(deque_at, [x, stored_of(x), self._index(w, x, index)], {})

    def set_item(self, w: Any, x: Var, index: Value, value: Value) -> None:
        from sapwood.lang.library.deque import deque_put

        value = as_element(w, x, value)
        w.call_compiled(deque_put, [x, stored_of(x), self._index(w, x, index), value], {})

    def del_item(self, w: Any, x: Var, index: Value) -> None:
        from sapwood.lang.library.deque import deque_delete

        w.call_compiled(deque_delete, [x, stored_of(x), self._index(w, x, index)], {})

    def contains(self, w: Any, x: Var, item: Value) -> Value | None:
        found = _find(w, x, item, Known(0), word(w.b, x, LENGTH))
        return Known(False) if found is None else binary(w.b, operator.ge, found, Known(0))

    def binary(self, w: Any, fn: Any, x: Value, y: Value) -> Value | None:
        if is_deque(x) and is_deque(y):
            if fn in COMPARISONS:
                return _compare(w, fn, x, y)  # type: ignore[arg-type]
            if fn is operator.add:
                out = copy(w, x if not is_empty(x) else y, most=word(w.b, x, MOST))  # type: ignore[arg-type]
                if not is_empty(x):  # type: ignore[arg-type]
                    extend(w, out, y)
                return out
        hint = "deques can be compared, and joined with +; make a deque of the other side: deque(xs)"
        raise NoOperator(w.b.loc, left=describe(x), op=SYMBOLS[fn], right=describe(y), hint=hint)

    def inplace(self, w: Any, fn: Any, x: Var, y: Value) -> Value | None:
        if fn is operator.iadd:
            extend(w, x, y)
            return x
        return None

    def text(self, w: Any, x: Var, how: str) -> list[Value] | None:
        from sapwood.lang.library.deque import deque_text

        if is_empty(x):
            x = w.b.emit1(heap.reference_as, (x,), ty.Ref(ty.Deque(Spec("leaf", I64))))
        return [w.call_compiled(deque_text, [x, stored_of(x), show_function(how)], {})]

    def to_object(self, w: Any, x: Var) -> Var:
        from sapwood.lang.infer.python_objects import call_object
        from sapwood.lang.library.deque import deque_list

        if is_empty(x):
            items = api(w.b, "PyList_New", (w.b.index(0),))
        else:
            elem = target_of(x).elem
            items = box(w, w.call_compiled(deque_list, [Known(ty.List(elem)), x, stored_of(x)], {}))
        made_of = constant_object(w.b, collections.deque)
        return w.b.materialize(call_object(w, made_of, [items, self.attribute(w, x, "maxlen")], {}))

    def from_object(self, w: Any, x: Var, target: Any) -> Var:
        from sapwood.lang.library.deque import deque_from_python
        from sapwood.lang.ops.objects import python_long

        yes = api(w.b, "PyObject_IsInstance", (x, constant_object(w.b, collections.deque)), BOOL, "negative")
        demand(w, yes, x, "deque")
        limit = get_attr(w, x, "maxlen")
        most = w.choose(
            is_none_object(w, limit), lambda: w.b.index(-1), lambda: w.b.emit(python_long, (limit,), (I64,))[0]
        )
        known = [Known(target), Known(ty.Stored(target.elem)), most, Known(w.interp.exact)]
        return w.call_compiled(deque_from_python, [api(w.b, "PySequence_List", (x,)), *known], {})


def _same_elements(w: Any, fn: Any, x: Var, y: Var) -> None:
    if target_of(x).elem != target_of(y).elem:
        hint = "both deques must have elements of one type"
        raise NoOperator(w.b.loc, left=describe(x), op=SYMBOLS[fn], right=describe(y), hint=hint)


def _compare(w: Any, fn: Any, x: Var, y: Var) -> Value:
    from sapwood.lang.library.deque import deque_difference, deque_less

    b = w.b
    n, m = word(b, x, LENGTH), word(b, y, LENGTH)
    if is_empty(x) or is_empty(y):
        return binary(b, fn, n, m)
    _same_elements(w, fn, x, y)
    if fn in (operator.eq, operator.ne):

        def equal() -> Value:
            return binary(b, operator.eq, w.call_compiled(deque_difference, [x, y, stored_of(x)], {}), n)

        same = w.choose(binary(b, operator.eq, n, m), equal, lambda: Known(False), "a comparison")
        return same if fn is operator.eq else logical_not(b, same)
    if fn in (operator.gt, operator.ge):
        x, y = y, x
    or_equal = Known(fn in (operator.le, operator.ge))
    return w.call_compiled(deque_less, [x, y, stored_of(x), or_equal], {})


# -- methods ------------------------------------------------------------------------------------------


def put(w: Any, d: Var, x: Value, left: bool = False) -> None:
    from sapwood.lang.library.deque import deque_append, deque_append_left

    x = as_element(w, d, x)
    if not is_empty(d):
        w.call_compiled(deque_append_left if left else deque_append, [d, stored_of(d), x], {})


def append(w: Any, d: Var, x: Value, /) -> Value:
    put(w, d, x)
    return NONE


def appendleft(w: Any, d: Var, x: Value, /) -> Value:
    put(w, d, x, left=True)
    return NONE


def extend(w: Any, d: Var, iterable: Value, /) -> Value:
    from sapwood.lang.infer.iteration.reductions import each
    from sapwood.lang.library.deque import deque_extend

    if is_deque(iterable):
        assert isinstance(iterable, Var)
        if is_empty(iterable):
            return NONE
        if is_empty(d):
            target_of(d).elem.data.learn(target_of(iterable).elem)
            return NONE
        if target_of(iterable).elem == target_of(d).elem:
            w.call_compiled(deque_extend, [d, stored_of(d), iterable, word(w.b, iterable, LENGTH)], {})
            return NONE
    each(w, iterable, [], lambda x, _: put(w, d, x))
    return NONE


def extendleft(w: Any, d: Var, iterable: Value, /) -> Value:
    from sapwood.lang.infer.iteration.reductions import each

    if is_deque(iterable):
        iterable = copy(w, iterable)  # type: ignore[arg-type]
    each(w, iterable, [], lambda x, _: put(w, d, x, left=True))
    return NONE


def _require_items(w: Any, d: Var) -> None:
    message = "pop from an empty deque"
    if is_empty(d):
        nothing_there(w, IndexError, message)
    w.b.raise_if(binary(w.b, operator.eq, word(w.b, d, LENGTH), Known(0)), IndexError, message)


def pop(w: Any, d: Var, /) -> Value:
    from sapwood.lang.library.deque import deque_pop

    _require_items(w, d)
    return w.call_compiled(deque_pop, [d, stored_of(d)], {})


def popleft(w: Any, d: Var, /) -> Value:
    from sapwood.lang.library.deque import deque_pop_left

    _require_items(w, d)
    return w.call_compiled(deque_pop_left, [d, stored_of(d)], {})


def clear(w: Any, d: Var, /) -> Value:
    from sapwood.lang.library.deque import deque_clear

    if not is_empty(d):
        w.call_compiled(deque_clear, [kind_of(d), d, stored_of(d)], {})
    return NONE


def copy(w: Any, d: Var, /, *, most: Value | None = None) -> Var:
    from sapwood.lang.library.deque import deque_copy

    most = word(w.b, d, MOST) if most is None else most
    if is_empty(d):
        return new_deque(w, target_of(d).elem, most)
    return made(w.call_compiled(deque_copy, [kind_of(d), d, stored_of(d), most], {}), target_of(d))


def _copy(w: Any, d: Var, /) -> Value:
    return copy(w, d)


def rotate(w: Any, d: Var, n: Value = Known(1), /) -> Value:
    from sapwood.lang.library.deque import deque_rotate

    steps = require_index(w.b, n, "how far to rotate")
    if not is_empty(d):
        w.call_compiled(deque_rotate, [d, stored_of(d), steps], {})
    return NONE


def reverse(w: Any, d: Var, /) -> Value:
    from sapwood.lang.library.deque import deque_reverse

    if not is_empty(d):
        w.call_compiled(deque_reverse, [d, stored_of(d)], {})
    return NONE


def insert(w: Any, d: Var, index: Value, x: Value, /) -> Value:
    from sapwood.lang.library.deque import deque_insert

    i = w.b.materialize(require_index(w.b, index, "an index"))
    full = binary(w.b, operator.eq, word(w.b, d, LENGTH), word(w.b, d, MOST))
    w.b.raise_if(full, IndexError, "deque already at its maximum size")
    x = as_element(w, d, x)
    if not is_empty(d):
        w.call_compiled(deque_insert, [d, stored_of(d), i, x], {})
    return NONE


def _find(w: Any, d: Var, x: Value, start: Value, stop: Value) -> Var | None:
    from sapwood.lang.library.deque import deque_find

    return None if is_empty(d) else w.call_compiled(deque_find, [d, stored_of(d), sought(w, x), start, stop], {})


def remove(w: Any, d: Var, x: Value, /) -> Value:
    from sapwood.lang.library.deque import deque_delete

    i = _found(w, x, _find(w, d, x, Known(0), word(w.b, d, LENGTH)), python_text(collections.deque().remove, 0))
    w.call_compiled(deque_delete, [d, stored_of(d), i], {})
    return NONE


def count(w: Any, d: Var, x: Value, /) -> Value:
    from sapwood.lang.library.deque import deque_count

    return w.b.index(0) if is_empty(d) else w.call_compiled(deque_count, [d, stored_of(d), sought(w, x)], {})


def index(w: Any, d: Var, x: Value, start: Value = Known(0), stop: Value = NONE, /) -> Value:
    bounds = Agg(ty.Tuple(4), (Known(slice), start, stop, NONE))
    first, _, n = slice_bounds(w, bounds, word(w.b, d, LENGTH))
    found = _find(w, d, x, first, binary(w.b, operator.add, first, n))
    return _found(w, x, found, python_text(collections.deque().index, 0))


def _found(w: Any, x: Value, place: Var | None, text: str) -> Value:
    """The place of x, or ValueError; `text` is what Python says of 0."""

    def missing() -> Value:
        operands: list[Var] = []
        message: Value = Known(text)
        if text.startswith("0 "):
            message = w.operate(operator.add, w.call(Known(repr), [x], {}, w.b.loc), Known(text[1:]))
        parts = [w._part(message, operands)]
        w.b.emit(control.raise_, tuple(operands), (), {"exception": ValueError, "parts": parts})
        raise Dead

    if place is None:
        return missing()
    return w.choose(binary(w.b, operator.ge, place, Known(0)), lambda: place, missing, "this search")


METHODS: dict[str, Any] = {
    "append": append, "appendleft": appendleft, "extend": extend, "extendleft": extendleft, "pop": pop,
    "popleft": popleft, "clear": clear, "copy": _copy, "rotate": rotate, "reverse": reverse, "insert": insert,
    "remove": remove, "count": count, "index": index,
}  # fmt: skip


# -- iteration ----------------------------------------------------------------------------------------


class DequeItems(Iteration):
    """The elements in order; a deque that changes meanwhile is a RuntimeError."""

    kind = "_collections._deque_iterator"

    def __init__(self, d: Var, backwards: bool = False) -> None:
        super().__init__()
        self.d, self.backwards = d, backwards

    def length(self, w: Any) -> Value | None:
        return word(w.b, self.d, LENGTH)

    def start(self, w: Any, prefix: str) -> None:
        place, changes = prefix, f"{prefix}.n"
        self.state = [place, changes]
        n = word(w.b, self.d, LENGTH)
        w.vars[place] = binary(w.b, operator.sub, n, Known(1)) if self.backwards else w.b.index(0)
        w.vars[changes] = word(w.b, self.d, CHANGES)

    def next(self, w: Any, sink: Sink) -> Value:
        from sapwood.lang.library.deque import deque_at

        b, i = w.b, w.vars[self.state[0]]
        changed = b.emit1(arith.compare, (word(b, self.d, CHANGES), w.vars[self.state[1]]), BOOL, test="ne")
        b.raise_if(changed, RuntimeError, "deque mutated during iteration")
        limit = b.index(0) if self.backwards else word(b, self.d, LENGTH)
        sink.end_unless(b.emit1(arith.compare, (i, limit), BOOL, test="ge" if self.backwards else "lt"))
        w.vars[self.state[0]] = binary(b, operator.sub if self.backwards else operator.add, i, Known(1))
        return w.call_compiled(deque_at, [self.d, stored_of(self.d), i], {})

    def backward(self) -> Iteration | None:
        return None if self.backwards else DequeItems(self.d, True)


@iterates(ty.Deque)
def _items(w: Any, d: Value) -> Iteration:
    found = require_some(w, d, TypeError, "'NoneType' object is not iterable")
    assert isinstance(found, Var)
    return Items(()) if is_empty(found) else DequeItems(found)
