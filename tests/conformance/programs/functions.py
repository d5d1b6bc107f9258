"""Functions: defaults, keywords, recursion, closures, lambdas, functions as values."""

from collections.abc import Callable

from conformance import case, fn


@fn
def scaled(x: float, factor: float = 2.0, offset: float = 0.5) -> float:
    return x * factor + offset


@case(1.0)
@fn
def defaults(x: float) -> tuple[float, float, float, float]:
    return scaled(x), scaled(x, 3.0), scaled(x, offset=1.0), scaled(factor=4.0, x=x)


@fn
def keyword_only(a: int, *, b: int = 5, c: int) -> int:
    return a * 100 + b * 10 + c


@case(1)
@fn
def keywords(n: int) -> tuple[int, int]:
    return keyword_only(n, c=2), keyword_only(n, c=1, b=3)


@fn
def positional_only(a: int, b: int, /, c: int = 1) -> int:
    return a - b * c


@case(9)
@fn
def positional(n: int) -> tuple[int, int]:
    return positional_only(n, 2), positional_only(n, 2, c=3)


@case(10)
@case(0)
@fn
def factorial(n: int) -> int:
    return 1 if n <= 1 else n * factorial(n - 1)


@fn
def is_even(n: int) -> bool:
    return True if n == 0 else is_odd(n - 1)


@fn
def is_odd(n: int) -> bool:
    return False if n == 0 else is_even(n - 1)


@case(7)
@case(10)
@fn
def mutual(n: int) -> tuple[bool, bool]:
    return is_even(n), is_odd(n)


@case(2, 3)
@case(3, 2)
@fn
def ackermann(m: int, n: int) -> int:
    if m == 0:
        return n + 1
    if n == 0:
        return ackermann(m - 1, 1)
    return ackermann(m - 1, ackermann(m, n - 1))


@case(5)
@fn
def closure(n: int) -> int:
    def add(k: int) -> int:
        return n + k

    return add(1) * add(2)


@case(5)
@fn
def closure_sees_later_value(n: int) -> int:
    k = 1

    def get() -> int:
        return k + n

    k = 10
    return get()


@case(3)
@fn
def nonlocal_counter(n: int) -> int:
    count = 0

    def step(k: int) -> None:
        nonlocal count
        count += k

    for i in range(n):
        step(i + 1)
    return count


@case(3)
@fn
def lambdas(n: int) -> tuple[int, int]:
    twice = lambda x: x * 2
    add = lambda x, y=10: x + y
    return twice(n), add(n) + add(n, 1)


@fn
def apply(f: Callable[[int], int], n: int) -> int:
    return f(f(n))


@case(3)
@fn
def passes_functions(n: int) -> tuple[int, int]:
    return apply(lambda x: x + n, 1), apply(factorial, 3)


@case(3)
@fn
def nested_functions(n: int) -> int:
    def outer(a: int) -> int:
        def inner(b: int) -> int:
            return a * b + n

        return inner(a + 1)

    return outer(2)


@case(4)
@fn
def recursive_inner(n: int) -> int:
    def count(k: int) -> int:
        if k == 0:
            return 0
        return 1 + count(k - 1)

    return count(n) * 10


@fn
def total(*values: int) -> int:
    out = 0
    for v in values:
        out += v
    return out


@case(4)
@fn
def star_arguments(n: int) -> tuple[int, int, int]:
    return total(), total(n), total(n, 2, 3)


@case(4)
@fn
def star_call(n: int) -> int:
    pair = (n, n + 1)
    return total(*pair, 1)


@fn
def swap(a: int, b: float) -> tuple[float, int]:
    return b, a


@case(1, 2.5)
@fn
def returns_tuple(a: int, b: float) -> tuple[int, float]:
    y, x = swap(a, b)
    return x, y


@fn
def greet(n: int) -> None:
    print("n is", n)


@case(3)
@fn
def calls_for_effect(n: int) -> None:
    for i in range(n):
        greet(i)


@case(6)
@fn
def without_annotations_inside(n: int) -> int:
    def helper(a, b):
        return a * b

    return helper(n, 2) + helper(2, 3)


@fn
def unannotated(a, b):
    return a + b


@case(1, 2.5)
@fn
def specialises(a: int, b: float) -> tuple[int, float]:
    return unannotated(a, a), unannotated(b, b)


@case(20)
@fn
def hanoi(n: int) -> int:
    def move(k: int) -> int:
        return 0 if k == 0 else 2 * move(k - 1) + 1

    return move(n)


@case(5)
@fn
def immediately_called(n: int) -> int:
    return (lambda a, b: a * b)(n, n + 1)


@case(1, 2)
@case(2, 1)
@fn
def chooses_lambda_result(a: int, b: int) -> int:
    larger = lambda: a if a > b else b
    return larger()


GLOBAL = 42
PAIR = (3, 4.5)


@case(1)
@fn
def reads_globals(n: int) -> tuple[int, float]:
    return GLOBAL + n + PAIR[0], PAIR[1]


@case(1)
@fn
def argument_order(n: int) -> int:
    def show(k: int) -> int:
        print("evaluated", k)
        return k

    return total(show(1), show(2), show(3)) + show(4)


@fn
def _difference(a: int, b: int, *, scale: int = 1) -> int:
    return (a - b) * scale


@case(7, 3)
@fn
def keywords_written_out(x: int, y: int) -> list[int]:
    return [_difference(**{"b": x, "a": y}), _difference(x, **{"scale": 3, "b": y}), _difference(**{}, a=1, b=2)]
