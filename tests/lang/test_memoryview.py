"""memoryview in compiled code against CPython."""

from __future__ import annotations

import array
import copy

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import Raised, outcome, same

from sapwood import fn
from sapwood.lang.errors import BadArgument, CompileError
from sapwood.runtime.heap import live_objects

POSITIONS = st.one_of(st.integers(-9, 9), st.sampled_from([-(2**63), 2**63 - 1]))


@pytest.fixture(autouse=True)
def nothing_leaks():
    before = live_objects()
    yield
    assert live_objects() == before


def agree(f, *args):
    expected, after = outcome(f.__wrapped__, args)
    found, changed = outcome(f, args)
    if isinstance(found, Raised) and issubclass(found.kind, CompileError):
        raise AssertionError(found.text)
    assert same(expected, found), f"{f.__name__}{args}: CPython {expected!r}, compiled {found!r}"
    for a, b in zip(after, changed, strict=True):
        assert same(a, b), f"{f.__name__}{args}: CPython leaves {a!r}, compiled {b!r}"
    return found


def agree_on_memory(f, x, *args):
    """CPython gets a memoryview, compiled code the object itself."""
    results = []
    for run, view in ((f.__wrapped__, memoryview), (f, lambda own: own)):
        own = copy.deepcopy(x)
        try:
            found = run(view(own), *args)
        except CompileError as e:
            raise AssertionError(str(e)) from None
        except Exception as e:
            found = Raised(e)
        results.append((found.tolist(), found.readonly) if isinstance(found, memoryview) else found)
        results.append(own.tobytes() if hasattr(own, "tobytes") else own)
    assert same(results[:2], results[2:]), f"{f.__name__}{x, *args}: CPython {results[:2]}, compiled {results[2:]}"
    return results[2]


@fn
def read(s: bytes, i: int, j: int, k: int) -> list[str]:
    m = memoryview(s)
    a = bytearray(s)
    v = memoryview(a)[i:j]
    out = [str((len(m), m[1:].nbytes, m.itemsize, m.ndim, m.format, m.readonly, v.readonly, v.shape, bool(v)))]
    out += [str(list(m[i:j])), str(bytes(m[i:])), v.hex(), str(m[:j].tobytes()), str(v.tolist()), str(bytearray(v))]
    out += [str((m == s, v == s, s == m[:], m == v, m != a, v == m[i:j], v == "text", m == memoryview(a), 97 in m))]
    total = 0
    for n, x in enumerate(v):
        total += x * n
    for x in reversed(m):
        total = total * 3 + x & 0xFFFF
    out += [str((total, sum(m), max(m, default=0), s.find(v), s.startswith(v), s + v, b"-".join([v, m]) if v else b""))]
    part = m[i:j:k]
    out += [str((list(part), bytes(part), part.strides, part == s[i:j:k], bytes(part[::-1])))]
    out += [str(m[i])]
    return out


@given(st.binary(max_size=9), POSITIONS, POSITIONS, st.integers(-3, 3))
@settings(deadline=None, max_examples=60)
def test_reading(s, i, j, k):
    agree(read, s, i, j, k)


@fn
def write(s: bytes, t: bytes, i: int, j: int, k: int, x: int) -> tuple[bytes, str]:
    a = bytearray(s)
    m = memoryview(a)
    log = ""
    try:
        m[i] = x
    except IndexError:
        log += "index"
    try:
        m[i:j] = t
        log += "same size"
        m[::k] = memoryview(a)[::k][::-1]
        m[i:j:k] = m[i:j:k]
        m[j:][::2] = t
    except ValueError:
        log += "value"
    return bytes(a), log


@given(st.binary(max_size=9), st.binary(max_size=3), POSITIONS, POSITIONS, st.integers(-3, 3), st.integers(-1, 256))
@settings(deadline=None, max_examples=60)
def test_writing(s, t, i, j, k, x):
    agree(write, s, t, i, j, k, x)


@fn
def of_object(m: memoryview, i: int, j: int, k: int) -> memoryview:
    part = m[i:j:k]
    if len(part) > 0:
        part[0] = m[-1]
    return part


@given(st.sampled_from("BhLqd"), st.lists(st.integers(0, 100), max_size=6), POSITIONS, POSITIONS,
       st.sampled_from([-2, -1, 1, 2]))  # fmt: skip
@settings(deadline=None, max_examples=60)
def test_memory_of_python(form, values, i, j, k):
    """Views of the caller's memory are not copies, whatever the items; also those that come back."""
    agree_on_memory(of_object, array.array(form, values), i, j, k)


