"""`vectorize` and `tile`: every element once, vectors where they fit, compile-time sizes inside."""

from __future__ import annotations

from typing import Any

import numpy as np
from oracles import agree

from sapwood import Tensor, comptime, f32, fn, simd_width, tile, vectorize


@fn
def scale(x: Tensor[f32, 1], y: Tensor[f32, 1], a: f32) -> None:
    def body(i: int, W: Any) -> None:
        y.store(i, x.load(i, width=W) * a + 1)

    vectorize(body, len(x), simd_width(f32))


@fn
def unrolled(x: Tensor[f32, 1], y: Tensor[f32, 1]) -> None:
    vectorize(lambda i, W: y.store(i, x.load(i, width=W) * 2), len(x), 4, unroll=3)


@fn
def widths(n: int, seen: Tensor[int, 1]) -> None:
    def body(i: int, W: Any) -> None:
        for k in range(W):
            seen[i + k] = seen[i + k] * 100 + comptime(W)

    vectorize(body, n, 4)


def test_vectorize():
    for n in (0, 1, 7, 8, 9, 31, 32):
        x = np.arange(n, dtype=np.float32)
        agree(scale, x, np.zeros(n, np.float32), 0.5)
        agree(unrolled, x, np.zeros(n, np.float32))
        y = np.zeros(n, np.float32)
        scale(x, y, 0.5)
        assert np.array_equal(y, x * np.float32(0.5) + 1)
        unrolled(x, y)
        assert np.array_equal(y, x * 2)
        seen = np.zeros(n, np.int64)
        widths(n, seen)
        assert seen.tolist() == [4] * (n - n % 4) + [1] * (n % 4)


def test_vectorize_makes_vectors():
    assert "<8 x float>" in unrolled_text() or "<4 x float>" in unrolled_text()


def unrolled_text() -> str:
    unrolled(np.zeros(4, np.float32), np.zeros(4, np.float32))
    return unrolled.inspect(np.zeros(4, np.float32), np.zeros(4, np.float32), kind="llvm")


@fn
def transposed(x: Tensor[float, 2], y: Tensor[float, 2]) -> None:
    def body(i: int, j: int, h: Any, w: Any) -> None:
        for r in range(h):
            for c in range(w):
                y[j + c, i + r] = x[i + r, j + c]

    tile(body, x.shape[0], x.shape[1], 4, 8)


@fn
def tiles(rows: int, columns: int, out: Tensor[int, 2]) -> None:
    def body(i: int, j: int, h: Any, w: Any) -> None:
        out[i // 2, j // 3] += h * 10 + w

    tile(body, rows, columns, 2, 3)


def test_tile():
    for shape in ((0, 5), (1, 1), (4, 8), (9, 17), (8, 16)):
        x = np.random.default_rng(1).random(shape)
        agree(transposed, x, np.zeros(shape[::-1]))
        y = np.zeros(shape[::-1])
        transposed(x, y)
        assert np.array_equal(y, x.T)
    out = np.zeros((3, 3), int)
    tiles(5, 7, out)
    assert out.tolist() == [[23, 23, 21], [23, 23, 21], [13, 13, 11]]
