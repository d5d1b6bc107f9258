"""Reads relocatable ELF objects: their sections, symbols and relocations."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

SYMTAB, RELA, NOBITS = 2, 4, 8  # kinds of sections
WRITE, ALLOC, EXECUTE, TLS = 0x1, 0x2, 0x4, 0x400  # their flags
_GLOBAL = 1


class BadObject(ValueError):
    """Bytes that are not a 64-bit little-endian ELF object."""


class Section(NamedTuple):
    """One line of the section table."""

    name: int
    kind: int
    flags: int
    address: int
    offset: int
    size: int
    link: int
    info: int
    align: int
    entry_size: int


class Symbol(NamedTuple):
    """One line of the symbol table; only names that other objects see are read."""

    name: str
    binding: int
    section: int  # 0: it is defined elsewhere
    value: int


class ElfObject:
    """The tables of an object; raises BadObject."""

    def __init__(self, data: bytes) -> None:
        if data[:6] != b"\x7fELF\x02\x01" or len(data) < 64:
            raise BadObject("not a 64-bit little-endian ELF object")
        self.data = data
        (self.machine,) = struct.unpack_from("<H", data, 0x12)
        table_at, entry, count = struct.unpack_from("<Q", data, 0x28)[0], *struct.unpack_from("<HH", data, 0x3A)
        if table_at + entry * count > len(data):
            raise BadObject("the section table lies outside the file")
        self.sections = [Section(*struct.unpack_from("<IIQQQQIIQQ", data, table_at + i * entry)) for i in range(count)]
        self.symbols = [s for table in self.sections if table.kind == SYMTAB for s in self._symbols(table)]
        self.undefined = {s.name for s in self.symbols if s.section == 0 and s.name}
        self.defined = [s.name for s in self.symbols if s.section and s.name]

    def _symbols(self, table: Section) -> Iterator[Symbol]:
        strings = self.sections[table.link].offset
        for name, info, _, section, value, _ in struct.iter_unpack("<IBBHQQ", self.contents(table)):
            binding = info >> 4
            text = ""
            if name and (section == 0 or binding == _GLOBAL):
                text = self.data[strings + name : self.data.index(b"\0", strings + name)].decode()
            yield Symbol(text, binding, section, value)

    def contents(self, section: Section) -> bytes:
        return self.data[section.offset : section.offset + section.size]

    def relocations(self) -> Iterator[tuple[int, list[tuple[int, int, int]]]]:
        """(section, [(offset, symbol << 32 | kind, addend)]) of each section that is loaded and relocated."""
        for table in self.sections:
            if table.kind == RELA and self.sections[table.info].flags & ALLOC:
                yield table.info, list(struct.iter_unpack("<QQq", self.contents(table)))
