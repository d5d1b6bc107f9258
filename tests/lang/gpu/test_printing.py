"""print and assert in kernels: whole lines, texts with numbers in them, and what a GPU prints them by."""

from __future__ import annotations

import re

import numpy as np
import pytest

from sapwood import Array, CompileError, Tensor, bf16, config, f16, f32, f64, i8, i32, kernel, u16, u64
from sapwood.gpu import block_dim, block_idx, thread_idx
from sapwood.lang.ops.control import printf_format
from sapwood.lang.types import BOOL, F32, I64, U64

WAYS = ("simt", "simt:coroutines", "simt:checked", "reference")
ways = pytest.mark.parametrize("way", WAYS)
FLOATS = np.arange(4, dtype=np.float32) / 2


def launch(k, way, grid, block, *args):
    if way == "reference":
        k.reference[grid, block](*args)
    else:
        with config.override(SAPWOOD_TARGET=way):
            k[grid, block](*args)


@kernel
def many_lines(x: Tensor[f32, 1]) -> None:
    i = block_idx.x * block_dim.x + thread_idx.x
    print("thread", i, "of block", block_idx.x, "has", x[i % 4], i % 2 == 0)


@ways
def test_lines_are_not_torn(way, capsys):
    blocks = 3 if way == "reference" else 40
    launch(many_lines, way, blocks, 32, FLOATS)
    lines = capsys.readouterr().out.splitlines()
    expected = {f"thread {i} of block {i // 32} has {i % 4 / 2} {i % 2 == 0}" for i in range(32 * blocks)}
    assert set(lines) == expected and len(lines) == len(expected)


@kernel
def texts(x: Tensor[f32, 1], n: int) -> None:
    print(f"{n}: 50% of {x[1]}", f"{x[2]}{n > 2}", 7, "end", sep="|", end="!\n")
    said = f"<{n}>"
    print(said, said, end="")
    print()
    print(f"constant {1 + 1}")


@ways
def test_texts_with_numbers_in_them(way, capsys):
    launch(texts, way, 1, 1, FLOATS, 3)
    assert capsys.readouterr().out == "3: 50% of 0.5|1.0True|7|end!\n<3> <3>\nconstant 2\n"


@kernel
def formats_of_numbers(x: Tensor[f32, 1], n: int) -> None:
    f, b = x[1] * f32(1234.5), n > 2
    print(f"{f:.3f} {f:8.1f} {f:<8.2e}| {f:+08.2f} {f:g} {f:9} {n:5} {n:05d} {n:<4}| {n:+d} {u64(n):x}", end=" ")
    print(f"{u16(n):04X} {b:3}")
    print(f"{f:%} {n:,} {n:^7} {n:b} {f:.2}")
    assert n < 0, f"{n:3}, {f:.1f}"


@ways
def test_formats(way, capsys):
    f, n = float(np.float32(0.5) * np.float32(1234.5)), 1234
    with pytest.raises(AssertionError) as caught:
        launch(formats_of_numbers, way, 1, 1, FLOATS, n)
    assert caught.value.args == (f"{n:3}, {f:.1f}",)
    assert capsys.readouterr().out == (
        f"{f:.3f} {f:8.1f} {f:<8.2e}| {f:+08.2f} {f:g} {f:9} {n:5} {n:05d} {n:<4}| {n:+d} {n:x} {n:04X} {True:3}\n"
        f"{f:%} {n:,} {n:^7} {n:b} {f:.2}\n"
    )


@kernel
def careful(x: Tensor[f32, 1], how: int) -> None:
    i = thread_idx.x
    if how == 0:
        assert x[i] < 1.5, f"x[{i}] is {x[i]}"
    elif how == 1 and i == 3:
        raise ValueError(f"thread {i}", x[i])
    elif how == 2:
        assert i < 3


