"""The math functions inside kernels: the bits of host code on simt, and PTX that ptxas takes."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sapwood import Tensor, f32, f64, fn, kernel, unroll
from sapwood.gpu import thread_idx
from sapwood.lang.library import math

COUNT = 17


@fn(unchecked=True, inline=True)
def each(x: Any) -> Any:
    return (
        math.exp(x), math.exp2(x), math.expm1(x), math.log(x), math.log2(x), math.log10(x), math.log1p(x),
        math.sin(x), math.cos(x), math.tan(x), math.tanh(x), math.sigmoid(x), math.sqrt(x), math.rsqrt(x),
        math.erf(x), math.pow(x, 1.7), math.hypot(x, 2.0),
    )  # fmt: skip


@kernel
def kernel32(x: Tensor[f32, 1], y: Tensor[f32, 2]) -> None:
    values = each(x[thread_idx.x])
    for k in unroll(range(COUNT)):
        y[k, thread_idx.x] = values[k]


@kernel
def kernel64(x: Tensor[f64, 1], y: Tensor[f64, 2]) -> None:
    values = each(x[thread_idx.x])
    for k in unroll(range(COUNT)):
        y[k, thread_idx.x] = values[k]


@fn(unchecked=True)
def host32(x: Tensor[f32, 1], y: Tensor[f32, 2]) -> None:
    for i in range(x.shape[0]):
        values = each(x[i])
        for k in unroll(range(COUNT)):
            y[k, i] = values[k]


@fn(unchecked=True)
def host64(x: Tensor[f64, 1], y: Tensor[f64, 2]) -> None:
    for i in range(x.shape[0]):
        values = each(x[i])
        for k in unroll(range(COUNT)):
            y[k, i] = values[k]


CASES = pytest.mark.parametrize(
    ("run", "host", "dtype"), [(kernel32, host32, np.float32), (kernel64, host64, np.float64)]
)


@CASES
def test_kernels_on_the_cpu_give_the_bits_of_host_code(run, host, dtype):
    x = np.array([0.0, -0.0, 0.3, 1.0, -2.5, 40.0, 123.4, 1e30, -1e30, 1e-40, np.inf, np.nan], dtype)
    y, want = np.zeros((COUNT, len(x)), dtype), np.zeros((COUNT, len(x)), dtype)
    run[1, len(x)](x, y)
    host(x, want)
    assert np.array_equal(y, want, equal_nan=True)
    known = ~np.isnan(y)
    assert (np.signbit(y) == np.signbit(want))[known].all()


@CASES
def test_ptx_assembles(run, host, dtype, tmp_path: Path):
    x, y = np.zeros(4, dtype), np.zeros((COUNT, 4), dtype)
    for architecture in ("sm_75", "sm_90a"):
        ptx = run.inspect(x, y, kind="ptx", target=f"nvptx:{architecture}")
        calls = [line for line in ptx.splitlines() if "\tcall" in line]
        assert "fma.rn" in ptx and all("_$_raise_$_" in line for line in calls)
        if shutil.which("ptxas"):
            (tmp_path / "kernel.ptx").write_text(ptx)
            command = ["ptxas", f"-arch={architecture}", "kernel.ptx", "-o", "kernel.cubin"]
            done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=tmp_path)
            assert done.returncode == 0, done.stderr
