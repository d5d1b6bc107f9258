"""@struct classes: fields, methods, operators, properties, mutation, aliasing, nesting."""

from __future__ import annotations

import math
from dataclasses import field

from conformance import case, fn

from sapwood import struct


@struct(frozen=True)
class Vec:
    x: float
    y: float

    def __add__(self, other: Vec) -> Vec:
        return Vec(self.x + other.x, self.y + other.y)

    def __sub__(self, other: Vec) -> Vec:
        return Vec(self.x - other.x, self.y - other.y)

    def __mul__(self, k: float) -> Vec:
        return Vec(self.x * k, self.y * k)

    def __neg__(self) -> Vec:
        return Vec(-self.x, -self.y)

    def __lt__(self, other: Vec) -> bool:
        return self.length() < other.length()

    def length(self) -> float:
        return math.sqrt(self.x * self.x + self.y * self.y)

    @property
    def swapped(self) -> Vec:
        return Vec(self.y, self.x)

    @staticmethod
    def unit(k: int) -> Vec:
        return Vec(1.0, 0.0) if k == 0 else Vec(0.0, 1.0)

    @classmethod
    def zero(cls) -> Vec:
        return cls(0.0, 0.0)


@struct
class Counter:
    count: int
    step: int = 1

    def tick(self) -> int:
        self.count += self.step
        return self.count


ORIGIN = Vec(0.5, 0.25)


@case(1.0, 2.0)
@fn
def build(x: float, y: float) -> Vec:
    return Vec(x, y)


@case(1.0, 2.0)
@fn
def operators(x: float, y: float) -> Vec:
    a, b = Vec(x, y), Vec(y, x)
    return (a + b) * 2.0 - -a


@case(3.0, 4.0)
@fn
def methods(x: float, y: float) -> tuple[float, Vec]:
    v = Vec(x, y)
    return v.length(), v.swapped


@case(1.0)
@fn
def static_and_class_methods(x: float) -> Vec:
    return Vec.unit(0) * x + Vec.unit(1) + Vec.zero()


@case(1.0)
@fn
def keywords(x: float) -> Vec:
    return Vec(y=x, x=x + 1)


@case(1.0)
@fn
def module_constant(x: float) -> Vec:
    return ORIGIN * 2.0 + ORIGIN


@case(1.0, 1.0)
@case(1.0, 2.0)
@fn
def equality(x: float, y: float) -> tuple[bool, bool, bool]:
    return Vec(x, y) == Vec(y, x), Vec(x, x) != Vec(x, y), Vec(x, y) < Vec(2.0, y)


@case(3)
@fn
def mutable(n: int) -> Counter:
    c = Counter(n)
    c.tick()
    c.step = 10
    c.tick()
    return c


@case(3)
@fn
def aliasing(n: int) -> tuple[int, int]:
    a = Counter(n)
    b = a
    b.count = 50
    a.tick()
    return a.count, b.count


@fn
def bump(c: Counter, k: int) -> None:
    c.count += k


@case(3)
@fn
def passed_by_reference(n: int) -> int:
    c = Counter(n, 2)
    for i in range(3):
        bump(c, i)
    return c.count


@case(2)
@fn
def in_a_loop(n: int) -> list[int]:
    c = Counter(0, n)
    return [c.tick() for _ in range(4)]


@struct(frozen=True)
class Segment:
    start: Vec
    end: Vec
    name: str = "s"

    def length(self) -> float:
        return (self.end - self.start).length()


@case(3.0)
@fn
def nested(x: float) -> tuple[float, float]:
    s = Segment(Vec(0.0, 0.0), Vec(x, 4.0))
    return s.length(), s.end.swapped.x


@case("named")
@fn
def text_field(name: str) -> Segment:
    return Segment(Vec(0.0, 1.0), Vec(2.0, 3.0), name + "!")


@case(3)
@fn
def list_of_structs(n: int) -> list[Vec]:
    out = []
    for i in range(n):
        out.append(Vec(float(i), i * 2.0))
    out[0] = out[1] + out[2]
    return out


