"""Heap objects on their way between Python and compiled code: whole graphs, sharing kept, by a description of memory.

A description is JSON text made from specs when a function is compiled, so that the cache can hold it. Reading and
writing go through a list of what is still to be done, not through recursion: a chain may be a million nodes long.
"""

from __future__ import annotations

import ctypes
import json
import operator
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

from sapwood.lang import types as ty
from sapwood.lang.bits import from_bits, int_range, to_bits
from sapwood.lang.enum_members import members
from sapwood.runtime import heap

HEADER = 16
TEXT = 40  # where the UTF-8 of a str begins (library/text_object.py)
GONE = 1 - (1 << 63)  # hashes in slots of a set up to this one say that there is no element (library/set.py)


# -- descriptions --------------------------------------------------------------------------------------


def class_name(cls: type) -> list[str]:
    _LOCAL[cls.__module__, cls.__qualname__] = cls
    return [cls.__module__, cls.__qualname__]


_LOCAL: dict[tuple[str, str], type] = {}  # classes that this process compiled for, also those of function bodies


class _Kind:
    """One heap type: how its memory lies. Leaf types are ctypes classes or None for references."""

    def __init__(self, entry: Any) -> None:
        self.shape = entry[0]
        if self.shape == "struct":
            self.cls: Any = _find_class(*entry[1])
            self.names, self.spec, self.offsets, self.size = entry[2:]
        else:
            self.spec, self.offsets, self.size = entry[1:]


def _find_class(module: str, qualname: str) -> Any:
    found: Any = _LOCAL.get((module, qualname))
    if found is None:
        found = sys.modules[module]
        for part in qualname.split("."):
            found = getattr(found, part)
    return found


@lru_cache(maxsize=1024)
def kinds_of(text: str) -> list[_Kind]:
    return [_Kind(entry) for entry in json.loads(text)]


# -- scalars -------------------------------------------------------------------------------------------


def _load(name: str, address: int) -> Any:
    scalar = ty.SCALARS[name]
    raw = ctypes.string_at(address, scalar.itemsize)
    x = from_bits(scalar, int.from_bytes(raw, "little"))
    return bool(x) if name == "bool" else x


def _store(name: str, address: int, x: Any) -> None:
    scalar = ty.SCALARS[name]
    if scalar.kind == "bool":
        if not isinstance(x, bool):
            raise TypeError(f"a bool is expected, not {type(x).__name__} {x!r}")
        bits = int(x)
    elif scalar.is_float:
        if isinstance(x, bool | str) or not hasattr(type(x), "__float__"):
            raise TypeError(f"a float is expected, not {type(x).__name__}")
        bits = to_bits(scalar, float(x))
    else:
        if isinstance(x, bool) or not hasattr(type(x), "__index__"):
            raise TypeError(f"an int is expected, not {type(x).__name__}")
        low, high = int_range(scalar)
        if not low <= operator.index(x) <= high:
            raise OverflowError(f"{x} does not fit into {scalar}")
        bits = to_bits(scalar, operator.index(x))
    ctypes.memmove(address, bits.to_bytes(scalar.itemsize, "little"), scalar.itemsize)


def _word(address: int) -> ctypes.c_int64:
    return ctypes.c_int64.from_address(address)


# -- native to Python ----------------------------------------------------------------------------------


