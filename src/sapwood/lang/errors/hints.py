"""What to do instead: the help lines of diagnostics that depend on what was written."""

from __future__ import annotations

import collections.abc
import dataclasses
import enum
import functools
import inspect
import sys
import types as pytypes
import typing
from collections.abc import Iterable
from typing import Any

TYPES = "use int, float, bool, a dtype such as f32, SIMD, Tensor, Ptr, tuple, a @struct, Const or a TypeVar"
_TEXTUAL = ("str", "bytes", "bytearray")


def annotation_hint(a: Any) -> str:
    """What to write instead of an annotation that is not a type of the language."""
    from sapwood.lang.api.annotations import SIMD, Ptr, Tensor

    cls = typing.get_origin(a) or a
    if cls in (pytypes.UnionType, typing.Union):
        return "a value has one type: T | None is the only union; leave the annotation out, or take an object"
    if not isinstance(cls, type):
        return TYPES
    if issubclass(cls, enum.Enum):
        return f"a member of {cls.__name__} is held as an int of 64 bits, and not all values are such: write int or str"
    if cls.__module__.partition(".")[0] in ("numpy", "torch", "array"):
        return "write Tensor[dtype, rank], for example Tensor[f64, 1]; NumPy arrays fit it"
    if cls is list:
        return "say what it holds: list[float]; or Tensor[f64, 1], for a NumPy array"
    if cls is Tensor:
        return "write Tensor[dtype, rank], for example Tensor[f64, 1], and pass a NumPy array"
    if cls is SIMD:
        return "write SIMD[dtype, lanes], for example SIMD[f32, 8]"
    if cls is Ptr:
        return "write Ptr[dtype], for example Ptr[f32]"
    if cls in (dict, set, frozenset):
        return f"say what it holds: {'dict[str, int]' if cls is dict else f'{cls.__name__}[int]'}"
    if cls.__module__ == "collections.abc" and issubclass(cls, collections.abc.Iterable):
        kind = "dict[K, V]" if issubclass(cls, collections.abc.Mapping) else "list[T]"
        return f"write {kind}, or leave the annotation out: the function is compiled for what it is given"
    if cls.__module__.partition(".")[0] in sys.stdlib_module_names and cls.__module__ != "builtins":
        return f"take an object, to do with it what Python does; or pass what is needed of the {cls.__name__}"
    if cls.__module__ != "builtins":
        if dataclasses.is_dataclass(cls):
            return f"write @struct in place of @dataclass on {cls.__name__}: in Python it is a dataclass still"
        return f"decorate the class {cls.__name__} with @struct"
    return TYPES


_INSTEAD = {
    ("copy", "deepcopy"): "[row.copy() for row in rows] copies a list of lists, dataclasses.replace(x) an object",
    ("copy", "copy"): "x.copy() copies a list, dict or set, dataclasses.replace(x) an object",
    ("collections", "OrderedDict"): "a dict keeps the order of its keys: d[k] = d.pop(k) moves one to the end, "
    "next(iter(d)) is the first",
    ("functools", "cmp_to_key"): "sort by a key, or by a @struct with __lt__",
    ("contextlib", "contextmanager"): "write a @struct with __enter__ and __exit__",
}


def call_hint(f: Any, module: str, name: str) -> str:
    """What to do with a function or class that is not compiled."""
    own = name.rpartition(".")[2]
    top = module.partition(".")[0]
    if top == "numpy":
        return "write the loop, or call it outside and pass the result in"
    if isinstance(f, functools._lru_cache_wrapper):
        return "compiled code has no part in Python's cache: nest the function in a compiled one, with @cache on it"
    special = _INSTEAD.get((module, own))
    if special is not None:
        return special
    theirs = top in sys.stdlib_module_names and top != "__main__"
    if isinstance(f, type) and dataclasses.is_dataclass(f):
        return f"write @struct in place of @dataclass on {own}: in Python it is a dataclass still"
    if isinstance(f, type) and issubclass(f, tuple) and hasattr(f, "_fields"):
        return f"write {own} as a class with @struct(frozen=True), whose fields have annotations; or use a plain tuple"
    if isinstance(f, type) and not theirs:
        return f"decorate the class {own} with @struct, or make the object outside"
    if inspect.isfunction(f) and not theirs:
        return f"decorate '{own}' with @fn, or call it outside and pass the result in"
    return f"call it outside and pass the result in; or as_object({name})(...), which costs what it costs in Python"


