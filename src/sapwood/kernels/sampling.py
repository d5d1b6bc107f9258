"""Choosing the next token from logits: argmax, temperature, top-k, top-p, logprobs.

Random numbers come from a counter generator (kernels/philox.py) keyed by (seed, position), so that a request
gives the same tokens whatever else is in the batch, and can be resumed anywhere. Vectors have LANES lanes on
every target, so sums do not depend on it.

Floor: bytes of the vocabulary's logits / memory bandwidth for each pass: two for a greedy token and its
log-probability each, three more to sample.
"""

from __future__ import annotations

from typing import Any

from sapwood.kernels.philox import uniform
from sapwood.lang.api.annotations import SIMD, Const, Ptr
from sapwood.lang.api.dtypes import f32, f64, i32, i64, u64
from sapwood.lang.api.loops import parallel
from sapwood.lang.function import fn
from sapwood.lang.library.math import exp, log
from sapwood.lang.ops.arith import maximum, select
from sapwood.lang.ops.simd import any_lane

LANES = 16
PIECE = 512  # tokens of a partial sum
LOWEST = float("-inf")


@fn(unchecked=True)
def largest(x: Ptr[f32], n: int) -> f32:
    """The largest element that is not nan; -inf when there is none."""
    top = SIMD[f32, LANES](LOWEST)
    whole = n - n % LANES
    for i in range(0, whole, LANES):
        v = x.load(i, width=LANES)
        top = select(v > top, v, top)
    best = top.reduce_max()
    for i in range(whole, n):
        best = maximum(best, x[i])
    return best


@fn(unchecked=True)
def argmax(x: Ptr[f32], n: int) -> int:
    """Index of the largest element; the lowest one of equals. nan never wins; 0 when all are nan."""
    top = largest(x, n)
    whole = n - n % LANES
    for i in range(0, whole, LANES):
        if any_lane(x.load(i, width=LANES) == top):
            for j in range(i, i + LANES):
                if x[j] == top:
                    return j
    for i in range(whole, n):
        if x[i] == top:
            return i
    return 0


@fn(unchecked=True, inline=True)
def weight(x: Any, top: f32, temperature: f32) -> Any:
    """exp((x - top) / temperature): what tokens are drawn in proportion to. A lane has the bits of a scalar."""
    return exp((x - top) / temperature)


@fn(unchecked=True)
def sum_weights(x: Ptr[f32], n: int, top: f32, temperature: f32) -> float:
    """The sum of the weights in f64, lane by lane and then by halves."""
    acc = SIMD[f64, LANES](0.0)
    whole = n - n % LANES
    for i in range(0, whole, LANES):
        acc = acc + weight(x.load(i, width=LANES), top, temperature).cast(f64)
    total = acc.reduce_add()
    for i in range(whole, n):
        total += float(weight(x[i], top, temperature))
    return total


@fn(unchecked=True)
def log_sum_exp(x: Ptr[f32], n: int) -> float:
    """log(sum(exp(x))), summed in f64; -inf when there is nothing to sum."""
    top = largest(x, n)
    if top == LOWEST:
        return LOWEST
    return float(top) + log(sum_weights(x, n, top, f32(1.0)))


# -- the likeliest tokens ------------------------------------------------------------------------------


@fn(unchecked=True, inline=True)
def before(x: Ptr[f32], a: i32, b: i32) -> bool:
    """Whether token a is likelier than b; of equals the lower one is."""
    return x[a] > x[b] or (x[a] == x[b] and a < b)


@fn(unchecked=True)
def sift_down(heap: Ptr[i32], x: Ptr[f32], start: int, n: int, likeliest: Const[bool]) -> None:
    """Restore a heap below `start`; its root is the likeliest token, or else the least likely."""
    i = start
    moving = heap[i]
    while True:
        child = 2 * i + 1
        if child >= n:
            break
        if child + 1 < n and before(x, heap[child + 1], heap[child]) == likeliest:
            child += 1
        if before(x, heap[child], moving) != likeliest:
            break
        heap[i] = heap[child]
        i = child
    heap[i] = moving


