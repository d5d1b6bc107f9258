"""Arrays of NumPy's structured dtypes as tensors of structs: aligned and packed, nested, views of fields."""

from __future__ import annotations

import numpy as np
import pytest

from sapwood import StackArray, Tensor, f32, fn, i16, numpy_dtype, struct


@struct(frozen=True)
class Vec3:
    x: f32
    y: f32
    z: f32

    def __add__(self, other: Vec3) -> Vec3:
        return Vec3(self.x + other.x, self.y + other.y, self.z + other.z)

    def dot(self, other: Vec3) -> f32:
        return self.x * other.x + self.y * other.y + self.z * other.z


@struct
class Particle:
    position: Vec3
    mass: float
    alive: bool
    kind: i16
    history: StackArray[f32, 2]

    def kick(self, d: Vec3) -> None:
        self.position = self.position + d


@fn
def step(xs: Tensor[Particle, 1], d: Vec3) -> float:
    total = 0.0
    for i in range(len(xs)):
        xs[i].kick(d)
        if xs[i].alive:
            xs[i].mass *= 2.0
        xs[i].history[1] = xs[i].kind
        total += xs[i].mass + xs[i].position.dot(d)
    return total


def particles(align: bool) -> np.ndarray:
    a = np.zeros(4, numpy_dtype(Particle, align))
    a["mass"], a["kind"], a["alive"][2] = 1.0, 3, True
    a["position"]["x"] = np.arange(4)
    return a


@pytest.mark.parametrize("align", [True, False])
def test_records_are_read_and_written_in_place(align):
    a, b = particles(align), particles(align)
    one = Vec3(1.0, 1.0, 1.0)
    assert step(a, one) == step.reference(b, one) == 23.0
    assert (a == b).all()
    assert a["position"]["x"].tolist() == [1, 2, 3, 4] and a["mass"].tolist() == [1, 1, 2, 1]
    assert a["history"].tolist() == [[0, 3]] * 4
    middle = a[1:3]
    step(middle, one)
    assert a["position"]["y"].tolist() == [1, 2, 2, 1]


@fn
def vectors(xs: Tensor[Vec3, 1]) -> Vec3:
    total = Vec3(0.0, 0.0, 0.0)
    for v in xs:
        total = total + v
    xs[0].x = 9.0
    xs[1] = Vec3(1.0, 2.0, 3.0)
    last = xs[len(xs) - 1]
    return total + last


@fn
def scaled(xs: Tensor[Vec3, 2], k: f32) -> f32:
    ys = xs.y
    total = f32(0.0)
    for i in range(ys.shape[0]):
        for j in range(ys.shape[1]):
            ys[i, j] = ys[i, j] * k
            total += xs[i, j].y
    return total


@fn
def read_only(xs: Tensor[Vec3, 1]) -> f32:
    return xs[0].x + xs[1].z


def test_values_views_and_strides():
    a = np.ones(6, numpy_dtype(Vec3))
    assert vectors(a[::2]) == Vec3(4.0, 4.0, 4.0)
    assert a["x"].tolist() == [9, 1, 1, 1, 1, 1] and a["z"].tolist() == [1, 1, 3, 1, 1, 1]
    b = np.ones((2, 3), numpy_dtype(Vec3))
    assert scaled(b, 2.0) == 12.0 and scaled(b[:, ::-1], 0.5) == 6.0
    assert b["y"].tolist() == [[1, 1, 1]] * 2


def test_read_only_arrays():
    a = np.ones(2, numpy_dtype(Vec3))
    a.flags.writeable = False
    assert read_only(a) == 2.0
    with pytest.raises(TypeError, match="read-only"):
        vectors(a)


def test_arrays_that_do_not_fit():
    for dtype, text in (
        ([("x", "f4"), ("y", "f4"), ("z", "f8")], "'z' is float64, f32 is declared"),
        ([("x", "f4"), ("y", "f4")], "lacks the field 'z'"),
        ([("x", "f4"), ("y", "f4"), ("z", "f4"), ("w", "f4")], "a field 'w', which Vec3 lacks"),
        ([("x", "f4"), ("y", "f4"), ("z", ">f4")], "'z'"),
        ("f8", "not a structured one"),
    ):
        with pytest.raises(TypeError, match=text):
            vectors(np.zeros(2, dtype))
    with pytest.raises(TypeError, match="1 axis"):
        vectors(np.zeros((2, 2), numpy_dtype(Vec3)))
    raw = np.zeros(40, np.uint8)[2:26].view(numpy_dtype(Vec3))
    with pytest.raises(TypeError, match="misaligned"):
        vectors(raw)


def test_dtypes():
    dtype = numpy_dtype(Particle)
    assert dtype.isalignedstruct and dtype.fields["mass"][1] == 16
    assert numpy_dtype(Particle, align=False).itemsize == 31
    with pytest.raises(TypeError, match="@struct class"):
        numpy_dtype(int)
