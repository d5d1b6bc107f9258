import math

import numpy as np

from sapwood import Tensor, fn, parallel, set_num_threads


@fn
def entry(i: int, j: int) -> float:
    return 1.0 / ((i + j) * (i + j + 1) // 2 + i + 1)


@fn
def multiply(x: Tensor[float, 1], out: Tensor[float, 1]) -> None:
    for i in parallel(len(x)):
        total = 0.0
        for j in range(len(x)):
            total += entry(i, j) * x[j]
        out[i] = total


@fn
def multiply_transposed(x: Tensor[float, 1], out: Tensor[float, 1]) -> None:
    for i in parallel(len(x)):
        total = 0.0
        for j in range(len(x)):
            total += entry(j, i) * x[j]
        out[i] = total


@fn
def norm(u: Tensor[float, 1], v: Tensor[float, 1]) -> float:
    uv = vv = 0.0
    for i in range(len(u)):
        uv += u[i] * v[i]
        vv += v[i] * v[i]
    return math.sqrt(uv / vv)


def prepare(n: int, data: bytes) -> int:
    return n


def run(n: int, threads: int) -> float:
    set_num_threads(threads)
    u, v, t = np.ones(n), np.zeros(n), np.zeros(n)
    for _ in range(10):
        multiply(u, t)
        multiply_transposed(t, v)
        multiply(v, t)
        multiply_transposed(t, u)
    return norm(u, v)


report = repr
