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

from sapwood.runtime.error_layout import (
    CONTEXT,
    COUNT,
    FROM_NONE,
    OBJECT,
    OWNED_AT,
    PLACE,
    SHARED,
    TABLE_LEAST,
    WORDS,
    class_hash,
)
from sapwood.runtime.jit import provided


@lru_cache(maxsize=4096)
def _record(text: bytes) -> dict[str, Any]:
    return json.loads(text)


def _decode(kind: str, word: int) -> Any:
    if kind in ("f16", "bf16", "f32", "f64"):
        return struct.unpack("<d", struct.pack("<q", word))[0]
    if kind == "bool":
        return bool(word & 1)
    if kind == "object":
        return _object(word)
    if kind == "str":
        return read_text(word)
    return word & 0xFFFFFFFFFFFFFFFF if kind.startswith("u") else word


def _object(address: int) -> Any:
    """The Python object at an address, without a foreign call (see _memory)."""
    return ctypes.py_object.from_buffer(ctypes.c_int64(address)).value


def read_text(address: int) -> str:
    """The Python str of a str of compiled code: bytes in word 2, UTF-8 from byte 40 on."""
    size = ctypes.c_int64.from_address(address + 16).value
    return ctypes.string_at(address + 40, size).decode("utf-8", "surrogatepass")


def exception_class(path: str) -> type[BaseException] | None:
    """The exception class of that module and qualified name, None if there is none."""
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


def _memory(address: int, size: int) -> bytes:
    """Bytes of memory. (A foreign call, as string_at makes one, hides a RecursionError in an error of its own.)"""
    return (ctypes.c_char * size).from_address(address).raw


def raise_from_record(address: int) -> None:
    """Raise the exception of an error record (error_layout.py), which ends with that.

    The traceback gets an entry for the source line that raised it.
    """
    try:
        error, place = _exception(address, {})
    finally:
        if _owns(address):
            _discard()(address)
    context, handled = error.__context__, sys.exc_info()[1]
    try:
        if place is None:
            raise error
        exec(place, {"error": error})
    finally:
        if context is not None and handled is not None:  # Python has put the caller's in the place of its own
            error.__context__ = context
            append_context(error, handled)


def _exception(address: int, cells: dict[int, BaseException]) -> tuple[BaseException, CodeType | None]:
    """The exception of a record, and code that raises it where the source did; none if it has been raised before.

    `cells`: the exceptions of cells that have been read.
    """
    first, count = struct.unpack("<Qq", _memory(address, 16))
    if count == SHARED:
        return _in_cell(first, cells), None
    if count == OBJECT:
        place = ctypes.c_char_p.from_address(address + 8 * PLACE).value
        return _object(first), None if place is None else _raiser(*json.loads(place))
    words = struct.unpack("<8q", _memory(address + 16, 64))
    values, (context, cause) = words[:count], words[6:]
    classes = ctypes.c_uint32.from_address(first).value
    record = _record(ctypes.string_at(first + 8 * max(1 + classes, 1 + TABLE_LEAST)))
    error = _make(record, [_decode(k, v) for k, v in zip(record["args"], values, strict=True)])
    if context:
        error.__context__ = _in_cell(context, cells)
    if cause == FROM_NONE:
        error.__suppress_context__ = True
    elif cause:
        error.__cause__ = _in_cell(cause, cells)
    return error, _raiser(record["file"], record["line"], record["function"])


def _in_cell(cell: int, cells: dict[int, BaseException]) -> BaseException:
    if cell not in cells:
        cells[cell] = _settle(cell + 8, cells)
    return cells[cell]


def _settle(address: int, cells: dict[int, BaseException]) -> BaseException:
    """The exception of a record, which is a Python object from now on: whoever reads it later finds the same."""
    error, place = _exception(address, cells)
    if place is not None:
        context = error.__context__
        try:  # so that its traceback shows where it was raised
            exec(place, {"error": error})
        except BaseException as e:
            assert e.__traceback__ is not None
            error = e.with_traceback(e.__traceback__.tb_next)
        error.__context__ = context  # and not what the caller handles
    if ctypes.c_int64.from_address(address + 8 * COUNT).value != OBJECT:
        old = ctypes.create_string_buffer(ctypes.string_at(address, 8 * WORDS))
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(error))
        ctypes.memmove(address, struct.pack(f"<Qq{WORDS - 2}q", id(error), OBJECT, *[0] * (WORDS - 2)), 8 * WORDS)
        if _owns(ctypes.addressof(old)):
            _discard()(ctypes.addressof(old))
    return error


@ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p)
def MAKE_EXCEPTION(address: int) -> int:
    """`sapwood_make_exception`: make the exception of a record a Python object."""
    _settle(address, {})
    return 0


def as_cause(x: Any) -> BaseException:
    """What `from x` makes the cause of an exception."""
    if isinstance(x, type) and issubclass(x, BaseException):
        x = x()
    if not isinstance(x, BaseException):
        raise TypeError("exception causes must derive from BaseException")
    return x


def raise_object(error: Any, *cause: Any) -> None:
    """`raise error` or `raise error from cause`, for objects that compiled code knows nothing about."""
    if cause:
        raise error from cause[0]
    raise error


def _make(record: dict[str, Any], args: list[Any]) -> BaseException:
    """The exception that a `raise` describes; the one that its class raises instead, if it does not take the
    arguments."""
    cls = exception_class(record["type"])
    queue = iter(args)

    def argument(part: Any) -> Any:
        if part is None:
            return next(queue)
        if "text" in part:
            return "".join(str(argument(p)) for p in part["text"])
        if "spec" in part:
            return format(next(queue), part["spec"])
        return tuple(map(argument, part["tuple"])) if "tuple" in part else part["value"]

    if record["parts"] is None:
        shown: list[Any] = [record["message"].format(*args)] if record["message"] else []
    else:
        shown = [argument(p) for p in record["parts"]]
    if cls is None:
        return RuntimeError(record["type"], *shown)
    try:
        return cls(*shown, **{k: argument(p) for k, p in (record.get("keywords") or {}).items()})
    except Exception as e:
        return e.with_traceback(None)


def append_context(error: BaseException, context: BaseException) -> None:
    """Make an exception the context of another, or of the last of those that stand between them; never its own."""
    if error is context:
        return
    at, seen = context, set()
    while at.__context__ is not None and id(at) not in seen:  # `error` may be a context of it: they would form a ring
        seen.add(id(at))
        if at.__context__ is error:
            at.__context__ = None
            break
        at = at.__context__
    last, seen = error, set()
    while last.__context__ is not None and last is not context and id(last) not in seen:
        seen.add(id(last))
        last = last.__context__
    if last is not context:
        last.__context__ = context


# -- who owns a record -----------------------------------------------------------------------------------


def _owns(address: int) -> bool:
    """Whether a record refers to anything that ends with it: a cell, an object, values on the heap."""
    first, count = struct.unpack("<Qq", _memory(address, 16))
    if count < 0 or any(struct.unpack("<2q", _memory(address + 8 * CONTEXT, 16))):
        return True
    return ctypes.c_uint64.from_address(first).value >> OWNED_AT != 0


@lru_cache(maxsize=1)
def _discard() -> Any:
    return ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p)(provided("sapwood_error_discard"))


@ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p, ctypes.c_int64)
def EXCEPTION_MATCHES(address: int, name: int) -> int:
    """`sapwood_exception_matches`: whether a Python exception is of the class with this hash, or of one derived from
    it, as PyErr_GivenExceptionMatches says."""
    return int(name in _class_table(type(ctypes.cast(address, ctypes.py_object).value)))


@lru_cache(maxsize=1024)
def _class_table(cls: type) -> frozenset[int]:
    return frozenset(class_hash(c) for c in cls.__mro__)


@ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p)
def RELEASE_EXCEPTION(address: int) -> int:
    """`sapwood_release_exception`: one reference less to a Python exception."""
    ctypes.pythonapi.Py_DecRef(ctypes.c_void_p(address))
    return 0


@ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p, ctypes.c_int64)
def SET_EXCEPTION_CONTEXT(address: int, cell: int) -> int:
    """`sapwood_set_exception_context`: what is in the cell becomes the context of a Python exception, or of the last
    of its contexts."""
    append_context(ctypes.cast(address, ctypes.py_object).value, _in_cell(cell, {}))
    return 0


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
        items.append(format(_decode(part["arg"], word), part.get("spec", "")))
        at += 1
    # written at once: other threads print, too, and the GIL may change hands between two writes
    print(record["sep"].join(map(str, items)) + record["end"], end="")


@ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int32)
def PRINT_TEXT(text: int, flush: int) -> None:
    """`sapwood_print_text`: write a str of compiled code to sys.stdout."""
    print(read_text(text), end="", flush=bool(flush))
