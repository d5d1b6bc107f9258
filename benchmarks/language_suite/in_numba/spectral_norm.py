import math

import numba
import numpy as np
from numba import njit, prange


@njit
def entry(i, j):
    return 1.0 / ((i + j) * (i + j + 1) // 2 + i + 1)


@njit
def row(x, i):
    total = 0.0
    for j in range(len(x)):
        total += entry(i, j) * x[j]
    return total


@njit
def column(x, i):
    total = 0.0
    for j in range(len(x)):
        total += entry(j, i) * x[j]
    return total


@njit
def multiply(x, out):
    for i in range(len(x)):
        out[i] = row(x, i)


@njit
def multiply_transposed(x, out):
    for i in range(len(x)):
        out[i] = column(x, i)


@njit(parallel=True)
def multiply_parallel(x, out):
    for i in prange(len(x)):
        out[i] = row(x, i)


@njit(parallel=True)
def multiply_transposed_parallel(x, out):
    for i in prange(len(x)):
        out[i] = column(x, i)


@njit
def norm(u, v):
    uv = vv = 0.0
    for i in range(len(u)):
        uv += u[i] * v[i]
        vv += v[i] * v[i]
    return math.sqrt(uv / vv)


def prepare(n, data):
    return n


def run(n, threads):
    forward, back = multiply, multiply_transposed
    if threads > 1:
        numba.set_num_threads(threads)
        forward, back = multiply_parallel, multiply_transposed_parallel
    u, v, t = np.ones(n), np.zeros(n), np.zeros(n)
    for _ in range(10):
        forward(u, t)
        back(t, v)
        forward(v, t)
        back(t, u)
    return norm(u, v)


report = repr
