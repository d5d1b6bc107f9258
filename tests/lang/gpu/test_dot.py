"""Dot products of integers in words: `dp4a`, `dp2a`."""

from __future__ import annotations

import itertools
from typing import TypeVar

import numpy as np
import pytest

from sapwood import Tensor, config, fn, i32, kernel, u32
from sapwood.gpu import dp2a, dp4a, thread_idx

A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")


@kernel
def dots(out: Tensor[C, 2], a: Tensor[A, 1], b: Tensor[B, 1], c: Tensor[C, 1]) -> None:
    t = thread_idx.x
    if t < a.size:
        out[0, t], out[1, t] = dp4a(a[t], b[t], c[t]), dp2a(a[t], b[t], c[t])
        out[2, t] = dp2a(a[t], b[t], c[t], True)


def parts(x: np.ndarray, bits: int) -> np.ndarray:
    """The numbers of so many bits in each word."""
    return x.view(f"{x.dtype.kind}{bits // 8}").reshape(len(x), -1).astype(np.int64)


@pytest.mark.parametrize("way", ["simt", "simt:coroutines", "reference", "reference of sm_75"])
@pytest.mark.parametrize(("a", "b"), list(itertools.product((np.int32, np.uint32), repeat=2)))
def test_sums_of_products(way, a, b):
    rng = np.random.default_rng(5)
    n = 77
    c = np.uint32 if a is b is np.uint32 else np.int32
    words = [rng.integers(0, 2**32, n, np.uint32) for _ in "abc"]
    words[0][:3], words[1][:3], words[2][:3] = (0x80808080, 0xFFFFFFFF, 0x80008000), 0x80808080, 0x7FFFFFFF
    x, y, z = (w.view(t) for w, t in zip(words, (a, b, c), strict=True))
    out = np.full((3, n), 7, c)
    with config.override(SAPWOOD_TARGET="nvptx:sm_75" if "sm_75" in way else way.replace("reference", "simt")):
        (dots.reference if "reference" in way else dots)[1, 96](out, x, y, z)
    four = (parts(x, 8) * parts(y, 8)).sum(1)
    low, high = ((parts(x, 16) * parts(y, 8)[:, at : at + 2]).sum(1) for at in (0, 2))
    expected = np.stack([four, low, high]) + z.astype(np.int64)
    np.testing.assert_array_equal(out.view(np.uint32), expected.astype(np.uint32))


@fn
def on_the_host(a: i32, b: u32, c: i32) -> i32:
    return dp4a(a, b, c)


def test_they_are_for_host_functions_too():
    assert on_the_host(-2, 3, 5) == on_the_host.reference(-2, 3, 5) == 5 + -2 * 3


@pytest.mark.parametrize("architecture", ["sm_75", "sm_90a"])
def test_a_gpu_has_an_instruction(architecture):
    x, y = np.zeros(4, np.int32), np.zeros(4, np.uint32)
    ptx = dots.inspect(np.zeros((3, 4), np.int32), x, y, x, kind="ptx", target=f"nvptx:{architecture}")
    assert "dp4a.s32.u32" in ptx and "dp2a.lo.s32.u32" in ptx and "dp2a.hi.s32.u32" in ptx
