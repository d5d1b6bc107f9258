"""Caught exceptions as Python objects, exceptions that come from Python, and what their records own."""
# ruff: noqa: B904

from __future__ import annotations

import gc
import sys

import pytest
from exceptions_kit import Coded, Odd, in_python, raised, without_notes

from sapwood import fn, struct
from sapwood.runtime.heap import live_objects


class Weighed(Exception):
    def __init__(self, code: int, text: str = "") -> None:
        super().__init__(code, text)
        self.code = code


@fn
def fail(kind: int) -> int:
    if kind == 1:
        raise Weighed(5, text="abc")
    if kind == 2:
        raise ValueError("two", kind)
    if kind == 3:
        raise Coded(kind)
    return 1 // kind


@fn
def caught(kind: int) -> object:
    try:
        return fail(kind)
    except Weighed as e:
        return e
    except ValueError as e:
        return e.args[1]
    except ZeroDivisionError as e:
        return e.args[0]


@fn
def twice(kind: int) -> object:
    """The same object, however often it is asked for, also when it has been raised again."""
    first: object = kind
    try:
        try:
            return fail(kind)
        except ValueError as e:
            first = e
            if e is not first:
                return 0
            raise
    except ValueError as again:
        if first is again:
            return 2
        return 1


@fn
def raises(kind: int, x: object) -> int:
    made = Weighed(kind)
    try:
        if kind == 0:
            raise made
        if kind == 1:
            raise KeyError(kind) from x
        if kind == 2:
            raise x
        if kind == 3:
            try:
                fail(1)
            except Weighed as e:
                raise e from KeyError(1)
        if kind == 4:
            try:
                fail(1)
            except Weighed as e:
                if isinstance(e, Exception):
                    raise OSError(e.code, x) from e
        if kind == 5:
            x.nope
        if kind == 6:
            raise TypeError(x, int, (1, x))
        if kind == 7:
            raise Weighed(kind, text=x)
        if kind == 8:
            try:
                fail(1)
            except Weighed as e:
                made = e
            raise made
        if kind == 9:
            try:
                raise x
            except OSError:
                fail(0)
        if kind == 10:
            try:
                fail(0)
            except ZeroDivisionError:
                raise x
    except ValueError:
        return -1
    return 0


@struct
class Manager:
    seen: int

    def __enter__(self) -> int:
        return self.seen

    def __exit__(self, kind: object, e: object, tb: object) -> bool:
        if kind is None:
            self.seen = 100
            return False
        self.seen = len(e.args)
        return issubclass(kind, ValueError) and tb is not None


@fn
def managed(kind: int) -> int:
    m = Manager(3)
    with m as n:
        fail(kind)
        n += 1
    return m.seen


@fn
def inside(f: object, x: int) -> int:
    total = 0
    for i in range(4):
        try:
            f(x + i)
            total += 1
        except (KeyError, Odd):
            total += 10
        except ValueError as e:
            total += len(e.args) * 100
        except Exception:
            total += 1000
    return total


@fn
def values(kind: int, s: str) -> str:
    try:
        if kind == 0:
            raise KeyError(s)
        if kind == 1:
            raise ValueError(s, (kind, s))
        if kind == 2:
            raise OSError(s)
        if kind == 3:
            raise IndexError([s], kind)
        if kind == 4:
            raise RuntimeError((s, [kind, 2]))
        if kind == 5:
            raise Weighed(kind, text=s)
        if kind == 6:
            raise TypeError(int, None, 1.5, s)
    except ValueError:
        return s
    except OSError as e:
        raise LookupError(s) from e
    return s


def test_a_caught_exception_is_an_object() -> None:
    for kind in range(4):
        expected = raised(in_python(caught), kind)
        for run in (caught, caught.reference):
            assert without_notes(raised(run, kind)) == expected
            if expected is None:
                assert repr(run(kind)) == repr(in_python(caught)(kind))
        for run in (twice, twice.reference):
            assert without_notes(raised(run, kind)) == raised(in_python(twice), kind)
    assert twice(2) == in_python(twice)(2) == 2
    e = caught(1)
    assert e.code == 5
    assert e.__traceback__.tb_frame.f_code.co_name == "fail"


