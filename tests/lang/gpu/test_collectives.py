"""Reductions and scans of warps and blocks, in every way that kernels run."""

from __future__ import annotations

import numpy as np
import pytest

from sapwood import Array, CompileError, Tensor, bf16, config, f32, f64, i8, i32, i64, kernel, u8, u32
from sapwood.gpu import block, block_dim, block_idx, checked, lane_id, thread_idx, warp

pytestmark = pytest.mark.sampled(2)  # each case takes seconds to compile

WAYS = ("simt", "simt:coroutines", "simt:checked", "reference")


def run(k, way, grid, shape, *args):
    if way == "reference":
        k.reference[grid, shape](*args)
    else:
        with config.override(SAPWOOD_TARGET=way):
            k[grid, shape](*args)


def warps_of(x: np.ndarray, size: int) -> list[np.ndarray]:
    """The values of each warp of blocks of so many threads."""
    return [b[i : i + 32] for b in x.reshape(-1, size) for i in range(0, size, 32)]


def each(x: np.ndarray, size: int, f) -> np.ndarray:
    """For each thread what `f` makes of its warp."""
    return np.concatenate([np.broadcast_to(f(w), w.shape) for w in warps_of(x, size)])


@kernel
def sums(out, x) -> None:
    i = block_idx.x * block_dim.x + thread_idx.x
    out[0, i] = warp.reduce_add(x[i])
    out[1, i] = warp.scan_add(x[i])


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("size", [1, 32, 45])
@pytest.mark.parametrize("dtype", [i8, u32, f64], ids=lambda t: t.__name__)
def test_sums_of_warps(dtype, size, way):
    kind = Array.zeros(1, dtype).numpy().dtype
    x = np.random.default_rng(size).integers(0, 100, 2 * size).astype(kind)
    out = np.full((2, 2 * size), 77, kind)
    run(sums, way, 2, size, out, x)
    running = each(x, size, lambda w: np.cumsum(w, dtype=kind))
    np.testing.assert_array_equal(out, [each(x, size, lambda w: w.sum(dtype=kind)), running])  # exact, or wraps


@kernel
def picks(out, x) -> None:
    """Operations for which order matters."""
    i = block_idx.x * block_dim.x + thread_idx.x
    out[0, i] = warp.reduce(x[i], lambda a, b: b)
    out[1, i] = warp.scan(x[i], lambda a, b: max(a, b), 3)
    out[2, i] = warp.scan(x[i], lambda a, b: b, 7, exclusive=True)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("size", [1, 32, 45])
def test_operations_for_which_order_matters(size, way):
    x = np.random.default_rng(size).integers(-50, 50, 2 * size).astype(np.float32)
    out = np.full((3, 2 * size), 77, np.float32)
    run(picks, way, 2, size, out, x)
    np.testing.assert_array_equal(out, [
        each(x, size, lambda w: w[-1]), each(x, size, lambda w: np.maximum.accumulate(np.maximum(w, 3))),
        each(x, size, lambda w: np.append(np.float32(7), w[:-1])),
    ])  # fmt: skip


@kernel
def bitwise(out, x) -> None:
    t = thread_idx.x
    out[0, t] = warp.reduce_and(x[t])
    out[1, t] = warp.reduce_or(x[t])
    out[2, t] = warp.reduce_xor(x[t])


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("dtype", [u8, i64], ids=lambda t: t.__name__)
def test_reductions_of_bits(dtype, way):
    kind = Array.zeros(1, dtype).numpy().dtype
    x = np.random.default_rng(1).integers(0, 256, (40, kind.itemsize), np.uint8).view(kind)[:, 0] | kind.type(4)
    out = np.zeros((3, 40), kind)
    run(bitwise, way, 1, 40, out, x)
    functions = (np.bitwise_and, np.bitwise_or, np.bitwise_xor)
    np.testing.assert_array_equal(out, [each(x, 40, f.reduce) for f in functions])


@kernel
def extremes(out, x) -> None:
    t = thread_idx.x
    out[0, t] = warp.reduce_min(x[t])
    out[1, t] = warp.reduce_max(x[t])


