"""Reads the undefined symbols of a relocatable ELF object, so that none is linked that we do not know."""

from __future__ import annotations

import struct

_SYMTAB = 2


class BadObject(ValueError):
    """Bytes that are not a 64-bit little-endian ELF object."""


def undefined_symbols(obj: bytes) -> set[str]:
    """Names of the symbols that the object expects from elsewhere."""
    if obj[:6] != b"\x7fELF\x02\x01" or len(obj) < 64:
        raise BadObject("not a 64-bit little-endian ELF object")
    table_at, entry, count = struct.unpack_from("<Q", obj, 0x28)[0], *struct.unpack_from("<HH", obj, 0x3A)
    if table_at + entry * count > len(obj):
        raise BadObject("the section table lies outside the file")
    sections = [struct.unpack_from("<IIQQQQIIQQ", obj, table_at + i * entry) for i in range(count)]
    out: set[str] = set()
    for kind, offset, size, link in ((s[1], s[4], s[5], s[6]) for s in sections):
        if kind != _SYMTAB:
            continue
        strings = sections[link][4]
        for at in range(offset, offset + size, 24):
            name, _, _, section = struct.unpack_from("<IBBH", obj, at)
            if section == 0 and name:
                end = obj.index(b"\0", strings + name)
                out.add(obj[strings + name : end].decode())
    return out
