"""Loads object code into the process: symbols that it may refer to, and who links it. Code is never unloaded."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable, Mapping
from typing import Any

from sapwood.runtime.elf import ElfObject
from sapwood.runtime.link import CannotLink, link


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

    def __init__(self, addresses: Mapping[str, int], owner: Any = None) -> None:
        self._addresses = addresses
        self._owner = owner

    def address(self, symbol: str) -> int:
        return self._addresses[symbol]


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


def _start() -> None:
    libc = ctypes.CDLL(None)
    for name in _LIBC:
        _symbols[name] = ctypes.cast(getattr(libc, name), ctypes.c_void_p).value or 0


def load_object(obj: bytes, extra: Mapping[str, int] | None = None) -> LoadedObject:
    """Link an object against the registered symbols and `extra`; raises UnresolvedSymbolError."""
    elf = ElfObject(obj)
    needed = elf.undefined - _IGNORED
    with _lock:
        if _LIBC[0] not in _symbols:
            _start()
        for s in needed & _providers.keys() - _symbols.keys():
            _symbols[s] = _providers[s]()
        known = {**_symbols, **(extra or {})}
        missing = needed - known.keys()
        if missing:
            raise UnresolvedSymbolError(missing)
        try:
            loaded = LoadedObject(link(elf, known))
        except CannotLink:
            loaded = _link_by_llvm(elf, {s: known[s] for s in needed})
        _loaded.append(loaded)
        return loaded


def _link_by_llvm(elf: ElfObject, known: Mapping[str, int]) -> LoadedObject:
    """With LLJIT: MCJIT jumps to null on a missing symbol."""
    global _jit
    import llvmlite.binding as llvm

    if _jit is None:
        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        _jit = llvm.create_lljit_compiler()
    builder = llvm.JITLibraryBuilder().add_object_img(elf.data)
    for s, address in known.items():
        builder.import_symbol(s, address)
    for s in elf.defined:
        builder.export_symbol(s)
    library = builder.link(_jit, f"object{len(_loaded)}")
    return LoadedObject({s: library[s] for s in elf.defined}, library)
