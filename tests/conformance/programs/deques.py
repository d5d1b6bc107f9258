"""`collections.deque`."""

from collections import deque

from conformance import case, fn


@case([1, 2, 3], 3)
@case([], 0)
@fn
def ends(xs: list[int], n: int) -> tuple[deque[int], int, list[int]]:
    d = deque(xs)
    for i in range(n * 4):
        d.append(i)
        d.appendleft(-i)
    out = []
    for _ in range(n * 3):
        out.append(d.popleft())
        out.append(d.pop())
    return d, len(d), out


@case(5)
@case(1)
@case(0)
@fn
def bounded(most: int) -> tuple[deque[str], list[str], int | None, str]:
    d: deque[str] = deque(maxlen=most)
    seen = []
    for c in "abcdefgh":
        if c < "f":
            d.append(c * 2)
        else:
            d.appendleft(c + "!")
        seen.append("".join(d))
    return d, seen, d.maxlen, repr(d)


@case(-1)
@case(2)
@fn
def bad_limit(most: int) -> int:
    return len(deque([1, 2, 3], most))


@case([1, 2, 3, 4, 5, 6, 7], 2)
@case([1, 2, 3, 4, 5, 6, 7], -3)
@case([1, 2, 3, 4, 5, 6, 7, 8], 100)
@case([1], 1)
@case([], 5)
@fn
def rotated(xs: list[int], n: int) -> tuple[deque[int], deque[int], deque[int]]:
    d = deque(xs)
    d.rotate(n)
    e = d.copy()
    e.rotate()
    e.append(9)
    f = deque(reversed(d))
    f.reverse()
    return d, e, f


@case(0)
@case(-1)
@case(2)
@case(3)
@case(-4)
@fn
def indexed(i: int) -> tuple[str, deque[str]]:
    d = deque(["a", "b", "c"])
    d.appendleft("z")
    d.pop()
    x = d[i]
    d[i] = x + x
    del d[0]
    return x, d


@case(1)
@case(7)
@fn
def searched(x: int) -> tuple[bool, int, int]:
    d = deque([3, 1, 4, 1, 5])
    d.rotate(2)
    return x in d, d.count(x), d.index(x)


@case("b")
@case("q")
@fn
def removed(x: str) -> deque[str]:
    d = deque("abcab")
    d.remove(x)
    return d


@case("q")
@fn
def not_in(x: str) -> int:
    return deque(["x"]).index(x)


@case(2)
@case(0)
@case(-1)
@case(50)
@fn
def inserted(i: int) -> deque[int]:
    d = deque(range(4))
    d.insert(i, 77)
    d.extend([8, 9])
    d.extendleft((6, 5))
    d.extend(d)
    d += [100]
    return d


@case()
@fn
def insert_into_full() -> int:
    d = deque([1, 2], maxlen=2)
    d.insert(0, 5)
    return 0


@case()
@fn
def pop_of_nothing() -> int:
    d: deque[int] = deque()
    return d.popleft()


@case(3)
@fn
def changed_in_a_loop(n: int) -> int:
    d = deque([1, 2, 3])
    total = 0
    for x in d:
        total += x
        if x == n:
            d.append(4)
    return total


@case([1, 2], [1, 3])
@case([1, 2], [1, 2])
@case([1, 2], [1])
@fn
def compared(a: list[int], b: list[int]) -> tuple[bool, bool, bool, bool, bool, bool, deque[int], bool]:
    d, e = deque(a), deque(b)
    return d == e, d != e, d < e, d <= e, d > e, d >= e, d + e, bool(d) and d is not e


@case({"a": ["b", "c"], "b": ["d"], "c": ["d"], "d": []}, "a")
@fn
def breadth_first(graph: dict[str, list[str]], start: str) -> list[str]:
    seen = {start}
    queue = deque([start])
    order = []
    while queue:
        node = queue.popleft()
        order.append(node)
        for other in graph[node]:
            if other not in seen:
                seen.add(other)
                queue.append(other)
    return order


@case([3, 1, 4, 1, 5, 9, 2, 6], 3)
@fn
def window_maxima(xs: list[int], k: int) -> list[int]:
    out, d = [], deque()
    for i, x in enumerate(xs):
        while d and xs[d[-1]] <= x:
            d.pop()
        d.append(i)
        if d[0] <= i - k:
            d.popleft()
        if i >= k - 1:
            out.append(xs[d[0]])
    return out


@case(deque([1, 2, 3], 5))
@case(deque([]))
@fn
def argument(d: deque[int]) -> tuple[list[int], int | None, int, int, list[int], str]:
    return [x * 2 for x in d], d.maxlen, sum(d), max(d, default=0), sorted(d, reverse=True), f"{list(d)} {deque()}"


@case(3)
@fn
def of_pairs(n: int) -> tuple[list[tuple[int, str]], deque[tuple[int, str]]]:
    d: deque[tuple[int, str]] = deque([(0, "x")], maxlen=4)
    for i in range(n):
        d.append((i, str(i)))
        d.appendleft((i * 10, "y"))
    out = [(i, s) for i, s in reversed(d)]
    d.clear()
    d.append((1, "one"))
    return out, d