@pytest.mark.parametrize("kind", range(11))
def test_objects_are_raised(kind: int) -> None:
    for x in (OSError(3), ValueError(4), ValueError, 5, "s"):
        expected = raised(in_python(raises), kind, x)
        _forget(x)
        for run in (raises, raises.reference):
            assert without_notes(raised(run, kind, x)) == expected, (run, x)
            _forget(x)


def _forget(x: object) -> None:
    if isinstance(x, BaseException):
        x.__cause__ = x.__context__ = x.__traceback__ = None
        x.__suppress_context__ = False
        vars(x).clear()


def test_exit_gets_the_exception() -> None:
    for kind in range(4):
        for run in (managed, managed.reference):
            assert without_notes(raised(run, kind)) == raised(in_python(managed), kind)
    assert managed(2) == in_python(managed)(2) == 2


def test_exceptions_of_python_are_matched() -> None:
    def f(n: int) -> int:
        if n > 2:
            raise [KeyError("k"), Odd(1), ValueError(1, 2, 3), OSError(5), MemoryError()][n - 3]
        return n

    for x in range(5):
        assert inside(f, x) == inside.__wrapped__(f, x) == inside.reference(f, x)


def test_texts_and_lists_are_arguments() -> None:
    objects = live_objects()
    for kind in range(8):
        for _ in range(3):
            for run in (values, values.reference):
                assert without_notes(raised(run, kind, "abc")) == raised(in_python(values), kind, "abc")
    assert values(1, "x") == "x"
    assert live_objects() == objects


def test_nothing_is_left_over() -> None:
    x = Weighed(1)
    gc.collect()
    before, objects = sys.getrefcount(x), live_objects()
    for run in (raises, raises.reference):
        for kind in range(11):
            for _ in range(5):
                raised(run, kind, x)
                _forget(x)
    gc.collect()
    assert sys.getrefcount(x) == before
    assert live_objects() == objects


# -- names that hold heap objects -----------------------------------------------------------------------


@fn
def lists(kind: int, n: int) -> list[int]:
    """Names get new lists and texts before and after what raises, on every way out."""
    xs = [n]
    text = "a"
    total = 0
    for i in range(n):
        try:
            xs = [*xs, i]
            fresh = [i, i + 1]
            text = text + "b"
            if i == 2:
                total += fail(kind)
                xs = fresh
            if i == 3 and kind == 4:
                return [total, len(text)]
            if i == 3 and kind == 5:
                break
            if i == 1 and kind == 6:
                continue
            fresh.append(len(text))
            total += fresh[kind]
        except ValueError as e:
            xs = xs + [len(e.args), len(text)]
            text = "c"
            if n == 5:
                raise KeyError(text, len(xs)) from e
        except ZeroDivisionError:
            xs.append(100)
            if n == 4:
                return xs
        finally:
            other = xs
            xs = other + [len(text)]
            other.append(7)
    return xs + [total]


@fn
def swap(kind: int, n: int) -> str:
    a = "a"
    b = "b"
    seen = [a]
    while n > 0:
        n -= 1
        try:
            a, b = b, a + b
            seen.append(a)
            try:
                fail(kind)
                a = b
            finally:
                seen = [b, *seen]
        except ValueError:
            b = seen.pop()
        except Weighed:
            if n == 2:
                return a + b
            seen = seen[1:]
    return "".join(seen) + a + b


def test_names_that_hold_objects() -> None:
    objects = live_objects()
    for kind in range(7):
        for n in range(7):
            for f in (lists, swap):
                expected = raised(in_python(f), kind, n)
                for run in (f, f.reference):
                    assert without_notes(raised(run, kind, n)) == expected, (f, kind, n)
                    if expected is None:
                        assert run(kind, n) == in_python(f)(kind, n), (f, kind, n)
    gc.collect()
    assert live_objects() == objects
