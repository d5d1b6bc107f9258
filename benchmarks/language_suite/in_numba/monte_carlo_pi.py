import numba
from numba import njit, prange


@njit
def hits(seed, draws):
    found = 0
    for _ in range(draws):
        seed = (seed * 1103515245 + 12345) & 0x7FFFFFFF
        x = seed / 2147483648.0
        seed = (seed * 1103515245 + 12345) & 0x7FFFFFFF
        y = seed / 2147483648.0
        if x * x + y * y <= 1.0:
            found += 1
    return found


@njit
def pi(n):
    inside = 0
    for chunk in range(64):
        inside += hits(chunk * 7919 + 1, n // 64)
    return 4.0 * inside / (n // 64 * 64)


@njit(parallel=True)
def pi_parallel(n):
    inside = 0
    for chunk in prange(64):
        inside += hits(chunk * 7919 + 1, n // 64)
    return 4.0 * inside / (n // 64 * 64)


def prepare(n, data):
    return n


def run(n, threads):
    if threads > 1:
        numba.set_num_threads(threads)
        return pi_parallel(n)
    return pi(n)


report = repr
