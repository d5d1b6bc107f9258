"""Changes to a row of logits before a token is chosen: penalties, biases, banned tokens.

Floor: bytes of the row read and written / memory bandwidth, and one access for each token of the history. Rows
without changes are not copied.
"""

from __future__ import annotations

from sapwood.lang.api.annotations import SIMD, Ptr
from sapwood.lang.api.dtypes import f32, i32, i64
from sapwood.lang.function import fn
from sapwood.lang.ops.simd import any_lane

LANES = 16
LOWEST = float("-inf")
BOUNDS = 6  # numbers in `bounds` for a row
PENALTIES = 3  # numbers in `penalties` for a row
DONE = -1  # a token whose penalties were applied


@fn(unchecked=True)
def adjust_row(
    x: Ptr[f32], out: Ptr[f32], counts: Ptr[i32], bounds: Ptr[i64], ids: Ptr[i32], biases: Ptr[float],
    penalties: Ptr[float], n: int,
) -> bool:
    """Write the adjusted row x [n] to `out` [n]; False if that leaves no token at all, all being -inf or nan.

    bounds: five places in `ids` and one in `biases`. ids[bounds[0]:bounds[1]] are the tokens of the prompt,
    [bounds[1]:bounds[2]] those of the output, [bounds[2]:bounds[3]] the ids that biases[bounds[5]:] are added to,
    [bounds[3]:bounds[4]] the banned ones; all in [0, n), any of them any number of times.
    penalties: repetition (Keskar et al., CTRL, 2019), presence, frequency (OpenAI). Each is applied to a logit in
    f64, which is rounded once after all three. counts: scratch [n].
    """
    whole = n - n % LANES
    for i in range(0, whole, LANES):
        out.store(i, x.load(i, width=LANES))
    for i in range(whole, n):
        out[i] = x[i]
    penalise(out, counts, ids, bounds[0], bounds[1], bounds[2], penalties)
    for i in range(bounds[2], bounds[3]):
        token = int(ids[i])
        out[token] = f32(float(out[token]) + biases[bounds[5] + i - bounds[2]])
    for i in range(bounds[3], bounds[4]):
        out[int(ids[i])] = f32(LOWEST)
    return has_any(out, n)


@fn(unchecked=True)
def penalise(
    out: Ptr[f32], counts: Ptr[i32], ids: Ptr[i32], prompt: int, output: int, end: int, penalties: Ptr[float]
) -> None:
    """Penalties for ids[prompt:output] and, with presence and frequency too, ids[output:end]."""
    repetition, presence, frequency = penalties[0], penalties[1], penalties[2]
    for i in range(prompt, end):
        counts[int(ids[i])] = i32(0)
    for i in range(output, end):
        counts[int(ids[i])] += i32(1)
    for i in range(prompt, end):
        token = int(ids[i])
        count = int(counts[token])
        if count == DONE:
            continue
        counts[token] = i32(DONE)
        v = float(out[token])
        if v > 0.0:
            v = v / repetition
        else:
            v = v * repetition
        if count > 0:
            v = v - frequency * float(count) - presence
        out[token] = f32(v)


@fn(unchecked=True)
def has_any(x: Ptr[f32], n: int) -> bool:
    """Whether anything in x is above -inf."""
    whole = n - n % LANES
    for i in range(0, whole, LANES):
        if any_lane(x.load(i, width=LANES) > SIMD[f32, LANES](LOWEST)):
            return True
    for i in range(whole, n):
        if x[i] > f32(LOWEST):
            return True
    return False
