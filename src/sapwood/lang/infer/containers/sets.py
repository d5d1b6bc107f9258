"""`set` and `frozenset` in compiled code. The work is done in library/set.py."""

from __future__ import annotations

import builtins
import operator
from collections.abc import Callable
from typing import Any

from sapwood.lang import types as ty
from sapwood.lang.errors import NoAttribute, NoOperator
from sapwood.lang.front import hir
from sapwood.lang.infer.adapt import adapt
from sapwood.lang.infer.border import demand
from sapwood.lang.infer.builtins import builtin
from sapwood.lang.infer.containers.dicts import raise_key_error
from sapwood.lang.infer.containers.lists import (
    LENGTH,
    fit_element,
    foresee,
    is_starred,
    learn,
    made,
    raise_now,
    show_function,
    word,
)
from sapwood.lang.infer.erasure import erased
from sapwood.lang.infer.hashing import require_hash
from sapwood.lang.infer.heap import HeapRules, require_some
from sapwood.lang.infer.iteration.generators import COMPREHENSIONS, Code, drive_clauses
from sapwood.lang.infer.iteration.protocol import Items, Iteration, Sink, iterate, iterates
from sapwood.lang.ir.ssa import Var
from sapwood.lang.join import bring_together, known_element
from sapwood.lang.ops import arith, heap, tables
from sapwood.lang.ops.memory import pointer_at
from sapwood.lang.ops.objects import api, is_of_type
from sapwood.lang.ops.operators import COMPARISONS, SYMBOLS, binary, logical_not
from sapwood.lang.types import BOOL, I64, Ptr
from sapwood.lang.values import Known, Spec, Value, describe, rebuild

NONE = Known(None)
MASK, SLOTS = 4, 5


# -- what a set is ----------------------------------------------------------------------------------


def target_of(s: Var) -> ty.Set:
    assert isinstance(s.type, ty.Ref) and isinstance(s.type.target, ty.Set)
    return s.type.target


def kind_of(s: Var) -> Known:
    return Known(target_of(s))


def stored_type(elem: Spec) -> ty.Stored:
    return ty.Stored(Spec("agg", ty.Tuple(2), (Spec("leaf", I64), elem)))


def stored_of(s: Var) -> Known:
    return Known(stored_type(target_of(s).elem))


def is_set(x: Value) -> bool:
    reference = isinstance(x, Var) and isinstance(x.type, ty.Ref) and not x.type.nullable
    return reference and isinstance(x.type.target, ty.Set)  # type: ignore[union-attr]


def is_empty(s: Var) -> bool:
    return target_of(s).elem.kind == "never"


def new_set(w: Any, elem: Spec, frozen: bool = False) -> Var:
    from sapwood.lang.library.set import set_new

    kind = ty.Set(elem, frozen)
    return made(w.call_compiled(set_new, [Known(kind)], {}), kind)


def set_here(w: Any, every: Callable[[Callable[[Value], None]], None] | None, frozen: bool = False) -> Var:
    """A new set at this place of the source, with what `every` gives."""
    site = w.interp.site(w.b.loc, "set")
    if every is not None and site.spec is None:
        foresee(w, lambda: every(lambda x: learn(w, site, x, "set")), site)
    s = new_set(w, known_element(site), frozen)
    if every is not None:
        every(lambda x: put(w, s, x))
    return s


def as_element(w: Any, s: Var, x: Value) -> Value:
    spec = target_of(s).elem
    require_hash(w, x)
    if spec.kind == "never":
        learn(w, spec.data, x, "set")
        return x
    return rebuild(spec, iter(adapt(w.b, fit_element(w, x, spec, "set"), spec)))


def put(w: Any, s: Var, x: Value) -> None:
    from sapwood.lang.library.set import set_put

    x = as_element(w, s, x)
    if not is_empty(s):
        w.call_compiled(set_put, [s, stored_of(s), x], {})


def find(w: Any, s: Var, x: Value) -> Var | None:
    """The slot of an element, or below 0; None: nothing was ever put in."""
    from sapwood.lang.library import set as library

    x = as_element(w, s, x)
    if is_empty(s):
        return None
    h = w.call_compiled(library.element_hash, [x], {})
    return w.call_compiled(library.set_find, [s, stored_of(s), x, h], {})


def element_at(w: Any, s: Var, i: Value) -> Value:
    start = w.b.emit1(pointer_at, (word(w.b, s, SLOTS),), Ptr(stored_of(s).value, "generic", "elements"))
    return w.b.apply(tables.read_item, start, i, Known(1))


