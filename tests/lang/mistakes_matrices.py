"""Mistakes with matrix units; see mistakes.py."""

from __future__ import annotations

from typing import Any

import numpy as np
from mistakes import MISTAKES, call

from sapwood import Tensor, f16, f32, i8, kernel
from sapwood.gpu import (
    checked,
    dp4a,
    lane_id,
    ldmatrix,
    load_a,
    load_b,
    load_c,
    m16n8k16_f16,
    mma,
    shared,
    stmatrix,
    store_c,
    wgmma,
    wgmma_operand,
    wgmma_unit,
    zero_c,
)


def launched(k: Any) -> Any:
    """The kernel with a grid of one warp."""
    return k[1, 32]


HALVES = np.zeros((16, 16), np.float16)
SUMS = np.zeros((16, 8), np.float32)


@call(HALVES, SUMS, name="matrix_fragment_of_another_size")
@launched
@kernel
def swaps_factors(x: Tensor[f16, 2], c: Tensor[f32, 2]) -> None:
    b = load_b(m16n8k16_f16, x)
    mma(m16n8k16_f16, b, b, load_c(m16n8k16_f16, c))


@call(HALVES, name="matrix_unit_that_is_none")
@launched
@kernel
def multiplies_by_shape(x: Tensor[f16, 2]) -> None:
    b = load_b(m16n8k16_f16, x)
    mma("m16n8k16", b, b, b)


@call(HALVES, name="ldmatrix_of_three_matrices")
@launched
@kernel
def loads_three(x: Tensor[f16, 2]) -> None:
    tile = shared(f16, (24, 8))
    ldmatrix(tile.ptr + lane_id() % 24 * 8, 3)


@call(HALVES, name="ldmatrix_of_bytes_transposed")
@launched
@kernel
def transposes_bytes(x: Tensor[f16, 2]) -> None:
    ldmatrix(shared(i8, 512).ptr + lane_id() * 16, 4, True)


@call(HALVES, name="ldmatrix_from_global_memory")
@launched
@kernel
def loads_from_global(x: Tensor[f16, 2]) -> None:
    ldmatrix(x.ptr + lane_id() * 8, 4)


@call(HALVES, name="stmatrix_of_another_type")
@launched
@kernel
def stores_another_type(x: Tensor[f16, 2]) -> None:
    stmatrix(shared(f16, 256).ptr + lane_id() * 8, (f32(1), f32(2)))


@call(HALVES, name="dp4a_of_bytes")
@launched
@kernel
def dots_bytes(x: Tensor[f16, 2]) -> None:
    dp4a(i8(3), i8(4), 0)


WARPGROUP = wgmma_unit(8, f16)


@call(HALVES, name="wgmma_of_a_pointer")
@launched
@kernel
def without_an_operand(x: Tensor[f16, 2]) -> None:
    tile = shared(f16, 4096, 1024)
    a = wgmma_operand(tile.ptr, 32)
    wgmma(WARPGROUP, zero_c(WARPGROUP), a, tile.ptr)


@call(HALVES, name="wgmma_of_another_type")
@launched
@kernel
def operand_of_floats(x: Tensor[f16, 2]) -> None:
    a, b = wgmma_operand(shared(f16, 4096, 1024).ptr, 32), wgmma_operand(shared(f32, 64, 256).ptr, 32)
    wgmma(WARPGROUP, zero_c(WARPGROUP), a, b)


@call(HALVES, name="wgmma_with_a_unit_of_a_warp")
@launched
@kernel
def unit_of_a_warp(x: Tensor[f16, 2]) -> None:
    a = wgmma_operand(shared(f16, 4096, 1024).ptr, 32)
    wgmma(m16n8k16_f16, zero_c(m16n8k16_f16), a, a)


@call(HALVES, name="wgmma_swizzle")
@launched
@kernel
def swizzle_of_48(x: Tensor[f16, 2]) -> None:
    wgmma_operand(shared(f16, 4096, 1024).ptr, 48)


@kernel
def warpgroup(out: Tensor[f32, 2]) -> None:
    a = wgmma_operand(shared(f16, 4096, 1024).ptr, 32)
    store_c(WARPGROUP, wgmma(WARPGROUP, zero_c(WARPGROUP), a, a), out)


MISTAKES["wgmma_of_a_newer_architecture"] = lambda: warpgroup.inspect(SUMS, kind="ptx", target="nvptx:sm_100a")


@kernel
def few_threads(x: Tensor[f16, 2], c: Tensor[f32, 2]) -> None:
    a, b = load_a(m16n8k16_f16, x), load_b(m16n8k16_f16, x)
    mma(m16n8k16_f16, a, b, load_c(m16n8k16_f16, c))


def launch_few() -> None:
    with checked(seed=7):
        few_threads[1, 20](HALVES, SUMS)


MISTAKES["checked_product_of_few_threads"] = launch_few
MISTAKES["product_of_a_warp_of_64"] = lambda: few_threads.inspect(HALVES, SUMS, kind="llvm", target="simt:warp64")


@kernel
def too_new(out: Tensor[f32, 2], x: Tensor[f16, 2]) -> None:
    a, b, c = load_a(m16n8k16_f16, x), load_b(m16n8k16_f16, x), zero_c(m16n8k16_f16)
    store_c(m16n8k16_f16, mma(m16n8k16_f16, a, b, c), out)


MISTAKES["matrix_unit_of_a_newer_architecture"] = lambda: too_new.inspect(
    SUMS, HALVES, kind="ptx", target="nvptx:sm_75"
)
