"""Choosing the next token from logits: argmax, temperature, min-p, top-k, top-p, logprobs.

Limits act one after the other on what the one before has left, in vLLM's order: temperature, min-p (relative to the
likeliest token), top-k, top-p (of what the others leave).

Random numbers come from a counter generator (kernels/philox.py) keyed by (seed, position), so that a request
gives the same tokens whatever else is in the batch, and can be resumed anywhere. Vectors have LANES lanes on
every target, so sums do not depend on it.

Floor: bytes of the vocabulary's logits / memory bandwidth for each pass: two for a greedy token, two for a
log-probability, three to sample.
"""

from __future__ import annotations

from typing import Any

from sapwood.kernels.adjustments import BOUNDS, PENALTIES, adjust_row
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
def sum_weights_from(x: Ptr[f32], n: int, top: f32, temperature: f32, least: f32) -> float:
    """sum_weights of those weights that are at least `least`."""
    acc = SIMD[f64, LANES](0.0)
    whole = n - n % LANES
    for i in range(0, whole, LANES):
        w = weight(x.load(i, width=LANES), top, temperature)
        acc = acc + select(w >= SIMD[f32, LANES](least), w, SIMD[f32, LANES](0.0)).cast(f64)
    total = acc.reduce_add()
    for i in range(whole, n):
        w = weight(x[i], top, temperature)
        if w >= least:
            total += float(w)
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
def candidates(x: Ptr[f32], order: Ptr[i32], n: int, top: f32, temperature: f32, least: f32) -> int:
    """Tokens whose weight is at least `least`, ascending; their number."""
    count = 0
    for i in range(0, n, LANES):
        end = min(i + LANES, n)
        if i + LANES <= n:
            if not any_lane(weight(x.load(i, width=LANES), top, temperature) >= least):
                continue
        for j in range(i, end):
            if weight(x[j], top, temperature) >= least:
                order[count] = i32(j)
                count += 1
    return count


@fn(unchecked=True)
def drop_light(x: Ptr[f32], order: Ptr[i32], count: int, top: f32, temperature: f32, least: f32) -> int:
    """Keep the tokens in `order` whose weight is at least `least`; their number."""
    kept = 0
    for i in range(count):
        token = order[i]
        if weight(x[token], top, temperature) >= least:
            order[kept] = token
            kept += 1
    return kept


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
def sample_heavy(x: Ptr[f32], n: int, temperature: f32, min_p: float, r: float) -> int:
    """sample_all of the tokens whose probability is at least min_p times the largest."""
    top = largest(x, n)
    least = f32(min_p)
    total = 0.0
    for i in range(0, n, PIECE):
        total += sum_weights_from(x + i, min(PIECE, n - i), top, temperature, least)
    target = r * total
    running = 0.0
    for i in range(0, n, PIECE):
        piece = sum_weights_from(x + i, min(PIECE, n - i), top, temperature, least)
        if running + piece > target:
            for j in range(i, min(i + PIECE, n)):
                w = weight(x[j], top, temperature)
                if w >= least:
                    running += float(w)
                    if running > target:
                        return j
        else:
            running += piece
    return argmax(x, n)  # infinite logits, or rounding at the very end