# -- making sets ------------------------------------------------------------------------------------


@builtin(hir.make_set)
def make_set(w: Any, *items: Value) -> Value:
    """`{a, b, *c}`. CPython merges three or more constants from a set that it has made before."""
    from sapwood.lang.infer.iteration.reductions import each

    loc = w.b.loc

    def every(use: Callable[[Value], None]) -> None:
        for item in items:
            w.b.loc = loc
            if is_starred(item):
                each(w, item.items[1], [], lambda x, _: use(x))  # type: ignore[union-attr]
            else:
                use(item)

    s = set_here(w, every)
    if len(items) >= 3 and all(isinstance(i, Known) for i in items):
        return _copy(w, s)
    return s


def of_iterable(w: Any, iterable: Value, frozen: bool) -> Var:
    from sapwood.lang.infer.iteration.reductions import each

    iterable = require_some(w, iterable, TypeError, "'NoneType' object is not iterable")
    if is_set(iterable):
        if frozen and target_of(iterable).frozen:  # type: ignore[arg-type]
            return iterable  # type: ignore[return-value]
        return _copy(w, iterable, frozen)  # type: ignore[arg-type]
    loc = w.b.loc

    def every(use: Callable[[Value], None]) -> None:
        w.b.loc = loc
        each(w, iterable, [], lambda x, _: use(x))

    return set_here(w, every, frozen)


@builtin(builtins.set)
def _set(walker: Any, iterable: Value | None = None, /) -> Value:
    return set_here(walker, None) if iterable is None else of_iterable(walker, iterable, False)


@builtin(builtins.frozenset)
def _frozenset(walker: Any, iterable: Value | None = None, /) -> Value:
    return set_here(walker, None, True) if iterable is None else of_iterable(walker, iterable, True)


def set_comprehension(w: Any, node: Any) -> Value:
    code, loc = Code(node, w), node.loc
    first = w.iterable(node.clauses[0].iterable)

    def every(use: Callable[[Value], None]) -> None:
        w.b.loc = node.clauses[0].iterable.loc
        it = iterate(w, first, w.b.loc)

        def one(values: list[Value], _: Any) -> bool:
            w.b.loc = node.elements[0].loc
            use(values[0])
            return False

        drive_clauses(w, code, it, (id(node), "set"), [], one)
        w.b.loc = loc

    w.b.loc = loc
    return set_here(w, every)


COMPREHENSIONS["set"] = set_comprehension


def _copy(w: Any, s: Var, frozen: bool = False) -> Var:
    from sapwood.lang.library.set import set_copy

    if is_empty(s):
        return new_set(w, target_of(s).elem, frozen)
    kind = ty.Set(target_of(s).elem, frozen)
    return made(w.call_compiled(set_copy, [Known(kind), s, stored_of(s)], {}), kind)


# -- rules ------------------------------------------------------------------------------------------


