"""Atomic operations of kernels: each on each type, in every way that kernels run; what PTX they become."""

from __future__ import annotations

import re

import numpy as np
import pytest

from sapwood import Array, CompileError, Tensor, bf16, config, f16, f32, f64, fn, i32, i64, kernel, parallel, u32, u64
from sapwood.gpu import (
    atomic_add,
    atomic_and,
    atomic_cas,
    atomic_dec,
    atomic_exchange,
    atomic_inc,
    atomic_load,
    atomic_max,
    atomic_min,
    atomic_or,
    atomic_store,
    atomic_sub,
    atomic_xor,
    barrier,
    block_dim,
    block_idx,
    cluster_sync,
    fence,
    map_shared,
    shared,
    thread_idx,
)

WAYS = ("simt", "simt:coroutines", "simt:checked", "reference")
ways = pytest.mark.parametrize("way", WAYS)


def launch(k, way, grid, block, *args):
    if way == "reference":
        k.reference[grid, block](*args)
    else:
        with config.override(SAPWOOD_TARGET=way):
            k[grid, block](*args)


# -- every operation, one thread -----------------------------------------------------------------------


@kernel
def every_int(out, x) -> None:
    """The old value of each, and what is there at last; the third argument of some is their order."""
    p = x.ptr
    out[0] = atomic_add(p, 3)
    out[1] = atomic_sub(p, 1, "relaxed")
    out[2] = atomic_and(p, 126, "acquire", "block")
    out[3] = atomic_or(p, 65, order="release", scope="device")
    out[4] = atomic_xor(p, 3, "acq_rel", "system")
    out[5] = atomic_min(p, 100, scope="block")
    out[6] = atomic_max(p, 120, "seq_cst")
    out[7] = atomic_exchange(p, 77)
    out[8] = atomic_cas(p, 77, 5, "acq_rel", "relaxed", "block")
    out[9] = atomic_cas(p, 77, 6)
    fence()
    fence("acq_rel", "block")
    atomic_store(p + 1, out.dtype(44), "release", "device")
    out[10] = atomic_load(p, "acquire") + atomic_load(p + 1, scope="block")


@ways
@pytest.mark.parametrize("dtype", [np.int32, np.uint32, np.int64, np.uint64, np.int16, np.uint8], ids=str)
def test_every_operation_on_ints(dtype, way):
    out, x = np.full(11, 99, dtype), np.array([100, 0], dtype)
    launch(every_int, way, 1, 1, out, x)
    assert out.tolist() == [100, 103, 102, 102, 103, 100, 100, 120, 77, 5, 49]
    assert x.tolist() == [5, 44]


@kernel
def count_round(out, x, limit: int) -> None:
    for k in range(out.shape[1]):
        out[0, k] = atomic_inc(x.ptr, x.dtype(limit))
        out[1, k] = atomic_dec(x.ptr + 1, x.dtype(limit))


@ways
@pytest.mark.parametrize("dtype", [np.uint32, np.uint64, np.uint16], ids=str)
def test_counters_go_round(dtype, way):
    out, x = np.full((2, 9), 99, dtype), np.array([7, 7], dtype)  # both begin above the limit
    launch(count_round, way, 1, 1, out, x, 3)
    assert out[0].tolist() == [7, 0, 1, 2, 3, 0, 1, 2, 3]
    assert out[1].tolist() == [7, 3, 2, 1, 0, 3, 2, 1, 0]


@kernel
def extremes(low, high, x) -> None:
    i = block_idx.x * block_dim.x + thread_idx.x
    if i < x.size:
        atomic_min(low.ptr, x[i])
        atomic_max(high.ptr, x[i])


