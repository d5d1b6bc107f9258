"""Structs that hold references, refer to themselves or outlive the function that made them."""

from __future__ import annotations

import collections

import pytest
from oracles import agree

from sapwood import fn, struct
from sapwood.runtime.heap import live_objects


@pytest.fixture(autouse=True)
def nothing_is_left():
    before = live_objects()
    yield
    assert live_objects() == before


@struct
class Node:
    value: int
    left: Node | None = None
    right: Node | None = None

    def total(self) -> int:
        out = self.value
        if self.left is not None:
            out += self.left.total()
        if self.right is not None:
            out += self.right.total()
        return out


@fn
def build(depth: int) -> Node:
    if depth == 0:
        return Node(1)
    return Node(depth, build(depth - 1), build(depth - 1))


@fn
def tree(depth: int) -> int:
    return build(depth).total()


@fn
def chain(n: int) -> int:
    head = Node(0)
    for i in range(n):
        head = Node(i, head)
    count = 0
    at = head
    while at.left is not None:
        at = at.left
        count += at.value
    return count


@fn
def compared(n: int) -> tuple[bool, bool, bool, bool, bool]:
    a, b = build(n), build(n)
    c = Node(n, a.left, a.right)
    return a == b, a != b, a.left == c.left, a.left == None, a.left == b.right  # noqa: E711


def test_trees_and_chains():
    for n in range(4):
        agree(tree, n, plain=True)
        agree(chain, n, plain=True)
        agree(compared, n, plain=True)


def test_a_million_nodes_end_without_recursion():
    assert chain(1_000_000) == sum(range(999_999))


@struct
class Counter:
    n: int = 0

    def bump(self) -> None:
        self.n += 1


@fn
def latest(n: int) -> tuple[int, int]:
    previous = Counter(0)
    first = previous
    for i in range(n):
        c = Counter(i)
        if i % 2 == 0:
            previous = c
    previous.bump()
    return previous.n, first.n


@fn
def many(n: int) -> int:
    xs = []
    for i in range(n):
        xs.append(Counter(i))
    xs[0].bump()
    total = 0
    for i in range(n):
        total += xs[i].n
    return total


@fn
def maybe(n: int) -> int:
    c = None
    if n > 2:
        c = Counter(n)
    if c is not None:
        c.bump()
        return c.n
    return -1


@struct
class Stack:
    items: list[int]
    inner: Counter

    def push(self, x: int) -> None:
        self.items.append(x)
        self.inner.bump()


@fn
def stacks(n: int) -> tuple[int, int, int]:
    c = Counter(5)
    s = Stack([1], c)
    for i in range(n):
        s.push(i)
    shared = s.inner
    s.inner = Counter(100)
    shared.bump()
    return len(s.items), c.n, s.inner.n


def test_escaping_structs():
    for n in (1, 4):
        agree(latest, n, plain=True)
        agree(many, n, plain=True)
        agree(maybe, n, plain=True)
        agree(stacks, n, plain=True)


@struct
class Guarded:
    items: list[int]
    count: int

    def __init__(self, n: int) -> None:
        if n < 0:
            raise ValueError("negative")
        if n == 0:
            self.count = len(self.items)
        self.items = [n]
        self.count = n


@fn
def guarded(n: int) -> int:
    g = Guarded(n)
    return g.items[0] + g.count


@fn
def fails_with_a_tree(n: int) -> int:
    t = build(n)
    if t.value == n:
        raise KeyError("found")
    return t.value


@fn
def value_of_none(n: int) -> int:
    t = build(n)
    at = t.left
    return at.value  # type: ignore[union-attr]


def test_exceptions():
    agree(guarded, 3, plain=True)
    for bad in (-1, 0):
        agree(guarded, bad, plain=True)
    agree(fails_with_a_tree, 3, plain=True)
    agree(value_of_none, 1, plain=True)
    agree(value_of_none, 0, plain=True)


# -- between Python and compiled code --------------------------------------------------------------------


@fn
def insert(root: Node, value: int) -> Node:
    at = root
    while True:
        if value < at.value:
            if at.left is None:
                at.left = Node(value)
                return at
            at = at.left
        else:
            if at.right is None:
                at.right = Node(value)
                return at
            at = at.right


@fn
def cut(root: Node) -> Node | None:
    out = root.left
    root.left = None
    return out


@fn
def shared(n: int) -> tuple[Node, Node | None, Node | None]:
    leaf = Node(n)
    top = Node(1, leaf, leaf)
    return top, top.left, None


@fn
def pushed(s: Stack, n: int) -> int:
    s.push(n)
    return len(s.items)


def test_graphs_come_from_python_and_go_back():
    root = Node(5)
    for v in (3, 8, 4, 9, 1):
        agree(insert, root, v, plain=True)
        parent = insert(root, v)
        assert v in (parent.left and parent.left.value, parent.right and parent.right.value)
    assert root.total() == 30 and root.left.right.value == 4
    left = root.left
    assert cut(root) is left and root.left is None
    assert cut(root) is None
    top, first, nothing = shared(4)
    assert top.left is top.right is first and first.value == 4 and nothing is None
    s = Stack([], Counter(1))
    items, counter = s.items, s.inner
    agree(pushed, s, 3, plain=True)
    assert pushed(s, 7) == 1
    assert s.items is items == [7] and s.inner is counter and counter.n == 2


