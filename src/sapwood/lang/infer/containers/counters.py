"""`collections.Counter` in compiled code: a dict whose values are ints. The work is done in library/counter.py."""

from __future__ import annotations

import collections
import operator
from collections.abc import Callable
from typing import Any

from sapwood.lang import types as ty
from sapwood.lang.errors import NoOperator
from sapwood.lang.infer.border import demand
from sapwood.lang.infer.builtins import builtin
from sapwood.lang.infer.containers import dicts
from sapwood.lang.infer.containers.dict_views import iterate_dict
from sapwood.lang.infer.containers.dicts import DictRules, entry, find, is_dict, present_or, stored_of
from sapwood.lang.infer.containers.lists import foresee, learn, made, show_function
from sapwood.lang.infer.heap import require_some
from sapwood.lang.infer.iteration.adapters import lazy
from sapwood.lang.infer.iteration.protocol import Iteration, iterates
from sapwood.lang.infer.objects import get_item
from sapwood.lang.ir.ssa import Var
from sapwood.lang.join import known_element
from sapwood.lang.ops.objects import api, constant_object
from sapwood.lang.ops.operators import SYMBOLS, logical_and, logical_not, require_index
from sapwood.lang.types import BOOL, I64
from sapwood.lang.values import Agg, Known, Spec, Value, describe

NONE = Known(None)
COUNT = Spec("leaf", I64)


def is_counter(x: Value) -> bool:
    return is_dict(x) and isinstance(x.type.target, ty.Counter)  # type: ignore[union-attr]


def new_counter(w: Any, key: Spec) -> Var:
    from sapwood.lang.library.dict import dict_new

    kind = ty.Counter(key, COUNT)
    return made(w.call_compiled(dict_new, [Known(kind)], {}), kind)


@builtin(collections.Counter)
def _counter(walker: Any, source: Value = NONE, /, **named: Value) -> Value:
    w, loc = walker, walker.b.loc
    site = w.interp.site(loc, "key")

    def teach() -> None:
        _each_key(w, source, lambda k: learn(w, site, k, "Counter's keys"))

    if site.spec is None and source != NONE:
        foresee(w, teach, site)
    w.b.loc = loc
    c = new_counter(w, known_element(site))
    update(w, c, source, **named)
    return c


def _each_key(w: Any, source: Value, use: Callable[[Value], None]) -> None:
    from sapwood.lang.infer.iteration.reductions import each

    each(w, source, [], lambda k, _: use(k))


def add(w: Any, c: Var, key: Value, n: Value) -> None:
    from sapwood.lang.library.counter import counter_add

    k = dicts.as_key(w, c, key)
    if not dicts.is_empty(c):
        w.call_compiled(counter_add, [c, stored_of(c), k, n], {})


def _change(w: Any, c: Var, source: Value, named: dict[str, Value], sign: int) -> Value:
    from sapwood.lang.library.counter import counter_add_all

    source = require_some(w, source, TypeError, "'NoneType' object is not iterable") if source != NONE else source
    loc = w.b.loc
    if is_dict(source):
        if not dicts.is_empty(source):  # type: ignore[arg-type]
            w.call_compiled(counter_add_all, [c, source, Known(sign)], {})
    elif source != NONE:
        _each_key(w, source, lambda k: add(w, c, k, w.b.index(sign)))
    w.b.loc = loc
    for name, n in named.items():
        add(w, c, Known(name), w.operate(operator.mul, n, Known(sign)))
    return NONE


def update(w: Any, c: Var, source: Value = NONE, /, **named: Value) -> Value:
    return _change(w, c, source, named, 1)


def subtract(w: Any, c: Var, source: Value = NONE, /, **named: Value) -> Value:
    return _change(w, c, source, named, -1)


