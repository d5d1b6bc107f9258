"""Python objects and the specs of values that they can become: found out in Python, when an argument is classified."""

from __future__ import annotations

from typing import Any

from sapwood.lang import types as ty
from sapwood.lang.infer.join import Clash, complex_spec, join
from sapwood.lang.values import Known, Spec, describe

NONE = Spec("known", Known(None))
SAMPLE = 1000  # elements of a container that are looked at; the rest is found out while it is copied


def spec_of_object(x: Any) -> Spec | None:
    """The spec of an argument that has no annotation; None when it has none (or when an empty one does not tell)."""
    match x:
        case None:
            return NONE
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
        case Spec(kind="leaf", data=ty.Ref(target=ty.List(elem=elem))):
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
            names = cls.__sapwood_struct__.annotations()  # type: ignore[attr-defined]
            return _first_misfit((s, getattr(x, n)) for s, n in zip(items, names, strict=True))
        case Spec(kind="leaf", data=ty.Scalar() as t):
            return _scalar_misfit(t, x)
        case Spec(kind="agg", data=ty.Complex()):
            good = isinstance(x, float | complex) or type(x) is int
            return None if good else f"expected a complex, found {x!r:.40}"
    return f"{describe(spec)} exists in compiled code only"


def _scalar_misfit(t: ty.Scalar, x: Any) -> str | None:
    from sapwood.lang.ops.numeric import int_range

    if t == ty.BOOL:
        return None if isinstance(x, bool) else f"expected a bool, found {x!r:.40}"
    if t.is_float:
        return None if isinstance(x, float) or type(x) is int else f"expected a float, found {x!r:.40}"
    if type(x) is not int:
        return f"expected an int, found {x!r:.40}"
    low, high = int_range(t)
    return None if low <= x <= high else f"{x} does not fit into {t}"


def _heap_misfit(target: ty.HeapType, x: Any) -> str | None:
    from sapwood.lang.infer.heap import rules_of

    return rules_of(target).misfit(target, x)


def _first_misfit(pairs: Any) -> str | None:
    return next((m for s, v in pairs if (m := object_misfit(s, v)) is not None), None)


def elements_misfit(elem: Spec, items: Any, what: str) -> str | None:
    """The first element of a container that does not fit, by its place."""
    for i, item in enumerate(items):
        misfit = object_misfit(elem, item)
        if misfit is not None:
            return f"{what} {i}: {misfit}"
    return None
