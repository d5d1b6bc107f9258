"""try, except, else, finally, with, raise: every path against CPython and the evaluator."""
# ruff: noqa: B012, B029, B904

from __future__ import annotations

import ctypes
import gc
import math
import traceback
from types import FunctionType
from typing import Any

import numpy as np
import pytest
from helper_module import asserts
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import Raised, agree

from sapwood import Tensor, f64, fn, i64, parallel, struct


class Odd(ValueError):
    """An exception of our own."""


class VeryOdd(Odd):
    pass


class Coded(Exception):
    """One with a constructor of its own."""

    def __init__(self, code: int, text: str = "none", *, level: int = 0) -> None:
        super().__init__(f"{text} ({code})")
        self.code, self.level = code, level


class Picky(Exception):
    """One that cannot be made of some arguments."""

    def __init__(self, code: int) -> None:
        super().__init__(100 // code)


def log(n: int = 64) -> np.ndarray:
    return np.zeros(n, np.int64)


# An event log: the first word counts the events. Every program below writes what it does, and in which order.
Log = Tensor[i64, 1]


@fn
def note(events: Log, what: int) -> int:
    n = events[0] + 1
    events[0] = n
    events[n] = what
    return what


@fn
def fail(kind: int) -> int:
    """Raises an exception of the kind, or gives it back."""
    if kind == 1:
        raise ValueError("one", kind)
    if kind == 2:
        raise KeyError("two")
    if kind == 3:
        return 1 // (kind - 3)
    if kind == 4:
        raise VeryOdd(kind, 2.5, True, None)
    if kind == 5:
        raise StopIteration
    if kind == 6:
        raise Coded(kind, level=kind + 1)
    if kind == 7:
        raise Odd(("a", (kind, "b")), kind)
    return kind


KINDS = range(9)


# -- matching -------------------------------------------------------------------------------------------


@fn
def ladder(kind: int) -> int:
    try:
        return fail(kind)
    except Odd:
        return -1
    except (KeyError, ZeroDivisionError):
        return -2
    except ValueError:
        return -3
    except Coded:
        return -4


@fn
def by_base(kind: int) -> int:
    try:
        x = fail(kind)
    except (ArithmeticError, LookupError):
        x = 100
    except Exception:
        x = 200
    return x


@fn
def bare(kind: int) -> int:
    x = 5
    try:
        x += fail(kind)
    except:  # noqa: E722
        x -= 1
    return x


@fn
def nothing_caught(kind: int) -> int:
    try:
        return fail(kind)
    except ():
        return -1


@fn
def nested_handlers(kind: int, other: int, events: Log) -> int:
    try:
        try:
            note(events, 1)
            fail(kind)
            note(events, 2)
        except ValueError:
            note(events, 3)
            fail(other)
            note(events, 4)
        else:
            note(events, 5)
            fail(other)
    except KeyError:
        note(events, 6)
        return 1
    except ZeroDivisionError:
        note(events, 7)
        return 2
    return 3


@pytest.mark.parametrize("kind", KINDS)
def test_which_handler_runs(kind: int) -> None:
    agree(ladder, kind, plain=True)
    agree(by_base, kind, plain=True)
    agree(bare, kind, plain=True)
    agree(nothing_caught, kind, plain=True)
    for other in KINDS:
        agree(nested_handlers, kind, other, log(), plain=True)


def test_every_class_and_handler() -> None:
    """The kinds above end in all their ways."""
    assert [ladder(k) if k != 5 else None for k in KINDS] == [0, -3, -2, -2, -1, None, -4, -1, 8]
    with pytest.raises(StopIteration):
        ladder(5)


# -- names ----------------------------------------------------------------------------------------------


@fn
def names_in_handlers(kind: int, n: int) -> tuple[int, float, int]:
    a = 1
    b = 2
    c = 0
    try:
        a = 10
        b += fail(kind if n == 0 else 0)
        a = a + n
        b = 3 * b
        c = fail(kind if n == 1 else 0) + a
        for i in range(4):
            c += i
            a = fail(kind if n == i + 2 else 0) - i
            b = a + i
    except Exception:
        c = a * 1000 + b * 100 + c
        return a, 0.5, c
    return a, float(b), c


@fn
def widened(kind: int, n: int) -> float:
    x = 1
    try:
        fail(kind if n == 0 else 0)
        x = 2.5
        fail(kind if n == 1 else 0)
        x = 7
        fail(kind if n == 2 else 0)
    except Exception:
        x = x / 3
    return float(x * 2)


@fn
def not_named_before(kind: int) -> int:
    try:
        y = fail(kind)
    except ValueError:
        y = 50
    except KeyError:
        return 0
    return y


@pytest.mark.parametrize("kind", [0, 1, 2, 4])
def test_names_have_their_values_of_the_raising_place(kind: int) -> None:
    for n in range(7):
        agree(names_in_handlers, kind, n, plain=True)
    for n in range(4):
        agree(widened, kind, n)
    agree(not_named_before, kind, plain=True)


@fn
def memory_is_as_it_was_left(kind: int, x: Log) -> int:
    try:
        x[0] = 5
        x[1] = fail(kind)
        x[2] = 7
    except ValueError:
        x[3] = x[0] + x[2]
    return int(x[3])


def test_stores_before_the_exception_stay() -> None:
    for kind in (0, 1, 2):
        agree(memory_is_as_it_was_left, kind, log(4), plain=True)


# -- finally and else -----------------------------------------------------------------------------------


@fn
def whole(kind: int, other: int, third: int, events: Log) -> int:
    x = 0
    try:
        note(events, 1)
        x = fail(kind)
        note(events, 2)
    except ValueError:
        note(events, 3)
        x = fail(other) + 10
    except KeyError:
        note(events, 4)
        return x - 1
    else:
        note(events, 5)
        x += fail(other)
    finally:
        note(events, 6)
        x += fail(third)
        note(events, 7)
    note(events, 8)
    return x


@fn
def loop_exits(n: int, k: int, what: int, events: Log) -> int:
    total = 0
    for i in range(n):
        try:
            note(events, i)
            if i == k:
                if what == 1:
                    break
                if what == 2:
                    continue
                if what == 3:
                    return total
                if what == 4:
                    fail(1)
                if what == 5:
                    fail(2)
            total += i
        except ValueError:
            total += 100
            if what == 4 and n == 7:
                continue
            if what == 4 and n == 8:
                break
            if what == 4 and n == 9:
                return -total
        finally:
            note(events, 20 + i)
            total += 1
    else:
        total += 1000
    return total


@fn
def while_and_finally(n: int, events: Log) -> int:
    i = 0
    while True:
        try:
            i += 1
            if i == n:
                break
            try:
                if i % 3 == 0:
                    continue
                if i == 20:
                    return -1
            finally:
                note(events, i)
        finally:
            note(events, 100 + i)
    return i


@fn
def finally_overrides(kind: int, how: int) -> int:
    for _ in range(2):
        try:
            if how == 9:
                return 7
            fail(kind)
        finally:
            if how == 1:
                return 1
            if how == 2:
                break
            if how == 3:
                continue
    return 5


@fn
def return_value_comes_first(n: int) -> int:
    x = n
    try:
        return x
    finally:
        x = 50


@fn
def nested_finally(kind: int, events: Log) -> int:
    try:
        try:
            try:
                fail(kind)
                return note(events, 1)
            finally:
                note(events, 2)
        except ValueError:
            note(events, 3)
        finally:
            note(events, 4)
    finally:
        note(events, 5)
    return note(events, 6)


def test_finally_and_else() -> None:
    for kind in (0, 1, 2, 3):
        for other in (0, 1, 2):
            for third in (0, 3):
                agree(whole, kind, other, third, log(), plain=True)
        for how in (0, 1, 2, 3, 9):
            agree(finally_overrides, kind, how, plain=True)
        agree(nested_finally, kind, log(), plain=True)
    agree(return_value_comes_first, 3, plain=True)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10), st.integers(-1, 10), st.integers(0, 5))
