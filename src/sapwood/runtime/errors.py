"""Exceptions and prints of compiled code: reads the records that it leaves."""

from __future__ import annotations

import ctypes
import importlib
import json
import struct
import sys
from functools import lru_cache
from types import CodeType
from typing import Any


@lru_cache(maxsize=4096)
def _record(text: bytes) -> dict[str, Any]:
    return json.loads(text)


def _decode(kind: str, word: int) -> Any:
    if kind in ("f16", "bf16", "f32", "f64"):
        return struct.unpack("<d", struct.pack("<q", word))[0]
    if kind == "bool":
        return bool(word & 1)
    return word & 0xFFFFFFFFFFFFFFFF if kind.startswith("u") else word


def _exception_class(path: str) -> type[BaseException] | None:
    module, _, name = path.rpartition(".")
    found: Any = sys.modules.get(module)
    if found is None:
        parts = path.split(".")
        for cut in range(len(parts) - 1, 0, -1):
            try:
                found = importlib.import_module(".".join(parts[:cut]))
            except ImportError:
                continue
            for part in parts[cut:]:
                found = getattr(found, part, None)
            break
    else:
        found = getattr(found, name, None)
    return found if isinstance(found, type) and issubclass(found, BaseException) else None


def raise_from_record(address: int) -> None:
    """Raise the exception of an error record {ptr descriptor, i64 count, [6 x i64] values}.

    The traceback gets an entry for the source line that raised it.
    """
    descriptor, count = struct.unpack("<QQ", ctypes.string_at(address, 16))
    values = struct.unpack("<6q", ctypes.string_at(address + 16, 48))
    record = _record(ctypes.string_at(descriptor))
    args = [_decode(k, v) for k, v in zip(record["args"], values[:count], strict=True)]
    if record["parts"] is None:
        shown: list[Any] = [record["message"].format(*args)]
    else:
        queue = iter(args)
        shown = [p["value"] if p else next(queue) for p in record["parts"]]
    cls = _exception_class(record["type"])
    try:
        error: BaseException = cls(*shown) if cls is not None else RuntimeError(record["type"], *shown)
    except Exception:  # a user's class with another constructor
        error = RuntimeError(record["type"], *shown)
    exec(_raiser(record["file"], record["line"], record["function"]), {"error": error})


@lru_cache(maxsize=1024)
def _raiser(file: str, line: int, function: str) -> CodeType:
    """Code that raises `error` and says that it stands in that file, line and function."""
    code = compile("raise error", file, "exec")
    name = function.rpartition(".")[2] or "<compiled>"
    return code.replace(co_firstlineno=max(line, 1), co_name=name, co_qualname=function or name)


@ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p)
def PRINT(descriptor: int, args: int) -> None:
    """`sapwood_print`: print through Python, so that texts are CPython's. Takes the GIL by itself."""
    record = _record(ctypes.string_at(descriptor))
    items: list[Any] = []
    at = 0
    for part in record["parts"]:
        if isinstance(part, str):
            items.append(part)
            continue
        word = ctypes.c_int64.from_address(args + 8 * at).value
        items.append(_decode(part["arg"], word))
        at += 1
    print(*items, sep=record["sep"], end=record["end"])