class SetRules(HeapRules):
    @property
    def methods(self) -> dict[str, Any]:  # type: ignore[override]
        return METHODS

    def attribute(self, w: Any, x: Var, name: str) -> Value | None:
        if target_of(x).frozen and name in CHANGING:
            hint = "a frozenset never changes: use a set, or make a new one with |, &, - or ^"
            raise NoAttribute(w.b.loc, type=describe(x), name=name, hint=hint)
        return super().attribute(w, x, name)

    def drop(self, target: ty.Set) -> tuple[Any, tuple[Value, ...]]:
        from sapwood.lang.library.set import set_drop

        return set_drop, (Var(heap.WORDS), Known(stored_type(erased(target.elem))))

    def length(self, w: Any, x: Var) -> Value:
        return word(w.b, x, LENGTH)

    def contains(self, w: Any, x: Var, item: Value) -> Value | None:
        at = find(w, x, item)
        return Known(False) if at is None else binary(w.b, operator.ge, at, Known(0))

    def hashable(self, x: Var) -> bool:
        return target_of(x).frozen

    def hash(self, w: Any, x: Var) -> Value | None:
        from sapwood.lang.library.set import set_hash

        if not target_of(x).frozen:
            return None
        return w.call_compiled(set_hash, [x, stored_of(x)], {})

    def binary(self, w: Any, fn: Any, x: Value, y: Value) -> Value | None:
        if is_set(x) and is_set(y):
            if fn in COMPARISONS:
                return _compare(w, fn, x, y)  # type: ignore[arg-type]
            if fn in _OPERATORS:
                return _OPERATORS[fn](w, x, y)
        hint = "sets can be compared, and combined with |, &, - and ^; make a set of the other side: set(xs)"
        raise NoOperator(w.b.loc, left=describe(x), op=SYMBOLS[fn], right=describe(y), hint=hint)

    def text(self, w: Any, x: Var, how: str) -> list[Value] | None:
        from sapwood.lang.library.container_text import set_text

        frozen = target_of(x).frozen
        if is_empty(x):
            return [Known("frozenset()" if frozen else "set()")]
        return [w.call_compiled(set_text, [x, stored_of(x), Known(frozen), show_function(how)], {})]

    def to_object(self, w: Any, x: Var) -> Var:
        from sapwood.lang.library.border import set_to_python

        if is_empty(x):
            nothing = api(w.b, "PyTuple_New", (w.b.index(0),))
            return api(w.b, "PyFrozenSet_New" if target_of(x).frozen else "PySet_New", (nothing,))
        return w.call_compiled(set_to_python, [x, stored_of(x), Known(target_of(x).frozen)], {})

    def from_object(self, w: Any, x: Var, target: Any) -> Var:
        from sapwood.lang.library.border import set_from_python

        kind = "FrozenSet" if target.frozen else "Set"
        demand(w, is_of_type(w.b, x, f"Py{kind}_Type", exact=False), x, kind.lower())
        items = api(w.b, "PySequence_List", (x,))
        known = [Known(target), Known(ty.Stored(target.elem)), Known(stored_type(target.elem)), Known(w.interp.exact)]
        return w.call_compiled(set_from_python, [items, *known], {})

    def inplace(self, w: Any, fn: Any, x: Var, y: Value) -> Value | None:
        if target_of(x).frozen or not is_set(y):
            return None
        rule = {
            operator.ior: update, operator.iand: intersection_update, operator.isub: difference_update,
            operator.ixor: symmetric_difference_update,
        }.get(fn)  # fmt: skip
        if rule is None:
            return None
        rule(w, x, y)
        return x


def _pair(w: Any, x: Var, y: Value) -> Var | None:
    """The other side as a set of the same elements; None if one of them never holds anything."""
    other = y if is_set(y) else of_iterable(w, y, False)
    assert isinstance(other, Var)
    if is_empty(x) or is_empty(other):
        return None
    _meet(w, x, other)
    return other


def _meet(w: Any, x: Var, y: Var) -> None:
    """Sets with elements of one type; displays of ints beside one of floats become such."""
    if target_of(x).elem != target_of(y).elem:
        bring_together(*(Spec("leaf", ty.Ref(ty.Set(target_of(s).elem))) for s in (x, y)))
        hint = "both sets must have elements of one type; convert those of one: {T(v) for v in s}"
        raise NoOperator(w.b.loc, left=describe(x), op="with", right=describe(y), hint=hint)


def _compare(w: Any, fn: Any, x: Var, y: Var) -> Value:
    from sapwood.lang.library.set import set_common

    b = w.b
    if fn in (operator.gt, operator.ge):
        return _compare(w, operator.lt if fn is operator.gt else operator.le, y, x)
    if fn is operator.ne:
        return logical_not(b, _compare(w, operator.eq, x, y))
    n, m = word(b, x, LENGTH), word(b, y, LENGTH)
    sizes = binary(b, fn, n, m)
    other = _pair(w, x, y)
    if other is None:
        return sizes

    def inside() -> Value:
        return binary(b, operator.eq, w.call_compiled(set_common, [x, other, stored_of(x)], {}), n)

    return w.choose(sizes, inside, lambda: Known(False), "a comparison")


# -- methods ----------------------------------------------------------------------------------------


def add(w: Any, s: Var, x: Value, /) -> Value:
    put(w, s, x)
    return NONE


def remove(w: Any, s: Var, x: Value, /) -> Value:
    at = find(w, s, x)
    if at is None:
        return raise_key_error(w, x)
    missing = binary(w.b, operator.lt, at, Known(0))
    return w.choose(missing, lambda: raise_key_error(w, x), lambda: _take(w, s, at), "remove()")


def _take(w: Any, s: Var, at: Var) -> Value:
    from sapwood.lang.library.set import set_take

    w.call_compiled(set_take, [s, stored_of(s), at], {})
    return NONE


def discard(w: Any, s: Var, x: Value, /) -> Value:
    at = find(w, s, x)
    if at is not None:
        there = binary(w.b, operator.ge, at, Known(0))
        w.choose(there, lambda: _take(w, s, at), lambda: NONE, "discard()")
    return NONE


