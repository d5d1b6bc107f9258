"""Displays and empty containers where a type is declared, and defaults."""

from conformance import case, fn


@case(3)
@fn
def list_of_optional(n: int) -> list[int | None]:
    a: list[int | None] = [1, 2]
    a.append(None)
    a.append(n)
    return a


@case(3)
@fn
def repeated_none(n: int) -> list[int | None]:
    a: list[int | None] = [None] * n
    a[0] = 5
    return a


@case(3)
@fn
def repeated_none_unannotated(n: int) -> list[int | None]:
    memo = [None] * n
    memo[1] = 4
    return memo


@case(2)
@fn
def floats_from_ints(n: int) -> list[float]:
    xs: list[float] = [0, 1, n]
    ys: list[float] = [0] * n
    zs: list[float] = [i for i in range(n)]
    ys[0] = 1.5
    return [x * 0.5 for x in xs + ys + zs]


@case(2)
@fn
def nested_floats(n: int) -> list[list[float]]:
    m: list[list[float]] = [[0] * n for _ in range(n)]
    m[0][1] = 2.5
    k: list[list[float]] = [[1, 2], [3, n]]
    return [[x / 2 for x in row] for row in m + k]


@case(3)
@fn
def nested_optional(n: int) -> list[list[int | None]]:
    m: list[list[int | None]] = [[None] * n for _ in range(2)]
    m[1][2] = n
    return m


@case(1)
@fn
def dict_of_floats(n: int) -> dict[str, float]:
    d: dict[str, float] = {"a": 1, "b": n, "c": 2.5}
    e: dict[str, float] = {"d": 1}
    for k in e:
        d[k] = e[k]
    f: dict[int, float] = {i: i for i in range(n)}
    d["f"] = f[0]
    return {k: v / 2 for k, v in d.items()}


@case(1)
@fn
def dict_of_optional(n: int) -> dict[str, int | None]:
    d: dict[str, int | None] = {"a": 1}
    d["b"] = None
    return d


@case(1)
@fn
def dict_of_lists(n: int) -> float:
    d: dict[str, list[float]] = {"a": [1, 2], "b": []}
    d["b"].append(n)
    return sum(d["a"]) / sum(d["b"])


@case(2)
@fn
def set_of_floats(n: int) -> float:
    s: set[float] = {1, n}
    s.add(2.5)
    return sum(s) + len(s)


@case(2)
@fn
def tuple_of_floats(n: int) -> float:
    t: tuple[float, list[float]] = (1, [n])
    t[1].append(0.5)
    return t[0] / 2 + sum(t[1])


@case(0)
@case(1)
@fn
def returned_empty(n: int) -> list[int]:
    if n == 0:
        return []
    return [n]


@case(0)
@fn
def always_empty(n: int) -> list[int]:
    return []


@case(0)
@fn
def empty_dict(n: int) -> dict[str, int]:
    return {}


@case(0)
@fn
def empty_set(n: int) -> set[int]:
    return set()


@case(0)
@fn
def empty_in_tuple(n: int) -> tuple[list[int], dict[str, float], str]:
    return [], {}, ""


@case(3)
@fn
def returned_floats(n: int) -> float:
    def values() -> list[float]:
        return [1, 2, n]

    return sum(values()) / 4


@case(3)
@fn
def returned_float_comprehension(n: int) -> float:
    def squares() -> list[float]:
        return [i * i for i in range(n)]

    return sum(squares()) / 2


@case(3)
@fn
def returned_optionals(n: int) -> list[int | None]:
    return [n, n + 1]


@case(3)
@fn
def returned_dict_of_floats(n: int) -> float:
    def values() -> dict[str, float]:
        return {"a": n, "b": 0}

    return values()["a"] / 2


@fn
def total(xs: list[float]) -> float:
    return sum(xs)


@case(3)
@fn
def fitted_argument(n: int) -> float:
    return total([1, 2, n]) / 4 + total([0.5])


@fn
def collected(x: int, xs: list[int] | None = None) -> list[int]:
    if xs is None:
        xs = []
    xs.append(x)
    return xs


@case(3)
@fn
def default_none(n: int) -> list[int]:
    first = collected(n)
    second = collected(n + 1, first)
    return first + second + collected(0)


@case(2.0)
@fn
def import_inside(x: float) -> float:
    import math as m
    from math import floor, sqrt

    return m.sin(x) + sqrt(x) + floor(x)


