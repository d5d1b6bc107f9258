"""Exceptions across functions, closures, units, parallel loops and without the GIL; their texts; what they own."""
# ruff: noqa: B904

from __future__ import annotations

import ctypes
import gc
import math

import numpy as np
from exceptions_kit import (
    KINDS,
    Log,
    Odd,
    fail,
    in_python,
    log,
    raised,
    without_notes,
)
from oracles import agree

from sapwood import Tensor, f64, fn, parallel

# -- functions ------------------------------------------------------------------------------------------


@fn
def depth(n: int, stop: int) -> int:
    """Each level handles what the one below raises, and raises something else."""
    try:
        if n == stop:
            raise Odd(n)
        return depth(n - 1, stop) + 1 if n > 0 else 10 // n
    except Odd:
        if n % 3 == 0:
            raise KeyError(n) from None
        return 100
    finally:
        if n == 7:
            raise ArithmeticError("seven")


@fn
def endless(n: int) -> int:
    return endless(n + 1) + 1


@fn
def too_deep(n: int) -> int:
    try:
        return endless(n)
    except RecursionError:
        return -n


@fn
def closures(n: int) -> int:
    def divide(a: int, b: int) -> int:
        try:
            if a == 5:
                raise Odd("five")
            return a // b
        except ZeroDivisionError:
            if n == 3:
                raise KeyError(a)
            return -1

    total = 0
    for i in range(8):
        x = 0
        try:
            x = 1
            y = divide(i, n - i)
            x = y + (lambda a: fail(a))(n if i == 2 else 0)
        except Odd:
            total += 1000 + x
        except KeyError:
            total += 10000 + x
            continue
        finally:
            total = total * 2 + x
        total += 3
    return total


@fn(unit=True)
def unit_of_its_own(kind: int) -> int:
    try:
        return fail(kind)
    except KeyError:
        return -2


@fn
def calls_a_unit(kind: int) -> int:
    try:
        return unit_of_its_own(kind) + 1
    except Odd:
        return -10
    except ValueError:
        raise


@fn
def never_raises(kind: int) -> int:
    try:
        return kind + 1
    except ValueError:
        return 0


@fn
def calls_what_never_raises(kind: int) -> int:
    x = 1
    try:
        x = never_raises(kind)
        x = never_raises(x)
    except ValueError:
        x = 100
    return x


def test_functions() -> None:
    for stop in range(9):
        agree(depth, 8, stop, plain=True)
        assert raised(depth, 8, stop) == raised(in_python(depth), 8, stop)
    for n in range(9):
        agree(closures, n, plain=True)
    for kind in KINDS:
        agree(calls_a_unit, kind, plain=True)
        agree(calls_what_never_raises, kind, plain=True)
    assert too_deep(5) == -5


# -- parallel and without the GIL -----------------------------------------------------------------------


@fn
def around_parallel(n: int, bad: int, out: Log) -> int:
    try:
        for i in parallel(n):
            if i >= bad:
                raise ValueError("index", i)
            out[i] = i + 1
    except ValueError as e:
        raise KeyError(bad) from e
    except ZeroDivisionError:
        return -1
    return n


@fn
def inside_parallel(n: int, out: Log) -> int:
    total = 0
    for i in parallel(n, add=total):
        x = 0
        try:
            x = 10 // (i % 3)
            if i % 5 == 0:
                raise KeyError(i)
            out[i] = x
        except ZeroDivisionError:
            out[i] = -1
            continue
        except LookupError:
            x = 1
            try:
                raise Odd(i)
            except ValueError:
                out[i] = -2
        finally:
            out[i] += 100
        total += x
    return total


@fn(nogil=True)
def without_gil(kind: int, n: int) -> int:
    total = 0
    for i in range(n):
        try:
            try:
                total += fail(kind)
            except KeyError:
                raise Odd(i)
        except ValueError:
            total += i
            if i == 50:
                raise
    return total


def test_parallel() -> None:
    for n, bad in ((1, 0), (50, 50), (50, 7), (400, 100), (400, 399), (400, 500)):
        out = np.zeros(max(n, 1), np.int64)
        expected = raised(in_python(around_parallel), n, bad, out.copy())
        assert raised(around_parallel, n, bad, out) == expected
        assert without_notes(raised(around_parallel.reference, n, bad, out)) == expected
        assert (out[:bad] == np.arange(1, len(out[:bad]) + 1)).all()
    for n in (0, 1, 20, 300):
        out, other = np.zeros(n + 1, np.int64), np.zeros(n + 1, np.int64)
        assert inside_parallel(n, out) == in_python(inside_parallel)(n, other)
        assert (out == other).all()


