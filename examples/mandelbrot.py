"""The Mandelbrot set: a picture, and its time against plain Python and NumPy.

    python examples/mandelbrot.py [--size 1200x800] [--output mandelbrot.png]

`escape_times` is ordinary Python: `escape_times.__wrapped__` is the same function without Sapwood, and that is what
the time is compared with. The loop over rows runs on all cores.
"""

from __future__ import annotations

import argparse
import struct
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

from sapwood import Tensor, fn, i64, parallel


@fn
def escape_times(out: Tensor[i64, 2], limit: i64) -> None:
    """For each pixel, the steps of z = z*z + c until |z| > 2, at most `limit`."""
    height, width = out.shape
    for row in parallel(height):
        for column in range(width):
            cx = -2.2 + 3.2 * column / width
            cy = -1.2 + 2.4 * row / height
            x = y = 0.0
            n = 0
            while n < limit and x * x + y * y <= 4.0:
                x, y = x * x - y * y + cx, 2.0 * x * y + cy
                n += 1
            out[row, column] = n


def escape_times_numpy(out: np.ndarray, limit: int) -> None:
    """The same with NumPy: all pixels at once, those that are done left out of the next step."""
    height, width = out.shape
    cx = np.tile(-2.2 + 3.2 * np.arange(width, dtype=np.float64) / width, height)
    cy = np.repeat(-1.2 + 2.4 * np.arange(height, dtype=np.float64) / height, width)
    x, y = np.zeros_like(cx), np.zeros_like(cy)
    count = np.zeros(height * width, dtype=np.int64)
    active = np.arange(height * width, dtype=np.intp)
    for _ in range(limit):
        count[active] += 1
        x[active], y[active] = x[active] ** 2 - y[active] ** 2 + cx[active], 2.0 * x[active] * y[active] + cy[active]
        active = active[x[active] ** 2 + y[active] ** 2 <= 4.0]
    out[:] = count.reshape(height, width)


def write_png(path: Path, counts: np.ndarray, limit: int) -> None:
    """An 8-bit RGB picture: dark inside of the set, from blue to gold outside."""
    t = (np.log1p(counts) / np.log1p(limit))[..., None]
    colour = np.where(t < 1, 255 * np.concatenate([t**0.8, t**1.3, 0.35 + 0.65 * (1 - t) * t**0.3], -1), 10)
    rows = colour.clip(0, 255).astype(np.uint8)
    height, width, _ = rows.shape
    raw = b"".join(b"\0" + row.tobytes() for row in rows)

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b"")
    )


def show(counts: np.ndarray, limit: int, columns: int = 78) -> str:
    """The picture in characters; a character is about twice as high as wide."""
    step = max(counts.shape[1] // columns, 1)
    shades = " .:-=+*#%@"
    small = counts[:: 2 * step, ::step]
    return "\n".join("".join(shades[int(n) * (len(shades) - 1) // limit] for n in row) for row in small)


def seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", default="1200x800", help="WIDTHxHEIGHT of the picture")
    parser.add_argument("--limit", type=int, default=200, help="the most steps for a pixel")
    parser.add_argument("--output", type=Path, default=Path("mandelbrot.png"))
    options = parser.parse_args()
    width, height = map(int, options.size.split("x"))
    counts = np.zeros((height, width), dtype=np.int64)
    first = seconds(lambda: escape_times(counts, options.limit))
    best = min(seconds(lambda: escape_times(counts, options.limit)) for _ in range(3))
    other = np.zeros_like(counts)
    numpy = seconds(lambda: escape_times_numpy(other, options.limit))
    part = np.zeros((height // 10, width // 10), dtype=np.int64)  # a hundredth of the pixels: it is slow
    python = 100 * seconds(lambda: escape_times.__wrapped__(part, options.limit))
    write_png(options.output, counts, options.limit)
    print(show(counts, options.limit))
    print(f"{width} x {height} pixels, written to {options.output}")
    print(f"Sapwood {best:.3f} s (the first call, which compiles or loads: {first:.3f} s)")
    print(f"NumPy   {numpy:.3f} s, {numpy / best:.0f} times as long; {(other != counts).mean():.2%} of pixels differ")
    print(f"Python  {python:.1f} s, {python / best:.0f} times as long (from a hundredth of the pixels)")


if __name__ == "__main__":
    main()
