from __future__ import annotations

import pytest

from sapwood.targets.nvptx import ptxas
from sapwood.targets.nvptx.target import ARCHITECTURES

SOURCE = """
from sapwood import Const, Ptr, Tensor, block_dim, block_idx, f32, fn, i64, kernel, struct, thread_idx
from typing import TypeVar

T = TypeVar("T")

@struct
class Point:
    x: float
    y: f32

@fn
def add(a: i64, b: i64) -> i64:
    return a + b

@fn
def scale(x: Tensor[f32, 1], s: f32) -> None:
    for i in range(x.shape[0]):
        x[i] = x[i] * s

@fn
def repeat(x: float, n: Const[int]) -> float:
    for _ in range(n):
        x = x + 1.5
    return x

@fn
def twice(x: T) -> T:
    return x + x

@fn
def mixed(p: Point, q: Ptr[f32], t: tuple[int, float]) -> float:
    return p.x + t[1] + q[0]

@fn
def wrong(a: i64) -> i64:
    return a.nothing

@kernel
def add_one(x: Tensor[f32, 1]) -> None:
    i = block_idx.x * block_dim.x + thread_idx.x
    if i < x.shape[0]:
        x[i] = x[i] + 1

plain = 3
"""


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "some_kernels.py"
    path.write_text(SOURCE)
    return path


def test_kinds(run, source):
    assert "def add(a, b):" in run("inspect", f"{source}:add", "--hir").out
    ssa = run("inspect", f"{source}:add", "--ssa")
    assert (ssa.status, ssa.err) == (0, "")
    assert "-> i64" in ssa.out
    assert "define" in run("inspect", f"{source}:add", "--llvm").out
    assert "retq" in run("inspect", f"{source}:add", "--asm").out


def test_arguments_from_annotations(run, source):
    assert "f32" in run("inspect", f"{source}:scale", "--ssa").out
    mixed = run("inspect", f"{source}:mixed", "--ssa")
    assert (mixed.status, mixed.err) == (0, "")


@pytest.mark.parametrize(
    ("function", "types", "text"),
    [
        ("twice", "f32", "f32"),
        ("repeat", "float, 3", "1.5"),
        ("scale", "Tensor[f32, 1], f32", "f32"),
        ("mixed", "Point, Ptr[f32], tuple[int, float]", "f64"),
    ],
)
def test_arguments_that_are_given(run, source, function, types, text):
    result = run("inspect", f"{source}:{function}", "--ssa", "--args", types)
    assert (result.status, result.err) == (0, "")
    assert text in result.out


def test_a_constant_changes_the_code(run, source):
    three = run("inspect", f"{source}:repeat", "--ssa", "--args", "float, 3").out
    four = run("inspect", f"{source}:repeat", "--ssa", "--args", "float, 4").out
    assert three and four and three != four


def test_targets(run, source):
    low = run("inspect", f"{source}:scale", "--asm", "--target", "x86:sse2")
    assert (low.status, low.err) == (0, "")
    assert "mulps" in low.out
    assert "%ymm" not in low.out


def test_kernels(run, source):
    ptx = run("inspect", f"{source}:add_one", "--ptx")
    assert (ptx.status, ptx.err) == (0, "")
    assert ".visible .entry" in ptx.out
    assert ".target sm_90a" in run("inspect", f"{source}:add_one", "--asm", "--target", "nvptx:sm_90a").out
    assert "retq" in run("inspect", f"{source}:add_one", "--asm").out


@pytest.mark.skipif(ptxas.find() is None, reason="ptxas is not installed")
def test_resources(run, source):
    done = run("inspect", f"{source}:add_one", "--resources")
    head, *rows = done.out.splitlines()
    assert done.status == 0 and head.split() == ["target", "registers", "shared", "stack", "spilled"]
    assert [row.split()[0] for row in rows] == list(ARCHITECTURES)
    assert all(0 < int(row.split()[1]) < 256 and row.split()[2:] == ["0", "0", "0"] for row in rows)
    done = run("inspect", f"{source}:add_one", "--resources", "--target=nvptx:sm_80")
    assert done.status == 0 and [row.split()[0] for row in done.out.splitlines()] == ["target", "sm_80"]


