"""str in compiled code against CPython."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import outcome

from sapwood import fn
from sapwood.runtime.heap import live_objects

SPECIAL = "aAbB \t\n\r\x1c\x85\u2028ßİŉǅΣσςéÄ\u0301\u0345ﬁ٣½²中😀𝔘-+_.,\"'\\\0"  # noqa: RUF001
CHARACTERS = st.one_of(st.sampled_from(SPECIAL), st.characters(codec="utf-8"))
TEXTS = st.text(CHARACTERS, max_size=40)
SHORT = st.text(st.sampled_from("abß中"), max_size=3)
POSITIONS = st.integers(-45, 45)


@pytest.fixture(autouse=True)
def nothing_leaks():
    before = live_objects()
    yield
    assert live_objects() == before


@fn
def changed(s: str) -> str:
    parts = [s.upper(), s.lower(), s.title(), s.capitalize(), s.swapcase(), s.casefold(), s.strip(), s.lstrip()]
    parts.append(s.rstrip())
    parts.append(s.expandtabs())
    parts.append(s.expandtabs(3))
    parts.append(repr(s))
    parts.append(ascii(s))
    parts.append(s.zfill(9))
    return "|".join(parts)


def expected_changes(s: str) -> str:
    parts = [s.upper(), s.lower(), s.title(), s.capitalize(), s.swapcase(), s.casefold(), s.strip(), s.lstrip()]
    parts += [s.rstrip(), s.expandtabs(), s.expandtabs(3), repr(s), ascii(s), s.zfill(9)]
    return "|".join(parts)


@given(TEXTS)
def test_methods_that_change(s):
    assert changed(s) == expected_changes(s)


@fn
def kinds(s: str) -> int:
    bits = (s.isalpha(), s.isalnum(), s.isdecimal(), s.isdigit(), s.isnumeric(), s.isspace(), s.isupper(), s.islower(),
            s.istitle(), s.isascii(), s.isprintable(), s.isidentifier())  # fmt: skip
    total = 0
    for b in bits:
        total = total * 2 + int(b)
    return total


@given(st.one_of(TEXTS, st.text(CHARACTERS, max_size=2)))
def test_kinds_of_characters(s):
    tests = ("alpha", "alnum", "decimal", "digit", "numeric", "space", "upper", "lower", "title", "ascii", "printable",
             "identifier")  # fmt: skip
    assert kinds(s) == int("".join(str(int(getattr(s, f"is{t}")())) for t in tests), 2)


@fn
def searched(s: str, t: str, i: int, j: int) -> str:
    r = (s.find(t), s.rfind(t), s.count(t), s.find(t, i), s.rfind(t, i, j), s.find(t, i, j), s.count(t, i, j))
    b = (s.startswith(t), s.endswith(t), s.startswith(t, i, j), s.endswith(t, i, j), t in s, s == t, s < t, s >= t)
    e = (s.startswith(("a", t)), s.endswith(("", "b")), s != t, s[:3] == t)
    return str(r) + str(b) + str(e)


@given(st.text(st.sampled_from("abß中"), max_size=30), SHORT, POSITIONS, POSITIONS)
def test_searching(s, t, i, j):
    assert searched(s, t, i, j) == _searched(s, t, i, j)


def _searched(s, t, i, j):
    r = (s.find(t), s.rfind(t), s.count(t), s.find(t, i), s.rfind(t, i, j), s.find(t, i, j), s.count(t, i, j))
    b = (s.startswith(t), s.endswith(t), s.startswith(t, i, j), s.endswith(t, i, j), t in s, s == t, s < t, s >= t)
    e = (s.startswith(("a", t)), s.endswith(("", "b")), s != t, s[:3] == t)
    return str(r) + str(b) + str(e)


@fn
def cut(s: str, i: int, j: int, k: int) -> str:
    parts = [s[i:j], s[i:], s[:j], s[i:j:k], s[::k], s[i::k], s[:j:k], s[::-1], s * (k & 3)]
    return "|".join(parts)


@given(TEXTS, POSITIONS, POSITIONS, st.integers(-4, 4).filter(bool))
def test_slices(s, i, j, k):
    parts = [s[i:j], s[i:], s[:j], s[i:j:k], s[::k], s[i::k], s[:j:k], s[::-1], s * (k & 3)]
    assert cut(s, i, j, k) == "|".join(parts)


@fn
def divided(s: str, t: str, n: int) -> str:
    r = "|".join(s.split()) + "!" + "|".join(s.split(None, n)) + "!" + "|".join(s.rsplit(None, n)) + "!"
    r += "|".join(s.splitlines()) + "!" + "|".join(s.splitlines(True)) + "!" + s.replace(t, "<ü>") + "!"
    r += s.replace(t, "", n) + s.removeprefix(t) + s.removesuffix(t) + s.strip(t) + s.lstrip(t) + s.rstrip(t)
    r += s.center(n + 20, "中") + s.ljust(n + 20) + s.rjust(n, "*")
    if t:
        r += "|".join(s.split(t)) + "!" + "|".join(s.split(t, n)) + "!" + "|".join(s.rsplit(t, n)) + "!"
        a, b, c = s.partition(t)
        d, e, f = s.rpartition(t)
        r += a + "/" + b + "/" + c + "/" + d + "/" + e + "/" + f
    return r


@given(st.one_of(TEXTS, st.text(st.sampled_from("abß中 \n\r"), max_size=40)), SHORT, st.integers(-1, 5))
def test_dividing(s, t, n):
    r = "|".join(s.split()) + "!" + "|".join(s.split(None, n)) + "!" + "|".join(s.rsplit(None, n)) + "!"
    r += "|".join(s.splitlines()) + "!" + "|".join(s.splitlines(True)) + "!" + s.replace(t, "<ü>") + "!"
    r += s.replace(t, "", n) + s.removeprefix(t) + s.removesuffix(t) + s.strip(t) + s.lstrip(t) + s.rstrip(t)
    r += s.center(n + 20, "中") + s.ljust(n + 20) + s.rjust(n, "*")
    if t:
        r += "|".join(s.split(t)) + "!" + "|".join(s.split(t, n)) + "!" + "|".join(s.rsplit(t, n)) + "!"
        r += "/".join((*s.partition(t), *s.rpartition(t)))
    assert divided(s, t, n) == r


@fn
def characters(s: str) -> str:
    r = ""
    for c in s:
        r = c + r
    for i, c in enumerate(s):
        if i % 2 == 1 and c != s[i]:
            r += "?"
        r += chr(ord(c) ^ 1)
    for i in range(len(s)):
        r += s[i] + s[-1 - i]
    for c in "constant ß":
        r += c.upper()
    return r


@given(TEXTS.filter(lambda s: all(ord(c) < 0xD7FE or ord(c) > 0xDFFF for c in s)))
def test_characters(s):
    r = s[::-1] + "".join(chr(ord(c) ^ 1) for c in s) + "".join(s[i] + s[-1 - i] for i in range(len(s)))
    assert characters(s) == r + "CONSTANT SS"


@fn
def raising(s: str, which: int) -> int:
    t = s + "x"
    if which == 0:
        return len(s[len(t)])
    if which == 1:
        return s.index("q")
    if which == 2:
        return len(s.split(s[:0]))
    if which == 3:
        return len(chr(len(s) + 0x110000))
    if which == 4:
        return int(s)
    if which == 5:
        return int(float(s))
    if which == 6:
        return int(s, 99)
    return len(s[:: len(s) - len(s)])


@pytest.mark.parametrize("which", range(8))
def test_exceptions(which):
    s = "a'b"
    runs = [
        lambda: s[4], lambda: s.index("q"), lambda: s.split(""), lambda: chr(0x110000), lambda: int(s),
        lambda: float(s), lambda: int(s, 99), lambda: s[::0],
    ]  # fmt: skip
    with pytest.raises(Exception) as expected:
        runs[which]()
    with pytest.raises(type(expected.value)) as found:
        raising(s, which)
    assert str(found.value) == str(expected.value)


@fn
def grown(n: int) -> str:
    s = ""
    kept = ""
    for i in range(n):
        s += "ab"
        if i == 3:
            kept = s  # it must not change with s
        s = s + str(i)
    return s + kept


def test_growing_in_place():
    s = "".join(f"ab{i}" for i in range(500))
    assert grown(500) == s + "ab0ab1ab2ab"


@fn
def printed(s: str, x: int, y: float) -> None:
    print(s, x, y, (s, x), sep=s)
    print("a", s, end="")
    print(x, y, True, None, sep=", ", end="!\n")
    print()


def test_print(capsys):
    printed("ü'", 3, 2.5)
    found = capsys.readouterr().out
    s = "ü'"
    print(s, 3, 2.5, (s, 3), sep=s)
    print("a", s, end="")
    print(3, 2.5, True, None, sep=", ", end="!\n")
    print()
    assert capsys.readouterr().out == found


@fn
def printed_between(xs: list[int], sep: str | None, end: str | None) -> None:
    print(1, 2.5, sep=sep, end=end)
    print(*xs, 2.5, sep=sep, end=end)


@pytest.mark.parametrize(("sep", "end"), [(None, None), ("-", None), (None, "."), ("", "")])
def test_print_with_separators_that_may_be_none(capsys, sep, end):
    printed_between([3, 4], sep, end)
    found = capsys.readouterr().out
    printed_between.__wrapped__([3, 4], sep, end)
    assert capsys.readouterr().out == found


@fn
def evaluated(s: str) -> str:
    words = s.split()
    r = ""
    for w in words:
        r += w.upper() + f"{len(w):>3}{w!r}{len(w) / 3}"
    return r + s[1:3] + s.replace("a", "bb")


def test_the_evaluator_says_the_same():
    for s in ("", "ab cab ß中", "  x\t" * 3):
        assert evaluated.reference(s) == evaluated(s) == evaluated.__wrapped__(s)


@fn
def backwards(s: str) -> str:
    out = ""
    it = reversed(s)
    first = next(it, "?")
    for i, c in enumerate(it):
        out += c + str(i)
    return first + out + "".join(reversed("xyz")) + "".join(list(reversed(s)))


@fn
def bases(n: int) -> str:
    return hex(n) + oct(n) + bin(n) + hex(255) + bin(n > 0)


def test_reversed_text_and_numbers_in_other_bases():
    for s in ("a\u00e9\u20acz", "a", ""):
        assert backwards(s) == backwards.__wrapped__(s)
    for n in (0, -300, 2**63 - 1, -(2**63)):
        assert bases(n) == bases.__wrapped__(n)


@fn
def looked_up(s: str, places: list[int]) -> str:
    out, text = "", s
    for i in places:
        out += text[i] + text[i : i + 3] + str(text.find("é", i))
        if i % 3 == 0:
            text = text[1:] + out[i % len(out)]  # another object, perhaps where an old one was
        if i % 5 == 0:
            out += out[i // 2 % len(out)]
    return out


@given(st.text("aé漢😀", min_size=70, max_size=200), st.lists(st.integers(0, 60), max_size=20))
@settings(deadline=None, max_examples=60)
def test_places_are_remembered_for_the_right_text(s, places):
    assert looked_up(s * 2, places) == looked_up.__wrapped__(s * 2, places)


@fn
def walked_by_index(s: str, more: list[str]) -> list[str]:
    """Texts that a loop leaves alone, beside some that it changes."""
    out: list[str] = []
    t = s
    i = 0
    while i < len(s):
        if s[i] == "b":
            t = t + s[i]
        out.append(t[len(t) - 1 - i % len(t)])
        i += 2 if s[i] == "a" else 1
    for part in more:
        for k in range(len(part)):
            out.append(part[k] + part[-1 - k])
            part = part if k % 3 else part + "ü"
        s += part
        out.append(s[len(s) // 2])
    return out


def test_indices_in_loops():
    for s in ("", "abc", "abab☃b", "ß", "a" * 70 + "é" + "b" * 70):
        for more in ([], ["xy", "", "é☃z"], ["q"]):
            expected = walked_by_index.__wrapped__(s, more)
            assert walked_by_index(s, more) == walked_by_index.reference(s, more) == expected


@fn
def past_the_end(s: str, n: int) -> int:
    found = 0
    for i in range(-n, n):
        found += s[i] == "a"
    return found


def test_indices_out_of_range_in_loops():
    for s in ("", "aba", "é☃a"):
        for n in range(5):
            assert outcome(past_the_end, (s, n))[0] == outcome(past_the_end.__wrapped__, (s, n))[0]
