import numpy as np
from numba import njit


@njit
def sieve(n):
    prime = np.ones(n + 1, np.bool_)
    i = 2
    while i * i <= n:
        if prime[i]:
            for j in range(i * i, n + 1, i):
                prime[j] = False
        i += 1
    found = 0
    for i in range(2, n + 1):
        if prime[i]:
            found += 1
    return found


def prepare(n, data):
    return n


def run(n, threads):
    return sieve(n)


report = str
