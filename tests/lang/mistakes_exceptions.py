"""Mistakes with exceptions. See mistakes.py."""
# ruff: noqa: B030, F821, F841, PLE0704

from __future__ import annotations

import numpy as np
from mistakes import call

from sapwood import Tensor, fn, i64, kernel, struct, thread_idx


class Top(Exception):
    pass


def hidden() -> type[Exception]:
    class Hidden(Exception):
        pass

    return Hidden


Hidden = hidden()


@call(1)
@fn
def except_of_a_number(n: int) -> int:
    try:
        return 10 // n
    except (ZeroDivisionError, 5):
        return 0


@call(1)
@fn
def except_of_a_value(n: int) -> int:
    try:
        return 10 // n
    except n:
        return 0


@call(1)
@fn
def bare_raise_outside(n: int) -> int:
    if n == 1:
        raise
    return n


@call(1)
@fn
def bare_raise_after_the_handler(n: int) -> int:
    try:
        n = 10 // n
    except ZeroDivisionError:
        n = 0
    raise


@call(1)
@fn
def exception_after_its_handler(n: int) -> int:
    try:
        n = 10 // n
    except ZeroDivisionError as e:
        n = 0
    raise e


@call(1)
@fn
def name_of_one_path(n: int) -> int:
    try:
        x = 10 // n
    except ZeroDivisionError:
        n = 5
    return x


@call(1)
@fn
def cause_is_no_exception(n: int) -> int:
    raise ValueError(n) from n


@call(1)
@fn
def class_without_a_place(n: int) -> int:
    raise Hidden(n)


@struct
class Box:
    x: int


@call(1)
@fn
def with_a_plain_struct(n: int) -> int:
    b = Box(n)
    with b:
        n += 1
    return n


@call(1)
@fn
def with_a_number(n: int) -> int:
    with n as m:
        return m
    return n


@call(1)
@fn
def types_clash_in_the_handler(n: int) -> int:
    x = 1
    try:
        x = (n, 10 // n)
        n = 10 // n
    except ZeroDivisionError:
        return x
    return n


@kernel
def try_in_a_kernel(x: Tensor[i64, 1]) -> None:
    try:
        x[thread_idx.x] = 1 // x[thread_idx.x]
    except ZeroDivisionError:
        x[thread_idx.x] = 0


call(np.zeros(4, np.int64), name="try_in_a_kernel")(try_in_a_kernel[1, 4])