class CounterRules(DictRules):
    @property
    def methods(self) -> dict[str, Any]:  # type: ignore[override]
        return METHODS

    def get_item(self, w: Any, x: Var, index: Value) -> Value:
        return present_or(w, find(w, x, index), lambda at: entry(w, x, at, 1), lambda: Known(0))

    def del_item(self, w: Any, x: Var, index: Value) -> None:
        from sapwood.lang.library.dict import dict_take

        def remove(at: Var) -> Value:
            w.call_compiled(dict_take, [x, stored_of(x), at], {})
            return NONE

        present_or(w, find(w, x, index), remove, lambda: NONE)

    def binary(self, w: Any, fn: Any, x: Value, y: Value) -> Value | None:
        from sapwood.lang.library import counter as library

        if not (is_counter(x) and is_counter(y)):
            if fn in (operator.eq, operator.ne) and is_dict(x) and is_dict(y):
                return super().binary(w, fn, x, y)
            hint = "a Counter is combined with another one: Counter(mapping)"
            raise NoOperator(w.b.loc, left=describe(x), op=SYMBOLS[fn], right=describe(y), hint=hint)
        if fn in (operator.gt, operator.ge):
            return self.binary(w, operator.lt if fn is operator.gt else operator.le, y, x)
        if fn in (operator.eq, operator.ne):
            same = w.call_compiled(library.counter_equal, [x, y], {})
            return same if fn is operator.eq else logical_not(w.b, same)
        if fn in (operator.le, operator.lt):
            within = w.call_compiled(library.counter_within, [x, y], {})
            if fn is operator.le:
                return within
            return logical_and(w.b, within, logical_not(w.b, w.call_compiled(library.counter_equal, [x, y], {})))
        rule = {
            operator.add: library.counter_sum, operator.sub: library.counter_difference,
            operator.or_: library.counter_union, operator.and_: library.counter_intersection,
        }.get(fn)  # fmt: skip
        if rule is None:
            hint = "Counters are combined with +, -, | and &"
            raise NoOperator(w.b.loc, left=describe(x), op=SYMBOLS[fn], right=describe(y), hint=hint)
        return self._made(w, rule, x, y)  # type: ignore[arg-type]

    def _made(self, w: Any, rule: Any, x: Var, y: Value) -> Value:
        kept = y if dicts.is_empty(x) and is_counter(y) else x
        out = new_counter(w, dicts.target_of(kept).key)  # type: ignore[arg-type]
        if not dicts.is_empty(out):
            w.call_compiled(rule, [out, x, y], {})
        return out

    def unary(self, w: Any, fn: Any, x: Var) -> Value | None:
        from sapwood.lang.library.counter import counter_positive

        if fn not in (operator.pos, operator.neg):
            return None
        return self._made(w, counter_positive, x, Known(1 if fn is operator.pos else -1))

    def inplace(self, w: Any, fn: Any, x: Var, y: Value) -> Value | None:
        from sapwood.lang.library import counter as library

        if not is_counter(y):
            return None
        if fn in (operator.iadd, operator.isub):
            _change(w, x, y, {}, 1 if fn is operator.iadd else -1)
        elif fn is operator.ior:
            w.call_compiled(library.counter_union_in_place, [x, y], {})
        elif fn is operator.iand:
            w.call_compiled(library.counter_intersection_in_place, [x, y], {})
        else:
            return None
        if not dicts.is_empty(x):
            w.call_compiled(library.counter_keep_positive, [x], {})
        return x

    def text(self, w: Any, x: Var, how: str) -> list[Value] | None:
        from sapwood.lang.library.counter import counter_text

        if dicts.is_empty(x):
            return [Known("Counter()")]
        return [w.call_compiled(counter_text, [x, show_function(how)], {})]

    def to_object(self, w: Any, x: Var) -> Var:
        from sapwood.lang.infer.python_objects import call_object

        return w.b.materialize(call_object(w, constant_object(w.b, collections.Counter), [super().to_object(w, x)], {}))

    def from_object(self, w: Any, x: Var, target: Any) -> Var:
        yes = api(w.b, "PyObject_IsInstance", (x, constant_object(w.b, collections.Counter)), BOOL, "negative")
        demand(w, yes, x, "Counter")
        return super().from_object(w, x, target)


def most_common(w: Any, c: Var, n: Value = NONE, /) -> Value:
    from sapwood.lang.library.counter import counter_order

    found = w.call_compiled(counter_order, [c], {})
    if n == NONE:
        return found
    count = w.call(Known(max), [require_index(w.b, n, "how many are wanted"), Known(0)], {}, w.b.loc)
    return get_item(w, found, Agg(ty.Tuple(4), (Known(slice), NONE, count, NONE)))


def elements(w: Any, c: Var, /) -> Value:
    from sapwood.lang.library.counter import counter_elements

    return lazy("iter", w.call_compiled(counter_elements, [c], {}))


def total(w: Any, c: Var, /) -> Value:
    return w.call(Known(sum), [Agg(ty.DictView("values"), (c,))], {}, w.b.loc)


METHODS: dict[str, Any] = dicts.METHODS | {
    "update": update, "subtract": subtract, "most_common": most_common, "elements": elements, "total": total,
}  # fmt: skip


@iterates(ty.Counter)
def _keys(w: Any, c: Value) -> Iteration:
    return iterate_dict(w, c, "keys")