def elements_hint(what: str, value: str, display: bool = False) -> str:
    """What to do with a value (by its description) that is of another type than the elements of a container."""
    kind = what.partition("'")[0]
    if value.startswith("function "):
        return "functions are compile-time values: choose with if or match; a tuple of @fn functions can be indexed"
    if display and kind == "dict":
        return "all values of a dict have one type: for a record write a @struct, whose fields have each their own"
    if display:
        return f"all elements of a {kind} must have one type: convert them, or use a tuple"
    return f"all elements of a {kind} have one type: convert the value, or keep a {kind} of its own for it"


RELATED = "objects of different classes have no type in common: use one class with a field for the kind, or a tuple"


def returns_hint(declared: str = "", missing: bool = False) -> str:
    """What to do about a returned value of another type: than is declared, if anything is."""
    if not declared:
        return "all paths return one type (or None): convert the value; for results of several kinds return a tuple"
    if missing:
        return f"declare {declared} | None, or return another value where it is None"
    return "convert the value, or change the annotation"


def name_hint(name: str, pool: Iterable[str]) -> str:
    """What may be meant by a name that is not defined."""
    if name in sys.stdlib_module_names:
        return f"write import {name} at the top of the module"
    close = close_name(name, pool)
    return f"did you mean '{close}'?" if close else "define it before, or import it"


def close_name(name: str, pool: Iterable[str]) -> str | None:
    """The name of the pool that is most like one, if any is."""
    import difflib

    return next(iter(difflib.get_close_matches(name, [n for n in pool if n[0] != "$"], 1)), None)


def object_hint(name: str, value: Any) -> str:
    """How compiled code can use a container of the module."""
    if isinstance(value, list | set) and value:
        return f"pass it as an argument, or make it a tuple if it never changes: {name} = tuple(...)"
    if isinstance(value, dict):
        return "pass it as an argument, or make it in the function"
    return "pass it as an argument, or make it an int, float, bool, str, tuple, dtype or @fn"


def operand_hint(op: str, left: str, right: str) -> str:
    """What is wrong with the operands of an operator, by their types."""
    if any("SIMD" in t or "Tensor" in t for t in (left, right)):
        return "arithmetic works on numbers and SIMD vectors; index the tensor or load from it first"
    if "None" in (left, right):
        return "None has no operators: give the name a value first, or test it with `is None`"
    if "str" in (left, right) and not {left, right} & {"bytes", "bytearray"}:
        if op == "+":
            return 'str(x) makes text of a value, as f"{x}" does; int(s) or float(s) a number of a text'
        return "int(s) or float(s) makes a number of a text"
    if left in _TEXTUAL and right in _TEXTUAL:
        return "text.encode() makes bytes of a text, data.decode() a text of bytes"
    return "both operands must be numbers or vectors"


def decorated_hint(x: Any) -> str:
    """What to do with something that @fn cannot decorate."""
    if isinstance(x, functools._lru_cache_wrapper):
        return "write the cache above @fn, for calls from Python; or put it on a function nested in a compiled one"
    if hasattr(x, "__wrapped__"):
        return "write @fn directly above def, below the other decorators"
    return "write def"


def unchangeable_hint(kind: str) -> str:
    """How to have what an assignment to an item of something immutable would give."""
    return {
        "str": "a str never changes: make a new one, s[:i] + c + s[i + 1:], or a list of characters and join it",
        "bytes": "bytes never change: make a bytearray of them",
    }.get(kind, "a tuple never changes: use a list" if kind.startswith("tuple") else "make a new one")
