"""What native.py does to its objects: functions compiled for the types that they meet."""

from __future__ import annotations

from functools import lru_cache
from typing import Any
from zlib import crc32

from sapwood.lang.function import fn
from sapwood.lang.types import Dict, List, Set
from sapwood.lang.values import Spec, describe

KINDS = {"List": list, "Dict": dict, "Set": set}


def make(spec: Spec, values: Any) -> Any:
    """A new native container with the contents of a Python one."""
    return _maker(spec)(values)


@lru_cache(maxsize=256)
def _maker(spec: Spec) -> Any:
    """A function from the Python container to the native one."""
    from sapwood.lang import native

    name = describe(spec)
    annotation = native.plain_annotation(name)
    shared = {List: native.List, Dict: native.Dict, Set: native.Set}[type(spec.data.target)]

    def make(values: Any) -> Any:
        return values.copy()

    make.__annotations__ = {"values": annotation, "return": shared[annotation.__args__]}  # type: ignore[index]
    make.__qualname__ = make.__name__ = f"make_{crc32(name.encode()):x}"
    return fn(make)


@fn
def to_python(x):
    return x


@fn
def clear(x) -> None:
    x.clear()


@fn
def get(x, key):
    return x[key]


@fn
def put(x, key, value) -> None:
    x[key] = value


@fn
def delete(x, key) -> None:
    del x[key]


@fn
def has(x, key) -> bool:
    return key in x


@fn
def get_slice(x, start: int | None, stop: int | None, step: int | None):
    return x[start:stop:step]


@fn
def set_slice(x, start: int | None, stop: int | None, step: int | None, values) -> None:
    x[start:stop:step] = values


@fn
def delete_slice(x, start: int | None, stop: int | None, step: int | None) -> None:
    del x[start:stop:step]


@fn
def insert(x, index: int, value) -> None:
    x.insert(index, value)


@fn
def append(x, value) -> None:
    x.append(value)


@fn
def extend(x, values) -> None:
    x.extend(values)


@fn
def pop(x, index: int):
    return x.pop(index)


@fn
def sort(x, reverse: bool) -> None:
    x.sort(reverse=reverse)


@fn
def reverse(x) -> None:
    x.reverse()


@fn
def keys(x):
    return list(x)


@fn
def popitem(x):
    return x.popitem()


@fn
def elements(x):
    return list(x)


@fn
def add(x, value) -> None:
    x.add(value)


@fn
def discard(x, value) -> None:
    x.discard(value)
