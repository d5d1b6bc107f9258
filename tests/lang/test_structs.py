"""Structs: values and references, methods, operators, crossing the boundary to Python."""

from __future__ import annotations

import dataclasses
import enum
from dataclasses import field, replace
from typing import ClassVar, Self

import numpy as np
import pytest
from oracles import agree

from sapwood import StackArray, Tensor, f32, fields, fn, i32, is_struct, struct, unroll


@struct(frozen=True)
class Vec:
    x: float
    y: float = 0.0

    def __add__(self, other: Vec) -> Vec:
        return Vec(self.x + other.x, self.y + other.y)

    def __mul__(self, k: float) -> Vec:
        return Vec(self.x * k, self.y * k)

    def __rmul__(self, k: float) -> Vec:
        return self * k

    def __neg__(self) -> Vec:
        return Vec(-self.x, -self.y)

    def __getitem__(self, i: int) -> float:
        return self.x if i == 0 else self.y

    def __len__(self) -> int:
        return 2

    def dot(self, other: Vec) -> float:
        return self.x * other.x + self.y * other.y


@fn
def vectors(a: Vec, b: Vec) -> Vec:
    c = a + b * 2.0
    return -(0.5 * c) + Vec(a.dot(b)) + Vec(y=c[1], x=len(c))


@fn
def equal(a: Vec, b: Vec) -> tuple[bool, bool]:
    return a == b, a != b


@fn
def chosen(a: Vec, b: Vec, n: int) -> Vec:
    best = a
    for i in range(n):
        if i % 2 == 0:
            best = best + b
    return best if n > 1 else b


def test_frozen_structs():
    a, b = Vec(1.0, 2.0), Vec(-3.0, 0.5)
    agree(vectors, a, b, plain=True)
    agree(equal, a, b, plain=True)
    agree(equal, a, Vec(1.0, 2.0), plain=True)
    for n in range(4):
        agree(chosen, a, b, n, plain=True)


@struct
class Counter:
    count: int = 0
    total: float = 0.0

    def push(self, x: float) -> None:
        self.count += 1
        self.total += x

    def mean(self) -> float:
        return self.total / self.count


@fn
def run(c: Counter, n: int) -> float:
    alias = c
    for i in range(n):
        alias.push(i * 0.5)
    push_twice(c)
    return c.mean()


@fn
def push_twice(c: Counter) -> None:
    c.push(1.0)
    c.push(2.0)


@fn
def local_counter(n: int) -> tuple[int, float]:
    c = Counter()
    d = c
    for i in range(n):
        d.push(i)
    return c.count, c.total


@fn
def make_counter(n: int) -> Counter:
    c = Counter(n)
    c.push(0.5)
    return c


@fn
def use_made(n: int) -> float:
    c = make_counter(n)
    c.push(1.0)
    return c.total + c.count


def test_mutable_structs():
    c = Counter(1, 2.0)
    agree(run, c, 3)
    run(c, 3)
    assert (c.count, c.total) == (6, 6.5)
    agree(local_counter, 4, plain=True)
    agree(make_counter, 4, plain=True)
    agree(use_made, 4, plain=True)


def test_write_back_happens_on_every_call():
    c = Counter()
    for n in range(1, 50):
        push_twice(c)
        assert c.count == 2 * n


@struct
class Failing:
    n: int = 0

    def bump(self) -> None:
        self.n += 1


@fn
def fails(c: Failing) -> None:
    c.bump()
    if c.n > 2:
        raise ValueError("too many")


def test_an_exception_in_a_method():
    c = Failing()
    fails(c)
    fails(c)
    with pytest.raises(ValueError, match="too many"):
        fails(c)


@struct(frozen=True)
class Outer:
    inner: Vec
    name: i32
    scale: f32 = 2.0


@fn
def nested(o: Outer) -> Outer:
    return Outer(o.inner + o.inner, o.name + 1, o.scale * 0.1)


@struct(frozen=True)
class View:
    data: Tensor[f32, 2]
    scale: float

    def __getitem__(self, i: int) -> float:
        return self.data[i, 0] * self.scale


@fn
def first_column(v: View) -> float:
    acc = 0.0
    for i in range(v.data.shape[0]):
        acc += v[i]
    return acc


def test_nested_structs_and_tensors():
    agree(nested, Outer(Vec(1.0, 2.0), 5, 0.25))
    x = np.arange(6, dtype=np.float32).reshape(3, 2)
    assert first_column(View(x, 0.5)) == 3.0 == first_column.reference(View(x, 0.5))
    assert first_column.python(View(x, 0.5)) == 3.0
    assert first_column(View(x[::-1], 0.5)) == 3.0


@fn
def in_memory(n: int) -> float:
    things = StackArray[Vec, 4]()
    for i in range(4):
        things[i] = Vec(i * 1.0, n * 1.0)
    acc = Vec(0.0)
    for i in range(4):
        acc = acc + things[i]
    return acc.x * 100 + acc.y


def test_structs_in_stack_arrays():
    assert in_memory(3) == in_memory.reference(3) == 612.0


@struct(frozen=True)
class Derived(Vec):
    z: float = 1.0

    def dot(self, other: Vec) -> float:
        return self.x * other.x + self.z


@fn
def dot_any(a: Vec, b: Vec) -> float:
    return a.dot(b)


def test_inheritance():
    agree(dot_any, Derived(1.0, 2.0, 3.0), Vec(4.0, 5.0), plain=True)
    agree(dot_any, Vec(1.0, 2.0), Vec(4.0, 5.0), plain=True)


# -- members of classes ---------------------------------------------------------------------------------


class Color(enum.Enum):
    RED = 1
    BLUE = 2