@ways
def test_errors_say_numbers(way):
    for how, error in ((0, AssertionError("x[3] is 1.5")), (1, ValueError("thread 3", 1.5)), (2, AssertionError())):
        with pytest.raises(type(error)) as caught:
            launch(careful, way, 1, 4, FLOATS, how)
        assert caught.value.args == error.args


# -- NVIDIA --------------------------------------------------------------------------------------------


@kernel
def every_type(a, b, c, d, e, f, g, h) -> None:
    print("100%", a[0], b[0], c[0], d[0], e[0], f[0], g[0], h[0], a[0] == 0, sep="%,", end="")


def ptx(k, *args, architecture: str = "sm_90a") -> str:
    return k.inspect(*args, kind="ptx", target=f"nvptx:{architecture}")


def formats(text: str) -> list[str]:
    """The texts of a module of PTX."""
    found = re.findall(r"\.b8 \S+\[\d+\] = \{([\d, ]+)\}", text)
    return [bytes(int(n) for n in numbers.split(",")).decode() for numbers in found]


def test_a_gpu_prints_by_vprintf():
    text = ptx(every_type, *(Array.zeros(1, t) for t in (i8, i32, u16, u64, f16, bf16, f32, f64)))
    assert "call.uni (retval0), vprintf" in text
    form = "100%%%%,%lld%%,%lld%%,%llu%%,%llu%%,%.5g%%,%.4g%%,%.9g%%,%.17g%%,%s"
    assert [t.rstrip("\0") for t in formats(text)] == ["True", "False", form]
    stored = re.findall(r"st\.local\.b64\s+\[%\w+(?:\+(\d+))?\]", text)
    assert sorted(int(at or 0) for at in stored) == list(range(0, 72, 8))


@kernel
def as_c_has_it(x: Tensor[f32, 1], n: int) -> None:
    f = x[0]
    print(f"{f:.3f} {f:8.1f} {f:<8.2e}| {f:+08.2f} {f:g} {f:9} {n:5} {n:05d} {n:<4}| {n:+d} {u64(n):x} {u16(n):04X}")


def test_formats_of_c():
    form, *_ = formats(ptx(as_c_has_it, FLOATS, 3))
    assert form == "%.3f %8.1f %-8.2e| %+08.2f %g %9.9g %5lld %05lld %-4lld| %+lld %llx %04llX\n"


@pytest.mark.parametrize(
    ("spec", "dtype"),
    [("%", F32), (",", I64), ("^7", I64), ("b", I64), ("x", I64), ("+d", U64), ("#x", U64), (".2", I64), ("f", I64),
     ("_>9", F32), ("<05", I64), ("3", BOOL)],
)  # fmt: skip
def test_formats_that_c_has_not(spec, dtype):
    assert printf_format(spec, dtype) is None


@kernel
def thousands(x: Tensor[f32, 1], n: int) -> None:
    print(f"{n:,}")


@kernel
def long_line(x: Tensor[f32, 1]) -> None:
    a, b = x[0], x[1]
    print(a, b, a, b, a, b, a, b, a, b, a, b, a, b, a, b, a, b, a, b, a, b, a, b, a, b, a, b, a, b, a, b, a)


@kernel
def says_nul(x: Tensor[f32, 1]) -> None:
    print("a\0b", x[0])


def test_what_vprintf_cannot(capsys):
    with pytest.raises(CompileError, match=r"X001(.|\n)*a line has at most 32 values there"):
        ptx(long_line, FLOATS)
    with pytest.raises(CompileError, match=r"X001(.|\n)*that has none that says ',' of i64"):
        ptx(thousands, FLOATS, 1)
    with pytest.raises(CompileError, match=r"X001(.|\n)*its format ends at a NUL"):
        ptx(says_nul, FLOATS)
    long_line[1, 1](FLOATS)
    says_nul[1, 1](FLOATS)
    assert capsys.readouterr().out == " ".join(["0.0", "0.5"] * 16 + ["0.0"]) + "\na\0b 0.0\n"