def pop(w: Any, s: Var, /) -> Value:
    from sapwood.lang.library.set import set_pop

    if is_empty(s):
        raise_now(w, KeyError, "pop from an empty set")
    w.b.raise_if(binary(w.b, operator.eq, word(w.b, s, LENGTH), Known(0)), KeyError, "pop from an empty set")
    return w.call_compiled(set_pop, [s, stored_of(s)], {})


def clear(w: Any, s: Var, /) -> Value:
    from sapwood.lang.library.set import set_clear

    if not is_empty(s):
        w.call_compiled(set_clear, [kind_of(s), s], {})
    return NONE


def copy(w: Any, s: Var, /) -> Value:
    return s if target_of(s).frozen else _copy(w, s)


def update(w: Any, s: Var, *others: Value) -> Value:
    from sapwood.lang.infer.iteration.reductions import each
    from sapwood.lang.library.set import set_merge

    for y in others:
        if is_set(y) and target_of(y).elem == target_of(s).elem and not is_empty(s):  # type: ignore[arg-type]
            w.call_compiled(set_merge, [s, stored_of(s), y], {})
        elif is_set(y) and is_empty(y):  # type: ignore[arg-type]
            continue
        else:
            each(w, y, [], lambda x, _: put(w, s, x))
    return NONE


def union(w: Any, s: Var, *others: Value) -> Value:
    from sapwood.lang.library.set import set_join

    if is_empty(s) and others and is_set(others[0]):
        out = _copy(w, others[0], target_of(s).frozen)  # type: ignore[arg-type]
        return update(w, out, *others[1:]) and out
    for y in others:
        if is_set(y) and not is_empty(s) and not is_empty(y):  # type: ignore[arg-type]
            _meet(w, s, y)  # type: ignore[arg-type]
    out = _copy(w, s, target_of(s).frozen)
    for y in others:
        if is_set(y) and not is_empty(s) and target_of(y).elem == target_of(s).elem:  # type: ignore[arg-type]
            w.call_compiled(set_join, [out, stored_of(out), y, s], {})
        else:
            update(w, out, y)
    return out


def intersection(w: Any, s: Var, *others: Value) -> Value:
    from sapwood.lang.infer.iteration.reductions import each
    from sapwood.lang.library import set as library

    out = _copy(w, s, target_of(s).frozen) if not others else s
    for y in others:
        if is_set(y) or is_empty(out):
            other = _pair(w, out, y)
            if other is None:
                out = new_set(w, target_of(out).elem, target_of(s).frozen)
                continue
            kind = Known(ty.Set(target_of(out).elem, target_of(s).frozen))
            out = w.call_compiled(library.set_intersection, [kind, out, other, stored_of(out)], {})
            continue
        found, looked = new_set(w, target_of(s).elem, target_of(s).frozen), out

        def keep(x: Value, _: Any, found: Var = found, looked: Var = looked) -> None:
            at = find(w, looked, x)
            assert at is not None
            there = binary(w.b, operator.ge, at, Known(0))
            w.choose(there, lambda: add(w, found, x), lambda: NONE, "intersection()")

        each(w, y, [], keep)
        out = found
    return out


def difference(w: Any, s: Var, *others: Value) -> Value:
    from sapwood.lang.library.set import set_difference

    out = s if others and is_set(others[0]) else _copy(w, s, target_of(s).frozen)
    for y in others:
        if not is_set(y):
            difference_update(w, out, y)
            continue
        other = _pair(w, out, y)
        if other is None:
            out = _copy(w, out, target_of(s).frozen)
            continue
        kind = Known(ty.Set(target_of(out).elem, target_of(s).frozen))
        out = w.call_compiled(set_difference, [kind, out, other, stored_of(out)], {})
    return out


def symmetric_difference(w: Any, s: Var, y: Value, /) -> Value:
    from sapwood.lang.library.set import set_toggle

    frozen = target_of(s).frozen
    if is_set(y):
        _pair(w, s, y)
    out = of_iterable(w, y, False)
    out = _copy(w, out, frozen) if is_set(y) and out is y or target_of(out).frozen != frozen else out
    if _pair(w, s, out) is None:
        return _copy(w, s if is_empty(out) else out, frozen)
    w.call_compiled(set_toggle, [kind_of(out), out, s, stored_of(out)], {})
    return out


