"""Control flow, loops, closures, calls, tuples: against CPython and the evaluator."""

from __future__ import annotations

from typing import Any, TypeVar

import helper_module
import pytest
from helper_module import BASE, scale_by
from oracles import Raised, agree

from sapwood import Const, Tensor, f32, fn, i32, unroll

T = TypeVar("T")
COEFFS = (1.0, 2.0, 0.5)
LIMIT = 10


@fn
def collatz(n: int) -> int:
    steps = 0
    while n != 1:
        n = n // 2 if n % 2 == 0 else 3 * n + 1
        steps += 1
    return steps


@fn
def loop_else(n: int, stop: int) -> int:
    for i in range(n):
        if i == stop:
            break
        if i == 3:
            continue
    else:
        return -1
    return i


@fn
def while_else(n: int) -> tuple[int, bool]:
    found = False
    while n > 0:
        n -= 3
        if n == 2:
            found = True
            break
    else:
        n = n - 100
    return n, found


@fn
def nested_exits(n: int) -> int:
    total = 0
    for i in range(n):
        for j in range(n):
            if j > i:
                break
            if (i + j) % 3 == 0:
                continue
            for k in range(3):
                if k == 2 and i == 5:
                    return total
                total += i * j + k
        total += 1
    return total


@fn
def ranges(a: int, b: int, c: int) -> int:
    total = 0
    for i in range(a, b, c):
        total = total * 3 + i
    return total


@fn
def down(n: int) -> int:
    total = 0
    for i in range(n, -1, -2):
        total = total * 3 + i
    return total


def test_loops():
    for n in (1, 2, 7, 27, 97):
        agree(collatz, n, plain=True)
    for n in (0, 1, 5, 9):
        for stop in (0, 4, 20):
            agree(loop_else, n, stop, plain=True)
        agree(while_else, n, plain=True)
        agree(nested_exits, n, plain=True)
        agree(down, n, plain=True)
    for a, b, c in ((0, 10, 3), (10, 0, -3), (5, 5, 1), (0, 10, -1), (-3, 4, 2)):
        agree(ranges, a, b, c, plain=True)
    assert agree(ranges, 0, 1, 0, plain=True) == Raised(ValueError("range() arg 3 must not be zero"))


@fn
def widening(n: int, x: float) -> float:
    acc = 0
    last = 0
    for i in range(n):
        acc += x * i
        last = i
    return acc + last


@fn
def widening_while(n: int) -> float:
    x = 1
    while n > 0:
        x = x / 2
        n -= 1
    return x


@fn
def f32_accumulator(x: Tensor[f32, 1]) -> f32:
    acc = 0
    for v in x:
        acc += v
    return acc


def test_widening():
    for n in (0, 1, 5):
        assert widening(n, 0.5) == widening.__wrapped__(n, 0.5)
        assert widening(n, 0.5) == widening.reference(n, 0.5)
        assert widening_while(n) == widening_while.__wrapped__(n) == widening_while.reference(n)
    import numpy as np

    agree(f32_accumulator, np.array([0.1, 0.2, 0.3], np.float32))


@fn
def early(n: int) -> int:
    if n < 0:
        return -1
    elif n == 0:
        return 0
    if n > 10:
        if n > 100:
            return 3
        n = 5
    return n


@fn
def joined(n: int) -> tuple[float, int]:
    if n > 3:
        x = 1
        y = n
    else:
        x = 2.5
        y = 7
    return x, y


def test_branches():
    for n in (-5, 0, 3, 50, 500):
        agree(early, n, plain=True)
        a, b = joined(n)
        assert (a, b) == joined.__wrapped__(n) == joined.reference(n)


@fn
def closures(n: int, x: float) -> tuple[float, int]:
    k = n * 2

    def inner(a: int, b: float = 0.5) -> float:
        if a > 3:
            return a + b + k
        return b - k

    double = lambda v: v * 2  # noqa: E731
    return inner(n) + inner(n, x), double(n) + double(k)


@fn
def apply(f: Any, x: T, y: T) -> T:
    return f(f(x, y), y)


@fn
def use_apply(a: int, x: float) -> tuple[int, float]:
    return apply(lambda p, q: p * 10 + q, a, 3), apply(lambda p, q: p / q, x, 2.0)


@fn
def power_of(x: float, n: int) -> float:
    def square(v: float) -> float:
        return v * v

    result = 1.0
    for _ in range(n):
        result = square(result) + x
    return result


def test_closures():
    for n in (0, 2, 5):
        agree(closures, n, 1.5, plain=True)
        agree(use_apply, n, 3.0, plain=True)
        agree(power_of, 0.25, n, plain=True)