@case(2.0)
@fn
def ternary_of_two_numbers(x: float) -> float:
    y = 1 if x > 1 else 2.5
    y += x if x < 0 else 1
    return y / 2


@case(2)
@fn
def joinable_returns(n: int) -> float:
    if n > 3:
        return 1
    if n > 1:
        return n / 4
    return 0.5


@case(2)
@case(-2)
@fn
def joinable_optional(n: int) -> int | None:
    if n < 0:
        return None
    if n == 0:
        return
    return n


@case(3)
@fn
def grows_from_empty(n: int) -> list[list[int]]:
    rows = []
    for i in range(n):
        row = []
        for j in range(i):
            row.append(j)
        rows.append(row)
    return rows


@case(3)
@fn
def attribute_default(n: int) -> tuple[list[int], dict[int, list[int]]]:
    out, seen = [], {}
    for i in range(n):
        out.append(i)
        seen.setdefault(i % 2, []).append(i)
    return out, seen


@case(True)
@case(False)
@fn
def empty_or_not(full: bool) -> list[int]:
    xs = [1, 2] if full else []
    return xs + ([] if full else [3])


@fn
def put(xs, x):
    xs[0] = x


@case(3)
@fn
def ints_stay_ints(n: int) -> list[int]:
    a = [1, 2]
    b = list(a)
    b.append(n)
    c = a + [5]
    return a + b + c


@case(3)
@fn
def appended_in_a_comprehension(n: int) -> int:
    out = []
    ys = [out.append(i) for i in range(n)]
    return len(out) + len(ys)


@case(3)
@fn
def through(n: int) -> float:
    a = [0] * n
    b = [0] * n
    put(a, 1.5)
    put(b, 2)
    return a[0] + b[0]


@case(4)
@fn
def memo_of_none(n: int) -> int:
    seen = [None] * (n + 1)

    def fib(k: int) -> int:
        if seen[k] is not None:
            return seen[k]
        r = k if k < 2 else fib(k - 1) + fib(k - 2)
        seen[k] = r
        return r

    return fib(n)


@case(4)
@fn
def append_none(n: int) -> list[int | None]:
    xs = [1, 2]
    xs.append(None)
    xs.insert(0, None)
    xs.extend([None, 3])
    xs += [None]
    return xs


@case(4)
@fn
def dict_none(n: int) -> dict[str, int | None]:
    d = {"a": 1}
    d["b"] = None
    d.setdefault("c", None)
    return d


@case(4)
@fn
def grid_of_none(n: int) -> int:
    g = [[None] * n for _ in range(n)]
    g[1][1] = 5
    g[0][1] = 6
    return sum(v for row in g for v in row if v is not None)


@case(4)
@fn
def floats_in_a_list_of_zeros(n: int) -> float:
    acc = [0] * n
    for i in range(n):
        acc[i] += i / 2
    return sum(acc)


@case(4)
@fn
def floats_in_a_dict_of_zeros(n: int) -> float:
    acc = {"a": 0}
    acc["a"] += n / 8
    return acc["a"]


@case([1, None, 3], {"a": None})
@fn
def tested_items(xs: list[int | None], d: dict[str, int | None]) -> int:
    total = 0
    for i in range(len(xs)):
        if xs[i] is not None:
            total += xs[i]
        elif d["a"] is None:
            total += 100
        y = xs[i] + 1 if xs[i] is not None and xs[i] > 1 else 0
        total += y
    return total


@case(0)
@case(5)
@fn
def annotated_choices(n: int) -> list[float]:
    a: list[float] = [] if n > 3 else [1]
    b: list[float] = [1] + [2]
    c = [1] + [0.5]
    d: dict[str, float] = {"a": 1} if n else {}
    if n:
        e = [1]
    else:
        e = [0.5]
    e.append(0.25)
    return [x / 2 for xs in (a, b, c, list(d.values()), e) for x in xs]


@case(2)
@fn
def annotated_rows(n: int) -> tuple[list[float], list[int | None], int, list[float]]:
    rows: tuple[list[float], ...] = tuple([[1], [2.5]])
    maybe: list[int | None] = [None] + [1] * n
    pairs: list[tuple[float, str]] = [(1, "a"), (2.5, "b")]
    nested: dict[str, list[float]] = {"a": [1], "b": []}
    nested["b"].append(0.5)
    return [x / 2 for row in rows for x in row], maybe, len(pairs), [x / 4 for xs in nested.values() for x in xs]