def test_leaving_loops(n: int, k: int, what: int) -> None:
    agree(loop_exits, n, k, what, log(), plain=True)


def test_leaving_an_endless_loop() -> None:
    for n in (1, 2, 3, 6, 25):
        agree(while_and_finally, n, log(128), plain=True)


# -- raise ----------------------------------------------------------------------------------------------


@fn
def again(kind: int, how: int, events: Log) -> int:
    try:
        fail(kind)
    except ValueError:
        note(events, 1)
        raise
    except KeyError as e:
        note(events, 2)
        if how == 1:
            raise e
        raise IndexError(how) from e
    except ZeroDivisionError:
        if how == 1:
            raise TypeError("none", how) from None
        if how == 2:
            raise TypeError from OSError(how, "cause")
        raise RuntimeError("context")
    return 0


@fn
def through_finally(kind: int, events: Log) -> int:
    try:
        fail(kind)
    except ValueError:
        try:
            note(events, 1)
            raise
        finally:
            note(events, 2)
    return 1


@fn
def raised_again_and_caught(kind: int) -> int:
    x = 0
    try:
        fail(kind)
    except ValueError:
        try:
            x += 1
            raise
        except ValueError:
            x += 10
        raise
    except KeyError as e:
        try:
            raise Odd("inside")
        except Odd:
            x += 100
            raise e
    return x