def test_functions_as_parameters_from_python():
    assert apply(lambda p, q: p + q, 1, 2) == 5
    assert apply(lambda p, q: p - q, 1, 2) == -3
    offset = 4
    assert apply(lambda p, q: p + q + offset, 1, 2) == 13
    offset = 5
    assert apply(lambda p, q: p + q + offset, 1, 2) == 15


@fn
def polynomial(x: float) -> float:
    total = 0.0
    for c in unroll(COEFFS):
        total = total * x + c
    for i in unroll(range(3)):
        if i == 1:
            continue
        total += i
    return total


@fn
def unroll_break(n: int) -> int:
    total = 0
    for i in unroll(range(8)):
        if i == n:
            break
        total += i
    else:
        total = -total
    return total


@fn
def over_tuple(a: int, b: float) -> float:
    total = 0.0
    for v in (a, b, 3):
        total += v
    return total


def test_unroll():
    agree(polynomial, 1.5, plain=True)
    for n in (0, 3, 9):
        agree(unroll_break, n, plain=True)
    agree(over_tuple, 2, 0.5, plain=True)


@fn
def tuples(a: int, b: float) -> tuple[int, float, int, tuple[int, int]]:
    p = (a, b)
    x, y = p
    (m, (q, r)), s = (a, (a + 1, a + 2)), 4
    x, m = m + 1, x + s
    t = p + (q,)
    return x, y + t[1], t[-1] + len(t) + m, (r, t[0])


@fn
def tuple_order(a: int, b: int) -> tuple[bool, bool]:
    return (a, b) == (1, 2), (a, b) != (b, a)


@fn
def swap_loop(n: int) -> int:
    a, b = 0, 1
    for _ in range(n):
        a, b = b, a + b
    return a


@fn
def take_tuple(p: tuple[int, tuple[float, bool]]) -> float:
    n, (x, flag) = p
    return n + x if flag else x - n


def test_tuples():
    agree(tuples, 3, 0.5, plain=True)
    for n in range(4):
        agree(tuple_order, n, 2, plain=True)
        agree(swap_loop, n * 7, plain=True)
    agree(take_tuple, (2, (0.5, True)), plain=True)
    agree(take_tuple, (2, (0.5, False)), plain=True)


@fn
def fib(n: int) -> int:
    if n < 2:
        return n
    return fib(n - 1) + fib(n - 2)


@fn
def is_even(n: int) -> bool:
    if n == 0:
        return True
    return is_odd(n - 1)


@fn
def is_odd(n: int) -> bool:
    if n == 0:
        return False
    return is_even(n - 1)


@fn
def endless(n: int) -> int:
    return endless(n + 1) + 1


@fn
def endless_with_storage(n: int) -> float:
    from_here = n * 1.0
    return endless_with_storage(n + 1) + from_here


def test_recursion():
    assert [agree(fib, n, plain=True) for n in (0, 1, 10)] == [0, 1, 55]
    assert agree(is_even, 20, plain=True) is True
    assert agree(is_even, 7, plain=True) is False
    assert is_even(10000) is True


def test_unbounded_recursion_raises():
    for _ in range(3):
        with pytest.raises(RecursionError, match="maximum recursion depth"):
            endless(0)
    with pytest.raises(RecursionError):
        endless_with_storage(0)
    with pytest.raises(RecursionError):
        endless.reference(0)
    assert fib(5) == 5


def test_unbounded_recursion_raises_in_a_thread():
    import threading

    caught = []

    def run():
        try:
            endless(0)
        except RecursionError as e:
            caught.append(e)

    t = threading.Thread(target=run)
    t.start()
    t.join()
    assert len(caught) == 1


@fn
def defaults(a: int, b: int = 10, *, c: float = 0.5, flag: bool = False) -> float:
    return a * b + c if not flag else c


@fn
def call_with_defaults(a: int) -> float:
    return defaults(a) + defaults(a, 2) + defaults(b=3, a=a) + defaults(a, c=2.0) + defaults(a, flag=True)


def test_keywords_and_defaults():
    assert defaults(2) == 20.5
    assert defaults(2, 3) == 6.5
    assert defaults(a=2, c=1) == 21.0
    assert defaults(2, flag=True, c=9.0) == 9.0
    agree(call_with_defaults, 3, plain=True)
    with pytest.raises(TypeError, match="missing a required argument: 'a'"):
        defaults()
    with pytest.raises(TypeError, match="unexpected keyword argument 'z'"):
        defaults(1, z=3)
    with pytest.raises(TypeError, match="too many positional"):
        defaults(1, 2, 3)


@fn
def generic(a: T, b: T) -> T:
    c: T = T(2)
    return a * b + c


@fn
def use_generic(a: i32, x: f32) -> tuple[i32, f32, float]:
    return generic(a, 3), generic(x, 0.5), generic(2.0, 3.0)