class Reader:
    """Makes Python objects of native ones. `known`: address -> the Python object that it was made from, or becomes."""

    def __init__(self, known: dict[int, Any] | None = None, release: Callable[[int], None] = heap.release) -> None:
        self.known = dict(known or {})
        self.release = release
        self.roots: list[int] = []
        self.done: set[int] = set()
        self.pending: list[tuple[list[_Kind], _Kind, int, Any]] = []
        self.made_of: dict[str, Callable[[], Any]] = {"list": list, "dict": dict, "counter": Counter, "set": set}

    def read(self, text: str, address: int) -> Any:
        """The object at an address, of the first kind of the description; None for address 0."""
        kinds = kinds_of(text)
        if address:
            self.roots.append(address)
        out = self._object(kinds, 0, address)
        while self.pending:
            self._fill(*self.pending.pop())
        return out

    def close(self) -> None:
        """Give up the references that came with the results."""
        while self.roots:
            self.release(self.roots.pop())

    def _object(self, kinds: list[_Kind], index: int, address: int) -> Any:
        if not address:
            return None
        kind = kinds[index]
        if kind.shape in ("str", "bytes"):
            data = ctypes.string_at(address + TEXT, _word(address + 16).value)
            return data if kind.shape == "bytes" else data.decode("utf-8", "surrogatepass")
        if kind.shape in ("tuple", "frozenset"):
            items = self._items(kinds, kind, address)
            return tuple(items) if kind.shape == "tuple" else frozenset(items)
        found = self.known.get(address)
        if found is None:
            found = object.__new__(kind.cls) if kind.shape == "struct" else self.made_of[kind.shape]()
            self.known[address] = found
        if address not in self.done:
            self.done.add(address)
            self.pending.append((kinds, kind, address, found))
        return found

    def _fill(self, kinds: list[_Kind], kind: _Kind, address: int, out: Any) -> None:
        if kind.shape == "struct":
            values = self._value(kinds, kind.spec, address + HEADER, iter(kind.offsets))
            for name, v in zip(kind.names, values, strict=True):
                object.__setattr__(out, name, v)
            return
        items = self._items(kinds, kind, address)
        if kind.shape == "list":
            out[:] = items
        else:
            out.update(dict(items) if kind.shape == "counter" else items)

    def _items(self, kinds: list[_Kind], kind: _Kind, address: int) -> Iterator[Any]:
        """What a container holds; of a dict (key, value). How they lie: library/list.py, dict.py, set.py."""

        def item(data: int, i: int) -> Any:
            return self._value(kinds, kind.spec, data + i * kind.size, iter(kind.offsets))

        words = [0, 0, *(_word(address + 8 * i).value for i in range(2, 6))]
        if kind.shape in ("list", "tuple"):
            return (item(words[4], i) for i in range(words[2]))
        if kind.shape in ("dict", "counter"):
            dead = _word(address + 64).value
            return (item(words[4], i) for i in range(words[3]) if not (dead and _load("bool", dead + i)))
        data = words[5]
        used = (i for i in range(words[4] + 1 if data else 0) if _word(data + i * kind.size).value > GONE)
        return (item(data, i)[1] for i in used)

    def _value(self, kinds: list[_Kind], spec: Any, base: int, offsets: Any) -> Any:
        match spec[0]:
            case "scalar":
                return _load(spec[1], base + next(offsets))
            case "ref":
                return self._object(kinds, spec[1], _word(base + next(offsets)).value)
            case "known":
                return spec[1]
            case "tuple":
                return tuple(self._value(kinds, i, base, offsets) for i in spec[1])
            case "optional":
                there = _load("bool", base + next(offsets))
                value = self._value(kinds, spec[1][1], base, offsets)
                return value if there else None
            case "enum":
                cls, code = _find_class(*spec[1]), _load("i64", base + next(offsets))
                return cls(code) if spec[2] else _members(cls)[code]
        from sapwood.lang.border.results import instance

        return instance(_find_class(*spec[1]), [self._value(kinds, i, base, offsets) for i in spec[2]])


# -- Python to native ----------------------------------------------------------------------------------


