"""Links object code for x86-64 into the process.

Objects from the cache are loaded by it without LLVM, whose library takes longer to load than all the rest of a call. It
knows the relocations that LLVM's code has under the small code model; for any other, runtime/jit.py asks LLVM.
"""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Mapping

from sapwood.runtime.elf import ALLOC, EXECUTE, NOBITS, TLS, WRITE, ElfObject, Section

X86_64 = 62
UNWIND = 0x70000001  # kind of .eh_frame: nothing unwinds through compiled code
_ABSOLUTE, _RELATIVE, _CALL, _TABLE, _TABLE_X, _TABLE_REX = 1, 2, 4, 9, 41, 42  # R_X86_64_64, PC32, PLT32, GOTPCREL*
_KIND = 0xFFFFFFFF
_KNOWN = {_ABSOLUTE, _RELATIVE, _CALL, _TABLE, _TABLE_X, _TABLE_REX}
_SPECIAL = 0xFF00  # numbers of sections from here on are none: absolute and common symbols
_PAGE = os.sysconf("SC_PAGE_SIZE")
_REACH = 1 << 31  # bytes that a relative address reaches
_JUMP, _TRAP = b"\xff\x25", b"\xcc"  # jmp *n(%rip); int3
_READ, _WRITE, _EXECUTE = 1, 2, 4
_PRIVATE, _ANONYMOUS = 2, 0x20
_FAILED = ctypes.c_void_p(-1).value


class CannotLink(Exception):
    """An object that LLVM has to link."""


Relocation = tuple[int, int, int]  # offset in the section, symbol << 32 | kind, addend


class _Layout:
    """Where the parts of an object lie: first code, then constants, then variables, each on pages of their own.

    Functions elsewhere may be too far away for a direct call: each has 8 bytes of code that jumps there, by the table
    of addresses among the constants.
    """

    def __init__(self, elf: ElfObject) -> None:
        self.places: dict[int, int] = {}  # section -> offset
        self.jumps: dict[int, int] = {}  # symbol -> offset
        self.table: dict[int, int] = {}
        self.end = 0
        loaded = {i: s for i, s in enumerate(elf.sections) if s.flags & ALLOC and s.size and s.kind != UNWIND}
        self.relocations = [(i, rows) for i, rows in elf.relocations() if i in loaded]
        kinds = {info for _, rows in self.relocations for _, info, _ in rows}  # each symbol with each kind
        for info in kinds:
            kind, symbol = info & _KIND, info >> 32
            far = elf.symbols[symbol].section == 0
            if kind not in _KNOWN or kind == _RELATIVE and far:
                raise CannotLink
            if kind == _CALL and far:
                self.jumps[symbol] = 0
            if kind >= _TABLE or kind == _CALL and far:
                self.table[symbol] = 0
        code = {i: s for i, s in loaded.items() if s.flags & EXECUTE}
        variables = {i: s for i, s in loaded.items() if s.flags & WRITE}
        self._place(code)
        self._entries(self.jumps)
        self.code_end = self._next_page()
        self._place({i: s for i, s in loaded.items() if i not in code and i not in variables})
        self._entries(self.table)
        self.constants_end = self._next_page()
        self._place({i: s for i, s in variables.items() if s.kind != NOBITS})
        self.filled = self.end  # what follows is zero
        self._place({i: s for i, s in variables.items() if s.kind == NOBITS})
        self._next_page()
        if self.end >= _REACH or any(s.flags & TLS for s in loaded.values()):
            raise CannotLink

    def _place(self, sections: dict[int, Section]) -> None:
        for i, s in sections.items():
            self._align(max(s.align, 1))
            self.places[i] = self.end
            self.end += s.size

    def _entries(self, symbols: dict[int, int]) -> None:
        self._align(8)
        for n in symbols:
            symbols[n] = self.end
            self.end += 8

    def _align(self, size: int) -> None:
        self.end = -(-self.end // size) * size

    def _next_page(self) -> int:
        self._align(_PAGE)
        return self.end


def link(elf: ElfObject, known: Mapping[str, int]) -> dict[str, int]:
    """Load an object, whose undefined symbols are all `known`: addresses of those that it defines. Never unloaded.

    Raises CannotLink, before anything is loaded, for what this linker does not know.
    """
    if elf.machine != X86_64 or any(s.section >= _SPECIAL and s.name for s in elf.symbols):
        raise CannotLink
    layout = _Layout(elf)
    base = _memory(layout.end)
    addresses = [
        known.get(s.name, 0) if s.section == 0 else base + layout.places.get(s.section, 0) + s.value
        for s in elf.symbols
    ]
    image = bytearray(layout.filled)
    for i, at in layout.places.items():
        if at < layout.filled and elf.sections[i].kind != NOBITS:
            image[at : at + elf.sections[i].size] = elf.contents(elf.sections[i])
    for n, at in layout.table.items():
        struct.pack_into("<Q", image, at, addresses[n])
    for n, at in layout.jumps.items():
        struct.pack_into("<2si2s", image, at, _JUMP, layout.table[n] - (at + 6), _TRAP * 2)
    for section, relocations in layout.relocations:
        _relocate(image, base, layout, layout.places[section], relocations, addresses)
    ctypes.memmove(base, bytes(image), len(image))
    _protect(base, layout.code_end, _READ | _EXECUTE)
    _protect(base + layout.code_end, layout.constants_end - layout.code_end, _READ)
    return {s.name: addresses[n] for n, s in enumerate(elf.symbols) if s.section and s.name}


def _relocate(
    image: bytearray, base: int, layout: _Layout, section: int, relocations: list[Relocation], addresses: list[int]
) -> None:
    for offset, info, addend in relocations:
        kind, symbol, at = info & _KIND, info >> 32, section + offset
        if kind == _ABSOLUTE:
            struct.pack_into("<Q", image, at, (addresses[symbol] + addend) % (1 << 64))
            continue
        if kind >= _TABLE:
            value = layout.table[symbol] + addend - at
        else:
            value = addresses[symbol] + addend - (base + at)
            if symbol in layout.jumps and not -_REACH <= value < _REACH:
                value = layout.jumps[symbol] + addend - at
        struct.pack_into("<i", image, at, value)


# -- memory --------------------------------------------------------------------------------------------


def _libc() -> ctypes.CDLL:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long)
    libc.mprotect.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    return libc


_LIBC = _libc()


def _memory(nbytes: int) -> int:
    """Pages that no Python object owns: code may be called until the process ends."""
    found = _LIBC.mmap(None, nbytes, _READ | _WRITE, _PRIVATE | _ANONYMOUS, -1, 0)
    if found is None or found == _FAILED:
        raise MemoryError(f"no memory for {nbytes} bytes of code: {os.strerror(ctypes.get_errno())}")
    return found


def _protect(address: int, nbytes: int, access: int) -> None:
    if nbytes and _LIBC.mprotect(address, nbytes, access):
        raise OSError(ctypes.get_errno(), "mprotect of compiled code: " + os.strerror(ctypes.get_errno()))
