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
    logits: Tensor[f32, 2], order: Tensor[i32, 2], adjusted: Tensor[f32, 2], parameters: Tensor[float, 2],
    seeds: Tensor[u64, 1], positions: Tensor[i64, 1], bounds: Tensor[i64, 2], ids: Tensor[i32, 1],
    biases: Tensor[float, 1], penalties: Tensor[float, 2], tokens: Tensor[i64, 1],
) -> None:
    rows, vocabulary = logits.shape
    sampling.sample_rows(
        logits.ptr, order.ptr, adjusted.ptr, parameters.ptr, seeds.ptr, positions.ptr, bounds.ptr, ids.ptr,
        biases.ptr, penalties.ptr, tokens.ptr, rows, vocabulary, order.shape[0],
    )


def draw(
    logits, temperature=1.0, top_k=0, top_p=1.0, min_p=0.0, seed=0, positions=None, call=sample, slots=2, changes=()
):
    """Tokens of rows of logits, or of one row at many positions. changes: an adjustment for each row, or None: a
    tuple (prompt, output, repetition, presence, frequency, {id: bias}, banned ids). Scratch is poisoned."""
    positions = np.arange(len(logits)) if positions is None else np.asarray(positions)
    logits = np.ascontiguousarray(np.broadcast_to(logits, (len(positions), np.shape(logits)[-1])), np.float32)
    rows, vocabulary = logits.shape
    before = logits.copy()
    tokens = np.full(rows, -1, np.int64)
    parameters = np.tile([float(temperature), top_k, top_p, min_p], (rows, 1))
    order = np.full((slots, vocabulary), -(2**31), np.int32)
    adjusted = np.full((slots, vocabulary), np.nan, np.float32)
    bounds, penalties = np.zeros((rows, 6), np.int64), np.full((rows, 3), np.nan)
    ids: list[int] = []
    biases: list[float] = []
    for r, change in enumerate(changes):
        if change is not None:
            prompt, output, *penalties[r], bias, banned = change
            start = len(biases)
            for k, part in enumerate((prompt, output, bias, banned)):
                bounds[r, k] = len(ids)
                ids += part
            bounds[r, 4:] = len(ids), start
            biases += bias.values()
    call(
        logits, order, adjusted, parameters, np.full(rows, seed, np.uint64), positions.astype(np.int64), bounds,
        np.array([*ids, -1], np.int32), np.array([*biases, np.nan]), penalties, tokens,
    )
    assert (logits.view(np.int32) == before.view(np.int32)).all(), "the logits themselves stay"
    return tokens


def probabilities(x, temperature=1.0, top_k=0, top_p=1.0, min_p=0.0):
    """The plain formula: sort, cut, renormalise."""
    wide = x.astype(np.float64) / temperature
    order = np.argsort(-wide, kind="stable")
    p = np.exp(wide - wide.max())[order]
    p[p < min_p] = 0
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
    {"min_p": 0.1}, {"min_p": 0.02, "temperature": 2.0}, {"min_p": 1.0}, {"min_p": 0.05, "top_k": 6},
    {"min_p": 0.1, "top_k": 3}, {"min_p": 0.1, "top_p": 0.7}, {"min_p": 0.3, "top_p": 0.99},
    {"min_p": 0.02, "top_k": 10, "top_p": 0.8, "temperature": 1.3},
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=str)
def test_distribution(case):
    """Chi-squared: frequencies of 20000 draws, far below chance of failing by luck."""
    x = normal(1, 50) * 2
    p = probabilities(x, **case)
    tokens = draw(x, **case, positions=range(20000))
    counts = np.bincount(tokens, minlength=50)
    assert counts[p == 0].sum() == 0
    expected = p * len(tokens)
    often = expected > 5
    chi = ((counts - expected)[often] ** 2 / expected[often]).sum()
    freedom = often.sum()
    assert chi < freedom + 6 * np.sqrt(2 * freedom) + 6


def test_the_first_token_whose_sum_passes_the_number(target):
    """With the number that is drawn, the token is known: sums of probabilities in the order that the code goes."""
    for n in (1, 2, 15, 16, 17, 511, 513, 1537):
        x = normal(n, n) * 3
        for min_p in (0.0, 0.01, 0.2):
            p = probabilities(x, 0.8, min_p=min_p)
            sums = np.cumsum(p)
            got = draw(x, 0.8, min_p=min_p, seed=n, positions=range(50))
            for i, token in enumerate(got):
                u = uniform(n, i)
                assert sums[token] >= u - 1e-6 and sums[token] - p[token] <= u + 1e-6 and p[token] > 0


def test_greedy(target):
    x = normal(2, 6, 1000)
    assert (draw(x, temperature=0) == x.argmax(1)).all()
    assert (draw(x, temperature=0, top_k=3, top_p=0.1, min_p=0.9) == x.argmax(1)).all()
    assert (draw(x, temperature=5.0, min_p=1.0) == x.argmax(1)).all()