@struct(frozen=True, order=True)
class Point:
    x: float
    y: float = 2.0
    DIM: ClassVar[int] = 2
    NAMES = ("a", "bc")
    KIND = f32
    COLOR = Color.RED

    @property
    def norm2(self) -> float:
        return self.x * self.x + self.y * self.y

    @staticmethod
    def sum(a: float, b: float) -> float:
        return a + b

    @classmethod
    def origin(cls) -> Self:
        return cls(0.0, 0.0)

    def __add__(self, o: object) -> Point:
        if not isinstance(o, Point):
            return NotImplemented
        return Point(self.x + o.x, self.y + o.y)

    def __bool__(self) -> bool:
        return self.x != 0.0

@struct(frozen=True)
class Owner:
    a: Point
    t: tuple[int, float]
    ZERO = Point(0.0, 0.0)
    def __radd__(self, o: Point) -> float:
        return o.x + self.a.x

@struct
class Doubling:
    v: int = 0
    w: float = field(default=1.5, kw_only=True)
    @property
    def value(self) -> int:
        return self.v
    @value.setter
    def value(self, x: int) -> None:
        self.v = x * 2
    def bump(self) -> int:
        self.v += 1
        return self.v

@struct
class Summing(Doubling):
    z: int = 7
    def bump(self) -> int:
        return super().bump() + self.z
    def __post_init__(self) -> None:
        self.z += 1

@fn
def members(a: Point, b: Point):
    c = Point.origin() + a
    tests = a < b, a <= b, a == b, a != b, a > b, Point.COLOR == Color.RED
    return a.norm2, Point.sum(a.x, b.y), c, Point.DIM, len(Point.NAMES), tests

@fn
def reflected(a: Point, n: int):
    q = Owner(a, (n, 2.0))
    k = 0
    if a:
        k = 1
    return q, a + q, q == q, q.t[0], k, Owner.ZERO.y, Owner.ZERO + a

@fn
def mutable_members(n: int):
    b = Doubling(n, w=3.0)
    b.value = n
    b.value += 1
    c = Summing(n)
    r = c.bump()
    d = replace(b, v=100)
    return b.v, b.w, c.z, r, d.v, d.w, b == d, b == Doubling(b.v, w=3.0)

@fn
def asked(a: Point):
    n = 0
    for f in unroll(fields(Point)):
        if f.type is float:
            n += 1
        if hasattr(a, f.name):
            n += 10
    same = type(a) is Point and isinstance(a, Point) and issubclass(Point, Point)
    return n, is_struct(Point), same, dataclasses.astuple(Owner(a, (1, 2.0)))


def test_members_of_classes():
    agree(members, Point(1.0), Point(2.0, 3.0), plain=True)
    agree(members, Point(2.0, 3.0), Point(2.0, 3.0), plain=True)
    agree(reflected, Point(1.0), 4, plain=True)
    agree(reflected, Point(0.0), 4, plain=True)
    agree(mutable_members, 4, plain=True)
    agree(asked, Point(1.0), plain=True)


@struct(kw_only=True)
class Settings:
    name: str = "x"
    sizes: tuple[int, float] = (1, 2.0)
    levels: list[int] = field(default_factory=lambda: [1, 2])
    total: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        for n in self.levels:
            self.total += n


@struct
class Custom:
    a: int
    b: float

    def __init__(self, n: int, scale: float = 2.0) -> None:
        self.a = n
        self.b = n * scale


@fn
def constructed(n: int) -> tuple[int, float, int, int, float]:
    s = Settings(sizes=(n, 1.5))
    t = Settings(levels=[n, n, n])
    c = Custom(n)
    return s.total + t.total, s.sizes[1], t.sizes[0], c.a, c.b + Custom(n, scale=0.5).b


def test_construction():
    agree(constructed, 5, plain=True)


@struct(frozen=True)
class Wraps:
    counter: Counter
    n: int


@fn
def pushes_inside(w: Wraps, pair: tuple[Counter, int]) -> int:
    w.counter.push(1.0)
    pair[0].push(2.0)
    return w.counter.count + pair[0].count


def test_what_is_inside_an_argument_is_written_back():
    a, b = Counter(), Counter(3)
    agree(pushes_inside, Wraps(a, 1), (b, 2), plain=True)
    assert pushes_inside(Wraps(a, 1), (b, 2)) == 5
    assert (a.count, a.total, b.count, b.total) == (1, 1.0, 4, 2.0)


@struct(unsafe_hash=True)
class Keyed:
    name: int
    noise: float = field(default=0.0, compare=False)


@fn
def hashed(n: int) -> tuple[int, int, int]:
    seen = {Vec(float(i % 3)): i for i in range(n)}
    return hash(Vec(1.5, float(n))), hash(Keyed(n, 2.0)), len(seen) + seen[Vec(1.0)]


def test_hashes_are_those_of_python():
    agree(hashed, 7, plain=True)


@struct(frozen=True)
class Amount:
    x: float

    def __divmod__(self, other: Amount) -> tuple[Amount, Amount]:
        return Amount(self.x // other.x), Amount(self.x % other.x)

    def __rdivmod__(self, other: float) -> float:
        return other / self.x

    def __pow__(self, n: int) -> Amount:
        return Amount(self.x**n)

    def __round__(self, n: int = 0) -> Amount:
        return Amount(round(self.x, n))


@fn
def built_in_functions(x: float) -> str:
    v = Amount(x)
    p, q = divmod(v, Amount(2.0))
    return f"{p} {q} {divmod(3.0, v)} {pow(v, 2)} {round(v, 1)} {round(v)}"


def test_divmod_pow_and_round_ask_the_class():
    assert built_in_functions(7.26) == built_in_functions.__wrapped__(7.26)
