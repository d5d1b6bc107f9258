"""What to do instead: the help lines of diagnostics that depend on what was written."""

from __future__ import annotations

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
        return f"members of an enum are constants: write Const[{cls.__name__}], or int or str and pass member.value"
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
    if cls.__module__.partition(".")[0] in sys.stdlib_module_names and cls.__module__ != "builtins":
        return f"take an object, to do with it what Python does; or pass what is needed of the {cls.__name__}"
    if cls.__module__ != "builtins":
        return f"decorate the class {cls.__name__} with @struct"
    return TYPES


def call_hint(f: Any, module: str, name: str) -> str:
    """What to do with a function or class that is not compiled."""
    own = name.rpartition(".")[2]
    top = module.partition(".")[0]
    if top == "numpy":
        return "write the loop, or call it outside and pass the result in"
    theirs = top in sys.stdlib_module_names and top != "__main__"
    if isinstance(f, type) and not theirs:
        return f"decorate the class {own} with @struct, or make the object outside"
    if inspect.isfunction(f) and not theirs:
        return f"decorate '{own}' with @fn, or call it outside and pass the result in"
    return f"call it outside and pass the result in; or as_object({name})(...), which costs what it costs in Python"


def name_hint(name: str, pool: Iterable[str]) -> str:
    """What may be meant by a name that is not defined."""
    if name in sys.stdlib_module_names:
        return f"write import {name} at the top of the module"
    import difflib

    close = difflib.get_close_matches(name, [n for n in pool if n[0] != "$"], 1)
    return f"did you mean '{close[0]}'?" if close else "define it before, or import it"


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
        return "leave the cache out: keep results in a dict that is passed on; or write the cache above @fn"
    if hasattr(x, "__wrapped__"):
        return "write @fn directly above def, below the other decorators"
    return "write def"


def unchangeable_hint(kind: str) -> str:
    """How to have what an assignment to an item of something immutable would give."""
    return {
        "str": "a str never changes: make a new one, s[:i] + c + s[i + 1:], or a list of characters and join it",
        "bytes": "bytes never change: make a bytearray of them",
    }.get(kind, "make a new one")
