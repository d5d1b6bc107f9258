"""bytes and bytearray in compiled code against CPython."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from oracles import outcome, same

from sapwood import fn
from sapwood.runtime.heap import live_objects

DATA = st.one_of(st.binary(max_size=40), st.text("abAB \t\n\r,'\"\\é", max_size=30).map(str.encode))
SHORT = st.one_of(st.binary(max_size=2), st.sampled_from([b"a", b"ab", b",", b"\xff"]))
POSITIONS = st.integers(-45, 45)


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
def methods(s: bytes, t: bytes, n: int) -> list[bytes]:
    parts = [s.upper(), s.lower(), s.title(), s.capitalize(), s.swapcase(), s.strip(), s.lstrip(), s.rstrip(t)]
    parts += [s.replace(t, b"<>"), s.replace(t, b"", n), s.zfill(n + 9), s.center(n + 20), s.ljust(9, b"*")]
    parts += [s.removeprefix(t), s.removesuffix(t), s.strip(t), s + t, s * 2, s.expandtabs(), s[::-1], s[n:], s[:n]]
    if t:
        parts += s.split(t)
        parts += s.rsplit(t, n)
        parts += s.partition(t)
    parts += s.split()
    parts += s.split(None, n)
    parts += s.splitlines()
    parts += s.splitlines(True)
    return parts


@given(DATA, SHORT, st.integers(-1, 4))
def test_methods(s, t, n):
    agree(methods, s, t, n)


@fn
def questions(s: bytes, t: bytes, i: int, j: int) -> str:
    a = (s.find(t), s.rfind(t, i), s.count(t, i, j), s.find(97), t in s, 97 in s, s == t, s < t, len(s), s[i:j:2])
    b = (s.startswith(t), s.endswith((t, b"a")), s.startswith(t, i, j), b"|".join([s, t]), s.hex(), repr(t))
    total = 0
    for x in s:
        total = total * 3 + x & 0xFFFF
    for k, x in enumerate(s):
        total += s[k] - x
    return str(a) + str(b) + str(total)


@given(DATA, SHORT, POSITIONS, POSITIONS)
def test_questions(s, t, i, j):
    agree(questions, s, t, i, j)


@fn
def edited(s: bytes, t: bytes, i: int, j: int, x: int) -> tuple[bytes, str]:
    a = bytearray(s)
    a += t
    a[i:j] = t
    a.append(x)
    a.extend([x, 1])
    a.insert(i, x)
    a[-1] = 7
    b = a.copy()
    b.reverse()
    last = b.pop() + b.pop(0)
    del a[0]
    for k in range(len(a)):
        a[k] = a[k] ^ 1
    b += a[i:] + bytearray(3)
    b[2:] = b""
    return bytes(a), str(b) + str(last) + str(a == s) + a.upper().decode("latin-1") + str(len(a))


@given(DATA, SHORT, POSITIONS, POSITIONS, st.integers(-1, 256))
def test_bytearray(s, t, i, j, x):
    agree(edited, s, t, i, j, x)


@fn
def decoded(s: bytes, how: int) -> str:
    if how == 0:
        return s.decode()
    if how == 1:
        return s.decode("utf-8", "replace") + "|" + s.decode(errors="ignore")
    return s.decode("ascii") if how == 2 else s.decode("latin-1")


@fn
def encoded(s: str, how: int) -> bytes:
    if how == 0:
        return s.encode()
    return s.encode("ascii") if how == 1 else s.encode("latin-1")


@given(st.one_of(DATA, st.text(max_size=9).map(str.encode), st.binary(max_size=4)), st.integers(0, 3))
def test_decode(s, how):
    agree(decoded, s, how)


@given(st.text(max_size=9), st.integers(0, 2))
def test_encode(s, how):
    agree(encoded, s, how)


@fn
def numbers(x: int, length: int, s: bytes) -> tuple[bytes, bytes, int, int]:
    low = x & 0xFFFF
    return (
        x.to_bytes(length, "big", signed=True), low.to_bytes(length, "little"), int.from_bytes(s, "big"),
        int.from_bytes(s, "little", signed=True),
    )  # fmt: skip


@example(-1, 0, b"")
@example(1, 0, b"")
@given(st.integers(-(2**63), 2**63 - 1), st.integers(-1, 10), st.binary(max_size=7))
def test_ints(x, length, s):
    agree(numbers, x, length, s)


@fn
def made(n: int, s: str) -> bytes:
    if n == 0:
        return bytes.fromhex(s)
    if n == 1:
        return bytes([len(s), 255 + len(s)])
    return bytes(len(s) - 2) + bytes(s, "utf-8") + b"constant\xff"


@pytest.mark.parametrize("n", range(3))
@pytest.mark.parametrize("s", ["", "0aFf 10", "0g", "é", "abc", "xy\u20aca", "0ag\u20ac\u20ac", "0a\u20ac"])
def test_construction(n, s):
    agree(made, n, s)
    assert same(outcome(made.reference, (n, s))[0], outcome(made, (n, s))[0])


@fn
def wrong(s: bytes, i: int) -> int:
    return s[i]


@pytest.mark.parametrize("i", [0, 2, -3, -4, 3])
def test_items(i):
    agree(wrong, b"abc", i)


@fn
def stepped(n: int, step: int, part: bytes) -> bytearray:
    x = bytearray(n)
    x[1::2] = b"\1" * (n // 2)
    x[::-3] = bytes(range(5))
    x[::step] = part
    return x


@pytest.mark.parametrize("args", [(14, 5, b"abc"), (15, -5, b"abc"), (13, 5, b"ab"), (14, 1, b"abc"), (10, 5, b"")])
def test_assignment_with_a_step(args):
    agree(stepped, *args)


@fn
def only_their_memory(n: int) -> tuple[int, int, bytearray]:
    """What is read last of an object is behind a pointer in it: the object must live so long."""
    a, b = bytearray([n, 2])
    c, *d = bytearray([n, 2, 3])
    x = a + b + c + sum(d) + sum(x for x in bytearray([n, n]))
    for _ in range(n):
        x += bytearray([n, 2, 3, 4])[-1] + bytearray(b"abc").pop()
    y = bytearray(40)
    y[0] = n
    return x, bytearray([n, 2])[0], y


def test_a_bytearray_lives_while_its_memory_is_read():
    for _ in range(20):
        agree(only_their_memory, 100)


# -- hex with separators, and % ------------------------------------------------------------------------


@fn
def hex_apart(b: bytes, sep: str, every: int) -> str:
    return b.hex(sep, every)


@fn
def hex_of_all(b: bytes) -> tuple[str, str, str, str]:
    return b.hex(":"), b.hex(b"-", 2), bytearray(b).hex("."), memoryview(b).hex(sep="_", bytes_per_sep=-3)


def test_hex_with_separators():
    for sep in (":", "", "::", "é"):
        for every in (1, 2, -2, 0, 3, 7, -7, 100):
            agree(hex_apart, b"abcdefg", sep, every)
    for b in (b"", b"a", b"abcdefg"):
        agree(hex_apart, b, ":", 1)
        agree(hex_of_all, b)


@fn
def numbers_and_bytes(n: int, b: bytes, x: float) -> bytes:
    out = b"%d|%s|%5b|%-5b|%.1s|%i|" % (n, b, b, b, b, x)
    return out + b"%x|%#o|%+d|%05d|%.2f|%10.3e|%%\xff\x80" % (n, n, n, n, x, x)


@fn
def one_byte(n: int, b: bytes) -> bytes:
    return b"<%c|%3c>" % (n, b)


@fn
def shown(s: str, b: bytes) -> bytes:
    return b"%a %r %s" % (s, b, bytearray(b))


@fn
def alone(n: int, b: bytes) -> tuple[bytes, bytes, bytes, bytes, int]:
    return b"%d" % n, b"%s" % b, b"100%%" % (), b"%s" % memoryview(b), len(b"\xff%b\xfe" % b)


def test_percent_of_bytes():
    for n, b, x in ((77, b"\xf0\x9f", 2.5), (-77, b"abcdefg", 3.75), (0, b"", -1e10)):
        agree(numbers_and_bytes, n, b, x)
        agree(alone, n, b)
        agree(shown, "é'x", b)
    for n in (65, 255, 256, -1, 200):
        agree(one_byte, n, b"\xff")
    for b in (b"a", b"", b"ab"):
        agree(one_byte, 65, b)


@fn
def walked_by_index(s: bytes, n: int) -> bytearray:
    out = bytearray()
    i = 0
    while i < len(s):
        out.append(s[i])
        out.append(s[-1 - i])
        i += 1
    for k in range(n):
        out.append(s[k])
        s = s + b"x" if k % 2 else s
    return out


def test_indices_in_loops():
    for s in (b"", b"a", b"ab\xff"):
        for n in range(6):
            agree(walked_by_index, s, n)


@fn
def one_more(n: int, seen: bool) -> tuple[bytearray, bytearray]:
    x = bytearray()
    y = x
    for _ in range(n):
        x += b"\n"
        x += b"\xff"
        y += b""
    if seen:
        view = memoryview(x)
        x += b"a"
        x.append(view[0])
    return x, y


def test_one_constant_byte_is_appended():
    for n in (0, 1, 40):
        agree(one_more, n, False)
        agree(one_more, n, True)
