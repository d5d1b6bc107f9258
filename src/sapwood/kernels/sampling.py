"""Choosing the next token from logits: argmax, temperature, top-k, top-p, logprobs.

Random numbers come from a counter generator (Philox 4x32-10; Salmon et al., 2011) keyed by (seed, position), so
that a request gives the same tokens whatever else is in the batch, and can be resumed anywhere.
Floor: one read of the vocabulary's logits per pass.
"""

from __future__ import annotations

from sapwood.lang.api.annotations import Ptr
from sapwood.lang.api.dtypes import f32, i32, i64, u32, u64
from sapwood.lang.api.loops import parallel
from sapwood.lang.function import fn
from sapwood.lang.library.math import exp, log

MULTIPLY_0, MULTIPLY_1 = 0xD2511F53, 0xCD9E8D57
WEYL_0, WEYL_1 = 0x9E3779B9, 0xBB67AE85


@fn(unchecked=True)
def philox(seed: u64, counter: u64) -> u64:
    """64 random bits: the first two words of Philox 4x32-10 for a 64-bit key and counter."""
    c0, c1 = u32(counter), u32(counter >> 32)
    c2, c3 = u32(0), u32(0)
    k0, k1 = u32(seed), u32(seed >> 32)
    for _ in range(10):
        p0 = u64(c0) * u64(MULTIPLY_0)
        p1 = u64(c2) * u64(MULTIPLY_1)
        c0, c1, c2, c3 = u32(p1 >> 32) ^ c1 ^ k0, u32(p1), u32(p0 >> 32) ^ c3 ^ k1, u32(p0)
        k0 = k0 + WEYL_0
        k1 = k1 + WEYL_1
    return u64(c0) | (u64(c1) << 32)


@fn(unchecked=True)
def uniform(seed: u64, counter: u64) -> float:
    """A number in [0, 1) with 53 random bits."""
    return float(philox(seed, counter) >> 11) * 1.1102230246251565e-16


@fn(unchecked=True)
def argmax(x: Ptr[f32], n: int) -> int:
    """Index of the largest element; the lowest one of equals. nan never wins."""
    best = 0
    top = x[0]
    for i in range(1, n):
        if x[i] > top or top != top:
            top = x[i]
            best = i
    return best


@fn(unchecked=True)
def log_sum_exp(x: Ptr[f32], n: int) -> float:
    """log(sum(exp(x))), summed in f64 in ascending order."""
    top = x[argmax(x, n)]
    total = 0.0
    for i in range(n):
        total += float(exp(x[i] - top))
    return float(top) + log(total)


@fn(unchecked=True)
def sift_down(heap: Ptr[i32], x: Ptr[f32], start: int, n: int) -> None:
    """Restore the heap below `start`: the parent is the better of (larger logit, then lower index)."""
    i = start
    moving = heap[i]
    while True:
        child = 2 * i + 1
        if child >= n:
            break
        if child + 1 < n and before(x, heap[child + 1], heap[child]):
            child += 1
        if not before(x, heap[child], moving):
            break
        heap[i] = heap[child]
        i = child
    heap[i] = moving


@fn(unchecked=True, inline=True)
def before(x: Ptr[f32], a: i32, b: i32) -> bool:
    return x[a] > x[b] or (x[a] == x[b] and a < b)


@fn(unchecked=True)
def sample_sorted(
    x: Ptr[f32], order: Ptr[i32], n: int, temperature: float, top_k: int, top_p: float, r: float
) -> int:
    """Sample from softmax(x / temperature) limited to the top_k likeliest (0: all), then to the fewest whose
    probabilities reach top_p. Tokens are taken from a heap, likeliest first, only as far as needed."""
    for i in range(n):
        order[i] = i32(i)
    for k in range(n // 2):
        sift_down(order, x, n // 2 - 1 - k, n)
    top = float(x[order[0]])
    limit = n
    if top_k > 0:
        limit = min(top_k, n)
    total = 0.0
    if top_k <= 0:
        for i in range(n):
            total += exp((float(x[i]) - top) / temperature)
    left = n
    taken = 0
    mass = 0.0
    # popped tokens gather at the end of `order`, likeliest last
    while taken < limit:
        best = order[0]
        left -= 1
        order[0] = order[left]
        order[left] = best
        if left > 1:
            sift_down(order, x, 0, left)
        mass += exp((float(x[best]) - top) / temperature)
        taken += 1
        if top_k <= 0:
            if mass >= top_p * total:
                break
    if top_k > 0:
        kept = 0.0
        for i in range(taken):
            kept += exp((float(x[order[n - 1 - i]]) - top) / temperature)
            if kept >= top_p * mass:
                taken = i + 1
                mass = kept
                break
    target = r * mass
    running = 0.0
    for i in range(taken):
        token = order[n - 1 - i]
        running += exp((float(x[token]) - top) / temperature)
        if running > target:
            return int(token)
    return int(order[n - taken])


@fn(unchecked=True, inline=True)
def sample_rows(
    logits: Ptr[f32], order: Ptr[i32], parameters: Ptr[float], seeds: Ptr[u64], positions: Ptr[i64],
    tokens: Ptr[i64], logprobs: Ptr[float], rows: int, vocabulary: int,
) -> None:
    """One token for each row of logits [rows, vocabulary].

    parameters: [rows, 3] temperature (0: greedy), top_k (0: all), top_p. order: scratch [rows, vocabulary].
    logprobs[r]: log-probability of the chosen token under softmax(logits), before temperature and limits.
    """
    for r in parallel(rows):
        x = logits + r * vocabulary
        temperature = parameters[3 * r]
        token = 0
        if temperature <= 0.0:
            token = argmax(x, vocabulary)
        else:
            u = uniform(seeds[r], u64(positions[r]))
            token = sample_sorted(
                x, order + r * vocabulary, vocabulary, temperature, int(parameters[3 * r + 1]),
                parameters[3 * r + 2], u,
            )
        tokens[r] = token
        logprobs[r] = float(x[token]) - log_sum_exp(x, vocabulary)


@fn(unchecked=True, inline=True)
def top_logprobs(
    logits: Ptr[f32], order: Ptr[i32], tokens: Ptr[i32], logprobs: Ptr[float], vocabulary: int, count: int
) -> None:
    """The `count` likeliest tokens of a row and their log-probabilities, likeliest first."""
    for i in range(vocabulary):
        order[i] = i32(i)
    for k in range(vocabulary // 2):
        sift_down(order, logits, vocabulary // 2 - 1 - k, vocabulary)
    norm = log_sum_exp(logits, vocabulary)
    left = vocabulary
    for i in range(min(count, vocabulary)):
        best = order[0]
        left -= 1
        order[0] = order[left]
        order[left] = best
        if left > 1:
            sift_down(order, logits, 0, left)
        tokens[i] = best
        logprobs[i] = float(logits[best]) - norm


