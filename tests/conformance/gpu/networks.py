"""Parts of neural networks: softmax, norms, rotary positions, attention, losses."""

from __future__ import annotations

import numpy as np
from gpu_conformance import NDArray, Results, cdiv, normal, poison, program, wide

from sapwood import Const, StackArray, Tensor, bf16, f32, i32, i64, kernel, u32
from sapwood.gpu import atomic_add, barrier, block, block_dim, block_idx, lane_id, shared, thread_idx, warp
from sapwood.lang.library import math


def softmax_of(x: NDArray) -> NDArray:
    e = np.exp(wide(x) - wide(x).max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


@kernel
def warp_softmax_kernel(out: Tensor[f32, 2], x: Tensor[f32, 2]) -> None:
    """A warp a row, three passes over it."""
    row = block_idx.x * (block_dim.x // 32) + thread_idx.x // 32
    if row >= x.shape[0]:
        return
    n = x.shape[1]
    high = f32(-3.0e38)
    for j in range(lane_id(), n, 32):
        high = max(high, x[row, j])
    high = warp.reduce_max(high)
    total = f32(0)
    for j in range(lane_id(), n, 32):
        total += math.exp(x[row, j] - high)
    total = warp.reduce_add(total)
    for j in range(lane_id(), n, 32):
        out[row, j] = math.exp(x[row, j] - high) / total


@program(1, 31, 33, 700)
def softmax_by_warps(run, rng, n) -> Results:
    x, out = normal(rng, 7, n) * 5, poison(7, n)
    run(warp_softmax_kernel, cdiv(7, 4), 128, out, x)
    yield out, softmax_of(x)


@kernel
def online_softmax_kernel(out: Tensor[f32, 2], x: Tensor[f32, 2]) -> None:
    """A block a row; the maximum and the sum in one pass, merged over the threads in shared memory."""
    highs, sums = shared(f32, 128), shared(f32, 128)
    row, t, n = block_idx.x, thread_idx.x, x.shape[1]
    high, total = f32(-3.0e38), f32(0)
    for j in range(t, n, 128):
        v = x[row, j]
        if v > high:
            total = total * math.exp(high - v) + 1.0
            high = v
        else:
            total += math.exp(v - high)
    highs[t] = high
    sums[t] = total
    barrier()
    step = 64
    while step > 0:
        if t < step:
            a, b = highs[t], highs[t + step]
            top = max(a, b)
            sums[t] = sums[t] * math.exp(a - top) + sums[t + step] * math.exp(b - top)
            highs[t] = top
        barrier()
        step //= 2
    for j in range(t, n, 128):
        out[row, j] = math.exp(x[row, j] - highs[0]) / sums[0]


@program(1, 100, 129, 2000)
def softmax_in_one_pass(run, rng, n) -> Results:
    x, out = normal(rng, 5, n) * 5, poison(5, n)
    run(online_softmax_kernel, 5, 128, out, x)
    yield out, softmax_of(x)


@kernel
def layer_norm_kernel(out: Tensor[f32, 2], x: Tensor[f32, 2], gain: Tensor[f32, 1], bias: Tensor[f32, 1]) -> None:
    row, n = block_idx.x, x.shape[1]
    total = f32(0)
    for j in range(thread_idx.x, n, block_dim.x):
        total += x[row, j]
    mean = block.reduce_add(total) / f32(n)
    squares = f32(0)
    for j in range(thread_idx.x, n, block_dim.x):
        d = x[row, j] - mean
        squares += d * d
    scale = math.rsqrt(block.reduce_add(squares) / f32(n) + 1e-5)
    for j in range(thread_idx.x, n, block_dim.x):
        out[row, j] = (x[row, j] - mean) * scale * gain[j] + bias[j]


@program(1, 96, 100, 768)
def layer_norm(run, rng, n) -> Results:
    x, gain, bias, out = normal(rng, 5, n) + 2, normal(rng, n), normal(rng, n), poison(5, n)
    run(layer_norm_kernel, 5, 96, out, x, gain, bias)
    w = wide(x)
    yield out, (w - w.mean(1, keepdims=True)) / np.sqrt(w.var(1, keepdims=True) + 1e-5) * wide(gain) + wide(bias)


@kernel
def rms_norm_kernel(x: Tensor[f32, 2], residual: Tensor[f32, 2], gain: Tensor[f32, 1]) -> None:
    """x += residual, and the norm of that, in place."""
    row, n = block_idx.x, x.shape[1]
    squares = f32(0)
    for j in range(thread_idx.x, n, block_dim.x):
        v = x[row, j] + residual[row, j]
        residual[row, j] = v
        squares += v * v
    scale = math.rsqrt(block.reduce_add(squares) / f32(n) + 1e-6)
    for j in range(thread_idx.x, n, block_dim.x):
        x[row, j] = residual[row, j] * scale * gain[j]


@program(1, 64, 333)
def rms_norm(run, rng, n) -> Results:
    x, residual, gain = normal(rng, 4, n), normal(rng, 4, n), normal(rng, n)
    total = wide(x) + wide(residual)
    run(rms_norm_kernel, 4, 64, x, residual, gain)
    yield residual, total
    yield x, total / np.sqrt((total**2).mean(1, keepdims=True) + 1e-6) * wide(gain)


@kernel
def rotary_kernel(x: Tensor[f32, 3], position: Tensor[i32, 1]) -> None:
    """(token, head, size): halves rotate by position * 10000 ** (-2 i / size)."""
    token, head, i = block_idx.x, block_idx.y, thread_idx.x
    half = x.shape[2] // 2
    if i < half:
        angle = f32(position[token]) * math.exp(-9.210340372 * f32(i) / f32(half))
        c, s = math.cos(angle), math.sin(angle)
        a, b = x[token, head, i], x[token, head, half + i]
        x[token, head, i] = a * c - b * s
        x[token, head, half + i] = a * s + b * c


@program(1, 20, rtol=2e-5)
def rotary(run, rng, n) -> Results:
    x, position = normal(rng, n, 3, 32), rng.integers(0, 50, n, np.int32)
    a, b = wide(x[..., :16]), wide(x[..., 16:])
    angle = position[:, None, None] * 10000.0 ** (-np.arange(16) / 16)
    run(rotary_kernel, (n, 3), 16, x, position)
    yield x, np.concatenate((a * np.cos(angle) - b * np.sin(angle), a * np.sin(angle) + b * np.cos(angle)), -1)


def attention_of(q: NDArray, k: NDArray, v: NDArray, causal: bool) -> NDArray:
    scores = np.einsum("hqd,hkd->hqk", wide(q), wide(k)) / q.shape[-1] ** 0.5
    if causal:
        rows, cols = np.indices(scores.shape[1:])
        scores = np.where(cols <= rows + scores.shape[2] - scores.shape[1], scores, -np.inf)
    return np.einsum("hqk,hkd->hqd", softmax_of(scores), wide(v))


@kernel
def decode_kernel(
    out: Tensor[f32, 2], q: Tensor[f32, 2], k: Tensor[f32, 3], v: Tensor[f32, 3], size: Const[int]
) -> None:
    """Attention of one row a head: scores by warps, softmax by the block, then the sum of values."""
    scores = shared(f32, 512)
    h, t, n = block_idx.x, thread_idx.x, k.shape[1]
    for j in range(t // 32, n, block_dim.x // 32):
        total = f32(0)
        for d in range(lane_id(), size, 32):
            total += q[h, d] * k[h, j, d]
        total = warp.reduce_add(total)
        if lane_id() == 0:
            scores[j] = total * math.rsqrt(f32(size))
    barrier()
    high = f32(-3.0e38)
    for j in range(n):
        high = max(high, scores[j])
    total = f32(0)
    for j in range(t, n, block_dim.x):
        total += math.exp(scores[j] - high)
    total = block.reduce_add(total)
    for d in range(t, size, block_dim.x):
        value = f32(0)
        for j in range(n):
            value += math.exp(scores[j] - high) * v[h, j, d]
        out[h, d] = value / total


@program(1, 65, 500)
def attention_of_one_row(run, rng, n) -> Results:
    q, k, v, out = normal(rng, 3, 64), normal(rng, 3, n, 64), normal(rng, 3, n, 64), poison(3, 64)
    run(decode_kernel, 3, 128, out, q, k, v, 64)
    yield out, attention_of(q[:, None], k, v, False)[:, 0]


@kernel
def flash_kernel(
    out: Tensor[f32, 3], q: Tensor[f32, 3], k: Tensor[f32, 3], v: Tensor[f32, 3], size: Const[int], causal: Const[bool]
) -> None:
    """Tiles of 32 keys in shared memory; a thread has a row: its maximum, sum and values stay in registers."""
    tk, tv = shared(f32, (32, size)), shared(f32, (32, size))
    row, sums = StackArray[f32, size](), StackArray[f32, size]()
    h, t = block_idx.y, thread_idx.x
    i, rows, keys = block_idx.x * 32 + t, q.shape[1], k.shape[1]
    for d in range(size):
        row[d] = q[h, i, d] * math.rsqrt(f32(size)) if i < rows else f32(0)
        sums[d] = f32(0)
    high, total = f32(-3.0e38), f32(0)
    for first in range(0, keys, 32):
        for e in range(t, 32 * size, 32):
            j, d = first + e // size, e % size
            tk[e // size, d] = k[h, j, d] if j < keys else f32(0)
            tv[e // size, d] = v[h, j, d] if j < keys else f32(0)
        barrier()
        for j in range(min(32, keys - first)):
            if not causal or first + j <= i + keys - rows:
                score = f32(0)
                for d in range(size):
                    score += row[d] * tk[j, d]
                top = max(high, score)
                old, new = math.exp(high - top), math.exp(score - top)
                total = total * old + new
                for d in range(size):
                    sums[d] = sums[d] * old + new * tv[j, d]
                high = top
        barrier()
    if i < rows:
        for d in range(size):
            out[h, i, d] = sums[d] / total


@program(1, 32, 70)
def attention_by_tiles(run, rng, n) -> Results:
    for causal in (False, True):
        q, k, v, out = normal(rng, 2, n, 16), normal(rng, 2, n + 5, 16), normal(rng, 2, n + 5, 16), poison(2, n, 16)
        run(flash_kernel, (cdiv(n, 32), 2), 32, out, q, k, v, 16, causal)
        yield out, attention_of(q, k, v, causal)


@kernel
def loss_kernel(out: Tensor[f32, 1], logits: Tensor[f32, 2], label: Tensor[i64, 1]) -> None:
    """Mean cross entropy; a warp a row."""
    row = block_idx.x * (block_dim.x // 32) + thread_idx.x // 32
    rows, n = logits.shape
    if row < rows:
        high = f32(-3.0e38)
        for j in range(lane_id(), n, 32):
            high = max(high, logits[row, j])
        high = warp.reduce_max(high)
        total = f32(0)
        for j in range(lane_id(), n, 32):
            total += math.exp(logits[row, j] - high)
        total = warp.reduce_add(total)
        if lane_id() == 0:
            atomic_add(out.ptr, (high + math.log(total) - logits[row, label[row]]) / f32(rows))


@program(1, 33, 200)
def cross_entropy(run, rng, n) -> Results:
    logits, label, out = normal(rng, n, 41) * 3, rng.integers(0, 41, n), np.zeros(1, np.float32)
    run(loss_kernel, cdiv(n, 4), 128, out, logits, label)
    yield out, -np.log(softmax_of(logits)[np.arange(n), label]).mean(keepdims=True)


@kernel
def dropout_kernel(out: Tensor[f32, 1], x: Tensor[f32, 1], seed: u32, keep: f32) -> None:
    """Draws from a counter hash, so that the backward pass can draw the same."""
    i = block_idx.x * block_dim.x + thread_idx.x
    if i < x.size:
        h = u32(i) * u32(0x9E3779B9) ^ seed
        h = (h ^ (h >> 16)) * u32(0x85EBCA6B)
        h = (h ^ (h >> 13)) * u32(0xC2B2AE35)
        drawn = f32((h ^ (h >> 16)) >> 8) * 5.9604644775390625e-08
        out[i] = x[i] / keep if drawn < keep else f32(0)


@program(1, 1000)
def dropout(run, rng, n) -> Results:
    x, out = normal(rng, n), poison(n)
    run(dropout_kernel, cdiv(n, 128), 128, out, x, 7, 0.75)
    h = np.arange(n, dtype=np.uint32) * np.uint32(0x9E3779B9) ^ np.uint32(7)
    h = (h ^ (h >> 16)) * np.uint32(0x85EBCA6B)
    h = (h ^ (h >> 13)) * np.uint32(0xC2B2AE35)
    yield out, np.where(((h ^ (h >> 16)) >> 8) * 2.0**-24 < 0.75, wide(x) / 0.75, 0)


@kernel
def bias_gelu_kernel(out: Tensor[bf16, 2], x: Tensor[bf16, 2], bias: Tensor[f32, 1]) -> None:
    """bf16 in and out, f32 between."""
    i = block_idx.y
    j = block_idx.x * block_dim.x + thread_idx.x
    if j < x.shape[1]:
        v = f32(x[i, j]) + bias[j]
        out[i, j] = bf16(0.5 * v * (1.0 + math.erf(v * 0.70710678)))


@program(1, 200, rtol=8e-3)
def bias_and_gelu(run, rng, n) -> Results:
    from math import erf

    from sapwood import Array

    bias, x, out = normal(rng, n), Array.empty((3, n), bf16), Array.zeros((3, n), bf16)
    x.numpy(bits=True)[:] = normal(rng, 3, n).view(np.uint32) >> 16
    run(bias_gelu_kernel, (cdiv(n, 64), 3), 64, out, x, bias)
    given, got = ((a.numpy(bits=True).astype(np.uint32) << 16).view(np.float32) for a in (x, out))
    v = wide(given) + wide(bias)
    yield got, 0.5 * v * (1 + np.vectorize(erf)(v / 2**0.5))
