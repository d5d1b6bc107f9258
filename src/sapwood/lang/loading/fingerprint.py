"""What a function, a constant and the compiler are, as short texts: the cache compares them instead of compiling."""

from __future__ import annotations

import hashlib
import os
import struct
import sys
from collections.abc import Iterator
from enum import Enum
from functools import lru_cache
from types import CodeType, FunctionType, ModuleType
from typing import Any

from sapwood.lang.ops.base import Operation
from sapwood.lang.sources import lines_of


def digest(*parts: object) -> str:
    h = hashlib.blake2b(digest_size=20)
    for p in parts:
        h.update(p if isinstance(p, bytes) else str(p).encode())
        h.update(b"\0")
    return h.hexdigest()


def symbol_name(python: FunctionType) -> str:
    """A function's name as the linker and PTX take it: Python allows letters that they do not."""
    return symbol_text(python.__name__)


def symbol_text(name: str) -> str:
    return "".join(c if c.isascii() and c.isalnum() else "_" for c in name.strip("<>"))


def fingerprint(fn: Any) -> str:
    """Of a compiled function: its source text and place, defaults, captured values and options."""
    python: FunctionType = fn.__wrapped__
    cells = []
    for cell in python.__closure__ or ():
        try:
            cells.append(describe_constant(cell.cell_contents))
        except ValueError:
            cells.append("empty")
    defaults = [describe_constant(d) for d in python.__defaults__ or ()]
    keywords = {k: describe_constant(v) for k, v in (python.__kwdefaults__ or {}).items()}
    annotations = {k: v if isinstance(v, str) else repr(v) for k, v in python.__annotations__.items()}
    more = [fingerprint(o) for o in fn.state.overloads] if hasattr(fn, "state") else []
    return digest(_code(python.__code__), fn.options, cells, defaults, keywords, annotations, more)


@lru_cache(maxsize=8192)
def _code(code: CodeType) -> str:
    last = max((line for _, _, line in code.co_lines() if line is not None), default=code.co_firstlineno)
    for const in code.co_consts:
        if isinstance(const, CodeType):
            last = max(last, max((n for _, _, n in const.co_lines() if n is not None), default=0))
    lines = lines_of(code.co_filename)
    text = "".join(lines[code.co_firstlineno - 1 : last])
    return digest(text or code.co_code, code.co_filename, code.co_firstlineno, code.co_name)


def describe_constant(x: Any, seen: dict[int, Any] | None = None) -> str:
    """Of anything that compiled code may capture. `seen`: functions, lists and dicts that are being described, by
    their `id`; they may lead back to themselves."""
    seen = {} if seen is None else seen
    return constant_fingerprint(x, seen) or _name(x, seen)


def _name(x: Any, seen: dict[int, Any]) -> str:
    wrapped = getattr(x, "__wrapped__", x)
    if isinstance(wrapped, FunctionType) and wrapped is not x and hasattr(x, "options"):
        return fingerprint(x)
    if isinstance(x, FunctionType):
        return _plain_function(x, seen)
    return f"{getattr(x, '__module__', '')}.{getattr(x, '__qualname__', repr(type(x)))}"


def _plain_function(f: FunctionType, seen: dict[int, Any]) -> str:
    """Of a function that Python runs (in comptime): its code, and all that it reads."""
    if id(f) in seen:
        return "recursive"
    seen[id(f)] = f
    parts = [_code(f.__code__), describe_constant(f.__defaults__, seen)]
    for name in (*f.__code__.co_names, *f.__code__.co_freevars):
        value = f.__globals__.get(name)
        if name in f.__code__.co_freevars:
            try:
                value = (f.__closure__ or ())[f.__code__.co_freevars.index(name)].cell_contents
            except ValueError:
                continue
        if isinstance(value, FunctionType):
            parts.append(_plain_function(value, seen))
        elif value is not None:
            parts.append(describe_constant(value, seen))
    return digest(*parts)


def constant_fingerprint(x: Any, seen: dict[int, Any] | None = None) -> str | None:
    """Of a captured value; None for functions, types and modules, which are tracked on their own."""
    seen = {} if seen is None else seen
    if isinstance(x, float):
        return f"float:{struct.pack('<d', x).hex()}"
    if isinstance(x, complex):
        return f"complex:{struct.pack('<dd', x.real, x.imag).hex()}"
    if isinstance(x, bool | int | str | bytes | type(None)):
        return f"{type(x).__name__}:{x!r}"
    if isinstance(x, tuple):
        return f"({','.join(describe_constant(i, seen) for i in x)})"
    if isinstance(x, set | frozenset):  # the order of texts is another one in each process
        return f"{type(x).__name__}:{sorted(describe_constant(i, seen) for i in x)}"
    if isinstance(x, list | dict):
        if id(x) in seen:
            return f"{type(x).__name__} that was seen"
        seen[id(x)] = x
        items = x.items() if isinstance(x, dict) else x
        return f"{type(x).__name__}:[{','.join(describe_constant(i, seen) for i in items)}]"
    if isinstance(x, ModuleType):
        return f"module:{x.__name__}"
    if isinstance(x, Operation):
        return f"operation:{x.name}"
    if isinstance(x, FunctionType) or hasattr(x, "options"):
        return None
    own = getattr(x, "sapwood_fingerprint", None)
    if isinstance(own, str):
        return own
    if isinstance(x, type):
        struct_info = getattr(x, "__sapwood_struct__", None)
        text = "" if struct_info is None else struct_info.fingerprint()
        if issubclass(x, Enum):
            text = ",".join(f"{n}={constant_fingerprint(m.value)}" for n, m in x.__members__.items())
        return f"type:{x.__module__}.{x.__qualname__}:{text}"
    if type(x).__module__ == "numpy" and hasattr(x, "tobytes"):
        return f"numpy:{x.dtype}:{getattr(x, 'shape', ())}:{digest(x.tobytes())}"
    fields = getattr(type(x), "__dataclass_fields__", None)
    if fields is not None:
        values = (f"{n}={describe_constant(getattr(x, n, None), seen)}" for n in fields)
        return f"{describe_constant(type(x))}({','.join(values)})"
    return f"{type(x).__name__}:{x!r}"


@lru_cache(maxsize=1)
def compiler_key() -> str:
    """Changes whenever the compiler does: version, sources of this ring, LLVM, Python (Unicode tables, texts of
    exceptions)."""
    import llvmlite

    import sapwood

    root = os.path.dirname(sapwood.__file__)
    files = sorted(f for part in ("lang", "targets", "runtime") for f in _sources(root, part))
    return digest(llvmlite.__version__, sys.version, files)


def _sources(root: str, part: str) -> Iterator[tuple[str, int, int]]:
    """(path, size, time) of the modules below a directory."""
    with os.scandir(os.path.join(root, part)) as entries:
        for entry in entries:
            path = f"{part}/{entry.name}"
            if entry.is_dir() and entry.name != "__pycache__":
                yield from _sources(root, path)
            elif path.endswith(".py"):
                stat = entry.stat()
                yield path, stat.st_size, stat.st_mtime_ns