class _Mallinfo(ctypes.Structure):
    _names = ("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "used", "free", "keep")
    _fields_ = [(name, ctypes.c_size_t) for name in _names]


def heap_in_use() -> int:
    info = ctypes.CDLL(None).mallinfo2
    info.restype = _Mallinfo
    return info().used


@fn
def swallows(n: int) -> int:
    """Exceptions that were shared between handlers end where nobody sees them any more."""
    total = 0
    for i in range(n):
        try:
            try:
                fail(1 + i % 2)
            except ValueError as e:
                raise KeyError(i) from e
            except KeyError:
                try:
                    raise
                finally:
                    total += 1
        except LookupError:
            try:
                raise Odd(i)
            except Odd:
                total += 1
            if i % 5 == 0:
                continue
    return total


@fn
def replaced(kind: int) -> int:
    try:
        fail(kind)
    except Exception:
        try:
            fail(1)
        except ValueError:
            try:
                raise Odd(kind) from None
            finally:
                fail(3)
    return 0


def test_cells_are_given_back() -> None:
    def run(n: int) -> int:
        swallows(10 * n)
        for _ in range(n):
            raised(replaced, 2)
            raised(around_parallel, 400, 100, log(400))
        gc.collect()
        return heap_in_use()

    run(1000)  # caches of Python are filled
    before = run(10)
    assert run(500) - before < 20_000  # a cell takes 88 bytes


def test_without_the_gil() -> None:
    for kind in KINDS:
        for n in (1, 40, 60):
            assert raised(without_gil, kind, n) == raised(in_python(without_gil), kind, n)


# -- loops whose names widen while a try is open --------------------------------------------------------


@fn
def widening_loop(n: int, bad: int) -> tuple[float, float]:
    x = 0
    y = 1
    try:
        for i in range(n):
            if i == bad:
                fail(1)
            x = x + 1
            if i > 3:
                y = 0.5 * y
        while x < 100:
            x += 7
            if x == bad:
                fail(2)
    except ValueError:
        x = -x
    except KeyError:
        y = y + 100
    return float(x), float(y)


def test_widening() -> None:
    for n in (0, 3, 9):
        for bad in (-1, 0, 2, 5, 14, 21, 30):
            agree(widening_loop, n, bad, plain=True)


# -- texts of Python's own exceptions -------------------------------------------------------------------


@fn
def builtin_errors(which: int, a: int, b: float, t: tuple[int, int], x: Tensor[f64, 1]) -> float:
    zero = a - a
    if which == 0:
        return a // zero
    if which == 1:
        return a % zero
    if which == 2:
        return a / zero
    if which == 3:
        return b // zero
    if which == 4:
        return b % zero
    if which == 5:
        return b / zero
    if which == 6:
        return divmod(a, zero)[0]
    if which == 7:
        return math.sqrt(-b)
    if which == 8:
        return math.log(b - b)
    if which == 9:
        return math.exp(b * 1e6)
    if which == 10:
        return float(int(b * math.inf))
    if which == 11:
        return float(int(b * math.inf - b * math.inf))
    if which == 12:
        return (b - b) ** -1.0
    if which == 13:
        return a << (zero - 1)
    if which == 14:
        for i in range(0, 10, zero):
            return i
    if which == 15:
        return math.acos(b + 5)
    if which == 16:
        return math.gamma(b - b)
    if which == 17:
        return math.factorial(zero - 1)
    if which == 18:
        return math.fmod(b, zero)
    if which == 19:
        return math.log2(-b)
    if which == 20:
        return math.pow(b - b, -1.0)
    if which == 21:
        return a >> (zero - 3)
    if which == 22:
        return divmod(b, b - b)[1]
    if which == 23:
        return math.isqrt(zero - a)
    if which == 24:
        return math.cosh(b * 1e6)
    if which == 25:
        return [1.0, 2.0][a]
    if which == 26:
        xs = [1.0]
        xs.pop()
        return xs.pop()
    if which == 27:
        return [1.0, 2.0].index(b)
    if which == 28:
        return next(iter([b for i in range(zero)]))
    if which == 29:
        return max([b for i in range(zero)])
    if which == 30:
        return min(b for i in range(zero))
    return b


def test_texts_are_those_of_python() -> None:
    for which in range(31):
        args = which, 3, 2.5, (1, 2), np.zeros(3)
        expected = raised(builtin_errors.__wrapped__, *args)
        assert raised(builtin_errors, *args) == expected, which
        assert expected is not None, which
