"""`dict` in compiled code: displays, items, methods, views. The work is done in library/dict.py."""

from __future__ import annotations

import builtins
import operator
from collections.abc import Callable
from typing import Any

from sapwood.lang import types as ty
from sapwood.lang.errors import BadConversion, BadOperand, NoOperator, UnpackMismatch
from sapwood.lang.errors.containers import NotPairs
from sapwood.lang.errors.hints import RELATED, elements_hint
from sapwood.lang.front import hir
from sapwood.lang.infer.adapt import adapt
from sapwood.lang.infer.border import demand
from sapwood.lang.infer.builtins import builtin
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
from sapwood.lang.infer.equality import is_tuple
from sapwood.lang.infer.erasure import erased_stored
from sapwood.lang.infer.hashing import require_hash
from sapwood.lang.infer.heap import Dead, HeapRules, require_some
from sapwood.lang.infer.iteration.generators import COMPREHENSIONS, Code, drive_clauses
from sapwood.lang.infer.iteration.protocol import iterate
from sapwood.lang.infer.iteration.unpack import unpack
from sapwood.lang.ir.ssa import Op, Var
from sapwood.lang.join import bring_together, known_element
from sapwood.lang.ops import control, heap, memory, tables
from sapwood.lang.ops.memory import pointer_at
from sapwood.lang.ops.objects import api, is_of_type
from sapwood.lang.ops.operators import SYMBOLS, binary, logical_not
from sapwood.lang.types import Ptr
from sapwood.lang.values import Agg, Known, Spec, Value, describe, leaves_of, rebuild, spec_of

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


def holds_factory(kind: ty.Dict) -> bool:
    """Whether such dicts hold what their factory reads (infer/containers/defaultdicts.py)."""
    return hasattr(kind.default, "stored")


def is_empty(d: Var) -> bool:
    """Whether nothing was ever put into the dict, as far as is known."""
    t = target_of(d)
    return t.key.kind == "never" or t.value.kind == "never"


def new_dict(w: Any, key: Spec, value: Spec, default: Any = None) -> Var:
    from sapwood.lang.library.dict import dict_new

    kind = ty.Dict(key, value, default)
    return made(w.call_compiled(dict_new, [Known(kind)], {}), kind)


def dict_here(
    w: Any,
    teach: Callable[[Callable[[Value, Value], None]], None] | None,
    default: Any = None,
    make: Callable[[ty.Dict], Var] | None = None,
) -> Var:
    """A new dict at this place of the source; `teach` gives, for its types, what goes in, `make` makes it."""
    key, value = w.interp.site(w.b.loc, "key"), w.interp.site(w.b.loc, "value")

    def both(k: Value, v: Value) -> None:
        learn(w, key, k, "dict's keys")
        learn(w, value, v, "dict's values")

    if teach is not None and key.spec is None:
        foresee(w, lambda: teach(both), key, value)
    if make is None:
        return new_dict(w, known_element(key), known_element(value), default)
    kind = ty.Dict(known_element(key), known_element(value), default)
    return made(make(kind), kind)


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
    from sapwood.lang.library.dict import dict_set, dict_set_at

    k, v = as_key(w, d, key), as_value(w, d, value)
    if is_empty(d):
        return
    place = _place_found(w, d, k)
    if place is None:
        w.call_compiled(dict_set, [d, stored_of(d), k, v], {})
    else:
        w.call_compiled(dict_set_at, [d, stored_of(d), k, v, place], {})


def find(w: Any, d: Var, key: Value) -> Var | None:
    """The place of a key, or below 0; None: nothing was ever put in."""
    from sapwood.lang.library.dict import dict_place

    k = as_key(w, d, key)
    if is_empty(d):
        return None
    place = w.call_compiled(dict_place, [d, stored_of(d), k], {})
    note_place(w, d, k, place)
    return place


def note_place(w: Any, d: Var, key: Value, place: Var) -> None:
    w.interp.places[place] = (d, *leaves_of(key))


def _place_found(w: Any, d: Var, key: Value) -> Var | None:
    """The place of a key, if it has just been looked up: `d[k] += 1`, `d[k] = d.get(k, 0) + 1`."""
    sought = (d, *leaves_of(key))
    for op in reversed(w.b.region.ops):
        for found in op.results:
            if w.interp.places.get(found) == sought:
                return found
        if not _changes_nothing(op):
            return None
    return None


def _changes_nothing(op: Op) -> bool:
    if op.op.pure or op.op in (memory.load, control.yield_, control.raise_):
        return True
    return op.op is control.if_ and all(_changes_nothing(inner) for r in op.regions for inner in r.ops)


def entry(w: Any, d: Var, place: Value, item: int) -> Value:
    """The key (0) or value (1) at a place."""
    b = w.b
    start = b.emit1(pointer_at, (word(b, d, ENTRIES),), Ptr(stored_of(d).value, "generic", "elements"))
    return b.apply(tables.read_item, start, place, Known(item))


def raise_key_error(w: Any, key: Value) -> Any:
    operands: list[Var] = []
    try:
        parts = [w._part(key, operands)]
    except (BadConversion, BadOperand):
        parts = [{"value": f"a {describe(key)}"}]
    w.b.emit(control.raise_, tuple(operands), (), {"exception": KeyError, "parts": parts})
    raise Dead