def test_a_draw_depends_on_seed_and_position_alone(target):
    x = normal(3, 700)
    for case in CASES:
        want = draw(x, **case, seed=5, positions=range(40))
        for count in (1, 2):
            old = sapwood.set_num_threads(count)
            alone = [draw(x, **case, seed=5, positions=[i])[0] for i in range(40)]
            sapwood.set_num_threads(old)
            assert (want == alone).all()
    assert (draw(x, seed=6, positions=range(40)) != draw(x, seed=5, positions=range(40))).any()


def test_strange_logits():
    """Masked, infinite and nan logits give a token of the vocabulary, and a masked one never."""
    x = normal(4, 80)
    x[::2] = -np.inf
    for case in CASES:
        tokens = draw(x, **case, positions=range(300))
        assert (tokens % 2 == 1).all()
    for fill in (np.nan, -np.inf, np.inf, 0.0):
        for case in (*CASES, {"temperature": 0}, {"temperature": 1e-300}):
            tokens = draw(np.full(40, fill, np.float32), **case, positions=range(3))
            assert ((0 <= tokens) & (tokens < 40)).all()


def test_limits_on_a_large_vocabulary():
    x = normal(5, 128_000)
    for case in ({"top_k": 3}, {"top_p": 1e-5}, {"top_k": 50, "top_p": 0.1}, {"top_p": 0.001, "temperature": 0.3}):
        allowed = set(np.flatnonzero(probabilities(x, **case)))
        tokens = draw(x, **case, positions=range(60))
        assert set(tokens.tolist()) <= allowed
    flat = np.zeros(4099, np.float32)
    tokens = draw(flat, top_p=0.5, positions=range(500))
    assert tokens.max() < 2051 and tokens.min() >= 0 and len(set(tokens.tolist())) > 300
    assert len(set(draw(flat, min_p=1.0, positions=range(500)).tolist())) > 400  # nothing is less likely


@fn(unchecked=True)
def report(
    logits: Tensor[f32, 2], rows: Tensor[i32, 1], targets: Tensor[i64, 1], counts: Tensor[i32, 1],
    logprobs: Tensor[float, 1], top_tokens: Tensor[i32, 2], top: Tensor[float, 2],
) -> None:
    sampling.report_rows(
        logits.ptr, rows.ptr, targets.ptr, counts.ptr, logprobs.ptr, top_tokens.ptr, top.ptr, len(rows),
        top.shape[1], logits.shape[1],
    )


@pytest.mark.parametrize("vocabulary", [1, 2, 17, 1000])
def test_reported_logprobs(vocabulary: int, threads, target):
    x = normal(vocabulary, 5, vocabulary).round(1)  # with equals
    wide = x.astype(np.float64)
    logp = wide - np.log(np.exp(wide).sum(1))[:, None]
    rows = np.array([4, 0, 2, 2, 1], np.int32)
    counts = np.minimum(np.array([0, 1, 20, 3, 5]), vocabulary).astype(np.int32)
    targets = np.array([7, 3, 0, 16, 9]) % vocabulary
    logprobs = np.full(5, np.nan)
    top_tokens, top = np.full((5, 20), -7, np.int32), np.full((5, 20), np.nan)
    report(x, rows, targets, counts, logprobs, top_tokens, top)
    for i, (r, count) in enumerate(zip(rows, counts, strict=True)):
        want = np.argsort(-x[r], kind="stable")[:count]
        assert abs(logprobs[i] - logp[r, targets[i]]) < 1e-6
        assert (top_tokens[i, :count] == want).all() and (top_tokens[i, count:] == -7).all()
        assert np.abs(top[i, :count] - logp[r, want]).max(initial=0) < 1e-6
        assert np.isnan(top[i, count:]).all()


def test_reports_of_strange_rows():
    """Whatever a model computes, ids stay in range and nothing is written elsewhere."""
    inf, nan = np.inf, np.nan
    for fill in ([nan] * 9, [-inf] * 9, [inf] * 9, [nan, 1, -inf, inf, 2, nan, 0, 0, 0], [-inf] * 8 + [3]):
        x = np.array([fill], np.float32)
        top_tokens, top = np.full((1, 9), -7, np.int32), np.zeros((1, 9))
        report(x, np.zeros(1, np.int32), np.array([8]), np.array([9], np.int32), np.zeros(1), top_tokens, top)
        assert ((top_tokens >= 0) & (top_tokens < 9)).all() and len(set(top_tokens[0].tolist())) == 9
    assert top_tokens[0, 0] == 8 and top[0, 0] == 0.0 and (top[0, 1:] == -inf).all()


def test_nothing_is_touched_outside():
    """The evaluator knows where every array ends."""
    x = normal(8, 2, 37)
    change = ([3, 36, 3], [36, 36, 0], 1.5, 0.5, 0.25, {0: 2.0, 36: -3.0}, [35, 35])
    for case in ({}, {"top_k": 4, "top_p": 0.8}, {"top_p": 0.7}, {"temperature": 0}, {"min_p": 0.2, "top_p": 0.9}):
        for changes in ((), (None, change)):
            got = draw(x, **case, call=sample.reference, changes=changes, slots=1)
            assert (got == draw(x, **case, changes=changes)).all()
