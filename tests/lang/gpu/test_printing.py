"""print and assert in kernels: whole lines, texts with numbers in them, and what a GPU prints them by."""

from __future__ import annotations

import re

import numpy as np
import pytest

from sapwood import Array, CompileError, Tensor, bf16, config, f16, f32, f64, i8, i32, kernel, u16, u64
from sapwood.gpu import block_dim, block_idx, thread_idx

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
def long_line(x: Tensor[f32, 1]) -> None:
    a, b = x[0], x[1]
    print(a, b, a, b, a, b, a, b, a, b, a, b, a, b, a, b, a, b, a, b, a, b, a, b, a, b, a, b, a, b, a, b, a)


@kernel
def says_nul(x: Tensor[f32, 1]) -> None:
    print("a\0b", x[0])


def test_what_vprintf_cannot(capsys):
    with pytest.raises(CompileError, match=r"X001(.|\n)*a line has at most 32 values there"):
        ptx(long_line, FLOATS)
    with pytest.raises(CompileError, match=r"X001(.|\n)*its format ends at a NUL"):
        ptx(says_nul, FLOATS)
    long_line[1, 1](FLOATS)
    says_nul[1, 1](FLOATS)
    assert capsys.readouterr().out == " ".join(["0.0", "0.5"] * 16 + ["0.0"]) + "\na\0b 0.0\n"
