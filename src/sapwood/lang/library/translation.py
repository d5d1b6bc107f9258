"""`translate` and `maketrans` of text and bytes."""

from __future__ import annotations

from sapwood.lang.function import fn
from sapwood.lang.library.bytes_object import new_bytes
from sapwood.lang.library.text_object import text_size
from sapwood.lang.ops.text_objects import text_data


@fn
def text_translate(s: str, table) -> str:
    """Each character by what a dict has for its code point: a code point, a text, or None for nothing."""
    out = ""
    for c in s:
        code = ord(c)
        if code in table:
            new = table[code]
            if new is not None:
                out += translated(new)
        else:
            out += c
    return out


@fn(inline=True)
def translated(new):
    if isinstance(new, int):
        if new < 0 or new > 0x10FFFF:
            raise ValueError("character mapping must be in range(0x110000)")
        return chr(new)
    return new


@fn
def table_of_texts(table, x: str, y: str) -> None:
    """Put what maketrans(x, y) gives into an empty dict."""
    if len(x) != len(y):
        raise ValueError("the first two maketrans arguments must have equal length")
    for c, d in zip(x, y, strict=True):
        table[ord(c)] = ord(d)


@fn
def table_deletes(table, z: str) -> None:
    for c in z:
        table[ord(c)] = None


@fn
def table_of_dict(out, table) -> None:
    """Keys of one character become its code point."""
    for key, value in table.items():
        out[table_key(key)] = value


@fn(inline=True)
def table_key(key):
    if isinstance(key, str):
        if len(key) != 1:
            raise ValueError("string keys in translate table must be of length 1")
        return ord(key)
    return key


@fn(unchecked=True)
def bytes_translate(s, table, delete) -> bytes:
    """Each byte by the table of 256 bytes (or None), without those in `delete`."""
    n = text_size(s)
    p = text_data(s)
    if table is not None:
        if text_size(table) != 256:
            raise ValueError("translation table must be 256 characters long")
    q = text_data(s) if table is None else text_data(table)
    gone = text_data(delete)
    count = text_size(delete)
    kept = n
    if count > 0:
        kept = 0
        for i in range(n):
            kept += int(not found(p[i], gone, count))
    out = new_bytes(kept)
    r = text_data(out)
    k = 0
    for i in range(n):
        if count == 0 or not found(p[i], gone, count):
            r[k] = p[i] if table is None else q[int(p[i])]
            k += 1
    return out


@fn(unchecked=True, inline=True)
def found(x, chars, n: int) -> bool:
    for i in range(n):
        if chars[i] == x:
            return True
    return False


@fn
def bytes_table(x: bytes, y: bytes) -> bytes:
    """bytes.maketrans(x, y)"""
    if len(x) != len(y):
        raise ValueError("maketrans arguments must have same length")
    table = bytearray(range(256))
    for a, b in zip(x, y, strict=True):
        table[a] = b
    return bytes(table)
