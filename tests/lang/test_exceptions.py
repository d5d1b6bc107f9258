"""try, except, else, finally, with, raise: every path against CPython and the evaluator."""
# ruff: noqa: B012, B029, B904

from __future__ import annotations

import traceback
from typing import Any

import pytest
from exceptions_kit import (
    KINDS,
    Coded,
    Log,
    Odd,
    Picky,
    fail,
    in_python,
    log,
    note,
    raised,
    without_notes,
)
from helper_module import asserts
from hypothesis import given
from hypothesis import strategies as st
from oracles import Raised, agree

from sapwood import fn, struct

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


@pytest.mark.parametrize("kind", KINDS)
def test_causes_and_contexts(kind: int) -> None:
    cases: list[tuple[Any, ...]] = [(fail, kind), (context_of_a_call, kind), (raised_again_and_caught, kind)]
    cases += [(again, kind, how, log()) for how in range(3)]
    cases += [(contexts, kind, n) for n in range(3)]
    cases += [(through_finally, kind, log())]
    for f, *args in cases:
        expected = raised(in_python(f), *args)
        assert raised(f, *args) == expected, (f.__name__, args)
        stripped = without_notes(raised(f.reference, *args))
        assert stripped == expected, (f.__name__, args)


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


@fn
def texts_raised(n: int) -> int:
    found = 0
    for i in range(n):
        try:
            if i % 3 == 0:
                raise ValueError(f"number {i}", str(i))
            counts = {str(i): i}
            found += counts[str(i - i % 2)]
        except ValueError as e:
            found += len(str(e))
        except KeyError:
            found += 1000
    if n == 7:
        raise ValueError("last " + str(found))
    return found


def test_texts_in_exceptions_end_with_them():
    from sapwood.runtime.heap import live_objects

    before = live_objects()
    for n in (0, 1, 6, 20):
        assert texts_raised(n) == texts_raised.python(n) == texts_raised.reference(n)
    for run in (texts_raised, texts_raised.python, texts_raised.reference):
        with pytest.raises(ValueError, match=r"^last \d+"):
            run(7)
    assert live_objects() == before
