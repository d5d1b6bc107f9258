"""One body of a matrix product, by whatever multiplies on the target."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
import pytest

from sapwood import Array, Const, Tensor, bf16, config, f16, f32, f64, i8, kernel, u8
from sapwood.gpu import block_idx, m16n8k16_f16, matmul_tile, wgmma_unit

pytestmark = pytest.mark.sampled(2)  # each case takes seconds to compile

S = TypeVar("S")
T = TypeVar("T")


@kernel
def product(c: Tensor[S, 2], a: Tensor[T, 2], b: Tensor[T, 2], unit: Const[Any]) -> None:
    matmul_tile(c, a, b, block_idx.y * 64, block_idx.x * 64, unit)


def multiply(way: str, a: Any, b: Any, dtype: Any, unit: Any = None) -> np.ndarray:
    m, n = a.shape[0], b.shape[1]
    c = np.full((m, n), -77, dtype)
    with config.override(SAPWOOD_TARGET=way):
        product[(-(-n // 64), -(-m // 64)), 128](c, a, b, unit)
    return c


def factors(rng: Any, dtype: Any, m: int, n: int, k: int) -> tuple[Any, ...]:
    """Two of a dtype, and what they are in float64; the second lies transposed."""
    x, y = rng.standard_normal((m, k)) * 8, rng.standard_normal((n, k)) * 8
    if dtype is not bf16:
        x, y = (v.astype({i8: np.int8, u8: np.int64}.get(dtype, dtype.__name__.replace("f", "float"))) for v in (x, y))
        x, y = (v.astype(np.uint8) if dtype is u8 else v for v in (x, y))
        return x, y.T, x.astype(np.float64), y.T.astype(np.float64)
    out = []
    for v in (x, y.T):
        held = Array.empty(v.shape, bf16)
        bits = held.numpy(bits=True)
        bits[...] = v.astype(np.float32).view(np.uint32) >> 16
        out.append((held, (bits.astype(np.uint32) << 16).view(np.float32).astype(np.float64)))
    return out[0][0], out[1][0], out[0][1], out[1][1]


@pytest.mark.parametrize("dtype", [f16, bf16, f32, f64, i8, u8])
def test_types_and_odd_sizes(dtype):
    rng = np.random.default_rng(4)
    total = np.int32 if dtype in (i8, u8) else np.float64 if dtype is f64 else np.float32
    for m, n, k in ((1, 1, 1), (70, 65, 131), (64, 128, 64)):
        a, b, x, y = factors(rng, dtype, m, n, k)
        c = multiply("simt", a, b, total)
        np.testing.assert_allclose(c, x @ y, rtol=0, atol=0 if total is np.int32 else 0.01)


def test_blocks_have_128_threads():
    c = np.zeros((64, 64), np.float32)
    with pytest.raises(ValueError, match="blocks of 128 threads"):
        product[(1, 1), 64](c, c, c, None)


def test_all_ways_give_the_same_bits():
    a, b, *_ = factors(np.random.default_rng(5), f16, 65, 9, 70)
    found = [
        multiply("simt", a, b, np.float32),
        multiply("simt", a, b, np.float32, wgmma_unit(64, f16)),
        multiply("simt:coroutines", a, b, np.float32, m16n8k16_f16),
        multiply("simt:checked", a, b, np.float32),
        multiply("simt:checked", a, b, np.float32, wgmma_unit(64, f16)),
    ]
    assert len({c.tobytes() for c in found}) == 1


@pytest.mark.parametrize(
    ("architecture", "dtype", "instruction"),
    [
        ("sm_75", "f16", "mma.sync.aligned.m16n8k8."), ("sm_75", "i8", "mma.sync.aligned.m8n8k16."),
        ("sm_75", "bf16", ""), ("sm_80", "bf16", "mma.sync.aligned.m16n8k16."),
        ("sm_90", "u8", "mma.sync.aligned.m16n8k32."), ("sm_90a", "bf16", "wgmma.mma_async.sync.aligned.m64n64k16."),
        ("sm_90a", "f32", ""), ("sm_120", "f16", "mma.sync.aligned.m16n8k16."),
    ],
)  # fmt: skip
def test_a_target_multiplies_by_the_best_that_it_has(architecture, dtype, instruction):
    x, c = Array.zeros((8, 8), dtype), Array.zeros((8, 8), "i32" if dtype[1:] == "8" else "f32")
    ptx = product.inspect(c, x, x, None, kind="ptx", target=f"nvptx:{architecture}")
    assert instruction in ptx if instruction else "mma" not in ptx
    assert ("ldmatrix" in ptx) == instruction.startswith("mma")
