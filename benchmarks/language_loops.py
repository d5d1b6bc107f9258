"""Loops that benchmarks/language.py compares: each in C, and in the language with and without checks."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sapwood import Tensor, f32, fn, u8
from sapwood.lang.ops.arith import sqrt

C_TEXT = """
#include <math.h>
#include <stdint.h>
typedef int64_t i64;

i64 mandelbrot(i64 *out, i64 h, i64 w, i64 limit) {
  for (i64 r = 0; r < h; r++)
    for (i64 c = 0; c < w; c++) {
      double x = -2.0 + 3.0 * c / w, y = -1.5 + 3.0 * r / h, a = 0, b = 0;
      i64 n = 0;
      while (n < limit && a * a + b * b <= 4.0) {
        double t = a * a - b * b + x;
        b = 2 * a * b + y;
        a = t;
        n++;
      }
      out[r * w + c] = n;
    }
  return out[h * w / 2];
}

float dot(const float *x, const float *y, i64 n) {
  float s = 0;
  for (i64 i = 0; i < n; i++) s += x[i] * y[i];
  return s;
}

void matmul(const double *a, const double *b, double *c, i64 n) {
  for (i64 i = 0; i < n; i++) {
    for (i64 j = 0; j < n; j++) c[i * n + j] = 0;
    for (i64 k = 0; k < n; k++) {
      double v = a[i * n + k];
      for (i64 j = 0; j < n; j++) c[i * n + j] += v * b[k * n + j];
    }
  }
}

void saxpy(const float *x, float *y, float a, i64 n) {
  for (i64 i = 0; i < n; i++) y[i] = a * x[i] + y[i];
}

i64 sieve(uint8_t *f, i64 n) {
  for (i64 i = 0; i < n; i++) f[i] = 1;
  for (i64 i = 2; i * i < n; i++)
    if (f[i])
      for (i64 j = i * i; j < n; j += i) f[j] = 0;
  i64 count = 0;
  for (i64 i = 2; i < n; i++) count += f[i];
  return count;
}

void nbody(double *p, double *v, const double *m, i64 n, i64 steps, double dt) {
  for (i64 s = 0; s < steps; s++) {
    for (i64 i = 0; i < n; i++)
      for (i64 j = i + 1; j < n; j++) {
        double dx = p[3 * i] - p[3 * j], dy = p[3 * i + 1] - p[3 * j + 1], dz = p[3 * i + 2] - p[3 * j + 2];
        double d = dx * dx + dy * dy + dz * dz, mag = dt / (d * sqrt(d));
        v[3 * i] -= dx * m[j] * mag; v[3 * i + 1] -= dy * m[j] * mag; v[3 * i + 2] -= dz * m[j] * mag;
        v[3 * j] += dx * m[i] * mag; v[3 * j + 1] += dy * m[i] * mag; v[3 * j + 2] += dz * m[i] * mag;
      }
    for (i64 i = 0; i < 3 * n; i++) p[i] += dt * v[i];
  }
}

i64 fib(i64 n) { return n < 2 ? n : fib(n - 1) + fib(n - 2); }