@case(3)
@fn
def list_of_mutable(n: int) -> list[int]:
    counters = [Counter(i) for i in range(n)]
    for c in counters:
        c.tick()
    counters[0].count = 99
    first = counters[0]
    first.tick()
    return [c.count for c in counters]


@struct
class Node:
    value: int
    next: Node | None = None


@case(4)
@fn
def linked_list(n: int) -> int:
    head: Node | None = None
    for i in range(n):
        head = Node(i, head)
    total = 0
    while head is not None:
        total = total * 10 + head.value
        head = head.next
    return total


@struct
class Tree:
    key: int
    left: Tree | None = None
    right: Tree | None = None


@fn
def insert(tree: Tree | None, key: int) -> Tree:
    if tree is None:
        return Tree(key)
    if key < tree.key:
        tree.left = insert(tree.left, key)
    elif key > tree.key:
        tree.right = insert(tree.right, key)
    return tree


@fn
def in_order(tree: Tree | None, out: list[int]) -> None:
    if tree is not None:
        in_order(tree.left, out)
        out.append(tree.key)
        in_order(tree.right, out)


@case([5, 2, 8, 1, 9, 2])
@fn
def search_tree(keys: list[int]) -> list[int]:
    root: Tree | None = None
    for key in keys:
        root = insert(root, key)
    out: list[int] = []
    in_order(root, out)
    return out


@struct
class Stack:
    items: list[int] = field(default_factory=list)

    def push(self, x: int) -> None:
        self.items.append(x)

    def pop(self) -> int:
        return self.items.pop()

    def __len__(self) -> int:
        return len(self.items)


@case(3)
@fn
def container_field(n: int) -> tuple[int, int]:
    s = Stack()
    for i in range(n):
        s.push(i * i)
    return s.pop(), len(s)


@case(0)
@fn
def error_from_method(n: int) -> int:
    s = Stack()
    s.push(n)
    s.pop()
    return s.pop()


@case(2)
@fn
def field_of_none(n: int) -> int:
    head: Node | None = None
    if n > 5:
        head = Node(n)
    return head.value


@struct(frozen=True)
class Matrix:
    a: int
    b: int
    c: int
    d: int

    def __matmul__(self, o: Matrix) -> Matrix:
        return Matrix(
            self.a * o.a + self.b * o.c, self.a * o.b + self.b * o.d,
            self.c * o.a + self.d * o.c, self.c * o.b + self.d * o.d,
        )

    def __getitem__(self, k: int) -> int:
        return self.a if k == 0 else self.b if k == 1 else self.c if k == 2 else self.d

    def __call__(self, k: int) -> int:
        return self.a * k

    def __bool__(self) -> bool:
        return self.a != 0


@case(10)
@fn
def fibonacci_matrix(n: int) -> int:
    m, r = Matrix(1, 1, 1, 0), Matrix(1, 0, 0, 1)
    while n:
        if n & 1:
            r = r @ m
        m = m @ m
        n >>= 1
    return r[1]


@case(3)
@fn
def special_methods(n: int) -> tuple[int, bool, int]:
    m = Matrix(n, 2, 3, 4)
    return m(10), bool(m), m[2]


@case(1.5)
@fn
def struct_as_key(x: float) -> int:
    d = {Vec(x, 1.0): 1, Vec(1.0, x): 2}
    return d[Vec(1.0, 1.5)]


@case(2)
@fn
def printed_struct(n: int) -> None:
    print(Vec(n / 2, 1.0))


@struct
class Account:
    owner: str
    balance: float = 0.0

    LIMIT = 100.0

    def deposit(self, amount: float) -> None:
        if amount > self.LIMIT:
            raise ValueError(f"{self.owner}: {amount} is too much")
        self.balance += amount


@case("ann", 50.0)
@case("bob", 200.0)
@fn
def account(owner: str, amount: float) -> Account:
    a = Account(owner)
    a.deposit(amount)
    a.deposit(amount / 2)
    return a


@case(2)
@fn
def dict_of_structs(n: int) -> float:
    accounts: dict[str, Account] = {}
    for name in ("a", "b"):
        accounts[name] = Account(name)
    accounts["a"].deposit(n * 10.0)
    accounts["a"].deposit(1.0)
    return accounts["a"].balance + accounts["b"].balance
