"""What tables of keys are made of: items of stored tuples one by one, hashes, whether a key may be one."""

from __future__ import annotations

from typing import Any

from sapwood.lang import memory_layout
from sapwood.lang.ir.ssa import Var
from sapwood.lang.ops.base import operation
from sapwood.lang.ops.raw import pointer_argument
from sapwood.lang.types import Stored, Tuple
from sapwood.lang.values import Known, Spec, rebuild


def _places(b: Any, p: Any, i: Any, k: Any) -> tuple[Spec, list[tuple[Any, Var]]]:
    """Item k of the tuple that is element i at p: its spec, and (leaf, place) of what it is made of."""
    from sapwood.lang.infer import layout
    from sapwood.lang.ops.memory import offset

    stored = pointer_argument(b, p, "items").type.elem
    assert isinstance(stored, Stored) and isinstance(stored.spec.data, Tuple)
    at = offset(b, p, i)
    k = b.known(k, "the number of the item", int)
    first = sum(len(list(s.leaves())) for s in stored.spec.items[:k])
    item = stored.spec.items[k]
    leaves = memory_layout.stored_leaves(stored.spec)[first : first + len(list(item.leaves()))]
    return item, [(leaf, layout.at_offset(b, at, where, leaf)) for leaf, where in leaves]


def _read(b: Any, p: Any, i: Any, k: Any, **attrs: Any) -> Any:
    from sapwood.lang.ops.memory import load

    item, places = _places(b, p, i, k)
    return rebuild(item, (b.emit1(load, (at,), leaf, **attrs) for leaf, at in places))


@operation()
def read_item(p: Any, i: int, k: int) -> Any:
    """Item k of the tuple that is element i at p."""


@read_item.typing
def _(b, p, i, k):
    return _read(b, p, i, k)


@operation()
def take_item(p: Any, i: int, k: int) -> Any:
    """Move item k of element i out of memory: its place then holds nothing."""


@take_item.typing
def _(b, p, i, k):
    return _read(b, p, i, k, take=True)


@operation()
def write_item(p: Any, i: int, k: int, x: Any) -> None:
    """Store x as item k of element i, in a place that holds nothing."""


@write_item.typing
def _(b, p, i, k, x):
    from sapwood.lang.infer import layout
    from sapwood.lang.infer.adapt import adapt
    from sapwood.lang.ops.memory import store

    item, places = _places(b, p, i, k)
    leaves = adapt(b, layout.fit_spec(b, x, item), item)
    for leaf, (_, at) in zip(leaves, places, strict=True):
        b.emit(store, (at, leaf))
    return Known(None)


@operation()
def python_hash(x: Any) -> Any:
    """Python's hash(x); of texts it is our own."""
    ...


@python_hash.typing
def _(b, x):
    from sapwood.lang.infer.hashing import python_hash as rule

    return rule(b.interpreter.frames[-1], x)


@operation()
def table_hash(x: Any) -> Any:
    """A hash that is good enough for the tables of dicts once it is mixed: equal values have equal ones."""
    ...


@table_hash.typing
def _(b, x):
    from sapwood.lang.infer.hashing import table_hash as rule

    return rule(b.interpreter.frames[-1], x)
