"""Sampling: known answers, limits against a plain formula, distributions, reproducibility."""

from __future__ import annotations

import numpy as np
import pytest
from kernel_data import normal

import sapwood
from sapwood import Tensor, f32, fn, i32, i64, u32, u64
from sapwood.kernels import sampling
from sapwood.kernels.philox import philox, uniform


@fn
def words(c0: u32, c1: u32, c2: u32, c3: u32, k0: u32, k1: u32) -> tuple[u32, u32, u32, u32]:
    return philox(c0, c1, c2, c3, k0, k1)


def test_philox_known_answers():
    """The test vectors of Random123, the authors' library."""
    ones = 0xFFFFFFFF
    assert words(0, 0, 0, 0, 0, 0) == (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)
    assert words(ones, ones, ones, ones, ones, ones) == (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)
    pi = (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344, 0xA4093822, 0x299F31D0)
    assert words(*pi) == (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1)


def test_uniform():
    x = np.array([uniform(7, i) for i in range(20000)])
    assert 0 <= x.min() and x.max() < 1
    assert abs(x.mean() - 0.5) < 0.01 and abs(x.var() - 1 / 12) < 0.005
    assert uniform(7, 3) == x[3] != uniform(8, 3)
    assert np.abs(np.corrcoef(x[:-1], x[1:])[0, 1]) < 0.03


@fn(unchecked=True)
def argmax(x: Tensor[f32, 1]) -> int:
    return sampling.argmax(x.ptr, x.shape[0])


@fn(unchecked=True)
def log_sum_exp(x: Tensor[f32, 1]) -> float:
    return sampling.log_sum_exp(x.ptr, x.shape[0])


def test_argmax(target):
    for n in (1, 2, 15, 16, 17, 33, 1000):
        for seed in range(4):
            x = normal(seed, n).round(1)  # with equals
            assert argmax(x) == x.argmax() == argmax.reference(x)
    nan, inf = np.nan, np.inf
    special = [([nan, 1, 2], 2), ([2, nan], 0), ([nan] * 20 + [-5], 20), ([-inf, -inf], 0), ([nan, -inf], 1)]
    for x, want in (*special, ([1, inf, inf, nan], 1), ([nan] * 30 + [-inf] * 5, 30)):
        assert argmax(np.array(x, np.float32)) == want
    assert argmax(np.full(40, nan, np.float32)) == 0


def test_log_sum_exp(target):
    for n in (1, 5, 16, 40, 3000):
        for scale in (0.1, 10, 1e4):
            x = normal(n, n) * np.float32(scale)
            wide = x.astype(np.float64)
            want = wide.max() + np.log(np.exp(wide - wide.max()).sum())
            assert abs(log_sum_exp(x) - want) < 1e-6 * max(1, abs(want))
    x = np.array([-np.inf, 0, -np.inf], np.float32)
    assert log_sum_exp(x) == 0
    assert log_sum_exp(np.full(3, -np.inf, np.float32)) == -np.inf


@fn(unchecked=True)
def sample(
    logits: Tensor[f32, 2], order: Tensor[i32, 2], parameters: Tensor[float, 2], seeds: Tensor[u64, 1],
    positions: Tensor[i64, 1], tokens: Tensor[i64, 1], logprobs: Tensor[float, 1],
) -> None:
    rows, vocabulary = logits.shape
    sampling.sample_rows(
        logits.ptr, order.ptr, parameters.ptr, seeds.ptr, positions.ptr, tokens.ptr, logprobs.ptr, rows, vocabulary
    )


def draw(logits, temperature=1.0, top_k=0, top_p=1.0, seed=0, positions=None, call=sample):
    """(tokens, logprobs) of rows of logits, or of one row at many positions."""
    positions = np.arange(len(logits)) if positions is None else np.asarray(positions)
    logits = np.ascontiguousarray(np.broadcast_to(logits, (len(positions), np.shape(logits)[-1])), np.float32)
    rows = len(logits)
    tokens, logprobs = np.full(rows, -1, np.int64), np.full(rows, np.nan)
    parameters = np.tile([float(temperature), top_k, top_p], (rows, 1))
    order, seeds = np.full(logits.shape, -1, np.int32), np.full(rows, seed, np.uint64)
    call(logits, order, parameters, seeds, positions.astype(np.int64), tokens, logprobs)
    return tokens, logprobs


def probabilities(x, temperature=1.0, top_k=0, top_p=1.0):
    """The plain formula: sort, cut, renormalise."""
    wide = x.astype(np.float64) / temperature
    order = np.argsort(-wide, kind="stable")
    p = np.exp(wide - wide.max())[order]
    if 0 < top_k < len(x):
        p[top_k:] = 0
    p /= p.sum()
    if top_p < 1:
        p[np.searchsorted(np.cumsum(p), top_p) + 1 :] = 0
        p /= p.sum()
    out = np.empty(len(x))
    out[order] = p
    return out