@ways
@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=str)
@pytest.mark.parametrize("nan", [False, True])
def test_least_and_most_of_floats(dtype, way, nan):
    rng = np.random.default_rng(1)
    for sign in (1, -1, 0):
        x = rng.standard_normal(77).astype(dtype) if sign == 0 else (sign * (rng.random(77) + 1)).astype(dtype)
        x[5], x[6] = (np.nan, -np.nan) if nan else (np.inf, -np.inf)
        for start in (np.inf, np.nan, -np.nan):
            low, high = np.array([start], dtype), np.array([-start], dtype)
            launch(extremes, way, 3, 32, low, high, x)
            assert low[0] == np.nanmin(x) and high[0] == np.nanmax(x)


@kernel
def extremes_in_shared_memory(out, x) -> None:
    """By all threads of a block; then the first takes what is there."""
    box = shared(x.dtype, 3)
    t = thread_idx.x
    if t < 3:
        box[t] = x[0]
    barrier()
    atomic_min(box.ptr, x[t])
    atomic_max(box.ptr + 1, x[t])
    barrier()
    if t == 0:
        out[2] = atomic_exchange(box.ptr + 2, x.dtype(3)) + atomic_exchange(box.ptr + 2, x.dtype(0))
        out[0], out[1] = box[0], box[1]


@ways
@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=str)
def test_least_and_most_in_shared_memory(dtype, way):
    x, out = np.random.default_rng(3).standard_normal(45).astype(dtype), np.full(3, np.nan, dtype)
    for value in (1.0, np.nan, -np.nan, np.inf):
        x[0] = x[7] = value
        launch(extremes_in_shared_memory, way, 1, 45, out, x)
        assert out[0] == np.nanmin(x) and out[1] == np.nanmax(x)
        assert out[2] == value + 3 or np.isnan(value)


@kernel
def exchange_floats(out, x) -> None:
    out[0] = atomic_exchange(x.ptr, 2.5)
    out[1] = atomic_cas(x.ptr, 2.5, -0.0)
    out[2] = atomic_cas(x.ptr, 0.0, 9.0)  # unlike bits
    atomic_store(x.ptr + 1, atomic_load(x.ptr + 1) + out.dtype(1))


@ways
@pytest.mark.parametrize("dtype", [f16, bf16, f32, f64], ids=lambda t: t.__name__)
def test_floats_are_exchanged_by_their_bits(dtype, way):
    out, x = Array.zeros(3, dtype), Array.zeros(2, dtype)
    launch(exchange_floats, way, 1, 1, out, x)
    values, left = [float(v) for v in out], [float(v) for v in x]
    assert values == [0.0, 2.5, 0.0] and np.signbit(values[2])
    assert left == [0.0, 1.0] and np.signbit(left[0])


# -- many threads --------------------------------------------------------------------------------------


@kernel
def sums(out, x) -> None:
    """In shared memory, then in global memory, both by atomic additions."""
    box = shared(x.dtype, 4)
    t = thread_idx.x
    if t < 4:
        box[t] = x.dtype(0)
    barrier()
    i = block_idx.x * block_dim.x + t
    if i < x.size:
        atomic_add(box.ptr + t % 4, x[i])
    barrier()
    if t < 4:
        atomic_add(out.ptr + t, box[t])


@ways
@pytest.mark.parametrize("dtype", [f16, bf16, f32, f64, i32, u64], ids=lambda t: t.__name__)
def test_sums_that_are_exact(dtype, way):
    """Of small whole numbers no rounding can hide a lost addition."""
    n = 53 if dtype is bf16 else 333
    values = np.random.default_rng(2).integers(0, 5, n)
    x, out = Array.zeros(n, dtype), Array.zeros(4, dtype)
    for i in range(n):
        x[i] = dtype(int(values[i]))
    launch(sums, way, 4, 96, out, x)
    expected = [sum(int(v) for i, v in enumerate(values) if i % 96 % 4 == k) for k in range(4)]
    assert [float(v) for v in out] == expected


@fn
def contended(n: int, halves: Tensor[f16, 1], real: Tensor[f32, 1], count: Tensor[u32, 1]) -> None:
    for i in parallel(n):
        atomic_add(halves.ptr, f16(1), "relaxed")
        atomic_max(real.ptr, f32(i))
        atomic_inc(count.ptr, u32(999))


