"""`dict` in compiled code: displays, items, methods, views. The work is done in library/dict.py."""

from __future__ import annotations

import builtins
import collections
import operator
from collections.abc import Callable
from typing import Any

from sapwood.lang import types as ty
from sapwood.lang.errors import BadConversion, NoOperator, UnpackMismatch
from sapwood.lang.errors_containers import NotPairs
from sapwood.lang.front import hir
from sapwood.lang.infer.border import demand
from sapwood.lang.infer.builtins import builtin
from sapwood.lang.infer.equality import equal, is_tuple
from sapwood.lang.infer.generators import COMPREHENSIONS, Code, drive_clauses
from sapwood.lang.infer.hashing import require_hash
from sapwood.lang.infer.heap import Dead, HeapRules, require_some
from sapwood.lang.infer.iteration import Iteration, Sink, choose, iterate, iterates
from sapwood.lang.infer.join import adapt, known_element
from sapwood.lang.infer.lists import (
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
from sapwood.lang.infer.unpack import unpack
from sapwood.lang.ir.ssa import Var
from sapwood.lang.object_types import elements_misfit
from sapwood.lang.ops import arith, control, heap, tables
from sapwood.lang.ops.memory import pointer_at
from sapwood.lang.ops.objects import api, is_of_type
from sapwood.lang.ops.operators import SYMBOLS, binary, logical_not
from sapwood.lang.types import BOOL, Ptr
from sapwood.lang.values import Agg, Known, Spec, Value, describe, make_tuple, rebuild

NONE = Known(None)
ENTRIES, USED = 4, 3


# -- what a dict is ---------------------------------------------------------------------------------


def target_of(d: Var) -> ty.Dict:
    assert isinstance(d.type, ty.Ref) and isinstance(d.type.target, ty.Dict)
    return d.type.target


def kind_of(d: Var) -> Known:
    return Known(target_of(d))


def stored_of(d: Var) -> Known:
    t = target_of(d)
    return Known(ty.Stored(Spec("agg", ty.Tuple(2), (t.key, t.value))))


def is_dict(x: Value) -> bool:
    reference = isinstance(x, Var) and isinstance(x.type, ty.Ref) and not x.type.nullable
    return reference and isinstance(x.type.target, ty.Dict)  # type: ignore[union-attr]


def is_empty(d: Var) -> bool:
    """Whether nothing was ever put into the dict, as far as is known."""
    t = target_of(d)
    return t.key.kind == "never" or t.value.kind == "never"


def new_dict(w: Any, key: Spec, value: Spec, default: Any = None) -> Var:
    from sapwood.lang.library.dict import dict_new

    kind = ty.Dict(key, value, default)
    return made(w.call_compiled(dict_new, [Known(kind)], {}), kind)


def dict_here(w: Any, teach: Callable[[Callable[[Value, Value], None]], None] | None, default: Any = None) -> Var:
    """A new dict at this place of the source; `teach` gives, for its types, what goes in."""
    key, value = w.interp.site(w.b.loc, "key"), w.interp.site(w.b.loc, "value")

    def both(k: Value, v: Value) -> None:
        learn(w, key, k, "dict's keys")
        learn(w, value, v, "dict's values")

    if teach is not None and key.spec is None:
        foresee(w, lambda: teach(both), key, value)
    return new_dict(w, known_element(key), known_element(value), default)


# -- keys and values --------------------------------------------------------------------------------


def _leaves(w: Any, x: Value, spec: Spec) -> Value:
    """A value with the leaves that it has in memory."""
    return rebuild(spec, iter(adapt(w.b, x, spec)))


def as_key(w: Any, d: Var, key: Value) -> Value:
    spec = target_of(d).key
    require_hash(w, key)
    if spec.kind == "never":
        learn(w, spec.data, key, "dict's keys")
        return key
    return _leaves(w, fit_element(w, key, spec, "dict"), spec)


def as_value(w: Any, d: Var, value: Value) -> Value:
    spec = target_of(d).value
    if spec.kind == "never":
        learn(w, spec.data, value, "dict's values")
        return value
    return _leaves(w, fit_element(w, value, spec, "dict"), spec)


def put(w: Any, d: Var, key: Value, value: Value) -> None:
    """`d[key] = value`"""
    from sapwood.lang.library.dict import dict_set

    k, v = as_key(w, d, key), as_value(w, d, value)
    if not is_empty(d):
        w.call_compiled(dict_set, [d, stored_of(d), k, v], {})


def find(w: Any, d: Var, key: Value) -> Var | None:
    """The place of a key, or below 0; None: nothing was ever put in."""
    from sapwood.lang.library.dict import dict_place

    k = as_key(w, d, key)
    if is_empty(d):
        return None
    return w.call_compiled(dict_place, [d, stored_of(d), k], {})


def entry(w: Any, d: Var, place: Value, item: int) -> Value:
    """The key (0) or value (1) at a place."""
    b = w.b
    start = b.emit1(pointer_at, (word(b, d, ENTRIES),), Ptr(stored_of(d).value, "generic", "elements"))
    return b.apply(tables.read_item, start, place, Known(item))


def raise_key_error(w: Any, key: Value) -> Any:
    operands: list[Var] = []
    try:
        parts = [w._part(key, operands)]
    except BadConversion:
        parts = [{"value": f"a {describe(key)}"}]
    w.b.emit(control.raise_, tuple(operands), (), {"exception": KeyError, "parts": parts})
    raise Dead


def present_or(w: Any, place: Var | None, there: Callable[[Var], Value], missing: Callable[[], Value]) -> Value:
    if place is None:
        return missing()
    return choose(w, binary(w.b, operator.ge, place, Known(0)), lambda: there(place), missing, "this expression")


# -- displays ---------------------------------------------------------------------------------------


@builtin(hir.make_dict)
def make_dict(w: Any, *items: Value) -> Value:
    """`{k: v, **d}`"""
    loc = w.b.loc

    def every(use: Callable[[Value, Value], None]) -> None:
        for item in items:
            w.b.loc = loc
            if is_starred(item):
                assert isinstance(item, Agg)
                pairs_of(w, item.items[1], use)
            else:
                k, v = items_of(item)
                use(k, v)

    d = dict_here(w, every if items else None)
    every(lambda k, v: put(w, d, k, v))
    return d


def items_of(pair: Value) -> tuple[Value, Value]:
    from sapwood.lang.ops.operators import tuple_items

    k, v = tuple_items(pair)
    return k, v


def pairs_of(w: Any, source: Value, use: Callable[[Value, Value], None]) -> None:
    """All (key, value) pairs of a mapping or of an iterable of pairs."""
    from sapwood.lang.infer.reductions import each

    loc = w.b.loc
    source = require_some(w, source, TypeError, "'NoneType' object is not iterable")
    if is_dict(source):
        source = Agg(ty.DictView("items"), (source,))

    def one(item: Value, _: Any) -> None:
        w.b.loc = loc
        if is_tuple(item):
            k, v = items_of(item) if len(_items(item)) == 2 else (None, None)
            if k is None or v is None:
                raise NotPairs(loc, found=describe(item))
        else:
            try:
                k, v = unpack(w, item, 2, None, loc)
            except UnpackMismatch:
                raise NotPairs(loc, found=describe(item)) from None
        use(k, v)

    each(w, source, [], one)
    w.b.loc = loc


def _items(x: Value) -> tuple[Value, ...]:
    from sapwood.lang.ops.operators import tuple_items

    return tuple_items(x)


@builtin(builtins.dict)
def _dict(walker: Any, source: Value | None = None, /, **named: Value) -> Value:
    w = walker
    if source is not None and is_dict(source) and not named:
        return copy(w, source)

    def every(use: Callable[[Value, Value], None]) -> None:
        if source is not None:
            pairs_of(w, source, use)
        for name, value in named.items():
            use(Known(name), value)

    d = dict_here(w, every if source is not None or named else None)
    every(lambda k, v: put(w, d, k, v))
    return d


@builtin(dict.fromkeys)
def _fromkeys(walker: Any, keys: Value, value: Value = NONE, /) -> Value:
    from sapwood.lang.infer.reductions import each

    w, loc = walker, walker.b.loc

    def every(use: Callable[[Value, Value], None]) -> None:
        w.b.loc = loc
        each(w, keys, [], lambda k, _: use(k, value))

    d = dict_here(w, every)
    every(lambda k, v: put(w, d, k, v))
    return d


def dict_comprehension(w: Any, node: Any) -> Value:
    """`{k: v for target in iterable if condition}`"""
    code, loc = Code(node, w), node.loc
    first = w.expr(node.clauses[0].iterable)

    def every(use: Callable[[Value, Value], None]) -> None:
        w.b.loc = node.clauses[0].iterable.loc
        it = iterate(w, first, w.b.loc)

        def one(values: list[Value], _: Any) -> bool:
            w.b.loc = node.elements[0].loc
            use(values[0], values[1])
            return False

        drive_clauses(w, code, it, (id(node), "dict"), [], one)
        w.b.loc = loc

    w.b.loc = loc
    d = dict_here(w, every)
    every(lambda k, v: put(w, d, k, v))
    return d


COMPREHENSIONS["dict"] = dict_comprehension


# -- rules ------------------------------------------------------------------------------------------


class DictRules(HeapRules):
    @property
    def methods(self) -> dict[str, Any]:  # type: ignore[override]
        return METHODS

    def drop(self, target: ty.Dict) -> tuple[Any, tuple[Value, ...]]:
        from sapwood.lang.library.dict import dict_drop

        stored = ty.Stored(Spec("agg", ty.Tuple(2), (target.key, target.value)))
        return dict_drop, (Var(heap.WORDS), Known(stored))

    def length(self, w: Any, x: Var) -> Value:
        return word(w.b, x, LENGTH)

    def get_item(self, w: Any, x: Var, index: Value) -> Value:
        if target_of(x).default is not None:
            return self._default_item(w, x, index)
        place = find(w, x, index)
        return present_or(w, place, lambda at: entry(w, x, at, 1), lambda: raise_key_error(w, index))

    def _default_item(self, w: Any, x: Var, index: Value) -> Value:
        default = Known(target_of(x).default)
        if is_empty(x):
            put(w, x, index, w.call(default, [], {}, w.b.loc))
            raise Dead
        place = find(w, x, index)
        assert place is not None

        def missing() -> Value:
            put(w, x, index, w.call(default, [], {}, w.b.loc))
            return entry(w, x, binary(w.b, operator.sub, word(w.b, x, USED), Known(1)), 1)

        return present_or(w, place, lambda at: entry(w, x, at, 1), missing)

    def set_item(self, w: Any, x: Var, index: Value, value: Value) -> None:
        put(w, x, index, value)

    def del_item(self, w: Any, x: Var, index: Value) -> None:
        from sapwood.lang.library.dict import dict_take

        def remove(at: Var) -> Value:
            w.call_compiled(dict_take, [x, stored_of(x), at], {})
            return NONE

        present_or(w, find(w, x, index), remove, lambda: raise_key_error(w, index))

    def contains(self, w: Any, x: Var, item: Value) -> Value | None:
        place = find(w, x, item)
        return Known(False) if place is None else binary(w.b, operator.ge, place, Known(0))

    def binary(self, w: Any, fn: Any, x: Value, y: Value) -> Value | None:
        if is_dict(x) and is_dict(y):
            if fn in (operator.eq, operator.ne):
                same = _equal(w, x, y)
                return same if fn is operator.eq else logical_not(w.b, same)
            if fn is operator.or_:
                out = copy(w, y if is_empty(x) else x)
                return out if is_empty(x) else update(w, out, y) and out
        hint = "dicts can be compared with == and joined with |"
        raise NoOperator(w.b.loc, left=describe(x), op=SYMBOLS[fn], right=describe(y), hint=hint)

    def text(self, w: Any, x: Var, how: str) -> list[Value] | None:
        from sapwood.lang.library.container_text import dict_text

        before, after = "", ""
        if target_of(x).default is not None:
            before, after = f"defaultdict({target_of(x).default!r}, ", ")"
        if is_empty(x):
            return [Known(before + "{}" + after)]
        body = w.call_compiled(dict_text, [x, stored_of(x), show_function(how)], {})
        return [Known(before), body, Known(after)]

    def to_object(self, w: Any, x: Var) -> Var:
        from sapwood.lang.library.border import dict_to_python

        if is_empty(x):
            return api(w.b, "PyDict_New", ())
        return w.call_compiled(dict_to_python, [x, stored_of(x)], {})

    def misfit(self, target: ty.Dict, x: Any) -> str | None:
        if not isinstance(x, dict):
            return "pass a dict"
        return elements_misfit(target.key, x, "key") or elements_misfit(target.value, x.values(), "value")

    def from_object(self, w: Any, x: Var, target: Any) -> Var:
        from sapwood.lang.library.border import dict_from_python

        demand(w, is_of_type(w.b, x, "PyDict_Type", exact=False), x, "dict")
        pairs = api(w.b, "PyDict_Items", (x,))
        stored = ty.Stored(Spec("agg", ty.Tuple(2), (target.key, target.value)))
        return w.call_compiled(dict_from_python, [pairs, Known(target), Known(stored), Known(w.interp.exact)], {})

    def inplace(self, w: Any, fn: Any, x: Var, y: Value) -> Value | None:
        if fn is operator.ior:
            update(w, x, y)
            return x
        return None


def _equal(w: Any, x: Var, y: Var) -> Value:
    from sapwood.lang.library.dict import dict_equal

    if is_empty(x) or is_empty(y):
        return binary(w.b, operator.eq, word(w.b, x, LENGTH), word(w.b, y, LENGTH))
    if target_of(x).key != target_of(y).key:
        hint = "their keys have different types, so they are never equal unless both are empty"
        raise NoOperator(w.b.loc, left=describe(x), op="==", right=describe(y), hint=hint)
    return w.call_compiled(dict_equal, [x, stored_of(x), y, stored_of(y)], {})


# -- methods ----------------------------------------------------------------------------------------


def get(w: Any, d: Var, key: Value, default: Value = NONE, /) -> Value:
    return present_or(w, find(w, d, key), lambda at: entry(w, d, at, 1), lambda: default)


def setdefault(w: Any, d: Var, key: Value, default: Value = NONE, /) -> Value:
    from sapwood.lang.library.dict import dict_set_default

    k, v = as_key(w, d, key), as_value(w, d, default)
    if is_empty(d):
        raise Dead
    return entry(w, d, w.call_compiled(dict_set_default, [d, stored_of(d), k, v], {}), 1)


def pop(w: Any, d: Var, key: Value, default: Value | None = None, /) -> Value:
    from sapwood.lang.library.dict import dict_take

    def missing() -> Value:
        return raise_key_error(w, key) if default is None else default

    return present_or(w, find(w, d, key), lambda at: w.call_compiled(dict_take, [d, stored_of(d), at], {}), missing)


def popitem(w: Any, d: Var, /) -> Value:
    from sapwood.lang.library.dict import dict_take_entry

    empty = "popitem(): dictionary is empty"
    if is_empty(d):
        raise_now(w, KeyError, empty)
    w.b.raise_if(binary(w.b, operator.eq, word(w.b, d, LENGTH), Known(0)), KeyError, empty)
    last = binary(w.b, operator.sub, word(w.b, d, USED), Known(1))
    return w.call_compiled(dict_take_entry, [d, stored_of(d), last], {})


def update(w: Any, d: Var, source: Value | None = None, /, **named: Value) -> Value:
    from sapwood.lang.library.dict import dict_update

    if source is not None:
        source = require_some(w, source, TypeError, "'NoneType' object is not iterable")
        same = is_dict(source) and target_of(source).key == target_of(d).key and (
            target_of(source).value == target_of(d).value
        )
        if same and not is_empty(d):
            w.call_compiled(dict_update, [d, stored_of(d), source], {})
        elif is_dict(source) and is_empty(source):
            pass
        elif is_dict(source) and is_empty(d):
            t, own = target_of(source), target_of(d)
            for spec, found in ((own.key, t.key), (own.value, t.value)):
                if spec.kind == "never":
                    spec.data.learn(found)
        else:
            pairs_of(w, source, lambda k, v: put(w, d, k, v))
    for name, value in named.items():
        put(w, d, Known(name), value)
    return NONE


def clear(w: Any, d: Var, /) -> Value:
    from sapwood.lang.library.dict import dict_clear

    if not is_empty(d):
        w.call_compiled(dict_clear, [kind_of(d), d, stored_of(d)], {})
    return NONE


def copy(w: Any, d: Var, /) -> Var:
    from sapwood.lang.library.dict import dict_copy

    t = target_of(d)
    if is_empty(d):
        return new_dict(w, t.key, t.value, t.default)
    return w.call_compiled(dict_copy, [kind_of(d), d, stored_of(d)], {})


def _view(kind: str) -> Callable[..., Value]:
    return lambda w, d, /: Agg(ty.DictView(kind), (d,))


METHODS = {
    "get": get, "setdefault": setdefault, "pop": pop, "popitem": popitem, "update": update, "clear": clear,
    "copy": copy, "keys": _view("keys"), "values": _view("values"), "items": _view("items"),
}  # fmt: skip


# -- iteration --------------------------------------------------------------------------------------


class DictEntries(Iteration):
    """Entries in order; RuntimeError when their number has changed."""

    def __init__(self, d: Var, kind: str) -> None:
        super().__init__()
        self.d, self.part = d, kind
        self.kind = f"dict_{kind}iterator"

    def length(self, w: Any) -> Value | None:
        return word(w.b, self.d, LENGTH)

    def start(self, w: Any, prefix: str) -> None:
        place, count = prefix, f"{prefix}.n"
        self.state = [place, count]
        w.vars[place] = w.b.index(0)
        w.vars[count] = word(w.b, self.d, LENGTH)

    def next(self, w: Any, sink: Sink) -> Value:
        b = w.b
        n = word(b, self.d, LENGTH)
        changed = b.emit1(arith.compare, (n, w.vars[self.state[1]]), BOOL, test="ne")
        b.raise_if(changed, RuntimeError, "dictionary changed size during iteration")
        i = self.place(w, sink)
        if self.part == "items":
            return make_tuple([entry(w, self.d, i, 0), entry(w, self.d, i, 1)])
        return entry(w, self.d, i, 0 if self.part == "keys" else 1)

    def place(self, w: Any, sink: Sink) -> Var:
        """The place of the next entry."""
        from sapwood.lang.library.dict import dict_next

        i = w.call_compiled(dict_next, [self.d, w.vars[self.state[0]]], {})
        assert isinstance(i, Var)
        sink.end_unless(w.b.emit1(arith.compare, (i, word(w.b, self.d, USED)), BOOL, test="lt"))
        w.vars[self.state[0]] = binary(w.b, operator.add, i, Known(1))
        return i

    def backward(self) -> Iteration | None:
        return DictBackward(self.d, self.part)


class DictBackward(DictEntries):
    """The same from the last entry to the first."""

    def start(self, w: Any, prefix: str) -> None:
        super().start(w, prefix)
        w.vars[prefix] = word(w.b, self.d, USED)

    def place(self, w: Any, sink: Sink) -> Var:
        from sapwood.lang.library.dict import dict_before

        i = w.call_compiled(dict_before, [self.d, w.vars[self.state[0]]], {})
        sink.end_unless(w.b.emit1(arith.compare, (i, w.b.index(0)), BOOL, test="ge"))
        w.vars[self.state[0]] = i
        return i

    def backward(self) -> Iteration | None:
        return None


def in_view(w: Any, view: Agg, item: Value) -> Value | None:
    """`item in d.keys()` or `d.items()`; None: look at all values."""
    d = view.items[0]
    assert isinstance(view.type, ty.DictView) and isinstance(d, Var)
    if view.type.kind == "values":
        return None
    if view.type.kind == "keys":
        return DictRules().contains(w, d, item)
    key, value = items_of(item)
    return present_or(w, find(w, d, key), lambda at: equal(w, entry(w, d, at, 1), value), lambda: Known(False))


def _iterate(w: Any, d: Value, kind: str) -> Iteration:
    from sapwood.lang.infer.iteration import Items

    found = require_some(w, d, TypeError, "'NoneType' object is not iterable")
    assert isinstance(found, Var)
    return Items(()) if is_empty(found) else DictEntries(found, kind)


@iterates(ty.Dict)
def _dict_keys(w: Any, d: Value) -> Iteration:
    return _iterate(w, d, "keys")


@iterates(ty.DictView)
def _dict_view(w: Any, view: Agg) -> Iteration:
    assert isinstance(view.type, ty.DictView)
    return _iterate(w, view.items[0], view.type.kind)


# -- collections ------------------------------------------------------------------------------------


@builtin(collections.defaultdict)
def _defaultdict(walker: Any, factory: Value = NONE, source: Value | None = None, /) -> Value:
    w = walker
    if factory == NONE:
        return _dict(w, source)
    make = w.b.known(factory, "the factory of a defaultdict")

    def every(use: Callable[[Value, Value], None]) -> None:
        if source is not None:
            pairs_of(w, source, use)

    d = dict_here(w, every if source is not None else None, make)
    every(lambda k, v: put(w, d, k, v))
    return d


