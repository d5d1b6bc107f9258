"""What library/border.py needs of Python's containers, and values as objects and back."""

from __future__ import annotations

from typing import Any

from sapwood.lang.ops.base import operation
from sapwood.lang.ops.heap import words
from sapwood.lang.ops.memory import offset
from sapwood.lang.ops.objects import api
from sapwood.lang.types import I64, Dict, Enum, List, Ptr, Ref, Set, Stored, Str, Struct
from sapwood.lang.values import Known, Spec

ITEMS_AT = 24  # in a PyListObject: the address of its items
ITEM = Ptr(Ptr(I64))


@operation()
def to_python(x: Any) -> Any:
    """A value as a Python object."""


@to_python.typing
def _(b, x):
    from sapwood.lang.infer.border import box

    return box(b.interpreter.frames[-1], x)


@operation()
def from_python(x: Any, stored: Any) -> Any:
    """A Python object as a value of a type in memory (types.Stored); raises TypeError."""


@from_python.typing
def _(b, x, stored):
    from sapwood.lang.infer.border import unbox

    return unbox(b.interpreter.frames[-1], b.materialize(x), b.known(stored, "the type", Stored).spec)


@operation()
def list_object(n: int) -> Any:
    """A new Python list with n items that are to be set."""


@list_object.typing
def _(b, n):
    return api(b, "PyList_New", (b.coerce(n, I64),))


@operation()
def set_item_of_list(x: Any, i: int, item: Any) -> None:
    """Set item i of a new Python list, taking it over."""


@set_item_of_list.typing
def _(b, x, i, item):
    api(b, "PyList_SetItem", (x, b.coerce(i, I64), item), None, "negative", steals=(2,))
    return Known(None)


@operation()
def list_size(x: Any) -> int:
    """Items of a Python list."""
    ...


@list_size.typing
def _(b, x):
    return api(b, "PyList_Size", (x,), I64, "negative")


@operation()
def item_of_list(x: Any, i: int, stored: Any) -> Any:
    """Item i of a Python list, to become a value of a type in memory.

    Where making that value runs no code of Python, the list keeps the item alive meanwhile, and it is not counted.
    """


@item_of_list.typing
def _(b, x, i, stored):
    from sapwood.lang.infer import layout

    if runs_python(b.known(stored, "the type", Stored).spec):
        return api(b, "PyList_GetItem", (x, b.coerce(i, I64)), borrowed=True)
    items = layout.read(b, layout.at_offset(b, b.emit1(words, (x,), Ptr(I64)), ITEMS_AT, ITEM), ITEM)
    return layout.read(b, offset(b, items, i), ITEM)


def runs_python(spec: Spec) -> bool:
    """Whether making such a value of an object may call methods of the object."""
    if spec.kind == "agg" and isinstance(spec.data, Struct | Enum):
        return True
    if spec.kind == "leaf" and isinstance(spec.data, Ref):
        target = spec.data.target
        inner = [getattr(target, n) for n in ("elem", "key", "value") if hasattr(target, n)]
        return not isinstance(target, Str | List | Dict | Set) or any(map(runs_python, inner))
    return any(map(runs_python, spec.items))


@operation()
def dict_object() -> Any:
    """A new Python dict."""


@dict_object.typing
def _(b):
    return api(b, "PyDict_New", ())


@operation()
def put_in_dict(d: Any, key: Any, value: Any) -> None:
    """`d[key] = value` of a Python dict."""


@put_in_dict.typing
def _(b, d, key, value):
    api(b, "PyDict_SetItem", (d, key, value), None, "negative")
    return Known(None)


@operation()
def set_object(frozen: bool) -> Any:
    """A new Python set or frozenset, which `add_to_set` may fill."""


@set_object.typing
def _(b, frozen):
    empty = api(b, "PyTuple_New", (b.index(0),))
    made = "PyFrozenSet_New" if b.known(frozen, "frozen", bool) else "PySet_New"
    return api(b, made, (empty,))


@operation()
def add_to_set(s: Any, x: Any) -> None:
    """Add to a Python set, or to a frozenset that nobody else has."""


@add_to_set.typing
def _(b, s, x):
    api(b, "PySet_Add", (s, x), None, "negative")
    return Known(None)
