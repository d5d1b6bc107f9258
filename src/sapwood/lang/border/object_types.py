"""Python objects and the specs of values that they can become: found out in Python, when an argument is classified."""

from __future__ import annotations

import enum
from collections import Counter, deque
from functools import lru_cache
from typing import Any

from sapwood.lang import types as ty
from sapwood.lang.bits import int_range
from sapwood.lang.join import Clash, complex_spec, join, storable
from sapwood.lang.values import Known, Spec, describe

NONE = Spec("known", Known(None))
SAMPLE = 1000  # elements of a container that are looked at; the rest is found out while it is copied
FORMATS = {  # native formats by what their items are
    "u8": b"B", "i8": b"b", "i16": b"h", "u16": b"H", "i32": b"i", "u32": b"I", "i64": b"lqn", "u64": b"LQN",
    "f32": b"f", "f64": b"d", "bool": b"?",
}  # fmt: skip


def spec_of_object(x: Any) -> Spec | None:
    """The spec of an argument that has no annotation; None when it has none (or when an empty one does not tell)."""
    match x:
        case None:
            return NONE
        case enum.Enum():
            return storable(Spec("known", Known(x)))
        case bool():
            return Spec("leaf", ty.BOOL)
        case int():
            return Spec("leaf", ty.I64)
        case float():
            return Spec("leaf", ty.F64)
        case complex():
            return complex_spec(ty.F64)
        case str():
            return Spec("leaf", ty.Ref(ty.Str()))
        case list():
            elem = _common(x)
            return None if elem is None else Spec("leaf", ty.Ref(ty.List(elem)))
        case deque():
            elem = _common(x)
            return None if elem is None else Spec("leaf", ty.Ref(ty.Deque(elem)))
        case Counter():
            key = _common(x)
            return None if key is None else Spec("leaf", ty.Ref(ty.Counter(key, Spec("leaf", ty.I64))))
        case dict():
            key, value = _common(x), _common(x.values())
            return None if key is None or value is None else Spec("leaf", ty.Ref(ty.Dict(key, value)))
        case set() | frozenset():
            elem = _common(x)
            return None if elem is None else Spec("leaf", ty.Ref(ty.Set(elem, isinstance(x, frozenset))))
        case tuple():
            items = [spec_of_object(i) for i in x]
            if all(i is not None for i in items):
                return Spec("agg", ty.Tuple(len(items)), tuple(items))  # type: ignore[arg-type]
    return None


def widens(spec: Spec, x: Any) -> bool:
    """Whether an int in x stands where the spec has a float."""
    match spec:
        case Spec(kind="leaf", data=ty.Scalar() as t):
            return t.is_float and type(x) is int
        case Spec(kind="agg", data=ty.Complex()):
            return not isinstance(x, complex)
        case Spec(kind="leaf", data=ty.Ref(target=ty.List(elem=elem) | ty.Deque(elem=elem))):
            return any(widens(elem, i) for i in x)
        case Spec(kind="leaf", data=ty.Ref(target=ty.Set(elem=elem))):
            return any(widens(elem, i) for i in x)
        case Spec(kind="leaf", data=ty.Ref(target=ty.Dict(key=key, value=value))):
            return any(widens(key, k) or widens(value, v) for k, v in x.items())
        case Spec(kind="agg", data=ty.Tuple(), items=items):
            return any(map(widens, items, x))
    return False


def _common(items: Any) -> Spec | None:
    found: Spec | None = None
    for i, item in enumerate(items):
        spec = spec_of_object(item)
        if spec is None or i >= SAMPLE:
            return found if i >= SAMPLE else None
        try:
            found = spec if found is None else join(found, spec)
        except Clash:
            return None
    return found