@pytest.mark.parametrize("way", WAYS)
def test_all_lanes_get_the_same_bits(way):
    """A NaN wins, and which of the zeros is the least is the same for all."""
    for place in (0, 17, 31):
        x = np.zeros(64, np.float32)
        x[5::2] = -0.0
        x[place] = np.nan
        out = np.ones((2, 64), np.float32)
        run(extremes, way, 1, 64, out, x)
        assert np.isnan(out[:, :32]).all() and (out[:, 32:] == 0).all()
        assert all(len(set(np.signbit(row[32:]))) == 1 for row in out)


@kernel
def narrow_sums(out, x) -> None:
    out[thread_idx.x] = warp.reduce_add(x[thread_idx.x])


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("dtype", [bf16, f32], ids=lambda t: t.__name__)
def test_sums_of_floats_in_pairs(dtype, way):
    """Each sum is rounded, and the same in all lanes, whatever runs it."""
    x = Array.zeros(32, dtype)
    given = np.random.default_rng(2).standard_normal(32).astype(np.float32)
    if dtype is bf16:
        x.numpy(bits=True).view(np.uint16)[:] = given.view(np.uint32) >> 16
    else:
        x.numpy()[:] = given
    out, expected = Array.zeros(32, dtype), Array.zeros(32, dtype)
    run(narrow_sums, way, 1, 32, out, x)
    narrow_sums.reference[1, 32](expected, x)
    size = np.uint16 if dtype is bf16 else np.uint32
    bits = out.numpy(bits=True).view(size)
    assert len(set(bits)) == 1
    np.testing.assert_array_equal(bits, expected.numpy(bits=True).view(size))
    if dtype is f32:
        total = given
        while total.size > 1:
            total = total[::2] + total[1::2]
        assert out[0] == total[0]


@kernel
def of_some(out, x) -> None:
    t, lane = thread_idx.x, lane_id()
    if t % 7 == 3:
        return
    mine = warp.ballot(t % 3 == 0)
    out[0, t] = warp.reduce_add(x[t])
    out[1, t] = warp.scan_add(x[t])
    if t % 3 == 0:
        out[2, t] = warp.reduce_add(x[t], mask=mine)
        out[3, t] = warp.reduce(x[t], lambda a, b: b, mask=mine)
        out[4, t] = warp.scan_add(x[t], True, mask=mine)
        out[5, t] = warp.scan(x[t], lambda a, b: max(a, b), mask=mine)
    elif lane < 16:
        out[2, t] = i32(warp.reduce_xor(u32(lane), mask=warp.match_any(i32(1), mask=warp.active_mask())))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("n", [32, 77])
def test_lanes_that_are_there(way, n):
    x = np.random.default_rng(n).integers(-50, 50, n, np.int32)
    out = np.full((6, n), -77, np.int32)
    run(of_some, way, 1, n, out, x)
    expected = np.full((6, n), -77, np.int32)
    for first in range(0, n, 32):
        t = np.arange(first, min(first + 32, n))
        here = t[t % 7 != 3]
        expected[0, here], expected[1, here] = x[here].sum(), np.cumsum(x[here])
        low = here[(here % 3 != 0) & (here - first < 16)]
        expected[2, low] = low - first
        mine = here[here % 3 == 0]
        expected[2, mine], expected[3, mine] = x[mine].sum(), x[mine][-1]
        expected[4, mine] = np.cumsum(x[mine]) - x[mine]
        expected[5, mine] = np.maximum.accumulate(x[mine])
    np.testing.assert_array_equal(out, expected)


@kernel
def sums_of_blocks(out, x) -> None:
    t = thread_idx.x + block_dim.x * (thread_idx.y + block_dim.y * thread_idx.z)
    for _ in range(2):  # its shared memory is used again
        out[0, t] = block.reduce_add(x[t])
        out[1, t] = block.scan_add(x[t])
        out[2, t] = block.broadcast(x[t], 3)


@kernel
def picks_of_blocks(out, x) -> None:
    t = thread_idx.x + block_dim.x * (thread_idx.y + block_dim.y * thread_idx.z)
    out[0, t] = block.reduce(x[t], lambda a, b: b)
    out[1, t] = block.scan(x[t], lambda a, b: max(a, b), 3)
    out[2, t] = block.scan(x[t], lambda a, b: b, 7, exclusive=True)


