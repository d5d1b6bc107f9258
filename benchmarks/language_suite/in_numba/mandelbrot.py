import numba
import numpy as np
from driver import report_bytes
from numba import njit, prange


@njit
def line(out, row):
    n = out.shape[1]
    for column in range(n):
        cx = -2.0 + 3.0 * column / n
        cy = -1.5 + 3.0 * row / n
        x = y = 0.0
        k = 0
        while k < 100 and x * x + y * y <= 4.0:
            x, y = x * x - y * y + cx, 2.0 * x * y + cy
            k += 1
        out[row, column] = k


@njit
def mandelbrot(out):
    for row in range(out.shape[0]):
        line(out, row)


@njit(parallel=True)
def mandelbrot_parallel(out):
    for row in prange(out.shape[0]):
        line(out, row)


def prepare(n, data):
    return np.zeros((n, n), np.uint8)


def run(out, threads):
    if threads > 1:
        numba.set_num_threads(threads)
        mandelbrot_parallel(out)
    else:
        mandelbrot(out)
    return out


def report(out):
    return report_bytes(out.tobytes())
