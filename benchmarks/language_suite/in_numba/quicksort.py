import numpy as np
from driver import report_bytes
from numba import njit


@njit
def sort(x, low, high):
    while low < high:
        pivot = x[(low + high) // 2]
        i, j = low, high
        while i <= j:
            while x[i] < pivot:
                i += 1
            while x[j] > pivot:
                j -= 1
            if i <= j:
                x[i], x[j] = x[j], x[i]
                i += 1
                j -= 1
        if j - low < high - i:
            sort(x, low, j)
            low = i
        else:
            sort(x, i, high)
            high = j


def prepare(n, data):
    values, seed = np.zeros(n, np.int64), 42
    for i in range(n):
        values[i] = seed = (seed * 1103515245 + 12345) & 0x7FFFFFFF
    return values


def run(values, threads):
    work = values.copy()
    sort(work, 0, len(work) - 1)
    return work


def report(work):
    return report_bytes(work.tobytes())
