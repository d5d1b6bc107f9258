"""Library code that containers of many types share (docs/design/size-of-generated-code.md).

What grows a list does the same for all elements of a size; what looks up a text in a dict does not care what the values
are. Such functions say so (`shared_code` in lang/function.py), and are then walked for *erased* types, in which a leaf
that they do not look into stands for all of its size: `list[dict[str, int]]` and `list[str]` have one `list_new`.
Where they are counted, references stay references, of one type: counts are kept alike, and an object knows its own end.

A function says what it erases: "elements" all that a container holds, "slots" the elements of a set that has hashes
beside them, "values" the values of a dict. With a parameter
`value`, which it writes into the dict, it counts references, and numbers stay as they are; without, values only move.
"""

from __future__ import annotations

from typing import Any

from sapwood.lang import types as ty
from sapwood.lang.values import Agg, Known, Spec, Value, Var, rebuild, spec_of

UNSIGNED = {1: ty.U8, 2: ty.U16, 4: ty.U32, 8: ty.U64}


def erased_leaf(t: ty.Leaf) -> ty.Leaf:
    """What stands for a leaf in memory."""
    match t:
        case ty.Ref(target=ty.Object()):
            return ty.Ref(ty.Object(), True)
        case ty.Ref():
            return ty.Ref(ty.Str(), True)
        case ty.Scalar() | ty.Ptr() | ty.FunctionPointer():
            return UNSIGNED.get(ty.sizeof(t), t)
    return t


def erased(spec: Spec, numbers: bool = False, moves: bool = False) -> Spec:
    """A spec that lies in memory as `spec` does. With `numbers` what is no reference keeps its type; with `moves`
    references are as good as numbers."""
    if spec.kind == "never":  # nothing is ever put there
        return Spec("leaf", ty.U64)
    leaves = [t if numbers and not isinstance(t, ty.Ref) else erased_leaf(t) for t in spec.leaves()]
    if not leaves:  # None and () take no room
        return spec
    if moves:
        leaves = [ty.U64 if isinstance(t, ty.Ref) else t for t in leaves]
    items = tuple(Spec("leaf", t) for t in leaves)
    return items[0] if len(items) == 1 else Spec("agg", ty.Tuple(len(items)), items)


def erased_stored(stored: ty.Stored, sized: bool = False) -> Known:
    """The type of elements in memory, erased: for a function that ends a container, and asks for the size of what is no
    reference only where it says `sized`."""
    spec = erased(stored.spec)
    counted = any(isinstance(t, ty.Ref) for t in spec.leaves())
    return Known(ty.Stored(spec if counted or sized else Spec("leaf", ty.U64)))


def erased_arguments(fn: Any, names: list[str], values: tuple[Value, ...]) -> tuple[Value, ...]:
    """Arguments for which a function of the library is walked in place of `values`."""
    written = "value" in names
    return tuple(_erased_argument(fn.options.erases, n, v, written) for n, v in zip(names, values, strict=True))


def _erased_argument(what: str, name: str, v: Value, written: bool) -> Value:
    match v:
        case Known(value=ty.Stored(spec=spec)):
            if what == "elements":
                return Known(ty.Stored(erased(spec)))
            key, value = spec.items
            if what == "slots":
                return Known(ty.Stored(Spec("agg", ty.Tuple(2), (key, erased(value, moves=True)))))
            return Known(ty.Stored(Spec("agg", ty.Tuple(2), (key, _erased_value(value, written)))))
        case Known(value=ty.HeapType() as kind):
            return Known(_erased_kind(what, kind, written))
        case Var(type=ty.Ref(target=ty.List() | ty.Dict() | ty.Set() as kind)) if name in ("xs", "ys", "d", "s"):
            return Var(ty.Ref(_erased_kind(what, kind, written)))
        case Var() | Agg() if name == "value":
            spec = erased(spec_of(v), numbers=True)
            return rebuild(spec, map(Var, spec.leaves()))
    return v


def _erased_value(spec: Spec, written: bool) -> Spec:
    return erased(spec, numbers=True) if written else erased(spec, moves=True)


def _erased_kind(what: str, kind: ty.HeapType, written: bool) -> ty.HeapType:
    match kind:
        case ty.List(elem=elem):
            return ty.List(erased(elem))
        case ty.Set(elem=elem):
            return ty.Set(erased(elem, moves=what == "slots"))
        case ty.Dict(key=key, value=value):
            if what == "elements":
                return ty.Dict(erased(key), erased(value))
            return ty.Dict(key, _erased_value(value, written))
    return kind


def made_by(fn: Any, values: tuple[Value, ...]) -> Spec | None:
    """The result of a function that makes a container of its first argument, a heap type, and so says not what it
    returns; None for any other."""
    if not fn.options.erases or not values or "return" in fn.__wrapped__.__annotations__:
        return None
    first = values[0]
    if isinstance(first, Known) and isinstance(first.value, ty.HeapType):
        return Spec("leaf", ty.Ref(first.value))
    return None


def is_apart(names: list[str], values: tuple[Value, ...]) -> bool:
    """Whether code that shares its types is better a unit of its own, which the cache has: where keys are texts, or
    tuples with texts. For keys that are numbers a call would cost more than what it does."""
    return "key" in names and _is_text(values[names.index("key")])


def _is_text(key: Value) -> bool:
    match key:
        case Var(type=ty.Ref(target=ty.Str() | ty.Bytes(), nullable=False)):
            return True
        case Agg(type=ty.Tuple(), items=items):
            plain = all(_is_text(i) or isinstance(i, Var) and isinstance(i.type, ty.Scalar) for i in items)
            return plain and any(map(_is_text, items))
    return False
