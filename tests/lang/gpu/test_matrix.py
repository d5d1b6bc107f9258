"""Matrix units: where the elements of fragments are, and what products give, wherever kernels run."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
import pytest

from sapwood import Array, Const, Tensor, bf16, comptime, config, f16, f32, i8, i32, kernel, u8
from sapwood.gpu import (
    block_idx,
    fragment_place,
    lane_id,
    load_a,
    load_b,
    load_c,
    m16n8k8_f16,
    m16n8k8_tf32,
    m16n8k16_bf16,
    m16n8k16_f16,
    m16n8k32_i8,
    mma,
    store_c,
    thread_idx,
    zero_c,
)
from sapwood.lang.ops.gpu.matrix import UNITS, to_tf32

pytestmark = pytest.mark.sampled(2)  # each case takes seconds to compile

T = TypeVar("T")
S = TypeVar("S")
WAYS = ("simt", "simt:coroutines", "reference", "reference of sm_90")
EACH = pytest.mark.parametrize("unit", UNITS.values(), ids=list(UNITS))
NUMPY = {f16: np.float16, f32: np.float32, i8: np.int8, i32: np.int32, u8: np.uint8}


def launch(way: str, k: Any, grid: int, *args: Any) -> None:
    """On simt; or in the evaluator, as the CPU multiplies (by shuffles) or as a GPU does (one operation)."""
    target = {"reference": "simt", "reference of sm_90": "nvptx:sm_90"}.get(way, way)
    with config.override(SAPWOOD_TARGET=target):
        (k.reference if way.startswith("reference") else k)[grid, 32](*args)


def factor(unit: Any, x: Any) -> tuple[Any, np.ndarray]:
    """Numbers as a factor of this kind, and what they are after rounding, in float64."""
    if unit.factor is bf16:
        out = Array.empty(x.shape, bf16)
        bits = x.astype(np.float32).view(np.uint32) >> 16
        out.numpy(bits=True)[...] = bits
        return out, (bits << 16).view(np.float32).astype(np.float64)
    held = x.astype(NUMPY[unit.factor])
    if unit.factor is f32:
        return held, np.vectorize(to_tf32)(held).astype(np.float64)
    return held, held.astype(np.float64)


def numbers(rng: Any, unit: Any, *shape: int) -> Any:
    if unit.factor is i8 or unit.factor is u8:
        return rng.integers(0, 256, shape) - (128 if unit.factor is i8 else 0)
    return rng.standard_normal(shape)


# -- places ------------------------------------------------------------------------------------------


def drawn(unit: Any, matrix: str, lane: int, i: int) -> tuple[int, int]:
    """(row, column) as the PTX ISA says it, in "Matrix Fragments for mma.m16n8k8", "... k16" and "... k32"."""
    group, place = lane >> 2, lane % 4
    shape = unit.name.split("_")[0] + ("_tf32" if unit.factor is f32 else "")
    match shape, matrix:
        case "m8n8k16", "a":
            return group, place * 4 + i
        case "m8n8k16", "b":
            return place * 4 + i, group
        case "m8n8k16", "c":
            return group, place * 2 + i
        case _, "c":
            return group + (0 if i < 2 else 8), place * 2 + (i & 1)
        case "m16n8k8", "a":
            return group + (0 if i < 2 else 8), place * 2 + (i & 1)
        case "m16n8k8", "b":
            return place * 2 + (i & 1), group
        case "m16n8k4_tf32", "a":
            return group + (0 if i == 0 else 8), place
        case "m16n8k4_tf32", "b":
            return place, group
        case "m16n8k8_tf32", "a":
            return group + (0 if i in (0, 2) else 8), place + (0 if i in (0, 1) else 4)
        case "m16n8k8_tf32", "b":
            return place + (0 if i == 0 else 4), group
        case "m16n8k16", "a" if unit.factor in (i8, u8):
            return group + (0 if i < 4 else 8), place * 4 + (i & 3)
        case "m16n8k16", "b" if unit.factor in (i8, u8):
            return place * 4 + i, group
        case "m16n8k32", "a":
            return group + (0 if i < 4 or 8 <= i < 12 else 8), place * 4 + (i & 3) + (0 if i < 8 else 16)
        case "m16n8k32", "b":
            return place * 4 + (i & 3) + (0 if i < 4 else 16), group
        case "m16n8k16", "a":
            return group + (0 if i < 2 or 4 <= i < 6 else 8), place * 2 + (i & 1) + (0 if i < 4 else 8)
        case "m16n8k16", "b":
            return place * 2 + (i & 1) + (0 if i < 2 else 8), group
    raise AssertionError(matrix)


@EACH
def test_places_are_those_of_the_ptx_isa(unit):
    for matrix in "abc":
        fragment = getattr(unit, matrix)
        found = {(lane, i): fragment.place(lane, i) for lane in range(32) for i in range(fragment.size)}
        assert found == {at: drawn(unit, matrix, *at) for at in found}
        assert sorted(found.values()) == [(r, c) for r in range(fragment.rows) for c in range(fragment.columns)]
    assert (unit.a.rows, unit.a.columns, unit.b.rows, unit.b.columns) == (unit.m, unit.k, unit.k, unit.n)


@kernel
def places(out: Tensor[i32, 3], a: Const[Any]) -> None:
    for k in range(a.size):
        row, column = fragment_place(a, thread_idx.x, k)
        out[thread_idx.x, k, 0], out[thread_idx.x, k, 1] = i32(row), i32(column)


@pytest.mark.parametrize("unit", [m16n8k16_bf16, m16n8k32_i8])
def test_places_in_kernels_and_in_python(unit):
    out = np.full((32, unit.a.size, 2), -1, np.int32)
    places[1, 32](out, unit.a)
    expected = [[unit.a.place(lane, k) for k in range(unit.a.size)] for lane in range(32)]
    assert out.tolist() == [[list(place) for place in row] for row in expected]
    assert fragment_place(unit.a, 13, 5) == unit.a.place(13, 5)


@kernel
def one_of_a(out: Tensor[S, 2], y: Tensor[T, 2], unit: Const[Any]) -> None:
    """Block n: A is 1 at the n-th element of all threads, lane by lane."""
    n = block_idx.x - lane_id() * unit.a.size
    a = tuple(unit.factor(1) if n == k else unit.factor(0) for k in comptime(tuple(range(unit.a.size))))
    store_c(unit, mma(unit, a, load_b(unit, y), zero_c(unit)), out, unit.m * block_idx.x)


@kernel
def one_of_b(out: Tensor[S, 2], x: Tensor[T, 2], unit: Const[Any]) -> None:
    n = block_idx.x - lane_id() * unit.b.size
    b = tuple(unit.factor(1) if n == k else unit.factor(0) for k in comptime(tuple(range(unit.b.size))))
    store_c(unit, mma(unit, load_a(unit, x), b, zero_c(unit)), out, unit.m * block_idx.x)


@pytest.mark.parametrize("unit", {(u.section, u.factor.__name__[-2:]): u for u in UNITS.values()}.values(), ids=str)
def test_each_element_of_a_factor_meets_its_row_and_column(unit):
    codes = np.arange(unit.m * unit.k) % 251 - 125  # such as all types have; rows differ, and columns
    x, y = codes.reshape(unit.m, unit.k), codes[: unit.k * unit.n].reshape(unit.k, unit.n)
    for matrix, k, other in (("a", one_of_a, y), ("b", one_of_b, x)):
        blocks = 32 * getattr(unit, matrix).size
        out = np.full((blocks, unit.m, unit.n), -7, NUMPY[unit.sum])
        held, other = factor(unit, other)
        k[blocks, 32](out.reshape(-1, unit.n), held, unit)
        expected = np.zeros(out.shape)
        for n in range(blocks):
            row, column = drawn(unit, matrix, *divmod(n, blocks // 32))
            if matrix == "a":
                expected[n, row] = other[column]
            else:
                expected[n, :, column] = other[:, row]
        np.testing.assert_array_equal(out, expected)


# -- products ----------------------------------------------------------------------------------------


@kernel
def product(out: Tensor[S, 2], x: Tensor[T, 2], y: Tensor[T, 2], z: Tensor[S, 2], unit: Const[Any]) -> None:
    store_c(unit, mma(unit, load_a(unit, x), load_b(unit, y), load_c(unit, z)), out)


def product_everywhere(unit: Any, x: Any, y: Any, z: Any) -> tuple[np.ndarray, np.ndarray]:
    """What all ways give, bit by bit, and what it should be, in float64."""
    (x, wide_x), (y, wide_y) = factor(unit, x), factor(unit, y)
    found = []
    for way in WAYS:
        found.append(np.full((unit.m, unit.n), -7, NUMPY[unit.sum]))
        launch(way, product, 1, found[-1], x, y, z, unit)
    assert len({out.tobytes() for out in found}) == 1
    return found[0], wide_x @ wide_y + z


@EACH
def test_random_matrices_in_any_way(unit):
    rng = np.random.default_rng(unit.k)
    z = numbers(rng, unit, unit.m, unit.n).astype(NUMPY[unit.sum])
    out, expected = product_everywhere(
        unit, numbers(rng, unit, unit.m, unit.k), numbers(rng, unit, unit.k, unit.n), z
    )
    exact = {i32: 0, f32: 1e-5, f16: 1e-2}[unit.sum]  # f16: half a unit of the last place of 16
    np.testing.assert_allclose(out, expected, rtol=0, atol=exact)
    if unit.sum is f16:
        np.testing.assert_array_equal(out, expected.astype(np.float32).astype(np.float16))


def test_sums_of_ints_wrap_and_those_of_floats_are_added_in_order():
    unit = m16n8k32_i8
    x, y, z = np.full((16, 32), -128), np.full((32, 8), -128), np.full((16, 8), 2**31 - 1, np.int32)
    out, expected = product_everywhere(unit, x, y, z)
    assert (out == expected - 2**32).all()
    unit = m16n8k8_f16
    x, y, z = np.ones((16, 8)), np.ones((8, 8)), np.full((16, 8), 2**24, np.float32)
    x[:, 4:] = 2  # four ones are lost, one after the other; the twos are not
    assert (product_everywhere(unit, x, y, z)[0] == 2**24 + 8).all()


def test_factors_of_tf32_are_rounded_and_infinities_stay():
    unit = m16n8k8_tf32
    x, y, z = np.zeros((16, 8)), np.eye(8), np.zeros((16, 8), np.float32)
    x[0] = [1 + 2**-11, 1 + 2**-12, 1 + 3 * 2**-12, -1 - 2**-11, 1e-40, 65504.1, 2**-149, 3]
    out, expected = product_everywhere(unit, x, y, z)
    np.testing.assert_array_equal(out, expected)
    assert out[0, :4].tolist() == [1 + 2**-10, 1, 1 + 2**-10, -1 - 2**-10]
    x[:] = 0
    x[1, 2], y[:] = -np.inf, 1
    out, _ = product_everywhere(unit, x, y, z)
    assert np.isneginf(out[1]).all() and not out[0].any()


# -- memory ------------------------------------------------------------------------------------------


@kernel
def corner(out: Tensor[f32, 2], x: Tensor[f16, 2], y: Tensor[f16, 2], row: int, column: int) -> None:
    a, b = load_a(m16n8k8_f16, x, row, 2), load_b(m16n8k8_f16, y, -3, column)
    store_c(m16n8k8_f16, mma(m16n8k8_f16, a, b, load_c(m16n8k8_f16, out, row, column)), out, row, column)


def placed(x: Any, row: int, column: int, m: int, n: int) -> np.ndarray:
    """The m x n matrix that begins at x[row, column], with zeros around x."""
    wide = np.zeros((x.shape[0] + 64, x.shape[1] + 64))
    wide[32 : 32 + x.shape[0], 32 : 32 + x.shape[1]] = x
    return wide[32 + row : 32 + row + m, 32 + column : 32 + column + n]


@pytest.mark.parametrize(("row", "column"), [(0, 0), (1, 3), (-5, -2), (19, 9), (-16, 0), (7, 11)])
def test_what_is_outside_of_a_tensor_is_zero_and_is_not_written(row, column):
    rng = np.random.default_rng(3)
    x, y = rng.integers(-9, 9, (20, 7)).astype(np.float16), rng.integers(-9, 9, (5, 11)).astype(np.float16)
    before = rng.integers(-9, 9, (20, 11)).astype(np.float32)
    out = before.copy()
    corner[1, 32](out, x, y, row, column)
    c = placed(before, row, column, 16, 8) + placed(x, row, 2, 16, 8) @ placed(y, -3, column, 8, 8)
    expected = before.copy()
    for i in range(16):
        for j in range(8):
            if 0 <= row + i < 20 and 0 <= column + j < 11:
                expected[row + i, column + j] = c[i, j]
    np.testing.assert_array_equal(out, expected)


def test_the_table_says_what_each_unit_is():
    assert {u.name: (u.m, u.n, u.k, u.since) for u in UNITS.values()} == {
        "m16n8k8_f16": (16, 8, 8, 75),
        "m16n8k16_f16": (16, 8, 16, 80),
        "m16n8k8_f16_f16": (16, 8, 8, 75),
        "m16n8k16_f16_f16": (16, 8, 16, 80),
        "m16n8k8_bf16": (16, 8, 8, 80),
        "m16n8k16_bf16": (16, 8, 16, 80),
        "m16n8k4_tf32": (16, 8, 4, 80),
        "m16n8k8_tf32": (16, 8, 8, 80),
        "m8n8k16_i8": (8, 8, 16, 75),
        "m8n8k16_u8": (8, 8, 16, 75),
        "m16n8k16_i8": (16, 8, 16, 80),
        "m16n8k16_u8": (16, 8, 16, 80),
        "m16n8k32_i8": (16, 8, 32, 80),
        "m16n8k32_u8": (16, 8, 32, 80),
    }
    assert repr(m16n8k16_f16) == "m16n8k16_f16"
