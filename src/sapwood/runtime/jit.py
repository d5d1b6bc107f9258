"""Loads object code into the process, with LLJIT. Code is never unloaded."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable, Mapping
from typing import Any

from sapwood.runtime.elf import undefined_symbols


class UnresolvedSymbolError(RuntimeError):
    """An object refers to symbols that nothing provides; it was not linked."""

    def __init__(self, names: set[str]) -> None:
        super().__init__(f"undefined symbols: {', '.join(sorted(names))}")
        self.names = names


_lock = threading.RLock()
_symbols: dict[str, int] = {}
_providers: dict[str, Callable[[], int]] = {}
_jit: Any = None
_loaded: list[LoadedObject] = []

_LIBC = ("memcpy", "memset", "memmove", "strlen")  # that LLVM makes of loops
_IGNORED = {"_GLOBAL_OFFSET_TABLE_"}


class LoadedObject:
    """Object code in memory; `address` gives where its exported symbols are."""

    def __init__(self, library: Any, name: str, tracker: Any) -> None:
        self._library = library
        self._tracker = tracker
        self.name = name

    def address(self, symbol: str) -> int:
        return self._library[symbol]


def register_symbol(name: str, address: int) -> None:
    """Let every object that is loaded from now on refer to `name`."""
    _symbols[name] = address


def register_provider(name: str, provide: Callable[[], int]) -> None:
    """Let objects refer to `name`, whose address `provide` gives when the first of them is loaded."""
    _providers[name] = provide


def provided(name: str) -> int:
    """The address of a symbol, made now if nothing has asked for it before."""
    with _lock:
        if name not in _symbols:
            _symbols[name] = _providers[name]()
        return _symbols[name]


def symbol(name: str) -> int:
    return _symbols[name]


def _start() -> Any:
    global _jit
    if _jit is None:
        import llvmlite.binding as llvm

        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        _jit = llvm.create_lljit_compiler()
        libc = ctypes.CDLL(None)
        for name in _LIBC:
            _symbols[name] = ctypes.cast(getattr(libc, name), ctypes.c_void_p).value or 0
    return _jit


def load_object(
    obj: bytes, extra: Mapping[str, int] | None = None, exports: tuple[str, ...] = ()
) -> LoadedObject:
    """Link an object against the registered symbols and `extra`; raises UnresolvedSymbolError.

    Addresses of `exports` are looked up at once; others are when first asked for.
    """
    import llvmlite.binding as llvm

    needed = undefined_symbols(obj) - _IGNORED
    with _lock:
        jit = _start()
        for s in needed & _providers.keys() - _symbols.keys():
            _symbols[s] = _providers[s]()
        known = {**_symbols, **(extra or {})}
        missing = needed - known.keys()
        if missing:
            raise UnresolvedSymbolError(missing)
        name = f"object{len(_loaded)}"
        builder = llvm.JITLibraryBuilder().add_object_img(obj)
        for s in needed:
            builder.import_symbol(s, known[s])
        for s in exports or defined_symbols(obj):
            builder.export_symbol(s)
        library = builder.link(jit, name)
        loaded = LoadedObject(library, name, None)
        _loaded.append(loaded)
        return loaded


def defined_symbols(obj: bytes) -> list[str]:
    """Global symbols that the object defines."""
    import struct

    table_at, entry, count = struct.unpack_from("<Q", obj, 0x28)[0], *struct.unpack_from("<HH", obj, 0x3A)
    sections = [struct.unpack_from("<IIQQQQIIQQ", obj, table_at + i * entry) for i in range(count)]
    out: list[str] = []
    for section in sections:
        if section[1] != 2:
            continue
        strings = sections[section[6]][4]
        for at in range(section[4], section[4] + section[5], 24):
            name, info, _, where = struct.unpack_from("<IBBH", obj, at)
            if where and name and info >> 4 == 1:
                end = obj.index(b"\0", strings + name)
                out.append(obj[strings + name : end].decode())
    return out
