# ruff: noqa: RUF001, RUF060, FURB171
"""Single characters of texts, which are code points inside: against CPython, with every kind of character."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import agree

from sapwood import fn, struct
from sapwood.runtime.heap import live_objects

SPECIAL = "".join(map(chr, range(0x80))) + "äßÀÿªǅʰΣσςЖ٣²½Ⅷ€ﬁ\u2028\u3000\ud800\udfff𝟗𐐀😀\U0010ffff"
CHARACTERS = st.sampled_from(SPECIAL) | st.characters(exclude_categories=())
TEXTS = st.text(CHARACTERS, max_size=12)
UTF8 = TEXTS.filter(lambda s: not any("\ud800" <= c <= "\udfff" for c in s))


@fn
def classes(s: str) -> list[tuple[int, int]]:
    found = []
    for c in s:
        bits = 0
        if c in "aeiou":
            bits |= 1
        if c in "{}[],:\"" or c in "äßλ€":
            bits |= 2
        if "0" <= c <= "9" or c == "-":
            bits |= 4
        if c.isalpha():
            bits |= 8
        if c.isdigit():
            bits |= 16
        if c.isspace():
            bits |= 32
        if c.isalnum():
            bits |= 64
        if c.isupper():
            bits |= 128
        if c.islower():
            bits |= 256
        if c.isnumeric() and not c.isdecimal():
            bits |= 512
        if c.isprintable():
            bits |= 1024
        if c.isascii():
            bits |= 2048
        if c not in "" and c in c and c != "ab" and c < "𝟘" and c > "":
            bits |= 4096
        if c in "ABCDEFGHIJKLMNOPQRSTUVWXYZ_":
            bits |= 8192
        if c.isidentifier() or c.istitle():
            bits |= 16384
        found.append((ord(c), bits))
    return found


@fn
def at(s: str, i: int) -> str:
    return s[i]


@fn
def peek(s: str, i: int) -> str:
    return s[i] if -len(s) <= i < len(s) else ""


@fn
def is_open(c: str) -> bool:
    return c in "([{" or c == "<"


@fn
def nested(s: str, i: int, depth: int) -> str:
    """Recursion, which gives a str."""
    if depth == 0:
        return s[i]
    return nested(s, i, depth - 1) if i % 2 == 0 else s[i]


@fn
def several(s: str) -> tuple[int, str, str, list[str]]:
    opened = 0
    last = ""
    previous = "a"
    runs = []
    for i in range(len(s)):
        c = at(s, i)
        opened += is_open(c) + 2 * (peek(s, i + 1) == c) + (nested(s, i, 2) == "x") + (previous < c)
        if c != previous:
            runs.append(previous + c)
        last, previous = previous, c
    return opened, last, previous, runs


@fn
def kept(s: str) -> tuple[dict[str, int], list[str], set[str], list[tuple[int, str]]]:
    counts: dict[str, int] = {}
    for c in s:
        counts[c] = counts.get(c, 0) + 1
    return counts, sorted(s), set(s), [(i, c) for i, c in enumerate(s) if c != "b"]


@fn
def optional(s: str, wanted: str) -> str | None:
    for c in s:
        if c == wanted:
            return c
    return None


@fn
def made(s: str) -> str:
    out = ""
    for c, d in zip(s, s[1:]):
        match c:
            case "a" | "b":
                out += "<" + d + ">"
            case _:
                out += c.upper() + f"{d!r}{d:>2}" + c.lower() * 2
    return out + "".join(c for c in s if c.isalpha()) + "|".join([chr(ord(c)) for c in s])


@fn
def pairs(s: str, t: str) -> list[bool]:
    a, b = s[0], t[0]
    return [
        a == b, a != b, a < b, a <= b, a > b, a >= b, a == t, s == b, a < t, t >= a, a in t, a in (b, "x"),
        (a, 1) < (b, 0), (a, b) == (b, a), a in [b], a in {b, "y"}, isinstance(a, str), bool(a), len(a) == 1,
        a[0] == a[-1], a == max(s), b == min(t),
    ]  # fmt: skip


@fn
def slices(s: str, i: int, j: int, t: str) -> list[bool]:
    return [
        s[i:j] == t, s[i:j] != t, s[i : i + 4] == "true", s[:j] == s[:j], s[i:] == t, s[i:j] == s[i:j], t == s[i:j],
        "äbc"[i:j] == t, s.startswith(t, i), s.startswith("tr", i, j), s[i:j] == "",
    ]  # fmt: skip


@fn
def constants(i: int, j: int) -> tuple[str, str, str, str]:
    return "0123456789abcdef"[i], "äb€𝟗"[i:j], "abc"[::-1][i:], "xyz"[j]


def same(f: Any, *args: Any) -> None:
    def outcome(g: Callable[..., Any]) -> Any:
        try:
            return g(*args)
        except Exception as e:
            return type(e), str(e)

    expected, found = outcome(f.__wrapped__), outcome(f)
    assert found == expected, (f.__wrapped__.__name__, args)


@settings(max_examples=150, deadline=None)
@given(UTF8, UTF8, st.integers(-14, 14), st.integers(-14, 14))
def test_characters(s: str, t: str, i: int, j: int) -> None:
    before = live_objects()
    for f in (classes, several, kept, made):
        same(f, s)
    same(at, s, i)
    same(peek, s, i)
    same(optional, s, t[:1])
    same(pairs, s, t)
    same(slices, s, i, j, t)
    same(slices, s, i, j, s[i:j])
    same(slices, s + "true" + t, len(s), j, t)
    same(constants, i, j)
    assert live_objects() == before


@fn
def codes(first: int, last: int) -> tuple[int, int, int]:
    """Over a range of code points: how many have which property, and where they are."""
    total, digits, places = 0, 0, 0
    for code in range(first, last):
        c = chr(code)
        if c.isalpha() or c.isspace():
            total += 1
            places = (places * 31 + code) % 1000000007
        if c.isdigit() or c.isupper():
            digits += 1
        if c in "aAzZ09äÄ€😀\u3000" or "ά" <= c <= "ώ":
            places = (places * 37 + ord(c)) % 1000000007
    return total, digits, places


def test_all_code_points() -> None:
    for first, last in ((0, 0x3000), (0xA000, 0x11000), (0x1F600, 0x1F700), (0x10FFF0, 0x110000)):
        assert codes(first, last) == codes.__wrapped__(first, last)
    for code in (-1, 0x110000):
        with pytest.raises(ValueError, match=r"chr\(\) arg not in range"):
            codes(code, code + 1)


@struct
class Scanner:
    """The pattern of a tokeniser: characters come out of methods and go into fields."""

    text: str
    at: int = 0
    last: str = ""

    def peek(self) -> str:
        return self.text[self.at] if self.at < len(self.text) else ""

    def take(self) -> str:
        c = self.text[self.at]
        self.at += 1
        self.last = c
        return c


@fn
def scan(text: str) -> tuple[list[str], str]:
    scanner = Scanner(text)
    found = []
    while scanner.peek() != "":
        c = scanner.take()
        if c == '"':
            word = ""
            while scanner.peek() != '"':
                word += scanner.take()
            scanner.take()
            found.append(word)
        elif not c.isspace():
            found.append(c)
    return found, scanner.last


def test_scanner() -> None:
    before = live_objects()
    text = 'a "quoted ä𝟗" [x]'
    assert scan(text) == scan.__wrapped__(text)
    with pytest.raises(IndexError, match="string index out of range"):
        scan('"open')
    assert live_objects() == before


@fn
def first_of(s: str) -> str:
    return s[0]


@fn
def last_of(s: str) -> str:
    return s[-1]


@fn
def chosen(s: str, first: bool) -> str:
    pick = first_of if first else last_of
    return pick(s) + "!"


def test_function_pointers_give_a_str() -> None:
    assert [chosen("abc", True), chosen("äb€", False)] == ["a!", "€!"]
    assert first_of("xy") == "x"


TITLE = b">a title\n"


@fn
def size_of_constants() -> int:
    return len(TITLE) * 10 + len(b"")


def test_length_of_constant_bytes() -> None:
    assert size_of_constants() == 90


ALL = "".join(map(chr, (*range(0xD800), *range(0xE000, 0x110000))))


@fn
def flags(text: str) -> list[int]:
    counts = [0] * 10
    for c in text:
        counts[0] += c.isalpha()
        counts[1] += c.isdecimal()
        counts[2] += c.isdigit()
        counts[3] += c.isnumeric()
        counts[4] += c.isspace()
        counts[5] += c.isupper()
        counts[6] += c.islower()
        counts[7] += c.istitle()
        counts[8] += c.isprintable()
        counts[9] += c.isidentifier()
    return counts


@fn
def cases(text: str) -> tuple[str, str, str]:
    return text.lower(), text.upper(), text.casefold()


def test_every_character_is_what_python_says():
    for start in range(0, len(ALL), 1 << 16):
        part = ALL[start : start + (1 << 16)]
        assert flags(part) == flags.__wrapped__(part), hex(start)
        assert cases(part) == cases.__wrapped__(part), hex(start)


@fn
def becomes_a_text_in_a_loop(b: int, w: str) -> str:
    """Before the loop the character becomes a text: an operation that may raise, of the names from before the loop."""
    v = w[2]
    try:
        while b > 0:
            b -= 1
            v = str(b)
    except ArithmeticError:
        pass
    return v


def test_a_character_that_a_loop_in_a_try_makes_a_text():
    for b in (0, 3):
        agree(becomes_a_text_in_a_loop, b, "abcd", plain=True)