def present_or(w: Any, place: Var | None, there: Callable[[Var], Value], missing: Callable[[], Value]) -> Value:
    if place is None:
        return missing()
    return w.choose(binary(w.b, operator.ge, place, Known(0)), lambda: there(place), missing, "this expression")


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

    try:
        d = dict_here(w, every if items else None)
        every(lambda k, v: put(w, d, k, v))
    except BadConversion as e:
        if e.fields.get("hint") != RELATED and all(not is_starred(i) and _is_name(items_of(i)[0]) for i in items):
            e.fields["hint"] = elements_hint("dict", str(e.fields.get("found", "")), display=True)
        raise
    return d


def _is_name(key: Value) -> bool:
    return isinstance(key, Known) and isinstance(key.value, str)


def items_of(pair: Value) -> tuple[Value, Value]:
    from sapwood.lang.ops.operators import tuple_items

    k, v = tuple_items(pair)
    return k, v


def pairs_of(w: Any, source: Value, use: Callable[[Value, Value], None]) -> None:
    """All (key, value) pairs of a mapping or of an iterable of pairs."""
    from sapwood.lang.infer.iteration.reductions import each

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
        return copy_as(w, source, ty.Dict(target_of(source).key, target_of(source).value))

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
    from sapwood.lang.infer.iteration.reductions import each

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
    first = w.iterable(node.clauses[0].iterable)

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
        from sapwood.lang.library.dict import dict_drop, dict_drop_with

        stored = erased_stored(ty.Stored(Spec("agg", ty.Tuple(2), (target.key, target.value))))
        if holds_factory(target):
            return dict_drop_with, (Var(heap.WORDS), stored, target.default.stored)
        return dict_drop, (Var(heap.WORDS), stored)

    def length(self, w: Any, x: Var) -> Value:
        return word(w.b, x, LENGTH)

    def get_item(self, w: Any, x: Var, index: Value) -> Value:
        if target_of(x).default is not None:
            return self._default_item(w, x, index)
        place = find(w, x, index)
        return present_or(w, place, lambda at: entry(w, x, at, 1), lambda: raise_key_error(w, index))

    def _default_item(self, w: Any, x: Var, index: Value) -> Value:
        from sapwood.lang.infer.containers.defaultdicts import factory_of

        if is_empty(x):
            put(w, x, index, w.call(factory_of(w, x), [], {}, w.b.loc))
            raise Dead
        place = find(w, x, index)
        assert place is not None

        def missing() -> Value:
            put(w, x, index, w.call(factory_of(w, x), [], {}, w.b.loc))
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
                if not (is_empty(x) or is_empty(y)):
                    bring_together(spec_of(x), spec_of(y))
                out = copy(w, y if is_empty(x) else x)
                return out if is_empty(x) else update(w, out, y) and out
        hint = "dicts can be compared with == and joined with |"
        raise NoOperator(w.b.loc, left=describe(x), op=SYMBOLS[fn], right=describe(y), hint=hint)

    def text(self, w: Any, x: Var, how: str) -> list[Value] | None:
        from sapwood.lang.library.container_text import dict_text

        before, after = "", ""
        default = target_of(x).default
        if default is not None:
            shown = repr(default.value) if isinstance(default, Known) else str(getattr(default, "type", default))
            before, after = f"defaultdict({shown}, ", ")"
        if is_empty(x):
            return [Known(before + "{}" + after)]
        body = w.call_compiled(dict_text, [x, stored_of(x), show_function(how)], {})
        return [Known(before), body, Known(after)]

    def to_object(self, w: Any, x: Var) -> Var:
        from sapwood.lang.library.border import dict_to_python

        if is_empty(x):
            return api(w.b, "PyDict_New", ())
        return w.call_compiled(dict_to_python, [x, stored_of(x)], {})

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


@builtin(hir.items_or_none)
def _items_or_none(w: Any, d: Value, key: Value) -> Value:
    from sapwood.lang.infer.containers.lists import new_list
    from sapwood.lang.infer.containers.sets import new_set
    from sapwood.lang.infer.objects import get_attribute

    held = target_of(d).value if is_dict(d) else None  # type: ignore[arg-type]
    if held is not None and held.kind == "leaf" and isinstance(held.data, ty.Ref) and not held.data.nullable:
        kind = held.data.target
        if isinstance(kind, ty.List):
            return get(w, d, key, new_list(w, kind.elem, Known(0)))  # type: ignore[arg-type]
        if isinstance(kind, ty.Set):
            return get(w, d, key, new_set(w, kind.elem, kind.frozen))  # type: ignore[arg-type]
    return w.call(get_attribute(w, d, "get", w.b.loc), [key, Known(())], {}, w.b.loc)


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
        kind = ty.Dict(target_of(d).key, target_of(d).value)
        w.call_compiled(dict_clear, [Known(kind), d, stored_of(d)], {})
    return NONE


def copy(w: Any, d: Var, /) -> Var:
    return copy_as(w, d, target_of(d))


def copy_as(w: Any, d: Var, kind: ty.Dict) -> Var:
    """A copy as a dict of another kind: with another default, or none."""
    from sapwood.lang.library.dict import dict_copy, dict_new

    if holds_factory(kind):
        from sapwood.lang.infer.containers.defaultdicts import copy_with_factory

        return copy_with_factory(w, d, kind)
    if is_empty(d):
        return made(w.call_compiled(dict_new, [Known(kind)], {}), kind)
    return made(w.call_compiled(dict_copy, [Known(kind), d, stored_of(d)], {}), kind)


def _view(kind: str) -> Callable[..., Value]:
    return lambda w, d, /: Agg(ty.DictView(kind), (d,))


METHODS = {
    "get": get, "setdefault": setdefault, "pop": pop, "popitem": popitem, "update": update, "clear": clear,
    "copy": copy, "keys": _view("keys"), "values": _view("values"), "items": _view("items"),
}  # fmt: skip