def difference_update(w: Any, s: Var, *others: Value) -> Value:
    from sapwood.lang.infer.iteration.reductions import each
    from sapwood.lang.library.set import set_subtract, set_tidy

    for y in others:
        if is_set(y):
            other = _pair(w, s, y)
            if other is not None:
                w.call_compiled(set_subtract, [kind_of(s), s, other, stored_of(s)], {})
        elif not is_empty(s):
            each(w, y, [], lambda x, _: discard(w, s, x) and None)
            w.call_compiled(set_tidy, [s, stored_of(s)], {})
    return NONE


def intersection_update(w: Any, s: Var, *others: Value) -> Value:
    found = intersection(w, s, *others)
    assert isinstance(found, Var)
    if not is_empty(s):
        from sapwood.lang.infer.containers.lists import set_word

        for i in range(2, 6):  # the two change their tables
            a, b = word(w.b, s, i), word(w.b, found, i)
            set_word(w.b, s, i, b)
            set_word(w.b, found, i, a)
    return NONE


def symmetric_difference_update(w: Any, s: Var, y: Value, /) -> Value:
    from sapwood.lang.library.set import set_toggle

    other = _pair(w, s, y)
    if other is not None:
        w.call_compiled(set_toggle, [kind_of(s), s, other, stored_of(s)], {})
    elif is_set(y) and not is_empty(y) or not is_set(y):  # type: ignore[arg-type]
        update(w, s, y)
    return NONE


def issubset(w: Any, s: Var, y: Value, /) -> Value:
    return _compare(w, operator.le, s, y if is_set(y) else of_iterable(w, y, False))  # type: ignore[arg-type]


def issuperset(w: Any, s: Var, y: Value, /) -> Value:
    return _compare(w, operator.ge, s, y if is_set(y) else of_iterable(w, y, False))  # type: ignore[arg-type]


def isdisjoint(w: Any, s: Var, y: Value, /) -> Value:
    from sapwood.lang.library.set import set_disjoint

    other = _pair(w, s, y)
    return Known(True) if other is None else w.call_compiled(set_disjoint, [s, other, stored_of(s)], {})


METHODS = {
    "add": add, "remove": remove, "discard": discard, "pop": pop, "clear": clear, "copy": copy, "update": update,
    "union": union, "intersection": intersection, "difference": difference,
    "symmetric_difference": symmetric_difference, "difference_update": difference_update,
    "intersection_update": intersection_update, "symmetric_difference_update": symmetric_difference_update,
    "issubset": issubset, "issuperset": issuperset, "isdisjoint": isdisjoint,
}  # fmt: skip
CHANGING = {n for n in METHODS if n.endswith("update")} | {"add", "remove", "discard", "pop", "clear"}
_OPERATORS: dict[Any, Callable[..., Value]] = {
    operator.or_: union, operator.and_: intersection, operator.sub: difference, operator.xor: symmetric_difference,
}  # fmt: skip


# -- iteration --------------------------------------------------------------------------------------


class SetElements(Iteration):
    """Elements in the order of the table; RuntimeError when their number has changed."""

    kind = "set_iterator"

    def __init__(self, s: Var) -> None:
        super().__init__()
        self.s = s

    def length(self, w: Any) -> Value | None:
        return word(w.b, self.s, LENGTH)

    def start(self, w: Any, prefix: str) -> None:
        place, count = prefix, f"{prefix}.n"
        self.state = [place, count]
        w.vars[place] = w.b.index(0)
        w.vars[count] = word(w.b, self.s, LENGTH)

    def next(self, w: Any, sink: Sink) -> Value:
        from sapwood.lang.library.set import set_next

        b = w.b
        place, count = self.state
        changed = b.emit1(arith.compare, (word(b, self.s, LENGTH), w.vars[count]), BOOL, test="ne")
        b.raise_if(changed, RuntimeError, "Set changed size during iteration")
        i = w.call_compiled(set_next, [self.s, stored_of(self.s), w.vars[place]], {})
        assert isinstance(i, Var)
        sink.end_unless(b.emit1(arith.compare, (i, word(b, self.s, MASK)), BOOL, test="le"))
        w.vars[place] = binary(b, operator.add, i, Known(1))
        return element_at(w, self.s, i)


@iterates(ty.Set)
def _iterate(w: Any, s: Value) -> Iteration:
    found = require_some(w, s, TypeError, "'NoneType' object is not iterable")
    assert isinstance(found, Var)
    return Items(()) if is_empty(found) else SetElements(found)