def test_threads_of_the_host_lose_nothing():
    halves, real, count = np.zeros(1, np.float16), np.zeros(1, np.float32), np.zeros(1, np.uint32)
    contended(2000, halves, real, count)
    assert (halves[0], real[0], count[0]) == (2000, 1999, 0)


# -- orders that are not said --------------------------------------------------------------------------


@kernel(unchecked=True)
def histogram(out: Tensor[i32, 1], x: Tensor[i32, 1]) -> None:
    atomic_add(out.ptr + x[thread_idx.x], 1)


@kernel(unchecked=True)
def tickets(out: Tensor[i32, 1], x: Tensor[i32, 1]) -> None:
    atomic_add(out.ptr + 1, 1)
    out[atomic_add(x.ptr, 1)] = 1


@kernel(unchecked=True)
def said(out: Tensor[i32, 1], x: Tensor[i32, 1]) -> None:
    x[0] = atomic_add(out.ptr, 1, "relaxed") + atomic_add(out.ptr, 1, "seq_cst", "system")


@kernel(unchecked=True)
def handed_over(out: Tensor[i32, 1], x: Tensor[i32, 1]) -> None:
    box = shared(i32, 1)
    atomic_store(box.ptr, 1)
    fence()
    out[0] = atomic_load(x.ptr) + atomic_load(box.ptr)


@kernel(unchecked=True)
def in_a_cluster(out: Tensor[i32, 1], x: Tensor[i32, 1]) -> None:
    box = shared(i32, 1)
    cluster_sync()
    out[0] = atomic_add(box.ptr, 1) + atomic_add(map_shared(box, 0).ptr, 1, scope="cluster")


INTS = np.zeros(4, np.int32)  # the kernels check no bounds: a raise has atomic operations of its own


def instructions(k, architecture: str = "sm_90") -> list[str]:
    ptx = k.inspect(INTS, INTS, kind="ptx", target=f"nvptx:{architecture}")
    return re.findall(r"^\s+((?:atom|red|fence|ld\.ac\w+|ld\.re\w+|st\.re\w+)\.?[\w.]*)", ptx, re.MULTILINE)


def test_an_order_that_is_not_said():
    assert instructions(histogram) == ["red.relaxed.gpu.global.add.u32"]  # nobody could know more
    assert instructions(tickets) == ["red.release.gpu.global.add.u32", "atom.acq_rel.gpu.global.add.u32"]
    assert instructions(said) == ["atom.relaxed.gpu.global.add.u32", "fence.sc.sys", "atom.acquire.sys.global.add.u32"]
    assert instructions(handed_over) == [
        "st.release.cta.shared.b32", "fence.sc.gpu", "ld.acquire.gpu.global.b32", "ld.acquire.cta.shared.b32",
    ]  # fmt: skip
    assert instructions(in_a_cluster) == ["atom.acq_rel.cluster.shared.add.u32", "atom.acq_rel.cluster.add.u32"]


@fn
def on_the_host(x: Tensor[i64, 1]) -> int:
    return atomic_add(x.ptr, 1) + atomic_load(x.ptr)


def test_a_function_of_the_host_is_sequentially_consistent():
    text = on_the_host.inspect(np.zeros(1, np.int64), kind="llvm")
    assert "atomicrmw add ptr" in text and text.count(" seq_cst") == 2 and "syncscope" not in text


@kernel(unchecked=True)
def of_clusters(x: Tensor[i32, 1], y: Tensor[i32, 1]) -> None:
    fence("acq_rel", "cluster")


def test_what_an_architecture_has_not():
    with pytest.raises(CompileError, match=r"X001(.|\n)*cluster needs sm_90 or newer, not sm_80"):
        instructions(of_clusters, "sm_80")
    assert instructions(of_clusters) == ["fence.acq_rel.cluster"]