i64 collatz(i64 n) {
  i64 best = 0;
  for (i64 i = 1; i < n; i++) {
    i64 x = i, steps = 0;
    while (x != 1) { x = x % 2 == 0 ? x / 2 : 3 * x + 1; steps++; }
    if (steps > best) best = steps;
  }
  return best;
}
"""

# No contraction: the language fuses a product and a sum only where `fma` is written, and results are compared.
FLAGS = ["-O3", "-march=native", "-ffp-contract=off", "-fno-math-errno", "-shared", "-fPIC"]


def build(directory: str) -> Any:
    """The C loops as a loaded library; None without gcc."""
    gcc = shutil.which("gcc")
    if gcc is None:
        return None
    source, library = Path(directory, "loops.c"), Path(directory, "loops.so")
    source.write_text(C_TEXT)
    subprocess.run([gcc, *FLAGS, str(source), "-o", str(library), "-lm"], check=True)
    return ctypes.CDLL(str(library))


# -- the same in the language -----------------------------------------------------------------------------


def mandelbrot(out: Tensor[int, 2], limit: int) -> int:
    h, w = out.shape
    for r in range(h):
        for c in range(w):
            x, y = -2.0 + 3.0 * c / w, -1.5 + 3.0 * r / h
            a, b, n = 0.0, 0.0, 0
            while n < limit and a * a + b * b <= 4.0:
                a, b, n = a * a - b * b + x, 2 * a * b + y, n + 1
            out[r, c] = n
    return out[h // 2, 0]


def dot(x: Tensor[f32, 1], y: Tensor[f32, 1]) -> f32:
    s = f32(0)
    for i in range(x.shape[0]):
        s += x[i] * y[i]
    return s


def matmul(a: Tensor[float, 2], b: Tensor[float, 2], c: Tensor[float, 2]) -> None:
    n = a.shape[0]
    for i in range(n):
        for j in range(n):
            c[i, j] = 0.0
        for k in range(n):
            v = a[i, k]
            for j in range(n):
                c[i, j] += v * b[k, j]


def saxpy(x: Tensor[f32, 1], y: Tensor[f32, 1], a: f32) -> None:
    for i in range(x.shape[0]):
        y[i] = a * x[i] + y[i]


def sieve(flags: Tensor[u8, 1]) -> int:
    n = flags.shape[0]
    for i in range(n):
        flags[i] = 1
    i = 2
    while i * i < n:
        if flags[i] != 0:
            for j in range(i * i, n, i):
                flags[j] = 0
        i += 1
    count = 0
    for i in range(2, n):
        count += int(flags[i])
    return count


def nbody(p: Tensor[float, 2], v: Tensor[float, 2], m: Tensor[float, 1], steps: int, dt: float) -> None:
    n = p.shape[0]
    for _ in range(steps):
        for i in range(n):
            for j in range(i + 1, n):
                dx, dy, dz = p[i, 0] - p[j, 0], p[i, 1] - p[j, 1], p[i, 2] - p[j, 2]
                d = dx * dx + dy * dy + dz * dz
                mag = dt / (d * sqrt(d))
                v[i, 0] -= dx * m[j] * mag
                v[i, 1] -= dy * m[j] * mag
                v[i, 2] -= dz * m[j] * mag
                v[j, 0] += dx * m[i] * mag
                v[j, 1] += dy * m[i] * mag
                v[j, 2] += dz * m[i] * mag
        for i in range(n):
            for k in range(3):
                p[i, k] += dt * v[i, k]


@fn
def fib(n: int) -> int:
    if n < 2:
        return n
    return fib(n - 1) + fib(n - 2)


def collatz(n: int) -> int:
    best = 0
    for i in range(1, n):
        x, steps = i, 0
        while x != 1:
            x = x // 2 if x % 2 == 0 else 3 * x + 1
            steps += 1
        if steps > best:
            best = steps
    return best


@dataclass
class Case:
    """One loop; each runner returns what the C one does, for comparison."""

    name: str
    c: Callable[[], Any]
    unchecked: Callable[[], Any]
    checked: Callable[[], Any]

    @staticmethod
    def same(*results: Any) -> bool:
        return all(np.array_equal(results[0], r) for r in results[1:])


def _pair(python: Callable[..., Any]) -> tuple[Any, Any]:
    return fn(unchecked=True)(python), fn(python)


def _both(name: str, python: Callable[..., Any], c: Callable[[], Any], run: Callable[[Any], Any]) -> Case:
    fast, safe = _pair(python)
    return Case(name, c, lambda: run(fast), lambda: run(safe))


def cases(library: Any) -> Iterator[Case]:
    """Every loop with its data."""
    i64, f64, single = ctypes.c_int64, ctypes.c_double, ctypes.c_float
    rng = np.random.default_rng(1)

    def at(x: np.ndarray) -> ctypes.c_void_p:
        return ctypes.c_void_p(x.ctypes.data)

    for name in ("mandelbrot", "sieve", "fib", "collatz"):
        getattr(library, name).restype = i64
    library.dot.restype = single

    image = np.zeros((120, 160), np.int64)

    def c_mandelbrot() -> Any:
        library.mandelbrot(at(image), i64(120), i64(160), i64(200))
        return image.copy()

    def run_mandelbrot(f: Any) -> Any:
        f(image, 200)
        return image.copy()

    yield _both("mandelbrot", mandelbrot, c_mandelbrot, run_mandelbrot)

    x, y = rng.standard_normal(1 << 16).astype(np.float32), rng.standard_normal(1 << 16).astype(np.float32)
    yield _both("dot", dot, lambda: library.dot(at(x), at(y), i64(x.size)), lambda f: f(x, y))

    z = np.zeros_like(y)

    def c_saxpy() -> Any:
        z[:] = y
        for _ in range(20):
            library.saxpy(at(x), at(z), single(0.5), i64(x.size))
        return z.copy()

    def run_saxpy(f: Any) -> Any:
        z[:] = y
        for _ in range(20):
            f(x, z, 0.5)
        return z.copy()

    yield _both("saxpy", saxpy, c_saxpy, run_saxpy)

    a, b, c = (rng.standard_normal((160, 160)) for _ in range(3))

    def c_matmul() -> Any:
        library.matmul(at(a), at(b), at(c), i64(160))
        return c.copy()

    def run_matmul(f: Any) -> Any:
        f(a, b, c)
        return c.copy()

    yield _both("matmul", matmul, c_matmul, run_matmul)

    flags = np.zeros(1 << 20, np.uint8)
    yield _both("sieve", sieve, lambda: library.sieve(at(flags), i64(flags.size)), lambda f: f(flags))

    position, speed, mass = rng.standard_normal((5, 3)), rng.standard_normal((5, 3)), rng.random(5)

    def c_nbody() -> Any:
        p, v = position.copy(), speed.copy()
        library.nbody(at(p), at(v), at(mass), i64(5), i64(20000), f64(0.001))
        return p

    def run_nbody(f: Any) -> Any:
        p, v = position.copy(), speed.copy()
        f(p, v, mass, 20000, 0.001)
        return p

    yield _both("nbody", nbody, c_nbody, run_nbody)
    yield Case("fib", lambda: library.fib(i64(30)), lambda: fib(30), lambda: fib(30))
    yield _both("collatz", collatz, lambda: library.collatz(i64(100000)), lambda f: f(100000))
