"""raise, try, except, else, finally, user exceptions."""

from conformance import case, fn


@case(1)
@case(-1)
@fn
def raises(n: int) -> int:
    if n < 0:
        raise ValueError("negative")
    return n


@case(1)
@fn
def raises_class(n: int) -> int:
    raise KeyError


@case(1)
@fn
def raises_with_number(n: int) -> int:
    raise KeyError(n)


@case(1)
@fn
def raises_with_two(n: int) -> int:
    raise RuntimeError("text", n)


@fn
def divide(a: int, b: int) -> int:
    return a // b


@fn
def deep(n: int) -> int:
    if n == 0:
        raise LookupError("bottom")
    return deep(n - 1) + 1


class Problem(Exception):
    """An exception of the program's own."""


class Special(Problem):
    pass


@case(1)
@fn
def own_exception(n: int) -> int:
    raise Problem("mine")
