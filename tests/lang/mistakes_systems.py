"""Mistakes in systems programming; see mistakes.py."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from mistakes import MISTAKES, call

from sapwood import Ptr, Tensor, external, f16, f32, f64, fn, i32, i64, u64
from sapwood.systems import (
    assume_aligned,
    atomic_add,
    atomic_inc,
    atomic_load,
    atomic_min,
    atomic_store,
    atomic_sub,
    fence,
    inline_asm,
    inline_llvm,
    prefetch,
)

INTS, FLOATS, HALVES = np.zeros(4, np.int64), np.zeros(4), np.zeros(4, np.float16)


@external
def qsort(base: Ptr[f64], n: u64, size: u64, compare: Callable[[Ptr[f64], Ptr[f64]], i32]) -> None: ...


@external
def labs(x: i64) -> i64: ...


@call(INTS)
@fn
def release_on_load(x: Tensor[i64, 1]) -> int:
    return atomic_load(x.ptr, "release")


@call(INTS)
@fn
def acquire_on_store(x: Tensor[i64, 1]) -> None:
    atomic_store(x.ptr, 1, "acquire")


@call(INTS)
@fn
def unknown_ordering(x: Tensor[i64, 1]) -> int:
    return atomic_add(x.ptr, 1, "sequential")


@call(INTS)
@fn
def unknown_scope(x: Tensor[i64, 1]) -> int:
    return atomic_add(x.ptr, 1, "relaxed", "warp")


@call(FLOATS)
@fn
def subtract_from_a_float(x: Tensor[f64, 1]) -> None:
    atomic_sub(x.ptr, 1.0)


@call(INTS)
@fn
def count_a_signed_int(x: Tensor[i64, 1]) -> None:
    atomic_inc(x.ptr, 7)


@call(HALVES)
@fn
def least_of_halves(x: Tensor[f16, 1]) -> None:
    atomic_min(x.ptr, 1.0)


@call(INTS)
@fn
def order_of_run_time(x: Tensor[i64, 1], weak: bool = True) -> int:
    return atomic_load(x.ptr, "relaxed" if weak else "acquire")


@call()
@fn
def relaxed_fence() -> None:
    fence("relaxed")


@call(INTS)
@fn
def odd_alignment(x: Tensor[i64, 1]) -> int:
    return assume_aligned(x.ptr, 24)[0]


@call(INTS)
@fn
def locality_out_of_range(x: Tensor[i64, 1]) -> None:
    prefetch(x.ptr, locality=5)


@call(2.5)
@fn
def external_argument_type(x: float) -> int:
    return labs(x)


@call(1)
@fn
def external_argument_count(x: int) -> int:
    return labs(x, x)


@call(np.zeros(3, np.float32))
@fn
def external_pointer_type(x: Tensor[f32, 1]) -> None:
    qsort(x.ptr, 3, 4, lambda a, b: 0)


@call(FLOATS)
@fn
def lambda_as_callback(x: Tensor[f64, 1]) -> None:
    qsort(x.ptr, 4, 8, lambda a, b: 0)


@fn(unchecked=True)
def difference(a: Ptr[f64], b: Ptr[f64]) -> float:
    return a[0] - b[0]


@call(FLOATS)
@fn
def callback_with_another_result(x: Tensor[f64, 1]) -> None:
    qsort(x.ptr, 4, 8, difference)


@fn
def checked_order(a: Ptr[f64], b: Ptr[f64]) -> i32:
    assert a[0] >= 0.0
    return i32(a[0] > b[0])


@call(FLOATS)
@fn
def callback_that_raises(x: Tensor[f64, 1]) -> None:
    qsort(x.ptr, 4, 8, checked_order)


@call(1)
@fn
def asm_constraints(x: int) -> int:
    return inline_asm("nop", "=r", i64, x)


@call(1)
@fn
def llvm_type_mismatch(x: int) -> int:
    return inline_llvm("%r = add i32 %arg0, 1\n ret i32 %r", i64, x)


def _declare_missing() -> None:
    @external
    def no_such_function(x: int) -> int: ...


def _declare_without_library() -> None:
    @external(library="/no/such/library.so")
    def cbrt(x: float) -> float: ...


def _declare_varargs() -> None:
    @external
    def printf(form: Ptr[i32], *args: int) -> i32: ...


MISTAKES["external_symbol_missing"] = _declare_missing
MISTAKES["external_library_missing"] = _declare_without_library
MISTAKES["external_varargs"] = _declare_varargs
