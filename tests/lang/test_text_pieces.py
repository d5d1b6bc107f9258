"""Loops over the pieces of a text, which are made one by one, against CPython and the evaluator."""

from __future__ import annotations

import pytest
from containers import agree
from hypothesis import given
from hypothesis import strategies as st

from sapwood import fn, struct

TEXTS = ["", " ", "a b  c\n d\r\ne,f,,g", "é ☃\u2028x\u00a0y", "abc", ",", "a,b", "\n", "x\r\n\n", "a\x1cb\x85c"]


@fn
def looped(s: str, sep: str) -> list[str]:
    out: list[str] = []
    for w in s.split():
        out.append(w)
    for w in s.split(None):
        if w == "b":
            continue
        if w == "d":
            break
        out.append(w)
    else:
        out.append("else")
    for line in s.splitlines():
        out.append(line)
    for line in s.splitlines(sep == ","):
        out.append(line)
    for w in s.split(sep):
        out.append("|" + w)
        s = s + w
    return out


@fn
def adapted(s: str, sep: str) -> list[str]:
    out = [w.upper() for w in s.strip().split() if w]
    for i, w in enumerate(s.splitlines(), 1):
        out.append(str(i) + w)
    for a, b in zip(s.split(), s.split(sep)):
        out.append(a + b)
    return out + list(map(str.title, s.split(sep)))


@fn
def reduced(s: str, sep: str) -> tuple[int, int, list[str], dict[str, int], set[str]]:
    n = sum(len(w) for w in s.split(sep))
    lengths = {w: len(w) for line in s.splitlines() for w in line.split()}
    return n, len(set(s.split())), sorted(s.split(sep)), lengths, {w[:2] for w in s.split()}


@pytest.mark.parametrize("sep", [",", "a", " ", "ab", "é", ""])
@pytest.mark.parametrize("f", [looped, adapted, reduced], ids=lambda f: f.__name__)
def test_pieces(f, sep):
    for s in TEXTS:
        agree(f, s, sep)


@given(st.text("ab ,\n\ré☃\x1e", max_size=12), st.text("ab, é", max_size=2))
def test_many(s, sep):
    agree(looped, s, sep, reference=False)


@fn
def words_kept(s: str) -> tuple[list[str], int]:
    parts = s.split()
    for w in s.split():
        parts.append(w)
    return parts, len(s.split())


@struct
class Log:
    lines: list[str]

    def split(self) -> list[str]:
        return self.lines[1:]

    def splitlines(self, n: int) -> list[str]:
        return self.lines[n:]


@fn
def others(s: str, b: bytes) -> tuple[list[str], list[bytes]]:
    log = Log([s, "b", "c"])
    out = [x for x in log.split()]
    for x in log.splitlines(2):
        out.append(x)
    parts: list[bytes] = []
    for part in b.split():
        parts.append(part)
    return out, parts


def test_what_is_no_loop_over_a_text():
    agree(words_kept, "a b\tc")
    agree(others, "a b", b"x y")


@fn
def counts_words(text: str) -> list[tuple[str, int]]:
    found: dict[str, int] = {}
    for word in text.split():
        found[word] = found.get(word, 0) + 1
    return sorted(found.items())


@fn
def joined_and_equal(a: str, b: str) -> tuple[str, bool, bool]:
    return a + b, a == b, a + b == b + a


@fn
def ordered(a: str, b: str) -> tuple[bool, bool, bool, bool]:
    return a < b, a <= b, a > b, a >= b


def test_words_of_every_length_are_cut_hashed_and_copied() -> None:
    """Vectors, words and halves that overlap take the bytes: texts of every length, changed at every place."""
    letters = "abcdefghijklmnopqrstuvwxyz" * 3
    for n in range(75):
        word = letters[:n]
        others = [word[:k] + x + word[k + 1 :] for k in range(n) for x in "Aä\x01\x7f"]
        for text in (" ".join([word, *others, word]), f"\u2003{word}\x1c{word}\xa0{word}ä {word}\t\n"):
            assert counts_words(text) == sorted((w, text.split().count(w)) for w in set(text.split()))
        for other in others[:: max(1, n // 4)]:
            assert joined_and_equal(word, other) == (word + other, False, word + other == other + word)
        for other in [*others, word, word + "b", word[:-1], word[: n // 2]]:
            assert ordered(word, other) == (word < other, word <= other, word > other, word >= other)
        assert joined_and_equal(word, str(letters[:n])) == (word + word, True, True)


@fn
def numbered(s: str, xs: list[int], start: int) -> list[int]:
    out: list[int] = []
    ys = xs[:]
    try:
        for i, c in enumerate(s):
            ys[i] += ord(c)
        for i, c in enumerate(s, 2):
            out.append(ys[i - 2] + ys[i - 1] + ord(c))
        for i, c in enumerate(s, -2):
            out.append(xs[i] + ord(c))
        for i, c in enumerate(s, start):
            out.append(xs[i])
        k = 0
        for c in s:
            if c == "b":
                k += 1
            out.append(xs[k])
            k += 1
    except IndexError:
        out.append(-1)
    return out + ys


@fn
def shrinking(s: str) -> list[int]:
    xs = list(range(len(s) + 1))
    out: list[int] = []
    try:
        for i, c in enumerate(s):
            out.append(xs[i])
            if c == "b":
                xs.pop()
    except IndexError:
        out.append(-1)
    return out


def test_numbers_of_characters_as_indices() -> None:
    """One question before the loop tells that they are in range: what is asked is the number of bytes."""
    for s in ("", "a", "abcab", "äbc", "a☃b☃c", "xbbbbb", "äää", "bxxxx", "😀😀b"):
        for n in (0, 1, len(s) - 1, len(s), len(s) + 1, len(s.encode()), 20):
            for start in (0, 1, -1, 3):
                agree(numbered, s, list(range(max(n, 0))), start)
        agree(shrinking, s)


@fn
def in_sets(s: str) -> list[int]:
    out: list[int] = []
    for c in s:
        out.append((c in "{}[],:") + 2 * (c in "\x00\x02\x04\x06z~|x") + 4 * (c in "aceg\u0600\u0602\u0604\u0606"))
        out.append((c in "-+.eE") + 2 * (c in "acegikmoqsuwy") + 4 * (c in "!0A\u00e9\u0101\u0201"))
    return out


def test_characters_in_constants_that_are_apart() -> None:
    """Such a test looks at one of two words of bits: at and beside their first and last ones."""
    agree(in_sets, "".join(map(chr, [*range(400), *range(0x5F0, 0x660), 0x201, 0xFFFF, 0x10FFFF])))
