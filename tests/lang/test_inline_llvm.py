"""Inline LLVM and assembly: results, and text that LLVM refuses or dies of."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from sapwood import SIMD, fn, i64, u32
from sapwood.lang.errors.systems import InlineCodeFailed, InlineConstraint
from sapwood.systems import inline_asm, inline_llvm
from sapwood.targets.isolated import IsolatedCodegenError, compile_isolated


@fn
def several(x: int, y: int) -> tuple[int, int, int, float]:
    bits = inline_llvm(
        """declare i64 @llvm.ctpop.i64(i64)
        %r = call i64 @llvm.ctpop.i64(i64 %arg0)
        ret i64 %r""",
        i64, x,
    )  # fmt: skip
    total = inline_asm("leaq ($1,$2), $0", "=r,r,r", i64, x, y)
    inline_asm("", "~{memory}", None)
    lanes = inline_llvm("%r = mul <4 x i32> %arg0, %arg0\n ret <4 x i32> %r", SIMD[u32, 4], SIMD[u32, 4](1, 2, 3, 4))
    larger = inline_llvm(
        """%c = icmp sgt i64 %arg0, %arg1
        br i1 %c, label %a, label %b
        a:
        ret i64 %arg0
        b:
        ret i64 %arg1""",
        int, x, y,
    )  # fmt: skip
    return bits, total, larger, float(lanes.reduce_add())


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the assembly is of x86")
def test_results():
    assert several(255, 1) == (8, 256, 255, 30.0)
    assert several(0, 1) == (0, 1, 1, 30.0)
    with pytest.raises(NotImplementedError, match="inline_llvm runs in compiled code only"):
        several.reference(1, 2)


@fn
def wrong_type(x: int) -> int:
    return inline_llvm("%r = add i32 %arg0, 1\n ret i32 %r", i64, x)


@fn
def unselectable(x: int) -> int:
    return inline_llvm(
        """declare i32 @llvm.nvvm.read.ptx.sreg.tid.x()
        %r = call i32 @llvm.nvvm.read.ptx.sreg.tid.x()
        %s = sext i32 %r to i64
        ret i64 %s""",
        i64, x,
    )  # fmt: skip


@fn
def undefined(x: int) -> int:
    return inline_llvm("declare i64 @no_such_symbol(i64)\n%r = call i64 @no_such_symbol(i64 %arg0)\nret i64 %r", i64, x)


@fn
def no_instruction(x: int) -> int:
    return inline_asm("frobnicate $1, $0", "=r,r", i64, x)


@fn
def constraints(x: int) -> int:
    return inline_asm("nop", "=r,r,r", i64, x)


@fn
def caller(x: int) -> int:
    return wrong_type(x) + 1


def test_what_llvm_refuses_is_a_diagnostic():
    for f, text in (
        (wrong_type, "'%arg0' defined with type 'i64' but expected 'i32' in `%r = add i32 %arg0, 1`"),
        (unselectable, "Cannot select"),
        (undefined, "undefined symbols: no_such_symbol"),
        (no_instruction, "invalid instruction mnemonic 'frobnicate'"),
        (caller, "defined with type"),
    ):
        with pytest.raises(InlineCodeFailed) as caught:
            f(1)
        assert text in str(caught.value) and "test_inline_llvm.py" in str(caught.value), str(caught.value)
    with pytest.raises(InlineConstraint, match="list 1 outputs and 2 inputs, but there are 1 outputs and 1 inputs"):
        constraints(1)


def test_the_time_is_limited(monkeypatch):
    import sapwood.targets.isolated as isolated
    from sapwood.lang.loading.current_target import current_target

    monkeypatch.setattr(isolated, "TIME_LIMIT", 0.001)
    with pytest.raises(IsolatedCodegenError, match="did not finish"):
        compile_isolated("object", "", current_target())


PROGRAM = """
from sapwood import fn, i64
from sapwood.systems import inline_llvm
import subprocess
@fn
def f(x: int) -> int:
    return inline_llvm("%r = mul i64 %arg0, 3\\n ret i64 %r", i64, x)
print(f(7))
"""


def test_inline_code_is_cached(tmp_path):
    """The second process starts no other."""
    script = tmp_path / "program.py"
    environment = {**os.environ, "SAPWOOD_CACHE_DIR": str(tmp_path / "cache")}
    for blocked in ("", "subprocess.run = None\n"):
        script.write_text(PROGRAM)
        command = [sys.executable, "-c", f"import subprocess, runpy\n{blocked}runpy.run_path({str(script)!r})"]
        out = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        assert out.stdout == "21\n"