@fn(unchecked=True)
def sample_limited(
    x: Ptr[f32], order: Ptr[i32], n: int, temperature: f32, top_k: int, top_p: float, min_p: float, r: float
) -> int:
    """Sample from softmax(x / temperature) limited by min_p (0: not), then to the top_k likeliest (0: all), then to
    the fewest whose probabilities, among these, reach top_p."""
    top = largest(x, n)
    least = f32(min_p)
    count = top_k
    total = 0.0
    if 0 < top_k < n:
        keep_largest(x, order, n, top_k)
        if min_p > 0.0:
            count = drop_light(x, order, count, top, temperature, least)
        for i in range(count):
            total += float(weight(x[order[i]], top, temperature))
    else:
        if min_p > 0.0:
            total = sum_weights_from(x, n, top, temperature, least)
        else:
            total = sum_weights(x, n, top, temperature)
        # lighter tokens are together too light to be reached; rounding must not lose any
        bound = f32((1.0 - top_p) * total / float(n)) * f32(0.999999)
        if min_p > 0.0:
            bound = maximum(bound, least)
        count = candidates(x, order, n, top, temperature, bound)
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
    logits: Ptr[f32], order: Ptr[i32], adjusted: Ptr[f32], parameters: Ptr[float], seeds: Ptr[u64],
    positions: Ptr[i64], bounds: Ptr[i64], ids: Ptr[i32], biases: Ptr[float], penalties: Ptr[float],
    tokens: Ptr[i64], rows: int, vocabulary: int, slots: int,
) -> None:  # fmt: skip
    """One token for each row of logits [rows, vocabulary].

    parameters: [rows, 4] temperature (0: greedy), top_k (0 or less: all), top_p, min_p (0: all).
    order, adjusted: scratch [slots, vocabulary]; at most `slots` rows are worked on at once.
    bounds [rows, BOUNDS], ids, biases, penalties [rows, PENALTIES]: see adjust_row. A row with no ids is sampled as
    it is, and so is one of which the adjustments would leave nothing.
    """
    for slot in parallel(min(rows, slots)):
        for r in range(slot, rows, slots):
            x = logits + r * vocabulary
            mine = order + slot * vocabulary
            own = bounds + r * BOUNDS
            if own[0] < own[4]:
                copy = adjusted + slot * vocabulary
                if adjust_row(x, copy, mine, own, ids, biases, penalties + r * PENALTIES, vocabulary):
                    x = copy
            tokens[r] = choose(x, mine, parameters + 4 * r, seeds[r], positions[r], vocabulary)


@fn(unchecked=True)
def choose(
    x: Ptr[f32], order: Ptr[i32], parameters: Ptr[float], seed: u64, position: i64, vocabulary: int
) -> int:
    """The token of one row; see sample_rows."""
    temperature = parameters[0]
    if temperature <= 0.0:
        return argmax(x, vocabulary)
    u = uniform(seed, u64(position))
    t = maximum(f32(temperature), f32(1e-30))
    top_k, top_p, min_p = int(parameters[1]), parameters[2], parameters[3]
    if top_p >= 1.0 and (top_k <= 0 or top_k >= vocabulary):
        if min_p > 0.0:
            return sample_heavy(x, vocabulary, t, min_p, u)
        return sample_all(x, vocabulary, t, u)
    return sample_limited(x, order, vocabulary, t, top_k, top_p, min_p, u)


# -- log-probabilities ---------------------------------------------------------------------------------


@fn(unchecked=True)
def top_logprobs(
    x: Ptr[f32], norm: float, tokens: Ptr[i32], logprobs: Ptr[float], vocabulary: int, count: int
) -> None:
    """The `count` (at most `vocabulary`) likeliest tokens of a row and their log-probabilities, likeliest first.

    norm: log_sum_exp of the row.
    """
    keep_largest(x, tokens, vocabulary, count)
    make_heap(tokens, x, count, True)
    for i in range(count):
        take_likeliest(tokens, x, count - i)  # which leaves them in ascending order
    for i in range(count // 2):
        a = tokens[i]
        tokens[i] = tokens[count - 1 - i]
        tokens[count - 1 - i] = a
    for i in range(count):
        logprobs[i] = float(x[tokens[i]]) - norm


@fn(unchecked=True, inline=True)
def report_rows(
    logits: Ptr[f32], rows: Ptr[i32], targets: Ptr[i64], counts: Ptr[i32], logprobs: Ptr[float],
    top_tokens: Ptr[i32], top: Ptr[float], reports: int, width: int, vocabulary: int,
) -> None:  # fmt: skip
    """Log-probabilities under softmax(logits), before temperature, adjustments and limits.

    Report i is about row rows[i] of logits [any, vocabulary]: logprobs[i] of token targets[i], and the counts[i] (at
    most width and vocabulary) likeliest tokens, likeliest first, in top_tokens and top [reports, width].
    """
    for i in parallel(reports):
        x = logits + int(rows[i]) * vocabulary
        norm = log_sum_exp(x, vocabulary)
        logprobs[i] = float(x[targets[i]]) - norm
        if counts[i] > 0:
            top_logprobs(x, norm, top_tokens + i * width, top + i * width, vocabulary, int(counts[i]))
