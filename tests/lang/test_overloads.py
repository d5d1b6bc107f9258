"""Overloads: the types of the arguments choose the body."""

from __future__ import annotations

import pytest

from sapwood import CompileError, fn, struct


@struct(frozen=True)
class Circle:
    radius: float


@struct(frozen=True)
class Square:
    side: float


@fn
def area(shape: Circle) -> float:
    return 3.0 * shape.radius * shape.radius


@area.overload
def _(shape: Square) -> float:
    return shape.side * shape.side


@area.overload
def _(shape: tuple[float, float], scale: float = 1.0) -> float:
    return shape[0] * shape[1] * scale


@fn
def name_of(x: int) -> str:
    return "int"


@name_of.overload
def _(x: float) -> str:
    return "float"


@name_of.overload
def _(x: str) -> str:
    return "str"


@name_of.overload
def _(xs: list[int]) -> str:
    return "list of " + name_of(xs[0])


@fn
def in_code(n: int) -> str:
    areas = area(Square(2.0)) + area((1.0, 2.0))
    return name_of(n) + name_of(n / 2) + name_of("x") + name_of(3) + name_of([n]) + str(areas)


@fn
def only_floats(x: float, y: int) -> int:
    return 1


@only_floats.overload
def _(x: int, y: float) -> int:
    return 2


def test_types_choose():
    assert area(Circle(1.0)) == 3.0 and area(Square(2.0)) == 4.0 and area((2.0, 3.0)) == 6.0
    assert area((2.0, 3.0), scale=2.0) == 12.0
    for _round in range(2):  # whatever entries there are by now
        assert [name_of(x) for x in (1.5, 1, "a", [1], 2.5, 2, True + 1)] == [
            "float", "int", "str", "list of int", "float", "int", "int",
        ]  # fmt: skip
    assert in_code(4) == "intfloatstrintlist of int6.0"
    assert in_code.reference(4) == in_code(4)
    assert name_of.reference(1.5) == "float" and area.python(Square(3.0)) == 9.0


def test_fewest_conversions_win_and_ties_are_mistakes():
    assert only_floats(1.5, 1) == 1 and only_floats(1, 1.5) == 2
    with pytest.raises(TypeError, match="two overloads of 'only_floats' take"):
        only_floats(1, 1)


@fn
def calls_with_a_bool(x: bool) -> str:
    return name_of((x, x))


def test_no_overload_is_said():
    with pytest.raises(TypeError, match=r"no overload of 'name_of' takes \(dict\)") as caught:
        name_of({})
    assert "name_of(x: 'float')" in str(caught.value) or "name_of(x: float)" in str(caught.value)
    with pytest.raises(CompileError, match=r"no overload of 'name_of' takes \(tuple\[bool, bool\]\)"):
        calls_with_a_bool(True)