def test_generic():
    assert generic(2, 3) == 8
    assert isinstance(generic(2.0, 3.0), float)
    agree(generic, 4, 5)
    agree(generic, 4.5, 5.0)
    agree(use_generic, 4, 1.5)
    assert generic(f32(0.1), f32(3.0)) == generic.reference(f32(0.1), f32(3.0))


@fn
def repeated(x: float, n: Const[int]) -> float:
    for _ in unroll(range(n)):
        x = x * 2
    return x


@fn
def choose(x: float, how: Const[str]) -> float:
    if how == "double":
        return x * 2
    return -x


@fn
def typed(x: float, dtype: Const[type]) -> float:
    return float(dtype(x))


def test_const():
    for n in (0, 1, 4, 1):
        agree(repeated, 1.5, n, plain=True)
    assert [choose(1.0, how) for how in ("double", "other", "double")] == [2.0, -1.0, 2.0]
    assert typed(0.1, f32) == float(f32(0.1))
    assert typed(7.9, i32) == 7.0


@fn
def across(x: float) -> float:
    return scale_by(x, 3) + helper_module.halve(x) + BASE + helper_module.BASE + LIMIT


def test_calls_across_modules():
    agree(across, 5.0, plain=True)


class Custom(Exception):
    pass


@fn
def raises(n: int) -> int:
    if n == 1:
        raise ValueError("plain text")
    if n == 2:
        raise KeyError
    if n == 3:
        raise IndexError("with", n, n * 0.5)
    if n == 4:
        raise Custom("own {braces}")
    if n == 5:
        raise OverflowError(n)
    assert n != 6
    assert n != 7, "seven"
    return n


@fn
def raises_below(n: int) -> int:
    return raises(n) + 1


def test_raise_and_assert():
    kinds = (ValueError, KeyError, IndexError, Custom, OverflowError, AssertionError, AssertionError)
    for n, kind in enumerate(kinds, 1):
        for f in (raises, raises_below):
            with pytest.raises(kind) as caught:
                f(n)
            with pytest.raises(kind):
                f.__wrapped__(n)
            with pytest.raises(kind):
                f.reference(n)
            assert type(caught.value) is kind
    assert raises(0) == 0


def test_traceback_names_the_source_line():
    import traceback

    with pytest.raises(ValueError) as caught:
        raises_below(1)
    frames = traceback.extract_tb(caught.value.__traceback__)
    assert any(f.filename == __file__ and f.line == 'raise ValueError("plain text")' for f in frames)


@fn
def shows(n: int, x: float, b: bool, s: f32) -> None:
    print("n =", n, x, b, sep="|")
    print(s, end="!\n")
    print()
    for i in range(2):
        print(i)


def test_print(capsys):
    shows(3, 0.1, True, 0.5)
    compiled = capsys.readouterr().out
    shows.reference(3, 0.1, True, 0.5)
    assert capsys.readouterr().out == compiled == "n =|3|0.1|True\n0.5!\n\n0\n1\n"
    shows.__wrapped__(3, 0.1, True, 0.5)
    assert capsys.readouterr().out == compiled


@fn
def builtin_calls(a: int, x: float) -> tuple[int, float, float, int, float, bool]:
    return max(a, 3, 7), min(x, 2.5), abs(x), len((a, a, x)), pow(x, 2), isinstance(a, int)


def test_builtins():
    for a, x in ((1, 3.0), (9, -4.5)):
        agree(builtin_calls, a, x, plain=True)


@fn
def side_effects(x: Tensor[int, 1], n: int) -> bool:
    def bump(i: int) -> bool:
        x[i] += 1
        return x[i] > 1

    return bump(0) and bump(1) or bump(2) and n > 0


def test_short_circuit():
    import numpy as np

    for start in ([0, 0, 0], [1, 0, 0], [1, 1, 0], [1, 1, 1]):
        agree(side_effects, np.array(start), 1)


def test_ranges_near_the_ends_of_i64():
    low, high = -(2**63), 2**63 - 1
    for a, b, c in (
        (0, high, 2**62), (0, high, 2**62 + 1), (low, high, high), (high, low, low), (high, low, -(2**62)),
        (high - 5, high, 2), (low + 5, low, -2), (high - 3, high, 1), (low, low + 3, 1), (low + 3, low, -1),
        (0, high, high), (5, 5, high), (6, 5, high), (5, 6, low), (-1, low, low),
    ):  # fmt: skip
        assert count_range(a, b, c) == count_range.reference(a, b, c) == len(range(a, b, c)), (a, b, c)
    assert steps_of_three(high - 7, high) == list(range(high - 7, high, 3))[-1]


@fn
def count_range(a: int, b: int, c: int) -> int:
    n = 0
    for _ in range(a, b, c):
        n += 1
    return n


@fn
def steps_of_three(a: int, b: int) -> int:
    last = 0
    for i in range(a, b, 3):
        last = i
    return last