def test_arguments_that_do_not_fit():
    with pytest.raises(TypeError, match="Counter is expected"):
        pushed(Stack([1], Node(1)), 2)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="an int is expected"):
        pushed(Stack(["x"], Counter(1)), 2)  # type: ignore[list-item]
    with pytest.raises(TypeError):
        insert(Node("x"), 2)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        insert(None, 2)


def test_a_long_chain_crosses_the_border():
    head = Node(0)
    for i in range(50_000):
        head = Node(i, head)
    insert(head, 10**6)
    assert head.right.value == 10**6


@struct
class Named:
    name: str
    tags: list[str]
    count: int = 0

    def shout(self) -> str:
        return self.name.upper() + "!"


@fn
def greet(n: Named) -> str:
    n.count += 1
    n.tags.append("seen")
    return n.shout()


@fn
def make_named(name: str) -> Named:
    return Named(name, [name, "b"])


def test_texts_in_structs():
    agree(make_named, "q", plain=True)
    n = Named("é", ["a"])
    agree(greet, n, plain=True)
    assert greet(n) == "É!" and n == Named("é", ["a", "seen"], 1)
    with pytest.raises(TypeError, match="a str is expected"):
        greet(Named(3, []))  # type: ignore[arg-type]


# -- containers of objects as results ------------------------------------------------------------------


@struct
class Point:
    x: int
    y: float


@struct(frozen=True)
class Key:
    number: int
    name: str


@struct
class Shelf:
    name: str
    shelves: list[Shelf]
    by_name: dict[str, Shelf]
    tags: set[str]
    numbers: frozenset[int]
    raw: bytes
    row: tuple[int, ...]
    counted: collections.Counter[str]


@fn
def points(n: int) -> dict[int, Point]:
    out = {i: Point(i, i * 0.5) for i in range(n)}
    out.pop(3, None)
    return out


@fn
def lists_of_points(n: int) -> dict[Key, list[Point]]:
    shared = Point(7, 7.5)
    return {Key(i, str(i)): [shared, Point(i, 1.0)] for i in range(n)}


@fn
def dicts_of_points(n: int) -> list[dict[str, tuple[Point, int]]]:
    return [{str(j): (Point(i, float(j)), j) for j in range(i)} for i in range(n)]


@fn
def points_or_none(n: int) -> dict[str, Point | None]:
    return {str(i): Point(i, 1.0) if i > 1 else None for i in range(n)}


@fn
def keys(n: int) -> set[Key]:
    return {Key(i % 3, "k") for i in range(n)}


@fn
def shelf(n: int) -> Shelf:
    out = Shelf("top", [], {}, {"a", "b"}, frozenset({1, 2}), b"\x00x", (1, 2), collections.Counter("abca"))
    for i in range(n):
        inner = Shelf(str(i), [], {}, set(), frozenset(), b"", (), collections.Counter(""))
        out.shelves.append(inner)
        out.by_name[inner.name] = inner
    return out


@pytest.mark.parametrize("f", [points, lists_of_points, dicts_of_points, points_or_none, keys, shelf])
def test_containers_of_objects_are_returned(f):
    for n in (0, 1, 5):
        agree(f, n, plain=True)


@fn
def twice(n: int) -> tuple[dict[str, Point], list[Point], int]:
    p = Point(n, 0.5)
    return {"a": p, "b": p}, [p], n


def test_returned_objects_stay_the_same():
    for run in (twice, twice.reference):
        found, items, _ = run(4)
        assert found["a"] is found["b"] is items[0]
    top = shelf(2)
    assert top.by_name["1"] is top.shelves[1]


@struct
class Row:
    raw: bytes
    row: tuple[int, ...]
    rows: list[Row]


@fn
def measured(r: Row) -> int:
    r.rows.append(Row(b"new", (4,), []))
    return len(r.raw) + sum(r.row)


def test_bytes_and_rows_of_an_argument():
    for run in (measured, measured.reference):
        r = Row(b"\x00yz", (1, 2, 3), [])
        assert run(r) == 9
        assert r.rows == [Row(b"new", (4,), [])]
        with pytest.raises(TypeError, match="bytes is expected"):
            run(Row("text", (), []))  # type: ignore[arg-type]


@struct
class Box:
    items: list[Point]


@fn
def moved(box: Box) -> int:
    for p in box.items:
        p.x += 1
    box.items.append(Point(7, 0.5))
    return len(box.items)


def test_a_list_of_plain_structs_in_an_argument():
    for run in (moved, moved.reference, moved.__wrapped__):
        box = Box([Point(1, 1.0), Point(2, 2.0)])
        first = box.items[0]
        assert run(box) == 3
        assert box.items == [Point(2, 1.0), Point(3, 2.0), Point(7, 0.5)]
        assert box.items[0] is first
