"""The pipelined matrix product: what it computes, on simt, and the arguments that it refuses."""

from __future__ import annotations

import numpy as np
import pytest

from sapwood import CompileError, gpu
from sapwood.gpu.pipelined_matmul import pipelined_matmul


def _ones(*shape, dtype=np.float16):
    return np.ones(shape, dtype)


@pytest.mark.parametrize(("dtype", "sums"), [(np.float16, np.float32), (np.float32, np.float32), (np.int8, np.int32)])
def test_a_product(dtype, sums):
    """Blocks and stages that are not whole, and more steps than stages; small ints, so that no sum is rounded."""
    rng = np.random.default_rng(7)
    a, b = (rng.integers(-4, 5, (n, 464)).astype(dtype) for n in (130, 20))
    c = np.full((130, 20), 99, sums)
    pipelined_matmul(c, a, b, columns=16, stages=3)
    np.testing.assert_array_equal(c, a.astype(sums) @ b.astype(sums).T)


def test_empty_products():
    c = np.full((4, 8), 9.0, np.float32)
    pipelined_matmul(c, _ones(4, 0), _ones(8, 0), columns=8, stages=2)
    assert not c.any()
    pipelined_matmul(c[:0], _ones(0, 64), _ones(8, 64), columns=8, stages=2)
    pipelined_matmul(c[:, :0], _ones(4, 64), _ones(0, 64), columns=8, stages=2)


@pytest.mark.parametrize(
    ("a", "b", "c", "options", "text"),
    [
        (_ones(4, 64), _ones(8, 32), (4, 8), {}, r"\(4, 64\) times \(8, 32\) transposed is no \(4, 8\)"),
        (_ones(4, 64), _ones(8, 64), (8, 4), {}, r"\(4, 64\) times \(8, 64\) transposed is no \(8, 4\)"),
        (_ones(4, 64, dtype=float), _ones(8, 64, dtype=float), (4, 8), {}, "factors are f16, bf16, .*, not f64"),
        (_ones(4, 64, dtype=bool), _ones(8, 64, dtype=bool), (4, 8), {}, "factors are f16, bf16, .*, not bool"),
        (_ones(4, 64), _ones(8, 64), (4, 8), {"columns": 12}, "no products of .* with n = 12"),
        (_ones(4, 64), _ones(8, 64), (4, 8), {"stages": 1}, "at least 2 stages, not 1"),
        (_ones(4, 64), _ones(8, 64), (4, 8), {"columns": 8, "stages": 20}, "L011.*348160 of the launch"),
    ],
)  # fmt: skip
def test_what_is_refused(a, b, c, options, text):
    with pytest.raises(ValueError, match=text):
        pipelined_matmul(np.zeros(c, np.float32), a, b, **options)


def test_factors_of_two_dtypes():
    with pytest.raises(CompileError, match=r"(?s)T006.*argument 'b'.*T is already f16"):
        pipelined_matmul(np.zeros((4, 8), np.float32), _ones(4, 64), _ones(8, 64, dtype=np.float32), columns=8)


def test_rows_that_a_gpu_cannot_copy(fake_cuda):
    fake = fake_cuda()
    device = gpu.device("cuda")
    c, a, b = device.zeros((4, 8), "f32"), device.array(_ones(4, 72)), device.array(_ones(8, 72))
    pipelined_matmul(c, a[:, 8:], b[:, 8:], columns=8, stages=2)
    assert c.tolist() == [[64.0] * 8] * 4 and len(fake.launches) == 1
    odd = device.array(_ones(8, 65))  # rows of 130 bytes
    for wrong in ((a[:, 4:68], b[:, 8:]), (a[:, 8:], odd[:, 1:])):
        with pytest.raises(ValueError, match=r"L015.*cannot be launched so on cuda:0: a tensor of tensor_copy"):
            pipelined_matmul(c, *wrong, columns=8, stages=2)
    assert len(fake.launches) == 1
