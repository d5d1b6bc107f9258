import numpy as np
from driver import report_bytes

from sapwood import Tensor, fn, parallel, set_num_threads, u8


@fn
def mandelbrot(out: Tensor[u8, 2]) -> None:
    n = out.shape[0]
    for row in parallel(n):
        for column in range(n):
            cx = -2.0 + 3.0 * column / n
            cy = -1.5 + 3.0 * row / n
            x = y = 0.0
            k = 0
            while k < 100 and x * x + y * y <= 4.0:
                x, y = x * x - y * y + cx, 2.0 * x * y + cy
                k += 1
            out[row, column] = u8(k)


def prepare(n: int, data: bytes) -> np.ndarray:
    return np.zeros((n, n), np.uint8)


def run(out: np.ndarray, threads: int) -> np.ndarray:
    set_num_threads(threads)
    mandelbrot(out)
    return out


def report(out: np.ndarray) -> str:
    return report_bytes(out.tobytes())
