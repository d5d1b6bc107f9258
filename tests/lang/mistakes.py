"""Mistakes that people make, one function each. test_diagnostics.py compiles them and compares the text of the
diagnostic with golden/NAME.txt."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol, TypeVar

import numpy as np

from sapwood import (
    SIMD,
    Const,
    Ptr,
    StackArray,
    Tensor,
    bf16,
    comptime,
    f16,
    f32,
    f64,
    fn,
    i8,
    i32,
    parallel,
    static_assert,
    struct,
    u8,
    u32,
    u64,
    unroll,
)

MISTAKES: dict[str, Callable[[], Any]] = {}
T = TypeVar("T")


def call(*args: Any, name: str = "", **kwargs: Any) -> Callable[[Any], Any]:
    """The decorated function is a mistake that shows when it is called with these arguments."""

    def enter(f: Any) -> Any:
        MISTAKES[name or f.__name__] = lambda: f(*args, **kwargs)
        return f

    return enter


# -- what the language does not have --------------------------------------------------------------------


@call(1)
@fn
def yields(n: int) -> int:
    def numbers():
        sent = yield n
        print(sent)

    return sum(numbers())


@call(1.5)
@fn
def format_of_another_type(x: float) -> None:
    print(f"x is {x:05d}")


@call(2.0)
@fn
def keyword_arguments(**values: float) -> float:
    return 0.0


@call(1.0, "x")
@fn
def star_argument_of_wrong_type(*values: float) -> float:
    return values[0]


class Color(Enum):
    RED = 1
    GREEN = 2


class Fruit(Enum):
    APPLE = 1


@call(1)
@fn
def members_of_two_classes(n: int) -> bool:
    c = Color.RED if n > 0 else Fruit.APPLE
    return c is Color.RED


@fn
def name_of(c: Color) -> str:
    return c.name


MISTAKES["value_for_a_member"] = lambda: name_of(1)


@call(Color.RED)
@fn
def member_plus_number(c: Color) -> int:
    return c + 1


@call(Color.RED)
@fn
def order_of_members(c: Color) -> bool:
    return c < Color.GREEN


@call(Color.RED)
@fn
def misspelt_attribute_of_a_member(c: Color) -> str:
    return c.nam  # type: ignore[attr-defined]


@fn
def counted(xs: list[int] = []) -> int:  # noqa: B006
    xs.append(1)
    return len(xs)


@call(1)
@fn
def default_that_can_change(n: int) -> int:
    return counted() + n


@call(1)
@fn
def import_inside(n: int) -> float:
    from math import square_root

    return square_root(n)


COUNT = 0


@call(1)
@fn
def assigns_global(n: int) -> None:
    global COUNT
    COUNT = n


@fn(inline=True)
def make_adder(n: int) -> Any:
    total = n

    def add(k: int) -> int:
        nonlocal total
        total += k
        return total

    return add


@call(1)
@fn
def closure_outlives_names(n: int) -> int:
    return make_adder(n)(1)


@call(3)
@fn
def recursion_changes_shared_type(n: int) -> int:
    total = 0

    def walk(k: int) -> None:
        nonlocal total
        total += k / 2
        if k > 0:
            walk(k - 1)

    walk(n)
    return n


@call(1)
@fn
def deleted_name(n: int) -> int:
    m = n
    del m
    return m  # noqa: F821


@call(1)
@fn
def nested_decorator(n: int) -> int:
    @staticmethod
    def f() -> int:
        return n

    return f()


@call(1)
@fn
def keyword_positional_only(n: int) -> int:
    def f(a: int, /) -> int:
        return a

    return f(a=n)


@call(1)
@fn
def double_star_call(n: int) -> int:
    def f(a: int) -> int:
        return a

    return f(**n)


@call(1)
@fn
def keyword_given_twice(n: int) -> int:
    def f(a: int) -> int:
        return a

    return f(a=n, **{"a": 2})  # type: ignore[misc]  # noqa: PIE804, PLE1132


@call(1)
@fn
def star_of_a_number(n: int) -> int:
    def f(a: int) -> int:
        return a

    return f(*n)


@call(1)
@fn
def class_pattern_positions(n: int) -> int:
    match n:
        case int(x, y):
            return x + y
    return n


@call(1)
@fn
def in_a_number(n: int) -> bool:
    return 1 in n


@call(1)
@fn
def matches_no_class(n: int) -> int:
    match n:
        case COUNT(x):
            return x
    return n


def without_source() -> Any:
    scope: dict[str, Any] = {"fn": fn, "__name__": "made"}
    exec("def made(n: int) -> int:\n    return n\n", scope)
    return fn(scope["made"])(1)


MISTAKES["without_source"] = without_source


def decorates_a_class() -> Any:
    @fn
    class Point:
        x: float

    return Point


MISTAKES["decorates_a_class"] = decorates_a_class


def decorates_a_coroutine() -> Any:
    @fn
    async def numbers(n: int):
        return n

    return numbers


MISTAKES["decorates_a_coroutine"] = decorates_a_coroutine


# -- names ---------------------------------------------------------------------------------------------


@call(3)
@fn
def misspelt_name(count: int) -> int:
    total = 0
    for i in range(count):
        total += i
    return totl  # noqa: F821


@call(3)
@fn
def maybe_unbound(n: int) -> int:
    if n > 3:
        result = n * 2
    return result


@call(3)
@fn
def unbound_after_loop(n: int) -> int:
    for i in range(n):
        last = i
    return last


@call(np.zeros(3))
@fn
def misspelt_attribute(x: Tensor[f64, 1]) -> int:
    return x.shpae[0]


TABLE = {"a": 1}


@call(1)
@fn
def changes_a_dict_of_the_module(n: int) -> int:
    TABLE["b"] = n
    return TABLE["a"]


def ordinary(x: float) -> float:
    return x * 2


@call(1.0)
@fn
def calls_ordinary_function(x: float) -> float:
    return ordinary(x)


@call(1.0)
@fn
def calls_another_library(x: float) -> float:
    return random.random() * x


@call(np.zeros(3))
@fn
def calls_numpy(x: Tensor[f64, 1]) -> float:
    return np.sum(x)


# -- types ---------------------------------------------------------------------------------------------


@call(np.zeros(3))
@fn
def array_annotation(values: np.ndarray) -> float:
    return values[0]


@call(1)
@fn
def misspelt_annotation(n: imt) -> int:  # noqa: F821
    return n


@call(1)
@fn
def adds_text(n: int) -> int:
    return n + "1"


@call(1.5)
@fn
def float_as_index(x: float) -> int:
    a = (1, 2, 3)
    total = 0
    for i in range(x):
        total += a[0] * i
    return total


@call(u32(1), 2)
@fn
def mixed_signs(a: u32, b: int) -> bool:
    c: i32 = i32(b)
    return a < c


@call(1.0)
@fn
def different_lanes(x: float) -> float:
    a = SIMD[f64, 4](x)
    b = SIMD[f64, 8](x)
    return (a + b).reduce_add()


@fn
def takes_an_int(n: int) -> int:
    return n + 1


@call(1.5)
@fn
def float_for_int_parameter(x: float) -> int:
    return takes_an_int(x)


@call(1)
@fn
def too_many_arguments(n: int) -> int:
    return takes_an_int(n, n)


@call(1)
@fn
def unknown_keyword(n: int) -> int:
    return takes_an_int(m=n)


@call(2)
@fn
def returns_another_type(n: int) -> int:
    if n > 1:
        return n * 0.5
    return n


@call(2)
@fn
def forgets_to_return(n: int) -> int:
    if n > 1:
        return n


@call(2)
@fn
def indexes_a_number(n: int) -> int:
    return n[0]


@call(np.zeros((2, 2)))
@fn
def three_indices(x: Tensor[f64, 2]) -> float:
    return x[0, 1, 0]


@call(2)
@fn
def tuple_index_out_of_range(n: int) -> int:
    p = (n, n + 1)
    return p[2]


@call(2)
@fn
def branches_differ(n: int) -> int:
    if n > 1:
        x = (1, 2)
    else:
        x = 5
    return x[0]


@call(2)
@fn
def loop_changes_type(n: int) -> int:
    x = 0
    for i in range(n):
        x = (x, i)
    return n


@call(np.zeros(3))
@fn
def array_as_condition(x: Tensor[f64, 1]) -> int:
    if x:
        return 1
    return 0


@call(2.0)
@fn
def vector_as_condition(x: float) -> int:
    v = SIMD[f64, 4](x)
    if v > 1.0:
        return 1
    return 0


@call(2)
@fn
def calls_a_number(n: int) -> int:
    return n(3)


@call("12")
@fn
def converts_text(s: Const[str]) -> f32:
    return f32(s)


@struct(frozen=True)
class Frozen:
    x: float


@call(Frozen(1.0))
@fn
def assigns_a_frozen_field(p: Frozen) -> float:
    p.x = 2.0
    return p.x


@call(2)
@fn
def assigns_a_tuple_item(n: int) -> int:
    p = (n, n)
    p[0] = 3
    return p[0]


@call(2)
@fn
def unpacks_too_many(n: int) -> int:
    a, b, c = (n, n)
    return a + b + c


@call(2)
@fn
def loops_over_a_number(n: int) -> int:
    total = 0
    for i in n:
        total += i
    return total


@call(2)
@fn
def literal_too_large(n: i8) -> i8:
    return n + 300


@call(2)
@fn
def recursion_without_return_type(n: int):
    return recursion_without_return_type(n - 1) + 1


@call(np.zeros(3))
@fn
def assigns_in_parallel(x: Tensor[f64, 1]) -> float:
    total = 0.0
    for i in parallel(x.shape[0]):
        total += x[i]
    return total


@call(np.zeros(3))
@fn
def returns_from_parallel(x: Tensor[f64, 1]) -> int:
    for i in parallel(x.shape[0]):
        if x[i] > 0:
            return i
    return -1


@call(3)
@fn
def breaks_from_parallel(n: int) -> None:
    for i in parallel(n):
        if i > 2:
            break


@call(3)
@fn
def raises_a_number(n: int) -> None:
    if n > 2:
        raise n


@call(3)
@fn
def returns_stack_memory(n: int) -> StackArray[f64, 4]:
    a = StackArray[f64, 4]()
    a[0] = n
    return a


@call(3)
@fn
def too_much_stack(n: int) -> float:
    a = StackArray[f64, 10_000_000]()
    return a[n]


@call(3)
@fn
def function_or_function(n: int) -> int:
    def one(x: int) -> int:
        return x + 1

    def two(x: int) -> int:
        return x + 2

    chosen = one if n > 2 else two
    return chosen(n)


@call(3)
@fn
def three_lanes(n: int) -> float:
    return SIMD[f64, 3](n).reduce_add()


@call(f16(1.0), f64(2.0))
@fn
def narrows_a_float(x: f16, y: f64) -> f16:
    z: f16 = x * y
    return z


@call(np.zeros(4))
@fn
def assigns_a_slice(x: Tensor[f64, 1]) -> None:
    x[1:3] = 0.0


# -- compile time --------------------------------------------------------------------------------------


@fn
def repeat(x: float, n: Const[int]) -> float:
    for _ in unroll(range(n)):
        x = x * 2
    return x


@call(1.0, 3)
@fn
def run_time_value_for_const(x: float, n: int) -> float:
    return repeat(x, n)


@call(3)
@fn
def unrolls_run_time_range(n: int) -> int:
    total = 0
    for i in unroll(range(n)):
        total += i
    return total


@call(4)
@fn
def false_static_assert(n: Const[int]) -> int:
    static_assert(n % 8 == 0, "n must be a multiple of 8")
    return n


@call(4)
@fn
def unrolls_too_long(n: int) -> int:
    for i in unroll(range(100_000)):
        n += i
    return n


@fn
def both(a: T, b: T) -> T:
    return a + b


@call(1, (2.5, 1))
@fn
def conflicting_type_variable(a: int, b: tuple[float, int]) -> int:
    return both(a, b)


@fn
def apply_again(f: Callable[..., Any], x: int) -> int:
    return apply_again(lambda v: f(v) + 1, x)


@call(1)
@fn
def endless_inlining(x: int) -> int:
    return apply_again(lambda v: v, x)


# -- deep mistakes: the chain of calls -----------------------------------------------------------------


@fn
def innermost(x: Tensor[f64, 1], i: float) -> float:
    return x[i]


@fn
def middle(x: Tensor[f64, 1], i: float) -> float:
    return innermost(x, i) * 2


@call(np.zeros(3), 1.0)
@fn
def mistake_two_calls_down(x: Tensor[f64, 1], i: float) -> float:
    return middle(x, i)


# -- arguments from Python -----------------------------------------------------------------------------


@fn
def scale(x: Tensor[f32, 1], by: f32) -> None:
    for i in range(len(x)):
        x[i] *= by


@fn
def count_up(n: int) -> int:
    return n + 1


@fn
def bytes_at(p: Ptr[u8]) -> u64:
    return u64(p[0])


def frozen_array() -> Any:
    x = np.zeros(3, np.float32)
    x.flags.writeable = False
    return x


MISTAKES |= {
    "argument_of_another_dtype": lambda: scale(np.zeros(3), 2.0),
    "argument_of_another_rank": lambda: scale(np.zeros((3, 3), np.float32), 2.0),
    "argument_is_a_list": lambda: scale([1.0, 2.0], 2.0),
    "argument_is_read_only": lambda: scale(frozen_array(), 2.0),
    "float_argument_for_int": lambda: count_up(2.0),
    "bool_argument_for_int": lambda: count_up(True),
    "text_argument_for_int": lambda: count_up("12"),
    "none_argument_for_int": lambda: count_up(None),
    "array_argument_for_pointer": lambda: bytes_at(np.zeros(3, np.uint8)),
}


@dataclass
class Plain:
    x: float


@call(Plain(1.0))
@fn
def plain_dataclass(p: Plain) -> float:
    return p.x


@call(np.zeros((2, 2)), np.zeros((2, 2)))
@fn
def matrix_product(a: Tensor[f64, 2], b: Tensor[f64, 2]) -> Tensor[f64, 2]:
    return a @ b


@call(np.zeros(2), 2.0)
@fn
def array_arithmetic(x: Tensor[f64, 1], y: float) -> Tensor[f64, 1]:
    return x * y


@call(bf16(1), 1.5)
@fn
def bf16_product(x: bf16, y: float) -> bf16:
    return x * y




# -- structs, type variables, constants ------------------------------------------------------------------


class HasArea(Protocol):
    def area(self) -> float: ...


@struct(frozen=True, eq=False)
class Unordered:
    x: int


@struct
class Mutable:
    x: int

    @property
    def double(self) -> int:
        return 2 * self.x


@fn
def area_of(shape: HasArea) -> float:
    return shape.area()


Bounded = TypeVar("Bounded", int, float)


@fn
def bounded(x: Bounded) -> Bounded:
    return x


@call(1)
@fn
def lacks_a_method(n: int) -> float:
    return area_of(Unordered(n))


@call(1)
@fn
def outside_of_constraints(n: int) -> tuple[int, int]:
    return bounded((n, n))


@call(1)
@fn
def compares_order(n: int) -> bool:
    return Unordered(n) < Unordered(1)


@call(1)
@fn
def identity_of_values(n: int) -> bool:
    return Unordered(n) == Unordered(1)


@call(1)
@fn
def sets_a_property(n: int) -> int:
    m = Mutable(n)
    m.double = 4  # type: ignore[misc]
    return m.x


@call(1)
@fn
def misspelt_field(n: int) -> int:
    return Mutable(x=n).y  # type: ignore[attr-defined]


@call(1)
@fn
def unknown_field(n: int) -> int:
    return Mutable(n, y=2).x  # type: ignore[call-arg]


@call(1)
@fn
def comptime_of_run_time(n: int) -> int:
    return comptime(n + 1)


@call(1)
@fn
def comptime_gives_a_list(n: int) -> int:
    return comptime([1, 2])[n]


@call(1)
@fn
def comptime_raises(n: int) -> int:
    return comptime(1 // 0) + n


@call(1)
@fn
def mixed_tuple_at_run_time(n: int) -> int:
    return (1, "a", None)[n]  # type: ignore[return-value]


@call(np.zeros(3, [("x", "f8")]))
@fn
def records_of_another_type(xs: Tensor[Unordered, 1]) -> int:
    return xs[0].x


MISTAKES["unknown_struct_option"] = lambda: struct(weird=True)  # type: ignore[call-overload]


@call(1)
@fn
def hashes_a_mutable(n: int) -> int:
    return hash(Mutable(n))