def test_views_that_come_back():
    a = bytearray(range(10))
    view = of_object(a, 2, 9, 3)
    assert a[2] == 9 and list(view) == [9, 5, 8]
    view[1] = 77
    assert a[5] == 77
    with pytest.raises(BufferError):
        a.append(1)
    part = of_object(memoryview(a)[::-2], 3, 0, -1)
    assert list(part) == [1, 77, 7] and part.strides == (2,)
    assert list(of_object(np.arange(9, dtype=np.int64)[::4], 0, 3, 1)) == [8, 4, 8]
    del view, part
    a.append(1)


def test_memory_that_does_not_fit():
    for x in ([1], "text", 5, np.zeros((2, 2)), np.zeros(2, dtype=complex), None):
        with pytest.raises(BadArgument):
            of_object(x, 0, 1, 1)
    agree_on_memory(of_object, b"", 0, 1, 1)
    odd = np.frombuffer(bytes(17), dtype=np.uint8)[1:].view(np.float64)
    with pytest.raises(TypeError):
        of_object(odd, 0, 1, 1)
    released = memoryview(bytearray(3))
    released.release()
    with pytest.raises(BadArgument):
        of_object(released, 0, 1, 1)
    for x in (b"abc", memoryview(b"abc")):
        with pytest.raises(TypeError, match="cannot modify read-only memory"):
            of_object(x, 0, 1, 1)


@fn
def made(s: bytes, how: int) -> memoryview:
    m = memoryview(bytearray(s)) if how % 2 else memoryview(s)
    return m[1::2] if how // 2 else m.toreadonly()


@pytest.mark.parametrize("how", range(4))
def test_results(how):
    agree(made, b"hello", how)
    assert made(b"hello", how).readonly == made.__wrapped__(b"hello", how).readonly


@fn
def released(s: bytes, how: int) -> int:
    a = bytearray(s)
    m = memoryview(a)
    part = m[1:]
    if how == 0:
        m.release()
        m.release()
        part[0] = 1
        a.append(len(m))
    if how == 1:
        with m as same_view:
            a[0] = same_view[1]
        part.release()
        a.append(7)
        a += bytes(m)
    if how == 2:
        m.release()
        part.release()
        a.clear()
        for x in m:
            a.append(x)
    if how == 3:
        m.release()
        m[0] = 1
    if how == 4:
        m.release()
        return m[0]
    if how == 5:
        with m:
            raise KeyError("inside")
    if how == 6:
        m.release()
        return int(m == m) + int(m == part) * 2
    return len(a)


@pytest.mark.parametrize("how", range(7))
def test_release(how):
    agree(released, b"hello", how)


@fn
def resized(s: bytes, how: int) -> bytes:
    a = bytearray(s)
    m = memoryview(a)
    try:
        if how == 0:
            a.append(1)
        elif how == 1:
            a += b"more"
        elif how == 2:
            a.pop()
        elif how == 3:
            a.insert(0, 1)
        elif how == 4:
            del a[0]
        elif how == 5:
            a.clear()
        elif how == 6:
            a[1:2] = b"abc"
        elif how == 7:
            a[1:3] = b"ab"
        elif how == 8:
            a += b""
        elif how == 9:
            a.extend([1, 2])
        a.reverse()
    except BufferError:
        if how < 5:
            raise
        return bytes(m)
    return bytes(m)


@pytest.mark.parametrize("how", range(11))
def test_exports_keep_the_size(how):
    agree(resized, b"hello", how)


@fn
def items(m: memoryview, x: int) -> str:
    out = str((m.format, m.itemsize, m.nbytes, len(m), m.tolist(), m.tobytes(), m == m[::-1]))
    m[0] = x
    m[1:3] = m[0:2]
    return out + str(sum(m[:2]))


@pytest.mark.parametrize("form", "bHiQfd")
def test_items(form):
    for x in (0, 1, -1, 128, 255, 256, -129, 65536, 2**31, 2**40):
        agree_on_memory(items, array.array(form, [1, 2, 3, 4]), x)
    agree_on_memory(items, np.arange(8, dtype=form)[::-2], 3)


@fn
def store_float(m: memoryview, x: float) -> float:
    m[0] = x
    return m[0] + m[1]


def test_floats():
    for x in (0.5, 1e39, -1e39, float("inf"), 3.4028235e38, 3.4028235677973366e38, 3.402823567797336e38):
        agree_on_memory(store_float, array.array("f", [1, 2]), x)
        agree_on_memory(store_float, array.array("d", [1, 2]), x)


@fn
def in_containers(s: bytes, n: int) -> list[bytes]:
    views = [memoryview(s)]
    for _ in range(n):
        views.append(views[-1][1:])
    by_size = {len(v): v for v in views}
    return [bytes(by_size[k]) for k in by_size]


@fn
def unannotated(m, n):
    return bytes(m[n:]) + m.tobytes()


def test_in_containers():
    agree(in_containers, b"hello", 7)
    assert unannotated(memoryview(b"hello"), 2) == unannotated(memoryview(b"hello"), 2) == b"llohello"