@fn
def contexts(kind: int, n: int) -> int:
    try:
        fail(kind)
    except Exception:
        try:
            fail(1)
        except ValueError:
            try:
                if n == 0:
                    fail(2)
                else:
                    raise Odd(n) from None
            finally:
                if n == 2:
                    fail(3)
    return 0


@fn
def context_of_a_call(kind: int) -> int:
    try:
        fail(kind)
    except ValueError:
        return contexts(2, 1)
    return 1


def in_python(f: Any, scope: dict[str, Any] | None = None) -> FunctionType:
    """A function as if nothing in its file was compiled."""
    names = globals() | (scope or {})
    for name, x in names.items():
        if hasattr(type(x), "__sapwood_function__"):
            names[name] = FunctionType(x.__wrapped__.__code__, names)
    return names[f.__name__]


def chain(e: BaseException | None) -> Any:
    """Everything about an exception that a user sees."""
    if e is None:
        return None
    same = e.__cause__ is not None and e.__cause__ is e.__context__
    return type(e), e.args, vars(e), e.__suppress_context__, same, chain(e.__cause__), chain(e.__context__)


def raised(run: Any, *args: Any) -> Any:
    try:
        run(*args)
    except Exception as e:
        return chain(e)
    return None


@pytest.mark.parametrize("kind", KINDS)
def test_causes_and_contexts(kind: int) -> None:
    cases: list[tuple[Any, ...]] = [(fail, kind), (context_of_a_call, kind), (raised_again_and_caught, kind)]
    cases += [(again, kind, how, log()) for how in range(3)]
    cases += [(contexts, kind, n) for n in range(3)]
    cases += [(through_finally, kind, log())]
    for f, *args in cases:
        expected = raised(in_python(f), *args)
        assert raised(f, *args) == expected, (f.__name__, args)
        without_notes = _strip(raised(f.reference, *args))
        assert without_notes == expected, (f.__name__, args)


def _strip(c: Any) -> Any:
    """Without the notes by which the evaluator says where it was."""
    if c is None:
        return None
    kind, args, own, *rest = c
    return kind, args, {k: v for k, v in own.items() if k != "__notes__"}, *rest[:2], *map(_strip, rest[2:])


@fn
def picky(n: int) -> int:
    if n < 10:
        raise Picky(n)
    return n


def test_a_class_that_does_not_take_its_arguments() -> None:
    for n in (0, 5, 20):
        agree(picky, n, plain=True)
    with pytest.raises(ZeroDivisionError):
        picky(0)


