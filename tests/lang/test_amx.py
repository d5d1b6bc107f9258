"""AMX tiles: the rules of the table, and the machine where there is one."""

from __future__ import annotations

import ctypes
import struct

import numpy as np
import pytest

from sapwood import Array, CompileError, Tensor, bf16, f32, fn
from sapwood.lang.loading.current_target import use_target
from sapwood.lang.ops.amx import tdpbf16ps, tile_load, tile_store, tile_zero
from sapwood.targets.x86 import make, probe

AMX = make(probe() | {"amx-tile", "amx-bf16"})


@fn(unchecked=True)
def product(a: Tensor[bf16, 2], b: Tensor[bf16, 2], c: Tensor[f32, 2], n: int) -> None:
    acc = tile_load(c.ptr, c.shape[1], 16, 64)
    for i in range(n):
        x = tile_load(a.ptr + i * 32, a.shape[1], 16, 64)
        y = tile_load(b.ptr + i * 512, 32, 16, 64)
        acc = tdpbf16ps(acc, x, y)
    tile_store(c.ptr, c.shape[1], acc)


def operands(seed: int, n: int) -> tuple[Array, Array, np.ndarray, np.ndarray]:
    """a [16, 32 n] and b, packed from [32 n, 16], as bf16 arrays, with their values."""
    rng = np.random.default_rng(seed)
    values = [(rng.standard_normal((16, 32 * n)).astype(np.float32).view(np.uint32) & 0xFFFF0000) for _ in range(2)]
    a, b = (v.view(np.float32) for v in values)
    packed = b.T.reshape(16 * n, 2, 16).transpose(0, 2, 1).reshape(16 * n, 32)
    arrays = []
    for v in (a, packed):
        bits = (np.ascontiguousarray(v).view(np.uint32) >> 16).astype(np.uint16)
        array = Array.zeros(v.shape, "bf16")
        ctypes.memmove(array.data_ptr, bits.ctypes.data, bits.nbytes)
        arrays.append(array)
    return arrays[0], arrays[1], a, b


def test_product():
    a, b, x, y = operands(0, 3)
    c = np.random.default_rng(1).standard_normal((16, 16)).astype(np.float32)
    want = c + x.astype(np.float64) @ y.T.astype(np.float64)
    with use_target(AMX):
        product.reference(a, b, c, 3)
    assert np.abs(c - want).max() < 1e-4


@pytest.mark.skipif("amx-bf16" not in probe(), reason="no AMX here; the evaluator's rule is tested above")
def test_the_machine_agrees_with_the_reference():
    a, b, _, _ = operands(2, 4)
    results = []
    for run in (product, product.reference):
        c = np.random.default_rng(3).standard_normal((16, 16)).astype(np.float32)
        run(a, b, c, 4)
        results.append(c.view(np.uint32))
    assert (results[0] == results[1]).all()


def test_the_order_of_sums_is_the_manuals():
    """Even and odd products are summed apart, then together, then with c: numbers that show the difference."""
    a, b = Array.zeros((16, 32), "bf16"), Array.zeros((16, 32), "bf16")
    c = np.zeros((16, 16), np.float32)
    for i, v in enumerate((2.0**30, 1.0, -(2.0**30), 1.0)):  # even: 2^30 - 2^30, odd: 1 + 1
        a[0, i] = v
        b[i // 2, i % 2] = 1.0
    c[0, 0] = 2.0**-24
    with use_target(AMX):
        product.reference(a, b, c, 1)
    assert c[0, 0] == 2.0  # 2 + 2^-24 rounds to 2; summed in one chain the ones would be lost


def test_subnormal_numbers_count_as_zero():
    a, b = Array.zeros((16, 32), "bf16"), Array.zeros((16, 32), "bf16")
    c = np.zeros((16, 16), np.float32)
    c[0, 0] = struct.unpack("<f", struct.pack("<I", 5))[0]
    a[0, 0], b[0, 0] = 2.0**-130, 2.0**100
    with use_target(AMX):
        product.reference(a, b, c, 1)
    assert c[0, 0] == 0


def test_mistakes():
    @fn(unchecked=True)
    def no_amx(c: Tensor[f32, 1]) -> None:
        tile_store(c.ptr, 16, tile_zero(16, 64))

    @fn(unchecked=True)
    def bad_shape(c: Tensor[f32, 1]) -> None:
        tile_store(c.ptr, 16, tile_zero(17, 64))

    @fn(unchecked=True)
    def bad_product(c: Tensor[f32, 1]) -> None:
        tile_store(c.ptr, 16, tdpbf16ps(tile_zero(16, 64), tile_zero(16, 64), tile_zero(8, 64)))

    x = np.zeros(256, np.float32)
    with use_target(make(frozenset())), pytest.raises(CompileError, match="AMX needs amx-tile"):
        no_amx(x)
    with use_target(AMX):
        with pytest.raises(CompileError, match="no tile of 17 rows of 64 bytes"):
            bad_shape.reference(x)
        with pytest.raises(CompileError, match=r"Tile\[16, 64\], .*Tile\[8, 64\]"):
            bad_product.reference(x)
