"""f-strings, format, str and repr of numbers, texts and containers against CPython; int() and float() of texts."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracles import outcome, same

from sapwood import f32, fn, struct, u8, u64
from sapwood.lang.errors import CompileError
from sapwood.runtime.heap import live_objects

INTS = st.one_of(st.integers(-(2**63), 2**63 - 1), st.integers(-1000, 1000))
FLOATS = st.one_of(
    st.floats(), st.floats(-1e6, 1e6).map(lambda x: round(x, 3)), st.integers(-(10**6), 10**6).map(lambda n: n / 8),
    st.sampled_from([0.0, -0.0, 1e16, 1e15, 1e-4, 9.5e-5, 0.5, 2.5, 0.045, 1.005, 5e-324, math.inf, -math.inf]),
)  # fmt: skip


@pytest.fixture(autouse=True)
def nothing_leaks():
    before = live_objects()
    yield
    assert live_objects() == before


def agree(f, *args):
    expected, _ = outcome(f.__wrapped__, args)
    found, _ = outcome(f, args)
    assert same(expected, found), f"{f.__name__}{args}: CPython {expected!r}, compiled {found!r}"


@fn
def of_int(x: int) -> str:
    a = f"{x}|{x:d}|{x:5}|{x:<8}|{x:>+8}|{x:^ 9}|{x:=10}|{x:08}|{x:,}|{x:_}|{x:020,}|{x:*^30,}|{x!r:>4}|{x:é<9}"
    b = f"{x:x}|{x:X}|{x:#x}|{x:#010b}|{x:o}|{x:#_b}|{x:_x}|{x:n}|{x:e}|{x:.2f}|{x:%}|{x:g}|{x & 127:c}|{x:+#o}"
    return a + b + str(x) + repr(x)


@given(INTS)
def test_ints(x):
    agree(of_int, x)


@fn
def of_float(x: float) -> str:
    a = f"{x}|{x:5}|{x:+}|{x: }|{x:.3}|{x:f}|{x:.2f}|{x:.0f}|{x:+.1f}|{x:10.3f}|{x:<10.3f}|{x:^+15.4f}|{x:015.3f}"
    b = f"{x:e}|{x:.0e}|{x:#.0f}|{x:g}|{x:.10g}|{x:G}|{x:E}|{x:F}|{x:%}|{x:.1%}|{x:,}|{x:,.2f}|{x:_.1f}|{x:020,.2f}|{x:z.1f}"  # noqa: E501
    return a + b + str(x) + repr(x) + f"{x:.17g}|{x:n}|{x!s:>9}"


@given(FLOATS)
def test_floats(x):
    agree(of_float, x)


@fn
def of_text(s: str, n: int) -> str:
    return f"{s}|{s:10}|{s:>10}|{s:^10}|{s:é^10}|{s:.2}|{s:5.1}|{s!r:>12}|{s!a}|{s:s}|{s:05}|{n > 2}|{n > 2!r:>7}|{n > 2:3}|{None}"  # noqa: E501


@given(st.text(max_size=12), st.integers(-3, 9))
def test_texts(s, n):
    agree(of_text, s, n)


@fn
def computed(x: int, y: float, s: str, spec: str) -> str:
    w = x % 13
    return format(x, spec) + f"|{y:{w}.{w & 7}f}|{s:*>{w}}|" + format(y, spec) + "|" + f"{x:{spec}}"


@fn
def computed_text(s: str, spec: str) -> str:
    return format(s, spec)


SPECS = st.one_of(
    st.text("<>=^+- #0123,_.bcdeEfFgGnoxX%szqé", max_size=6),
    st.from_regex(r"[*é]?[<>=^]?[-+ ]?z?#?0?[0-9]?[,_]?(\.[0-9])?[bcdeEfFgGnoxXs%]?", fullmatch=True),
)


@given(st.integers(-200, 10**6), FLOATS, st.text(max_size=5), SPECS)
def test_computed_specifiers(x, y, s, spec):
    agree(computed, x, y, s, spec)
    agree(computed_text, s, spec)


@struct(frozen=True)
class Point:
    x: float
    n: int


@struct(frozen=True)
class Named:
    n: int

    def __str__(self) -> str:
        return f"no. {self.n}"

    def __format__(self, spec: str) -> str:
        return spec + "!"


@fn
def of_others(x: float, n: int, s: str) -> str:
    p = Point(x, n)
    q = Named(n)
    t = (n, x, s, (n,), ())
    a = f"{p}|{p!r}|{q}|{q!r}|{q:spec}|{t}|{t!s}|{q!s}|{n=}|{s=}|{x=:.1f}|{{}}|{s + s!r}"
    return a + str(n > 3) + repr((s, "a'b"))


@given(FLOATS, st.integers(0, 10**6), st.text(max_size=5))
def test_structs_and_tuples(x, n, s):
    agree(of_others, x, n, s)


@struct
class Node:
    value: int
    next: Node | None = None


@fn
def linked(n: int) -> str:
    first = None
    for i in range(n):
        first = Node(i, first)
    return str(first)


def test_structs_on_the_heap():
    for n in range(3):
        agree(linked, n)


@fn
def machine_numbers(x: f32, n: int) -> str:
    return str(x) + f"{x:.3f}|" + str(u8(n)) + f"|{u64(n)}|{u64(n):,}"


def test_machine_numbers_are_shown_as_python_shows_them():
    assert machine_numbers(0.1, -1) == "0.100000001490116120.100|255|18446744073709551615|18,446,744,073,709,551,615"


@fn
def parsed_int(s: str, base: int) -> int:
    return int(s, base)


@fn
def parsed_float(s: str) -> float:
    return float(s)


PIECES = ["0", "1", "9", "a", "z", "F", "_", "0x", "0b", "0o", "-", "+", " ", "\t", "\u2003", "٣", "\n", ".", "e", "E5"]
PIECES += ["9223372036854775807", "inf", "nan", "Infinity", "e-300", "17976931348623157", "2.5", "'", "1_0"]
LITERALS = st.lists(st.sampled_from(PIECES), max_size=5).map("".join)


@given(LITERALS, st.sampled_from([0, 2, 8, 10, 16, 36, 37, 1]))
def test_int_of_text(s, base):
    expected, _ = outcome(parsed_int.__wrapped__, (s, base))
    if isinstance(expected, int) and not -(2**63) <= expected < 2**63:
        with pytest.raises(OverflowError, match="does not fit into 64 bits"):
            parsed_int(s, base)
    else:
        agree(parsed_int, s, base)


@given(st.one_of(LITERALS, FLOATS.map(repr), FLOATS.map(lambda x: f"{x:.3f}")))
def test_float_of_text(s):
    agree(parsed_float, s)


def test_the_evaluator_says_the_same():
    for x in (3, -(2**63)):
        assert of_int.reference(x) == of_int(x)
    for x in (1 / 3, -2.5, math.nan, 1e22):
        assert of_float.reference(x) == of_float(x)
    assert computed.reference(7, 2.5, "ß", "+09,") == computed(7, 2.5, "ß", "+09,")
    assert same(outcome(parsed_float.reference, ("1_0.5e٣",))[0], parsed_float("1_0.5e٣"))


@fn
def wrong(x: float) -> str:
    return f"{x:d}"


def test_a_wrong_constant_specifier_is_a_mistake():
    with pytest.raises(CompileError, match="Unknown format code 'd' for object of type 'float'"):
        wrong(1.0)


@fn
def templates(x: int, y: float, s: str) -> str:
    a = "%d|%5d|%-5d|%05d|%+d|%x|%#o|%i%%|%s|%r|%5s|%-5s|%.2s|%c" % (x, x, x, x, x, x, x, y, s, s, s, s, s, 65)
    b = "%f|%.2f|%10.3e|%g|%-8.1f|" % (y, y, y, y, y) + "%s" % x + "%s" % s
    return a + b + "{} {!r:>5} {k:.2f} {{}} {t[1]} {k:{w}}".format(x, s, k=y, t=(1, s), w=9) + "ab" * (x & 3)


@given(st.integers(-1000, 1000), st.floats(-1e6, 1e6), st.text(max_size=6))
def test_constant_templates(x, y, s):
    agree(templates, x, y, s)