@fn(unchecked=True)
def make_heap(heap: Ptr[i32], x: Ptr[f32], n: int, likeliest: Const[bool]) -> None:
    for k in range(n // 2):
        sift_down(heap, x, n // 2 - 1 - k, n, likeliest)


@fn(unchecked=True)
def take_likeliest(heap: Ptr[i32], x: Ptr[f32], left: int) -> int:
    """Move the root of a heap of `left` tokens behind the others, to left - 1."""
    best = heap[0]
    heap[0] = heap[left - 1]
    heap[left - 1] = best
    if left > 2:
        sift_down(heap, x, 0, left - 1, True)
    return int(best)


@fn(unchecked=True)
def keep_largest(x: Ptr[f32], order: Ptr[i32], n: int, count: int) -> None:
    """The `count` likeliest tokens of n, in no order. nan is never kept while anything else is there."""
    for i in range(count):
        order[i] = i32(i)
    make_heap(order, x, count, False)
    i = count
    while i < n:
        least = x[order[0]]
        if i + LANES <= n and least == least:
            if not any_lane(x.load(i, width=LANES) > least):
                i += LANES
                continue
        if x[i] > least or (least != least and x[i] == x[i]):
            order[0] = i32(i)
            sift_down(order, x, 0, count, False)
        i += 1


@fn(unchecked=True)
def candidates(x: Ptr[f32], order: Ptr[i32], n: int, top: f32, temperature: f32, least: float) -> int:
    """Tokens whose weight is at least `least`, ascending; their number."""
    count = 0
    bound = f32(least) * f32(0.999999)  # rounding must not lose any
    for i in range(0, n, LANES):
        end = min(i + LANES, n)
        if i + LANES <= n:
            if not any_lane(weight(x.load(i, width=LANES), top, temperature) >= bound):
                continue
        for j in range(i, end):
            if weight(x[j], top, temperature) >= bound:
                order[count] = i32(j)
                count += 1
    return count


# -- sampling ------------------------------------------------------------------------------------------


@fn(unchecked=True)
def sample_all(x: Ptr[f32], n: int, temperature: f32, r: float) -> int:
    """Sample from softmax(x / temperature): the first token at which the sum of weights passes r of the whole."""
    top = largest(x, n)
    total = 0.0
    for i in range(0, n, PIECE):
        total += sum_weights(x + i, min(PIECE, n - i), top, temperature)
    target = r * total
    running = 0.0
    for i in range(0, n, PIECE):
        piece = sum_weights(x + i, min(PIECE, n - i), top, temperature)
        if running + piece > target:
            for j in range(i, min(i + PIECE, n)):
                running += float(weight(x[j], top, temperature))
                if running > target:
                    return j
        else:
            running += piece
    return argmax(x, n)  # nan among the logits, or rounding at the very end


@fn(unchecked=True)
def sample_limited(
    x: Ptr[f32], order: Ptr[i32], n: int, temperature: f32, top_k: int, top_p: float, r: float
) -> int:
    """Sample from softmax(x / temperature) limited to the top_k likeliest (0: all), then to the fewest whose
    probabilities, among these, reach top_p."""
    top = largest(x, n)
    count = top_k
    total = 0.0
    if 0 < top_k < n:
        keep_largest(x, order, n, top_k)
        for i in range(count):
            total += float(weight(x[order[i]], top, temperature))
    else:
        total = sum_weights(x, n, top, temperature)
        # lighter tokens are together too light to be reached
        count = candidates(x, order, n, top, temperature, (1.0 - top_p) * total / float(n))
    make_heap(order, x, count, True)
    mass = 0.0
    taken = 0
    while taken < count:
        token = take_likeliest(order, x, count - taken)
        mass += float(weight(x[token], top, temperature))
        taken += 1
        if mass >= top_p * total:
            break
    target = r * mass
    running = 0.0
    for i in range(taken):
        running += float(weight(x[order[count - 1 - i]], top, temperature))
        if running > target:
            return int(order[count - 1 - i])
    return argmax(x, n)


@fn(unchecked=True, inline=True)
def sample_rows(
    logits: Ptr[f32], order: Ptr[i32], parameters: Ptr[float], seeds: Ptr[u64], positions: Ptr[i64],
    tokens: Ptr[i64], logprobs: Ptr[float], rows: int, vocabulary: int,
) -> None:
    """One token for each row of logits [rows, vocabulary].

    parameters: [rows, 3] temperature (0: greedy), top_k (0 or less: all), top_p. order: scratch [rows, vocabulary].
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
            t = maximum(f32(temperature), f32(1e-30))
            top_k, top_p = int(parameters[3 * r + 1]), parameters[3 * r + 2]
            if top_p >= 1.0 and (top_k <= 0 or top_k >= vocabulary):
                token = sample_all(x, vocabulary, t, u)
            else:
                token = sample_limited(x, order + r * vocabulary, vocabulary, t, top_k, top_p, u)
        tokens[r] = token
        logprobs[r] = float(x[token]) - log_sum_exp(x, vocabulary)


@fn(unchecked=True, inline=True)
def top_logprobs(
    logits: Ptr[f32], order: Ptr[i32], tokens: Ptr[i32], logprobs: Ptr[float], vocabulary: int, count: int
) -> None:
    """The `count` likeliest tokens of a row and their log-probabilities, likeliest first. order: scratch
    [vocabulary]."""
    some = min(count, vocabulary)
    keep_largest(logits, order, vocabulary, some)
    make_heap(order, logits, some, True)
    norm = log_sum_exp(logits, vocabulary)
    for i in range(some):
        best = take_likeliest(order, logits, some - i)
        tokens[i] = i32(best)
        logprobs[i] = float(logits[best]) - norm
