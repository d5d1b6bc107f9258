"""Generator functions against CPython's: what takes the items runs in place of each yield."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice, takewhile

import pytest
from oracles import agree

from sapwood import fn, struct
from sapwood.lang.errors import CompileError, UnsupportedSyntax
from sapwood.lang.errors.iteration import GeneratorOnce, RecursiveGenerator
from sapwood.runtime.heap import live_objects


@pytest.fixture(autouse=True)
def nothing_is_left():
    before = live_objects()
    yield
    assert live_objects() == before


@fn
def countdown(n: int, step: int = 1) -> Iterator[int]:
    while n > 0:
        yield n
        n -= step


@fn
def fibonacci(limit: int) -> Iterator[int]:
    a, b = 0, 1
    while True:
        if a > limit:
            return
        yield a
        a, b = b, a + b


@fn
def prefixes(words: list[str]) -> Iterator[tuple[str, int]]:
    for w in words:
        yield w, len(w)
        if len(w) > 2:
            yield w[:2], 2


@fn
def long_ones(words: list[str], least: int) -> Iterator[str]:
    for w, n in prefixes(words):
        if n >= least:
            yield w


@fn
def looped(n: int) -> tuple[int, int, float]:
    total, last, half = 0, -1, 0.0
    for x in countdown(n, step=2):
        if x % 5 == 0:
            continue
        total += x
        last = x
        half += x / 2
    return total, last, half


@fn
def left(n: int) -> list[int]:
    out: list[int] = []
    for i, x in enumerate(fibonacci(n)):
        if x == 3:
            continue
        if x > 20:
            break
        out.append(i * x)
    else:
        out.append(-1)
    return out


@fn
def reduced(n: int) -> list[int]:
    out = list(countdown(n))
    out.append(sum(x * x for x in countdown(n) if x % 2))
    out.append(max(fibonacci(n)))
    out.append(next(countdown(n), 7))
    out.append(int(any(x == 2 for x in countdown(n))))
    out.append(int(3 in countdown(n)))
    out += sorted(countdown(n), key=lambda x: x % 3)
    return out


@fn
def text_of(words: list[str]) -> str:
    return "-".join(long_ones(words, 2)) + "|" + ",".join(f"{w}{n}" for w, n in prefixes(words))


@fn
def find(words: list[str], what: str) -> int:
    for _ in range(2):
        at = 0
        for w in long_ones(words, 2):
            for c in countdown(at):
                if c == 9:
                    return -2
            if w == what:
                return at
            at += 1
    return -1


@fn
def counted(words: list[str]) -> dict[str, int]:
    counts: dict[str, int] = {}
    try:
        for w in long_ones(words, 1):
            counts[w] = counts.get(w, 0) + 1
            if w == "bad":
                raise ValueError(w)
    except ValueError as e:
        counts[str(e) + "!"] = 1
    return counts


@fn
def failing(words: list[str]) -> Iterator[str]:
    for w in words:
        if w == "bad":
            raise KeyError("bad word")
        yield w + "."


@fn
def survived(words: list[str]) -> str:
    seen = ""
    count = 0
    try:
        for w in failing(words):
            seen += w
            count += 1
    except KeyError as e:
        seen += str(e)
    return f"{seen} {count}"


@fn
def propagated(words: list[str]) -> int:
    n = 0
    for w in failing(words):
        n += len(w)
    return n


@fn
def flattened(rows: list[list[int]]) -> list[int]:
    calls = 0

    def flat(least: int) -> Iterator[int]:
        nonlocal calls
        calls += 1
        for r in rows:
            yield from (x for x in r if x > least)

    return [x * 2 for x in flat(1)] + sorted(flat(0)) + [calls]


@fn
def widened(n: int) -> float:
    value = 0
    for x in countdown(n):
        value = value * 0.5 if x % 2 else value + x
    return value


@struct
class Tree:
    value: int
    left: Tree | None = None
    right: Tree | None = None

    def __iter__(self) -> Iterator[int]:
        todo = [self]
        while todo:
            node = todo.pop()
            yield node.value
            if node.left is not None:
                todo.append(node.left)
            if node.right is not None:
                todo.append(node.right)

    def below(self, limit: int) -> Iterator[int]:
        for v in self:
            if v < limit:
                yield v


@fn
def walked(n: int) -> list[int]:
    root = Tree(0)
    for i in countdown(n):
        root = Tree(i, root, Tree(-i))
    out = list(root)
    out.append(sum(root.below(2)))
    for v in root:
        if v < 0:
            out.append(v)
            break
    return out


WORDS = [[], ["a"], ["abc", "a", "bad", "zz"], ["hello", "hi", "hello"]]


@pytest.mark.parametrize("function", [looped, left, reduced, widened, walked], ids=lambda f: f.__name__)
def test_numbers(function):
    for n in (1, 2, 3, 10, 40):
        agree(function, n)


def test_nothing_to_yield():
    agree(left, -1)
    agree(looped, 0)
    agree(walked, 0)


@pytest.mark.parametrize("function", [text_of, counted, survived, propagated], ids=lambda f: f.__name__)
@pytest.mark.parametrize("words", WORDS, ids=len)
def test_words(function, words):
    agree(function, words)


def test_returns_from_inside():
    for words in WORDS:
        for what in ("he", "zz", "no"):
            agree(find, words, what)


def test_shared_names():
    agree(flattened, [[3, 1], [], [2, 0, 7]])


def test_for_python_it_is_a_python_generator():
    assert list(countdown(3)) == [3, 2, 1]


@fn
def zipped(n: int) -> int:
    total = 0
    for a, b in zip(countdown(n), range(n)):
        total += a * b
    return total


@fn
def asked(n: int) -> int:
    it = countdown(n)
    return next(it) + next(it)


@fn
def itself(n: int) -> Iterator[int]:
    yield n
    if n > 0:
        yield from itself(n - 1)


@fn
def recursive(n: int) -> int:
    return sum(itself(n))


@fn
def guarded(n: int) -> Iterator[int]:
    try:
        yield n
    finally:
        print("end")


@fn
def in_try(n: int) -> int:
    return sum(guarded(n))


@pytest.mark.parametrize(
    ("function", "error"),
    [(zipped, GeneratorOnce), (asked, GeneratorOnce), (recursive, RecursiveGenerator), (in_try, UnsupportedSyntax)],
    ids=lambda x: x.__name__,
)
def test_limits_are_said(function, error):
    with pytest.raises(error) as caught:
        function(3)
    assert isinstance(caught.value, CompileError)


# -- ends before the generator's ------------------------------------------------------------------------


@fn
def naturals(seen: list[int]) -> Iterator[int]:
    n = 0
    while True:
        seen.append(n)
        yield n
        n += 1


@fn
def sliced(n: int) -> list[int]:
    seen: list[int] = []
    out = list(islice(naturals(seen), n))
    for x in islice(naturals(seen), 2, n, 3):
        if x == 8:
            break
        out.append(x)
    else:
        out.append(-1)
    for i, x in enumerate(islice((a * 10 + b for a in range(4) for b in range(3)), n)):
        if x == 11:
            continue
        out.append(i + x)
    return out + seen


@fn
def taken(n: int) -> list[int]:
    seen: list[int] = []
    out = list(takewhile(lambda x: x < n, naturals(seen)))
    for x in takewhile(lambda x: x < n, (a * b for a in range(1, 9) for b in range(3))):
        if x == 6:
            break
        out.append(x)
    else:
        out.append(-7)
    out.append(sum(takewhile(lambda x: x % 7 < 5, islice(naturals(seen), n))))
    return out + seen


@pytest.mark.parametrize("function", [sliced, taken], ids=lambda f: f.__name__)
def test_ends_early(function):
    for n in (0, 1, 2, 3, 5, 11, 30):
        agree(function, n)
