"""Compression by references to what came before (LZ77), in threes of bytes: how far back, how many, what follows.

    python examples/compress.py README.md

Shows bytes and bytearray, and a search that Python alone is too slow for.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from sapwood import fn


@fn
def compress(data: bytes, window: int = 255, longest: int = 15) -> bytes:
    out = bytearray()
    i = 0
    while i < len(data):
        best_len = 0
        best_off = 0
        start = max(0, i - window)
        for j in range(start, i):
            k = 0
            while k < longest and i + k < len(data) - 1 and data[j + k] == data[i + k]:
                k += 1
            if k > best_len:
                best_len, best_off = k, i - j
        out.append(best_off)
        out.append(best_len)
        out.append(data[i + best_len])
        i += best_len + 1
    return bytes(out)


@fn
def decompress(data: bytes) -> bytes:
    if len(data) % 3 != 0:
        raise ValueError(f"corrupt input: {len(data)} bytes")
    out = bytearray()
    for i in range(0, len(data), 3):
        offset, length, literal = data[i : i + 3]
        if offset > len(out):
            raise ValueError(f"offset {offset} before the start at {i}")
        for _ in range(length):
            out.append(out[-offset])
        out.append(literal)
    return bytes(out)


def main() -> None:
    data = Path(sys.argv[1] if len(sys.argv) > 1 else __file__).read_bytes()
    packed = compress(data)
    start = time.perf_counter()
    compress(data)
    native = time.perf_counter() - start
    start = time.perf_counter()
    compress.python(data)
    print(f"{len(data)} bytes became {len(packed)} in {native:.4f} s; in Python {time.perf_counter() - start:.2f} s")
    assert decompress(packed) == data


if __name__ == "__main__":
    main()
