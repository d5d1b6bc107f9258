"""Functions that are made of others or of names: `functools.partial`, `itemgetter`, `attrgetter` and `methodcaller`.

Each is a method of the compiler's whose receiver is what it was made with.
"""

from __future__ import annotations

import functools
import operator
from typing import Any

from sapwood.lang import types as ty
from sapwood.lang.errors import BadOperand
from sapwood.lang.infer.builtins import builtin
from sapwood.lang.infer.objects import Method, get_attribute, get_item
from sapwood.lang.values import Agg, Known, Value, make_tuple


def _made(method: Method, receiver: Value) -> Value:
    return Agg(ty.BoundMethod(method), (receiver,))  # type: ignore[arg-type]


def _call_partial(w: Any, receiver: Value, /, *args: Value, **kwargs: Value) -> Value:
    assert isinstance(receiver, Agg) and isinstance(receiver.items[1], Known)
    f, names, *given = receiver.items
    count = len(given) - len(names.value)  # type: ignore[union-attr]
    kept = dict(zip(names.value, given[count:], strict=True))  # type: ignore[union-attr]
    return w.call(f, [*given[:count], *args], kept | kwargs, w.b.loc)


_PARTIAL = Method("partial", _call_partial)


@builtin(functools.partial)
def _partial(walker: Any, f: Value, /, *args: Value, **kwargs: Value) -> Value:
    items = (f, Known(tuple(kwargs)), *args, *kwargs.values())
    return _made(_PARTIAL, Agg(ty.Tuple(len(items)), items))


def _call_items(w: Any, receiver: Value, x: Value, /) -> Value:
    assert isinstance(receiver, Agg)
    found = [get_item(w, x, k) for k in receiver.items]
    return found[0] if len(found) == 1 else make_tuple(found)


_ITEMS = Method("itemgetter", _call_items)


@builtin(operator.itemgetter)
def _itemgetter(walker: Any, item: Value, /, *items: Value) -> Value:
    return _made(_ITEMS, Agg(ty.Tuple(1 + len(items)), (item, *items)))


def _call_attributes(w: Any, receiver: Value, x: Value, /) -> Value:
    assert isinstance(receiver, Known)
    found = []
    for path in receiver.value:
        value = x
        for name in path.split("."):
            value = get_attribute(w, value, name, w.b.loc)
        found.append(value)
    return found[0] if len(found) == 1 else make_tuple(found)


_ATTRIBUTES = Method("attrgetter", _call_attributes)


@builtin(operator.attrgetter)
def _attrgetter(walker: Any, attr: Value, /, *attrs: Value) -> Value:
    return _made(_ATTRIBUTES, Known(tuple(_name(walker, v, "attrgetter") for v in (attr, *attrs))))


def _call_method(w: Any, receiver: Value, x: Value, /) -> Value:
    assert isinstance(receiver, Agg) and isinstance(receiver.items[0], Known)
    method = get_attribute(w, x, receiver.items[0].value, w.b.loc)
    return _call_partial(w, Agg(receiver.type, (method, *receiver.items[1:])))


_METHOD = Method("methodcaller", _call_method)


@builtin(operator.methodcaller)
def _methodcaller(walker: Any, name: Value, /, *args: Value, **kwargs: Value) -> Value:
    items = (Known(_name(walker, name, "methodcaller")), Known(tuple(kwargs)), *args, *kwargs.values())
    return _made(_METHOD, Agg(ty.Tuple(len(items)), items))


def _name(w: Any, v: Value, function: str) -> str:
    if not (isinstance(v, Known) and isinstance(v.value, str)):
        hint = "write the name as a constant"
        raise BadOperand(w.b.loc, function=function, detail="needs a name that is known when it is compiled", hint=hint)
    return v.value
