"""Functions and classes with type parameters in Python 3.12's syntax, which older Pythons cannot read."""

import importlib.util
import sys

import pytest

pytestmark = pytest.mark.skipif(sys.version_info < (3, 12), reason="the syntax is of Python 3.12")

PROGRAMS = """
from typing import Protocol, Self

from sapwood import Tensor, fn, struct


class Shape(Protocol):
    def area(self) -> float: ...


type Two[T] = tuple[T, T]
type Number = int


@struct(frozen=True)
class Square:
    side: float

    def area(self) -> float:
        return self.side * self.side


@struct(frozen=True)
class Box[T]:
    value: T

    def get(self) -> T:
        return self.value

    def with_value(self, value: T) -> Self:
        return type(self)(value)


@fn
def larger[T: (int, float)](a: T, b: T) -> T:
    return a if a > b else b


@fn
def area_of[S: Shape](shape: S) -> float:
    return shape.area()


@fn
def total[T](xs: Tensor[T, 1]) -> T:
    out = T(0)
    for x in xs:
        out = out + x
    return out


@fn
def swapped[T](pair: Two[T], n: Number) -> Two[T]:
    return (pair[1], pair[0]) if n > 0 else pair


@fn
def boxes(x: int) -> tuple[int, float]:
    b = Box(x)
    c = Box[float](x * 0.5)
    return b.with_value(b.get() + 1).get(), c.get()
"""


@pytest.fixture(scope="module")
def programs(tmp_path_factory):
    path = tmp_path_factory.mktemp("pep695") / "pep695_programs.py"
    path.write_text(PROGRAMS)
    spec = importlib.util.spec_from_file_location("pep695_programs", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["pep695_programs"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["pep695_programs"]


def test_type_parameters(programs):
    import numpy as np

    from sapwood import CompileError, i16

    p = programs
    assert (p.larger(1, 2), p.larger(1.5, 2.5)) == (2, 2.5)
    with pytest.raises(CompileError, match="must be one of int, float"):
        p.larger(i16(1), i16(2))
    assert p.area_of(p.Square(3.0)) == 9.0
    with pytest.raises(CompileError, match="no method 'area'"):
        p.area_of(3)
    assert p.total(np.arange(4.0)) == 6.0
    assert p.swapped((1, 2), 1) == (2, 1)
    assert p.boxes(4) == p.boxes.__wrapped__(4) == (5, 2.0)
