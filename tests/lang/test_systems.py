"""C functions, atomics, cache control and alignment: compiled code, boxed CPython and the evaluator."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from oracles import Raised, agree, outcome

from sapwood import CompileError, Ptr, StackArray, Tensor, external, f32, f64, fn, i8, i32, i64, parallel, u8, u16, u64
from sapwood.lang.errors.systems import ExternalLibraryMissing, ExternalSignature, ExternalSymbolMissing
from sapwood.systems import (
    address,
    assume_aligned,
    atomic_add,
    atomic_and,
    atomic_cas,
    atomic_exchange,
    atomic_load,
    atomic_max,
    atomic_min,
    atomic_or,
    atomic_store,
    atomic_sub,
    atomic_xor,
    byte_swap,
    errno,
    fence,
    leading_zeros,
    popcount,
    prefetch,
    trailing_zeros,
)

# -- C functions ---------------------------------------------------------------------------------------


@external("strlen")
def length_of(s: Ptr[u8]) -> i64: ...


@external(library="libm.so.6")
def cbrt(x: float) -> float: ...


@external("sqrtf", library="m")
def root(x: f32) -> f32: ...


@external
def toupper(c: i32) -> i32: ...


@external
def close(fd: i32) -> i32: ...


@external
def getenv(name: Ptr[u8]) -> Ptr[u8]: ...


@external
def qsort(base: Ptr[f64], n: u64, size: u64, compare: Callable[[Ptr[f64], Ptr[f64]], i32]) -> None: ...


@fn
def calls(s: Tensor[u8, 1], x: float, y: f32, c: int) -> tuple[int, float, float, int]:
    return length_of(s.ptr), cbrt(x), root(y), toupper(i32(c))


@fn
def failing_call() -> tuple[int, int]:
    return close(-1), errno()


@fn
def is_null(name: Tensor[u8, 1]) -> bool:
    return address(getenv(name.ptr)) == 0


@fn(unchecked=True)
def descending(a: Ptr[f64], b: Ptr[f64]) -> i32:
    return i32(a[0] < b[0]) - i32(a[0] > b[0])


@fn
def sort(x: Tensor[f64, 1]) -> None:
    qsort(x.ptr, u64(len(x)), 8, descending)


def text(s: bytes) -> np.ndarray:
    return np.frombuffer(s + b"\0", np.uint8).copy()


def test_external_functions():
    assert agree(calls, text(b"hello"), 27.0, 2.25, 97)[0] == 5
    assert calls(text(b""), 8.0, 4.0, 98)[2:] == (2.0, 66)
    assert agree(failing_call) == (-1, 9)
    assert agree(is_null, text(b"SAPWOOD_NO_SUCH_VARIABLE")) is True
    assert is_null(text(b"PATH")) is False
    assert length_of(int(text(b"abc").ctypes.data)) == 3
    assert cbrt(8.0) == pytest.approx(2.0)


def test_callbacks():
    x = np.random.default_rng(1).random(50)
    for run in (sort, sort.reference):
        y = x.copy()
        run(y)
        assert y.tolist() == sorted(x.tolist(), reverse=True)


def test_declarations_are_checked_where_they_stand():
    with pytest.raises(ExternalSymbolMissing, match="the process has no such symbol") as caught:

        @external
        def no_such_function_anywhere(x: int) -> int: ...

    assert isinstance(caught.value, TypeError) and "test_systems.py" in str(caught.value)
    with pytest.raises(ExternalLibraryMissing, match="'no-such-library' cannot be loaded"):
        external("f", library="no-such-library")(toupper.python)
    with pytest.raises(ExternalSignature, match="any number of arguments"):

        @external
        def printf(form: Ptr[u8], *args: int) -> i32: ...

    with pytest.raises(ExternalSignature, match="'s' is str, which C cannot take"):

        @external
        def puts(s: str) -> i32: ...

    with pytest.raises(ExternalSignature, match="parameter 'c' has no type"):

        @external
        def tolower(c) -> i32: ...


PROGRAM = """
from sapwood import external, fn
@external(library="libm.so.6")
def cbrt(x: float) -> float: ...
@fn
def f(x: float) -> float:
    return cbrt(x) * 2