def test_resources_of_what_has_none(run, source, monkeypatch):
    done = run("inspect", f"{source}:add", "--resources")
    assert done.status == 2 and "add is no @kernel" in done.err
    done = run("inspect", f"{source}:add_one", "--resources", "--target=simt")
    assert done.status == 2 and "target simt has no table of resources" in done.err
    monkeypatch.setattr(ptxas, "find", lambda: None)
    done = run("inspect", f"{source}:add_one", "--resources")
    assert done.status == 2 and "ptxas is not installed" in done.err


def test_pictures(run, tmp_path):
    shown = run("inspect", "--layout", "f32[8, 33]")
    assert shown.status == 0 and shown.out.count("class='cell'") == 8 * 33
    assert "f32[4, 8], strides (1, 4)" in run("inspect", "--layout=f32[4,8]", "--strides=1,4").out
    path = tmp_path / "fragment.svg"
    done = run("inspect", "--fragment", "m16n8k16_bf16", "-o", str(path))
    assert (done.status, done.out) == (0, "") and path.read_text().count("class='cell'") == 16 * 16 + 2 * 16 * 8
    assert run("inspect", "--fragment", "m16n8k16_bf16.c").out.count("class='cell'") == 16 * 8


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("--layout", "f32(8)"), "'f32(8)' is no tensor, as 'f32[8, 33]' is"),
        (("--layout", "f31[8]"), "'f31[8]' is no tensor"),
        (("--layout", "f32[8,,3]"), "numbers with commas between"),
        (("--layout", "f32[8]", "--strides", "1,x"), "numbers with commas between"),
        (("--layout", "f32[8]", "--strides", "1,1"), "a stride for each"),
        (("--layout", "f32[800, 800]"), "1 to 4096 elements"),
        (("--fragment", "m1n1k1"), "'m1n1k1' is no matrix unit; there are m16n8k8_f16"),
        (("--fragment", "m16n8k8_f16.d"), "has the fragments a, b and c, not 'd'"),
        (("--layout", "f32[8]", "-o", "/no/such/folder/x.svg"), "cannot be written: No such file"),
        (("--hir",), "name a FILE:FUNCTION"),
    ],
)
def test_pictures_that_cannot_be(run, arguments, text):
    done = run("inspect", *arguments)
    assert done.status == 2 and text in done.err


def test_module_by_name(run):
    result = run("inspect", "sapwood.lang.library.division:nothing", "--ssa")
    assert result.status == 2
    assert "has no @fn function 'nothing'; it has" in result.err


@pytest.mark.parametrize(
    ("where", "types", "text"),
    [
        ("FILE:twice", None, "parameter 'x' has the type T, which leaves a choice; give --args"),
        ("FILE:repeat", None, "parameter 'n' has the type Const[int]"),
        ("FILE:plain", None, "no @fn function 'plain'; it has add, scale, repeat, twice, mixed, wrong, add_one"),
        ("FILE", None, "is not FILE:FUNCTION"),
        ("/nowhere.py:f", None, "there is no file /nowhere.py"),
        ("nowhere.module:f", None, "cannot be imported: ModuleNotFoundError"),
        ("FILE:twice", "f31", "'f31' is not a type here"),
        ("FILE:twice", "Tensor[f32]", "Tensor[...] takes 2 arguments, got 1"),
        ("FILE:twice", "Tensor[f32, -1]", "a Tensor has a dtype and a rank"),
        ("FILE:twice", "f32 +", "invalid syntax"),
        ("FILE:twice", "open('x')", "is not a type"),
        ("FILE:twice", "SIMD[f32, 4]", "made in compiled code only"),
        ("FILE:add", "f32, f32", "argument 'a' must be int, not f32"),
        ("FILE:twice", "bool, i64", "too many positional arguments"),
        ("FILE:wrong", None, "nothing"),
        ("FILE:add --target=abacus", None, "unknown target 'abacus'"),
        ("FILE:add --target=x86:mmx", None, "unknown level 'mmx'"),
    ],
)
def test_mistakes(run, source, where, types, text):
    arguments = [] if types is None else ["--args", types]
    result = run("inspect", *where.replace("FILE", str(source)).split(), "--ssa", *arguments)
    assert result.status == 2
    assert result.out == ""
    assert text in result.err
    assert "Traceback" not in result.err


def test_a_file_that_fails(run, tmp_path):
    path = tmp_path / "bad.py"
    path.write_text("raise RuntimeError('no')")
    result = run("inspect", f"{path}:f", "--ssa")
    assert result.status == 2
    assert result.err == f"sapwood inspect: {path} cannot be imported: RuntimeError: no\n"