def test_traceback_shows_the_lines() -> None:
    with pytest.raises(IndexError) as info:
        again(2, 2, log())
    assert isinstance(info.value.__cause__, KeyError)
    text = "".join(traceback.format_exception(info.value))
    assert 'raise KeyError("two")' in text
    assert "raise IndexError(how) from e" in text
    assert "direct cause" in text


# -- assert ---------------------------------------------------------------------------------------------


def test_assert() -> None:
    for n in range(6):
        expected = agree(asserts, n, plain=True)
        assert isinstance(expected, Raised) == (n in (1, 2, 3))


# -- with -----------------------------------------------------------------------------------------------


@struct(frozen=True)
class Guarded:
    number: int
    swallow: bool
    events: Log

    def __enter__(self) -> int:
        n = self.events[0] + 1
        self.events[0] = n
        self.events[n] = 100 + self.number
        if self.number == 7:
            raise Odd("enter")
        return self.number * 2

    def __exit__(self, kind: object, e: object, tb: object) -> bool:
        n = self.events[0] + 1
        self.events[0] = n
        self.events[n] = 200 + self.number
        if self.number == 8:
            raise Odd("exit")
        return self.swallow


@struct(frozen=True)
class Silent:
    events: Log

    def __enter__(self) -> None:
        self.events[0] += 1

    def __exit__(self, kind: object, e: object, tb: object) -> None:
        self.events[1] += 2


@fn
def with_two(a: int, b: int, kind: int, how: int, events: Log) -> int:
    x = 0
    for i in range(3):
        with Guarded(a, how > 5, events) as n, Guarded(b, how > 7, events) as m:
            x += n * 10 + m
            if how == 1:
                return x
            if how == 2:
                break
            if how == 3 and i == 0:
                continue
            fail(kind)
            x += 1
    return note(events, x)


@fn
def with_silent(kind: int, events: Log) -> int:
    with Silent(events):
        return fail(kind)
    return 0


@struct
class Depth:
    now: int
    most: int

    def __enter__(self) -> Depth:
        self.now += 1
        self.most = max(self.most, self.now)
        return self

    def __exit__(self, kind: object, e: object, tb: object) -> bool:
        self.now -= 1
        return kind is not None and self.now == 1


@fn
def depths(kind: int) -> tuple[int, int, int]:
    d = Depth(0, 0)
    x = 0
    with d as first:
        x = first.now
        with d as second:
            x += second.now * 10
            x += fail(kind) * 100
        x += 1000
        with d:
            pass
    return d.now, d.most, x


def test_with_a_mutable_struct() -> None:
    for kind in (0, 1, 8):
        agree(depths, kind, plain=True)


def test_with() -> None:
    for kind in (0, 1, 3):
        agree(with_silent, kind, log(), plain=True)
        for how in range(9):
            agree(with_two, 1, 2, kind, how, log(), plain=True)
    for a in (7, 8, 1):
        for b in (7, 8, 2):
            for how in (0, 1, 8):
                agree(with_two, a, b, 1, how, log(), plain=True)
                assert raised(with_two, a, b, 1, how, log()) == raised(in_python(with_two), a, b, 1, how, log())


@fn
def always_raises(x: int) -> int:
    if 2 > 1:
        raise ValueError("always", x)
    return 1


@fn
def after_what_never_returns(x: int) -> int:
    xs = [x]

    def inner(z: int) -> int:
        raise KeyError(z)

    if x > 10:
        return inner(x) + xs[0]
    try:
        return 2 - always_raises(x) + xs[0]
    except ValueError:
        if x == 5:
            always_raises(x)
        return 7


def test_functions_that_never_return() -> None:
    for x in (1, 5, 11):
        agree(after_what_never_returns, x, plain=True)
    agree(always_raises, 1, plain=True)


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
        assert _strip(raised(around_parallel.reference, n, bad, out)) == expected
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


def test_cells_are_given_back() -> None:
    def run(n: int) -> int:
        swallows(10 * n)
        for _ in range(n):
            raised(contexts, 2, 2)
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