print(f(27.0))
"""


def test_cached_code_holds_no_addresses(tmp_path):
    """A second process, with libraries at other addresses, loads the code of the first."""
    script = tmp_path / "program.py"
    script.write_text(PROGRAM)
    environment = {**os.environ, "SAPWOOD_CACHE_DIR": str(tmp_path / "cache")}
    for _ in range(2):
        out = subprocess.run([sys.executable, script], env=environment, capture_output=True, text=True, check=True)
        assert float(out.stdout) == pytest.approx(6.0)


# -- atomics -------------------------------------------------------------------------------------------


@fn
def every_atomic(x: Tensor[i64, 1]) -> tuple[int, int, int, int, int, int, int, int, int, int, int]:
    p = x.ptr
    fence("acq_rel")
    fence()
    atomic_store(p + 1, atomic_load(p, "acquire"), "release")
    atomic_store(p + 2, atomic_load(p + 1, "relaxed"), order="relaxed")
    return (
        atomic_add(p, 1, "relaxed"), atomic_sub(p, 5), atomic_or(p, 64, "release"), atomic_and(p, 127),
        atomic_xor(p, 1, order="acq_rel"), atomic_min(p, -5), atomic_max(p, 9), atomic_exchange(p, 4, "acquire"),
        atomic_cas(p, 4, 8, "acq_rel", "acquire"), atomic_cas(p, 4, 9, "release"), atomic_load(p),
    )  # fmt: skip


@fn
def narrow_atomics(x: Tensor[u16, 1], y: Tensor[i8, 1]) -> tuple[u16, u16, i8, i8]:
    return atomic_max(x.ptr, 40000), atomic_min(x.ptr, 65535), atomic_min(y.ptr, -3), atomic_add(y.ptr, 127)


@fn
def counted(n: int, total: Tensor[i64, 1], floats: Tensor[f64, 1]) -> None:
    for i in parallel(n):
        atomic_add(total.ptr, i, "relaxed")
        atomic_max(total.ptr + 1, i, "relaxed")
        atomic_add(floats.ptr, 0.5, "relaxed")


@fn
def locked(n: int, x: Tensor[i64, 1]) -> None:
    for _ in parallel(n):
        while atomic_cas(x.ptr, 0, 1, "acquire", "relaxed") != 0:
            pass
        x[1] = x[1] + 1
        atomic_store(x.ptr, 0, "release")


def test_atomics():
    for start in (3, -(2**63), 2**63 - 1):
        agree(every_atomic, np.array([start, 0, 0]))
    agree(narrow_atomics, np.array([50000], np.uint16), np.array([5], np.int8))
    total, floats = np.zeros(2, np.int64), np.zeros(1)
    counted(10_000, total, floats)
    assert total.tolist() == [10_000 * 9_999 // 2, 9_999] and floats[0] == 5000.0
    x = np.zeros(2, np.int64)
    locked(10_000, x)
    assert x.tolist() == [0, 10_000]


# -- caches and alignment ------------------------------------------------------------------------------


@fn
def streamed(x: Tensor[f32, 1], y: Tensor[f32, 1]) -> None:
    p, q = x.ptr, y.ptr
    for i in range(0, len(x), 8):
        prefetch(p + i + 64, locality=0)
        prefetch(q + i, write=True)
        q.store(i, p.load(i, width=8, align=4, stream=True) * 2, stream=True)
    fence("release")
    q.store(0, p.load(1, volatile=True), volatile=True)


@fn
def aligned(x: Tensor[f32, 1], at: int) -> f32:
    p = assume_aligned(x.ptr + at, 32)
    return p.load(0, width=8, align=32).reduce_add()


@fn
def stack_alignment() -> tuple[int, int]:
    a, b = StackArray[f32, 16](1.0), StackArray[u8, 3](1)
    return address(a.ptr) % 64, address(b.ptr) % 16


def test_memory_access():
    x = np.arange(64, dtype=np.float32)
    agree(streamed, x, np.zeros(64, np.float32))
    base = np.zeros(64 + 32, np.float32)
    skip = -base.ctypes.data % 64 // 4
    y = base[skip : skip + 64]
    y[:] = x
    assert aligned(y, 0) == aligned.reference(y, 0) == 28.0
    assert aligned(y, 8) == 92.0
    assert outcome(aligned, (y, 1))[0] == Raised(ValueError("the address is not a multiple of 32"))
    assert stack_alignment() == (0, 0)


@fn
def bit_counts(x: int, y: u16, z: i8) -> tuple[int, int, int, int, u16, u16, u16, u16, i8, i8]:
    return (
        popcount(x), leading_zeros(x), trailing_zeros(x), byte_swap(x), popcount(y), leading_zeros(y),
        trailing_zeros(y), byte_swap(y), popcount(z), leading_zeros(z),
    )  # fmt: skip


def test_bits():
    for x in (0, 1, -1, 2**62, -(2**63), 0x0123456789ABCDEF):
        agree(bit_counts, x, x & 0xFFFF, (x & 127) - 64)
    assert bit_counts(0x0123456789ABCDEF, 0x0102, 3)[3] == 0xEFCDAB8967452301 - 2**64


# -- mistakes that only show with other code -----------------------------------------------------------


@fn
def raising(a: Ptr[f64], b: Ptr[f64]) -> i32:
    if a[0] < 0.0:
        raise ValueError("negative")
    return i32(0)


@fn
def sort_with_raising(x: Tensor[f64, 1]) -> None:
    qsort(x.ptr, u64(len(x)), 8, raising)


def test_a_callback_may_not_raise():
    with pytest.raises(CompileError, match="'raising' is called back from C and may raise ValueError"):
        sort_with_raising(np.zeros(3))


def test_types_of_checkers() -> Any:
    """Declarations keep their signatures for type checkers: this is an int to them."""
    assert isinstance(toupper(97), int)