CASES = [
    {}, {"temperature": 0.5}, {"temperature": 3.0}, {"top_k": 5}, {"top_k": 1}, {"top_k": 100},
    {"top_p": 0.6}, {"top_p": 0.05}, {"top_k": 8, "top_p": 0.7, "temperature": 1.5}, {"top_p": 0.999},
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=str)
def test_distribution(case):
    """Chi-squared: frequencies of 20000 draws, far below chance of failing by luck."""
    x = normal(1, 50) * 2
    p = probabilities(x, **case)
    tokens, _ = draw(x, **case, positions=range(20000))
    counts = np.bincount(tokens, minlength=50)
    assert counts[p == 0].sum() == 0
    expected = p * len(tokens)
    often = expected > 5
    chi = ((counts - expected)[often] ** 2 / expected[often]).sum()
    freedom = often.sum()
    assert chi < freedom + 6 * np.sqrt(2 * freedom) + 6


def test_greedy_and_logprobs(target):
    x = normal(2, 6, 1000)
    tokens, logprobs = draw(x, temperature=0)
    assert (tokens == x.argmax(1)).all()
    wide = x.astype(np.float64)
    norm = np.log(np.exp(wide).sum(1))
    assert np.abs(logprobs - (wide.max(1) - norm)).max() < 1e-6
    tokens, logprobs = draw(x, temperature=0.7, top_k=30)
    assert np.abs(logprobs - (wide[np.arange(6), tokens] - norm)).max() < 1e-6


def test_a_draw_depends_on_seed_and_position_alone(target):
    x = normal(3, 700)
    for case in CASES:
        want, _ = draw(x, **case, seed=5, positions=range(40))
        for count in (1, 2):
            old = sapwood.set_num_threads(count)
            alone = [draw(x, **case, seed=5, positions=[i])[0][0] for i in range(40)]
            sapwood.set_num_threads(old)
            assert (want == alone).all()
    assert (draw(x, seed=6, positions=range(40))[0] != draw(x, seed=5, positions=range(40))[0]).any()


def test_strange_logits():
    """Masked, infinite and nan logits give a token of the vocabulary, and a masked one never."""
    x = normal(4, 80)
    x[::2] = -np.inf
    for case in CASES:
        tokens, _ = draw(x, **case, positions=range(300))
        assert (tokens % 2 == 1).all()
    for fill in (np.nan, -np.inf, np.inf, 0.0):
        for case in (*CASES, {"temperature": 0}, {"temperature": 1e-300}):
            tokens, _ = draw(np.full(40, fill, np.float32), **case, positions=range(3))
            assert ((0 <= tokens) & (tokens < 40)).all()


def test_limits_on_a_large_vocabulary():
    x = normal(5, 128_000)
    for case in ({"top_k": 3}, {"top_p": 1e-5}, {"top_k": 50, "top_p": 0.1}, {"top_p": 0.001, "temperature": 0.3}):
        allowed = set(np.flatnonzero(probabilities(x, **case)))
        tokens, _ = draw(x, **case, positions=range(60))
        assert set(tokens.tolist()) <= allowed
    flat = np.zeros(4099, np.float32)
    tokens, _ = draw(flat, top_p=0.5, positions=range(500))
    assert tokens.max() < 2051 and tokens.min() >= 0 and len(set(tokens.tolist())) > 300


@fn(unchecked=True)
def top(
    logits: Tensor[f32, 1], order: Tensor[i32, 1], tokens: Tensor[i32, 1], logprobs: Tensor[float, 1], count: int
) -> None:
    sampling.top_logprobs(logits.ptr, order.ptr, tokens.ptr, logprobs.ptr, logits.shape[0], count)


def test_top_logprobs():
    for n, count in ((1, 1), (5, 5), (3, 9), (1000, 20), (1000, 1)):
        x = normal(n, n).round(1)
        some = min(n, count)
        tokens, logprobs = np.full(some, -1, np.int32), np.full(some, np.nan)
        top(x, np.full(n, -1, np.int32), tokens, logprobs, count)
        want = np.argsort(-x, kind="stable")[:some]
        assert (tokens == want).all()
        norm = np.log(np.exp(x.astype(np.float64)).sum())
        assert np.abs(logprobs - (x[want] - norm)).max() < 1e-6


def test_nothing_is_touched_outside():
    """The evaluator knows where every array ends."""
    x = normal(8, 2, 37)
    for case in ({}, {"top_k": 4, "top_p": 0.8}, {"top_p": 0.7}, {"temperature": 0}):
        assert (draw(x, **case, call=sample.reference)[0] == draw(x, **case)[0]).all()
