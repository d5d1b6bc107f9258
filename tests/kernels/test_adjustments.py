"""Penalties, biases and bans: against the formulas, on copies, for any history."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from kernel_data import normal
from test_sampling import CASES, draw, probabilities

from sapwood import Tensor, f32, fn, i32, i64
from sapwood.kernels.adjustments import adjust_row


@fn(unchecked=True)
def adjust(
    x: Tensor[f32, 1], out: Tensor[f32, 1], counts: Tensor[i32, 1], bounds: Tensor[i64, 1], ids: Tensor[i32, 1],
    biases: Tensor[float, 1], penalties: Tensor[float, 1],
) -> bool:
    return adjust_row(x.ptr, out.ptr, counts.ptr, bounds.ptr, ids.ptr, biases.ptr, penalties.ptr, x.shape[0])


def adjusted(x, prompt=(), output=(), repetition=1.0, presence=0.0, frequency=0.0, bias=None, banned=(), call=adjust):
    """(the adjusted row, whether something is left). Places before and after the row's own ids are poison."""
    bias = bias or {}
    out, counts = np.full(len(x), np.nan, np.float32), np.full(len(x), -(2**31), np.int32)
    parts = [list(prompt), list(output), list(bias), list(banned)]
    ids = np.array([-(2**31)] * 3 + [token for part in parts for token in part] + [-(2**31)], np.int32)
    bounds = np.array([3 + sum(map(len, parts[:k])) for k in range(5)] + [2])
    numbers = np.array([np.nan, np.nan, *bias.values(), np.nan])
    left = call(x, out, counts, bounds, ids, numbers, np.array([repetition, presence, frequency]))
    return out, left


def expected(x, prompt=(), output=(), repetition=1.0, presence=0.0, frequency=0.0, bias=None, banned=()):
    """The formulas, in f64, rounded where the code rounds: after the penalties, and after the bias."""
    y = x.astype(np.float64)
    seen = set(prompt) | set(output)
    for token in seen:
        y[token] = y[token] / repetition if y[token] > 0 else y[token] * repetition
    for token, count in Counter(output).items():
        y[token] -= frequency * count
        y[token] -= presence
    y = y.astype(np.float32).astype(np.float64)
    for token, value in (bias or {}).items():
        y[token] += value
    y[list(banned)] = -np.inf
    return y.astype(np.float32)


PENALTIES = [
    {"repetition": 1.3}, {"repetition": 0.5}, {"presence": 0.7}, {"presence": -2.0}, {"frequency": 0.3},
    {"frequency": -0.1, "presence": 1.5, "repetition": 2.0}, {"bias": {0: 5.0}}, {"banned": [0]},
    {"bias": {0: -100.0}, "banned": [0], "frequency": 1.0, "repetition": 1.1}, {},
]  # fmt: skip


@pytest.mark.parametrize("case", PENALTIES, ids=str)
def test_equals_the_formulas(case, target):
    for n in (1, 2, 15, 16, 17, 1000):
        rng = np.random.default_rng(n)
        x = normal(n, n) * 5
        prompt, output = rng.integers(0, n, 40).tolist(), rng.integers(0, n, 60).tolist()
        for history in ((prompt, output), ([], output), (prompt, []), ([], []), ([n - 1] * 3, [n - 1] * 5)):
            got, left = adjusted(x, *history, **case)
            assert (got == expected(x, *history, **case)).all()
            assert left == (got > -np.inf).any()


def test_signs_zeros_and_strange_logits():
    inf, nan = np.inf, np.nan
    x = np.array([2, -2, 0, -0.0, inf, -inf, nan, 1], np.float32)
    got, left = adjusted(x, range(7), range(7), repetition=2.0, presence=0.5, frequency=0.25, bias={7: 3.5})
    assert left
    np.testing.assert_array_equal(got, np.array([0.25, -4.75, -0.75, -0.75, inf, -inf, nan, 4.5], np.float32))


def test_nothing_left():
    x = np.array([1, 2, np.nan, -np.inf], np.float32)
    assert adjusted(x, banned=[0, 1])[1] is False
    assert adjusted(x, banned=[0])[1] is True
    assert adjusted(np.full(17, -np.inf, np.float32), bias={3: 100.0})[1] is False
    for n in (1, 5, 16, 33):
        x = normal(n, n)
        ban_all = ([], [], 1.0, 0.0, 0.0, {}, list(range(n)))
        for case in (*CASES, {"temperature": 0}):
            got = draw(x, **case, positions=range(20), changes=[ban_all] * 20)
            assert (got == draw(x, **case, positions=range(20))).all(), "then the row is sampled as it is"


def test_evaluator_sees_no_access_outside():
    x = normal(3, 19)
    case = {"repetition": 1.2, "presence": 0.1, "frequency": 0.2, "bias": {18: 1.0, 0: -1.0}, "banned": [18, 5]}
    got, _ = adjusted(x, [0, 18, 18], [18, 3, 3], **case, call=adjust.reference)
    assert (got == expected(x, [0, 18, 18], [18, 3, 3], **case)).all()


@pytest.mark.parametrize("case", [{"temperature": 0}, *CASES], ids=str)
def test_rows_are_sampled_from_what_was_adjusted(case, threads):
    """Each of many rows has its own changes, or none: the same token as of a row that was adjusted before."""
    rng = np.random.default_rng(5)
    n = 131
    x = normal(9, 12, n) * 3
    changes, before = [], x.copy()
    for r in range(12):
        if r % 3 == 1:
            changes.append(None)
            continue
        prompt, output = rng.integers(0, n, 30).tolist(), rng.integers(0, n, 50).tolist()
        banned = rng.integers(0, n, 5).tolist()
        change = (prompt, output, 1.4, 0.3, 0.2, {int(x[r].argmax()): -1.0, r: 4.0}, banned)
        changes.append(change)
        before[r] = expected(x[r], *change)
    got = draw(x, **case, changes=changes)
    assert (got == draw(before, **case)).all()
    for slots in (1, 3, 12, 50):
        assert (draw(x, **case, changes=changes, slots=slots) == got).all()
    for r, change in enumerate(changes):
        assert change is None or got[r] not in change[6]


def test_distribution_with_penalties():
    """Chi-squared, as for plain sampling."""
    x = normal(1, 50) * 2
    change = ([1, 2, 3], [4, 4, 5], 1.5, 0.5, 0.5, {7: 2.0, 8: -2.0}, [9, 10])
    p = probabilities(expected(x, *change), 1.2, min_p=0.01)
    tokens = draw(x, 1.2, min_p=0.01, positions=range(20000), changes=[change] * 20000)
    counts = np.bincount(tokens, minlength=50)
    assert counts[p == 0].sum() == 0
    wanted = p * len(tokens)
    often = wanted > 5
    chi = ((counts - wanted)[often] ** 2 / wanted[often]).sum()
    assert chi < often.sum() + 6 * np.sqrt(2 * often.sum()) + 6