def object_misfit(spec: Spec, x: Any) -> str | None:
    """Why an object is no value of a spec, as a hint; None when it is one."""
    match spec:
        case Spec(kind="known", data=Known(value=None)):
            return None if x is None else "pass None"
        case Spec(kind="leaf", data=ty.Ref(target=target, nullable=nullable)):
            return None if nullable and x is None else _heap_misfit(target, x)
        case Spec(kind="agg", data=ty.Optional(), items=(_, inner)):
            return None if x is None else object_misfit(inner, x)
        case Spec(kind="agg", data=ty.Tuple(), items=items):
            if not isinstance(x, tuple) or len(x) != len(items):
                return f"pass a tuple of {len(items)} items"
            return _first_misfit(zip(items, x, strict=True))
        case Spec(kind="agg", data=ty.Struct(cls=cls), items=items):
            if not isinstance(x, cls):
                return f"pass a {cls.__name__}"
            if not spec.data.frozen:
                name = cls.__name__
                return f"what may change is not copied: make {name} frozen, or pass a struct with a list[{name}] in it"
            names = cls.__sapwood_struct__.annotations()  # type: ignore[attr-defined]
            return _first_misfit((s, getattr(x, n)) for s, n in zip(items, names, strict=True))
        case Spec(kind="leaf", data=ty.Scalar() as t):
            return _scalar_misfit(t, x)
        case Spec(kind="agg", data=ty.Enum(cls=cls)):
            return None if isinstance(x, cls) else f"pass a {cls.__name__}"
        case Spec(kind="agg", data=ty.Complex()):
            good = isinstance(x, float | complex) or type(x) is int
            return None if good else f"expected a complex, found {shown(x)}"
    return f"{describe(spec)} exists in compiled code only"


def shown(x: Any) -> str:
    """The beginning of an object's repr. NumPy takes seconds for the repr of an array of many dimensions."""
    shape = getattr(x, "shape", None)
    return f"an array of shape {shape}" if isinstance(shape, tuple) and shape else f"{x!r:.40}"


def _scalar_misfit(t: ty.Scalar, x: Any) -> str | None:
    if t == ty.BOOL:
        return None if isinstance(x, bool) else f"expected a bool, found {shown(x)}"
    if t.is_float:
        return None if isinstance(x, float) or type(x) is int else f"expected a float, found {shown(x)}"
    if type(x) is not int:
        return f"expected an int, found {shown(x)}"
    low, high = int_range(t)
    return None if low <= x <= high else f"{x} does not fit into {t}"


def _heap_misfit(target: ty.HeapType, x: Any) -> str | None:
    match target:
        case ty.Object():
            return None
        case ty.Str():
            return None if isinstance(x, str) else "pass a str"
        case ty.Bytes():
            return None if isinstance(x, bytes) else "pass bytes"
        case ty.ByteArray():
            return None if isinstance(x, bytearray) else "pass a bytearray"
        case ty.List(elem=elem):
            return elements_misfit(elem, x, "item") if isinstance(x, list) else "pass a list"
        case ty.TupleOf(elem=elem):
            return elements_misfit(elem, x, "item") if isinstance(x, tuple) else "pass a tuple"
        case ty.Deque(elem=elem):
            return elements_misfit(elem, x, "item") if isinstance(x, deque) else "pass a collections.deque"
        case ty.Set(elem=elem, frozen=frozen):
            right = isinstance(x, frozenset if frozen else set)
            return elements_misfit(elem, x, "element") if right else f"pass a {'frozenset' if frozen else 'set'}"
        case ty.Counter() if not isinstance(x, Counter):
            return "pass a collections.Counter"
        case ty.Dict(key=key, value=value):
            if not isinstance(x, dict):
                return "pass a dict"
            return elements_misfit(key, x, "key") or elements_misfit(value, x.values(), "value")
        case ty.MemoryView(elem=elem):
            found = elem_of_object(x)
            if isinstance(found, str) or found == elem:
                return found if isinstance(found, str) else None
            return f"its items are {found}, not {elem}"
    return f"{target} exists in compiled code only"


def _first_misfit(pairs: Any) -> str | None:
    return next((m for s, v in pairs if (m := object_misfit(s, v)) is not None), None)


def elements_misfit(elem: Spec, items: Any, what: str) -> str | None:
    """The first element of a container that does not fit, by its place."""
    for i, item in enumerate(items):
        misfit = object_misfit(elem, item)
        if misfit is not None:
            return f"{what} {i}: {misfit}"
    return None


@lru_cache(maxsize=1)
def _by_format() -> dict[str, ty.Scalar]:
    return {chr(c): ty.SCALARS[name] for name, formats in FORMATS.items() for c in formats}


def elem_of_object(x: Any) -> ty.Scalar | str:
    """What the items of a Python object's memory are; a text says why it has none that a memoryview here can show."""
    try:
        with memoryview(x) as view:
            if view.ndim != 1:
                return "a memoryview has one axis here; pass x.reshape(-1)"
            return _by_format().get(view.format, f"items of format '{view.format}' are not supported")
    except (TypeError, ValueError, BufferError) as e:
        return f"pass bytes, a bytearray or an array ({e})"