class Writer:
    """Makes native objects of Python ones; each is made once. `made`: address -> the Python object."""

    def __init__(self, text: str, drops: list[int], release: Callable[[int], None] = heap.release) -> None:
        self.release = release
        self.kinds = kinds_of(text)
        self.drops = drops
        self.addresses: dict[tuple[int, int], int] = {}  # (kind, id of a Python object) -> address
        self.made: dict[int, Any] = {}
        self.pending: list[tuple[_Kind, int, Any]] = []

    def write(self, index: int, x: Any) -> int:
        """The address of a new object of a kind, with one reference that the caller owns."""
        root = self._object(index, x)
        try:
            while self.pending:
                self._fill(*self.pending.pop())
        except BaseException:
            self.pending.clear()
            self.release(root)
            raise
        return root

    def _object(self, index: int, x: Any) -> int:
        kind = self.kinds[index]
        if kind.shape in ("str", "bytes"):
            return self._text(x, self.drops[index], str if kind.shape == "str" else bytes)
        found = self.addresses.get((index, id(x)))
        if found is not None:
            _word(found).value += 1
            return found
        if kind.shape == "struct":
            if type(x) is not kind.cls:
                raise TypeError(f"a {kind.cls.__name__} is expected, not {type(x).__name__}")
            address = heap.allocate(kind.size)
            ctypes.memset(address, 0, kind.size)
        else:
            if not isinstance(x, list if kind.shape == "list" else tuple):
                raise TypeError(f"a {kind.shape} is expected, not {type(x).__name__}")
            address = heap.allocate(40)
            ctypes.memset(address, 0, 40)
        _word(address).value = 1
        _word(address + 8).value = self.drops[index]
        self.addresses[index, id(x)] = address
        self.made[address] = x
        self.pending.append((kind, address, x))
        return address

    def _text(self, x: Any, drop: int, kind: type) -> int:
        if not isinstance(x, kind):
            raise TypeError(f"a {kind.__name__} is expected, not {type(x).__name__}")
        data = x.encode() if kind is str else x  # UnicodeEncodeError of a lone surrogate
        address = heap.allocate(TEXT + len(data) + 1)
        for i, word in enumerate((1, drop, len(data), len(x), 0)):
            _word(address + 8 * i).value = word
        ctypes.memmove(address + TEXT, data + b"\0", len(data) + 1)
        return address

    def _fill(self, kind: _Kind, address: int, x: Any) -> None:
        if kind.shape == "struct":
            values = tuple(getattr(x, n) for n in kind.names)
            self._value(kind.spec, values, address + HEADER, iter(kind.offsets))
            return
        if not x:
            return
        data = heap.allocate(len(x) * kind.size)
        _word(address + 24).value, _word(address + 32).value = len(x), data
        for i, item in enumerate(x):
            self._value(kind.spec, item, data + i * kind.size, iter(kind.offsets))
            _word(address + 16).value = i + 1

    def _value(self, spec: Any, x: Any, base: int, offsets: Any) -> None:
        match spec[0]:
            case "scalar":
                _store(spec[1], base + next(offsets), x)
            case "ref":
                place = base + next(offsets)
                if x is None and not spec[2]:
                    raise TypeError("None where an object is expected")
                _word(place).value = 0 if x is None else self._object(spec[1], x)
            case "known":
                if x != spec[1]:
                    raise TypeError(f"{spec[1]!r} is expected, not {x!r}")
            case "tuple":
                if not isinstance(x, tuple) or len(x) != len(spec[1]):
                    raise TypeError(f"a tuple of {len(spec[1])} is expected, not {type(x).__name__}")
                for s, v in zip(spec[1], x, strict=True):
                    self._value(s, v, base, offsets)
            case "optional":
                _store("bool", base + next(offsets), x is not None)
                if x is None:
                    for _ in range(_leaf_count(spec[1][1])):
                        next(offsets)  # zero already
                else:
                    self._value(spec[1][1], x, base, offsets)
            case "enum":
                cls = _find_class(*spec[1])
                if not isinstance(x, cls):
                    raise TypeError(f"a {cls.__name__} is expected, not {type(x).__name__}")
                _store("i64", base + next(offsets), x.value if spec[2] else _members(cls).index(x))
            case "struct":
                cls = _find_class(*spec[1])
                if type(x) is not cls:
                    raise TypeError(f"a {cls.__name__} is expected, not {type(x).__name__}")
                for s, n in zip(spec[2], cls.__sapwood_struct__.fields, strict=True):
                    self._value(s, getattr(x, n), base, offsets)


def _members(cls: Any) -> tuple[Any, ...]:
    return members(cls)


def _leaf_count(spec: Any) -> int:
    if spec[0] in ("scalar", "ref"):
        return 1
    if spec[0] == "known":
        return 0
    return sum(map(_leaf_count, spec[-1]))


