"""Calls from Python with arguments that fit, nearly fit, and do not fit."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from sapwood import Array, CompileError, Const, Ptr, Tensor, bf16, f32, fn, i8, i32, u8, u64


@fn
def takes(a: int, x: float, b: bool, s: f32, t: i8, u: u64) -> tuple[int, float, bool, f32, i8, u64]:
    return a, x, b, s, t, u


class Int(int):
    pass


class Float(float):
    pass


class Indexed:
    def __index__(self):
        return 7


class Floated:
    def __float__(self):
        return 2.5


def test_numbers_that_fit():
    assert takes(1, 2.0, True, 0.5, -3, 2**64 - 1) == (1, 2.0, True, 0.5, -3, 2**64 - 1)
    assert takes(Int(4), Float(2.5), False, Float(0.5), Int(5), Int(6)) == (4, 2.5, False, 0.5, 5, 6)
    assert takes(np.int32(4), np.float32(2.5), True, np.float64(0.5), np.int8(-1), np.uint64(9))[:2] == (4, 2.5)
    assert takes(Indexed(), Floated(), True, 1, Indexed(), Indexed()) == (7, 2.5, True, 1.0, 7, 7)
    assert takes(1, 3, True, 2, 0, 0) == (1, 3.0, True, 2.0, 0, 0)
    result = takes(Int(4), Float(2.5), False, 0.5, 5, 6)
    assert type(result[0]) is int and type(result[1]) is float


@pytest.mark.parametrize(
    ("place", "value", "error"),
    [
        (0, 1.0, TypeError),
        (0, True, TypeError),
        (0, "1", TypeError),
        (0, None, TypeError),
        (0, 2**63, OverflowError),
        (0, -(2**200), OverflowError),
        (1, True, TypeError),
        (1, "x", TypeError),
        (1, 1j, TypeError),
        (1, 10**400, OverflowError),
        (2, 1, TypeError),
        (2, None, TypeError),
        (2, np.True_, TypeError),
        (4, 128, OverflowError),
        (4, -129, OverflowError),
        (5, -1, OverflowError),
        (5, 2**64, OverflowError),
        (5, 0.0, TypeError),
    ],
)
def test_numbers_that_do_not_fit(place, value, error):
    good = [1, 2.0, True, 0.5, -3, 5]
    takes(*good)
    bad = list(good)
    bad[place] = value
    with pytest.raises(error):
        takes(*bad)
    with pytest.raises(error):
        takes.reference(*bad)
    assert takes(*good)[0] == 1


@fn
def first(x: Tensor[f32, 2]) -> f32:
    return x[0, 0]


@pytest.mark.parametrize(
    "value",
    [
        np.zeros((2, 2)),
        np.zeros(4, np.float32),
        np.zeros((1, 1, 1), np.float32),
        np.zeros((2, 2), ">f4"),
        np.zeros((2, 2), np.complex64),
        np.zeros((2, 2), [("a", "f4")]),
        np.array([["a", "b"]]),
        np.array([[object()]]),
        [[1.0]],
        3.0,
        None,
        "text",
        b"1234",
        Array.zeros((2, 2), "bf16"),
        np.frombuffer(b"\0" * 17, np.uint8)[1:].view(np.float32).reshape(2, 2),
        np.zeros((1,) * 12, np.float32),
    ],
    ids=lambda v: str(getattr(v, "dtype", type(v).__name__)) + str(getattr(v, "shape", "")),
)
def test_tensors_that_do_not_fit(value):
    with pytest.raises(TypeError, match=r"A001.*first\(\): argument 'x' must be Tensor\[f32, 2\]"):
        first(value)
    assert first(np.ones((2, 2), np.float32)) == 1.0
    with pytest.raises(TypeError, match="A001"):
        first(value)


class Sub(np.ndarray):
    pass


def test_tensors_that_fit():
    x = np.arange(4, dtype=np.float32).reshape(2, 2) + 1
    for value in (x, x.view(Sub), x[::-1], x.T, memoryview(x), Array.from_numpy(x)):
        assert first(value) == np.asarray(value)[0, 0]
    with pytest.raises(IndexError):
        first(x[:0])


@fn
def writes(x: Tensor[int, 1], y: Tensor[int, 1]) -> None:
    x[0] = y[0] + 1


def test_read_only_arrays():
    x = np.arange(3)
    frozen = np.arange(3)
    frozen.flags.writeable = False
    writes(x, frozen)
    assert x[0] == 1
    for run in (writes, writes.reference):
        with pytest.raises((TypeError, ValueError), match="argument 'x' is written to, but the array is read-only"):
            run(frozen, x)
    assert frozen[0] == 0


def test_read_only_array_as_first_call():
    @fn
    def sets(a: int, x: Tensor[int, 1]) -> None:
        x[0] = a

    frozen = np.arange(3)
    frozen.flags.writeable = False
    with pytest.raises(ValueError, match="'x' is written to"):
        sets(5, frozen)
    assert frozen[0] == 0


@fn
def fixed(x: float, n: Const[int], k: Const[str]) -> float:
    return x * n


def test_const_arguments():
    assert fixed(2.0, 3, "a") == 6.0
    with pytest.raises(TypeError, match="argument 'n' must be Const"):
        fixed(2.0, 1.5, "a")
    with pytest.raises(TypeError, match="argument 'k' must be Const"):
        fixed(2.0, 1, 2)


def test_too_many_specialisations():
    with pytest.raises(CompileError, match="C004"):
        for n in range(100):
            fixed(1.0, n, "b")


@fn
def pair(p: tuple[int, float]) -> float:
    return p[0] + p[1]


def test_tuple_arguments():
    assert pair((1, 2.5)) == 3.5
    for bad in ((1,), (1, 2.5, 3), [1, 2.5], (1.5, 2.5), None):
        with pytest.raises(TypeError, match="A001"):
            pair(bad)


@fn
def read(p: Ptr[u8]) -> u8:
    return p[0]


def test_pointer_arguments():
    with pytest.raises(TypeError, match="pass an address as an int"):
        read(np.zeros(3, np.uint8))


@fn
def boxed(x: bf16, n: i32) -> bf16:
    return x * x + n


def test_boxed_arguments():
    assert boxed(bf16(1.1), i32(2)) == boxed.reference(1.1, 2) == boxed(1.1, 2)
    with pytest.raises(TypeError, match=r"convert it: bf16\(x\)"):
        boxed(f32(1.1), 2)


@fn
def no_arguments() -> int:
    return 42


def test_no_arguments():
    assert no_arguments() == 42
    with pytest.raises(TypeError):
        no_arguments(1)
    with pytest.raises(TypeError):
        no_arguments(x=1)


@fn
def half(x: float, s: f32) -> tuple[float, f32]:
    return x / 2, s


def test_ints_beyond_i64_as_floats():
    for x in (2**63, -(2**80), 10**300, 2**53 + 1):
        assert half(x, 1)[0] == half.reference(x, 1)[0] == x / 2
    assert half(1, 10**39)[1] == half.reference(1, 10**39)[1] == float("inf")


@fn
def größe_von_π(x: int) -> int:
    return helfer_ß(x) + 1


@fn
def helfer_ß(x: int) -> int:
    return 2 * x


def test_names_that_linkers_do_not_know():
    assert größe_von_π(3) == größe_von_π.reference(3) == 7


@fn
def apply_to(f: Callable[[int], int], x: int) -> int:
    return f(x)


def test_lambdas_and_plain_functions_as_arguments():
    def plain(x):
        return x - 1

    for f in (lambda x: x * x, plain, helfer_ß):
        assert apply_to(f, 7) == apply_to.reference(f, 7) == f(7)
    with pytest.raises(TypeError, match="A001"):
        apply_to(3, 7)


def test_arrays_in_place_of_numbers_are_named_by_their_shape():
    """Not by their repr, which takes NumPy seconds when they have many dimensions."""

    @fn
    def f(x: int | None) -> int:
        return 0 if x is None else x

    with pytest.raises(CompileError, match=r"expected an int, found an array of shape \(2, 2, 2\)"):
        f(np.zeros((2, 2, 2)))


def test_read_only_array_behind_a_tuple():
    @fn
    def scales(t: tuple[float, Tensor[float, 1]], x: Tensor[float, 1]) -> None:
        x[0] = t[0] * t[1][0]

    frozen = np.ones(3)
    frozen.flags.writeable = False
    scales((2.0, frozen), np.ones(3))
    with pytest.raises(ValueError, match="'x' is written to"):
        scales((2.0, np.ones(3)), frozen)