SHAPES = (4, 32, 33, 1000, (5, 17), (3, 5, 7))


def of_blocks(k, way, shape, dtype):
    n = int(np.prod(shape))
    if way == "reference" and n > 110:
        pytest.skip("too many threads for the evaluator")
    x = np.random.default_rng(n).integers(-99, 99, n).astype(dtype)
    out = np.full((3, n), -77, dtype)
    run(k, way, 1, shape, out, x)
    return x, out


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_sums_of_blocks(shape, way):
    x, out = of_blocks(sums_of_blocks, way, shape, np.float64)
    np.testing.assert_array_equal(out, [np.full(x.size, x.sum()), np.cumsum(x), np.full(x.size, x[3])])


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_operations_of_blocks_for_which_order_matters(shape, way):
    x, out = of_blocks(picks_of_blocks, way, shape, np.int32)
    np.testing.assert_array_equal(out, [
        np.full(x.size, x[-1]), np.maximum.accumulate(np.maximum(x, 3)), np.append(np.int32(7), x[:-1])
    ])  # fmt: skip


@kernel
def extremes_of_blocks(out, x) -> None:
    out[0, thread_idx.x] = block.reduce_min(x[thread_idx.x])
    out[1, thread_idx.x] = block.reduce_max(x[thread_idx.x])


def test_extremes_of_blocks():
    x, out = np.random.default_rng(0).standard_normal(77).astype(np.float32), np.zeros((2, 77), np.float32)
    extremes_of_blocks[1, 77](out, x)
    assert (out[0] == x.min()).all() and (out[1] == x.max()).all()
    x[50] = np.nan
    extremes_of_blocks[1, 77](out, x)
    assert np.isnan(out).all()


def test_they_are_work_item_loops_and_right_in_many_schedules():
    x, out = np.arange(90.0), np.zeros((3, 90))
    assert sums_of_blocks.inspect(out, x, kind="simt").startswith("work-item loops, split")
    assert "coroutines in blocks" not in sums_of_blocks.inspect(out, x, kind="simt")
    for seed in range(10):
        with checked(seed):
            sums_of_blocks[1, 90](out, x)


def test_reductions_by_one_instruction():
    x, f = np.zeros(4, np.int32), np.zeros(4, np.float32)
    out, fs = np.zeros((3, 4), np.int32), np.zeros((2, 4), np.float32)
    for target, count in (("nvptx:sm_75", 0), ("nvptx:sm_80", 3), ("nvptx:sm_120", 3)):
        ptx = bitwise.inspect(out, x, kind="ptx", target=target)
        assert ptx.count("redux.sync") == count and (ptx.count("shfl.sync") > 0) == (count == 0)
    assert "redux" not in extremes.inspect(fs, f, kind="ptx", target="nvptx:sm_100a")
    ptx = extremes.inspect(out[:2], x, kind="ptx", target="nvptx:sm_90a")
    assert "redux.sync.min.s32" in ptx and "redux.sync.max.s32" in ptx
    ptx = extremes.inspect(out[:2].view(np.uint32), x.view(np.uint32), kind="ptx", target="nvptx:sm_90a")
    assert "redux.sync.min.u32" in ptx


@kernel
def no_init(x: Tensor[f32, 1]) -> None:
    x[0] = warp.scan(x[0], lambda a, b: a + b, exclusive=True)


@kernel
def no_init_of_block(x: Tensor[f32, 1]) -> None:
    x[0] = block.scan(x[0], lambda a, b: a + b, exclusive=True)


@kernel
def bits_of_floats(x: Tensor[f32, 1]) -> None:
    x[0] = warp.reduce_or(x[0])


@pytest.mark.parametrize(
    ("k", "text"),
    [
        (no_init, "warp.scan: an exclusive scan without init"),
        (no_init_of_block, "block.scan: an exclusive scan needs init"),
        (bits_of_floats, "warp.reduce_or: cannot combine f32"),
    ],
)
def test_what_is_refused(k, text):
    with pytest.raises(CompileError, match=text):
        k[1, 32](np.zeros(4, np.float32))
