import numpy as np
from numba import njit


@njit
def fannkuch(n):
    p = np.arange(n)
    q = np.zeros_like(p)
    count = np.zeros_like(p)
    checksum = most = 0
    r, sign = n, 1
    while True:
        while r > 1:
            count[r - 1] = r
            r -= 1
        if p[0] != 0:
            q[:] = p
            flips = 0
            while q[0] != 0:
                low, high = 0, q[0]
                while low < high:
                    q[low], q[high] = q[high], q[low]
                    low += 1
                    high -= 1
                flips += 1
            most = max(most, flips)
            checksum += sign * flips
        sign = -sign
        while True:
            if r == n:
                return checksum, most
            first = p[0]
            for i in range(r):
                p[i] = p[i + 1]
            p[r] = first
            count[r] -= 1
            if count[r] > 0:
                break
            r += 1


def prepare(n, data):
    return n


def run(n, threads):
    return fannkuch(n)


def report(result):
    return f"{result[0]} {result[1]}"
