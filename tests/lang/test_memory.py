"""Tensors, stack arrays, pointers: views, bounds, layouts, aliasing."""

from __future__ import annotations

import numpy as np
import pytest
from oracles import Raised, agree

from sapwood import Array, Ptr, StackArray, Tensor, bf16, f16, f32, fn, i32, u8
from sapwood.lang.ops.simd import iota


@fn
def total(x: Tensor[float, 2]) -> float:
    acc = 0.0
    rows, cols = x.shape
    for i in range(rows):
        for j in range(cols):
            acc = acc * 0.5 + x[i, j]
    return acc


@fn
def total_by_rows(x: Tensor[float, 2]) -> float:
    acc = 0.0
    for row in x:
        for v in row:
            acc = acc * 0.5 + v
    return acc


def arrays():
    base = np.arange(48, dtype=np.float64).reshape(6, 8) / 7
    yield base
    yield base[::2]
    yield base[:, ::3]
    yield base[::-1, ::-1]
    yield base.T
    yield base[2:2]
    yield base[:, 5:5]
    yield base[1:2, 3:4]
    yield np.broadcast_to(base[0], (3, 8))
    yield np.asfortranarray(base)


@pytest.mark.parametrize("f", [total, total_by_rows])
def test_every_layout(f):
    for x in arrays():
        want = 0.0
        for v in x.ravel():
            want = want * 0.5 + float(v)
        assert f(x) == want
        assert f.reference(x) == f.python(x) == want


@fn
def facts(x: Tensor[f32, 2]) -> tuple[int, int, int, int, int, int]:
    return x.shape[0], x.shape[1], x.size, x.ndim, x.strides[0], len(x)


def test_shape_facts():
    for x in (np.zeros((3, 4), np.float32), np.zeros((0, 4), np.float32), np.zeros((5, 6), np.float32)[::2, 1:]):
        agree(facts, x)


@fn
def at(x: Tensor[int, 1], i: int) -> int:
    return x[i]


@fn
def put(x: Tensor[int, 2], i: int, j: int, v: int) -> None:
    x[i, j] = v
    x[i, j] += 1


def test_negative_and_wrong_indices():
    x = np.arange(5)
    for i in (0, 4, -1, -5):
        assert agree(at, x, i) == x[i]
    for i in (5, -6, 2**40, -(2**62)):
        assert agree(at, x, i) == Raised(IndexError(f"index {i} is out of bounds for axis 0 with size 5"))
    assert isinstance(agree(at, np.zeros(0, np.int64), 0), Raised)
    y = np.zeros((3, 4), np.int64)
    agree(put, y, 1, -1, 7)
    put(y, 1, -1, 7)
    assert y[1, 3] == 8 and y.sum() == 8
    assert isinstance(agree(put, y, 3, 0, 7), Raised)
    assert isinstance(agree(put, y, 0, -5, 7), Raised)


@fn
def window(x: Tensor[int, 1], a: int, b: int, c: int) -> tuple[int, int]:
    v = x[a:b:c]
    acc = 0
    for i in range(v.shape[0]):
        acc = acc * 31 + v[i]
    return v.shape[0], acc


@fn
def open_windows(x: Tensor[int, 1], a: int) -> tuple[int, int, int, int]:
    return x[a:].size, x[:a].size, x[:].size, x[-3:].size


def test_slices_follow_python():
    x = np.arange(7)
    for a in (-9, -7, -2, 0, 1, 3, 7, 9):
        agree(open_windows, x, a, plain=True)
        for b in (-9, -1, 0, 2, 7, 8):
            for c in (1, 2, 5):
                n, acc = agree(window, x, a, b, c)
                want = 0
                for v in x[a:b:c]:
                    want = want * 31 + int(v)
                assert (n, acc) == (len(x[a:b:c]), want)
    with pytest.raises(ValueError, match="step of a slice must be positive"):
        window(x, 0, 7, -1)


@fn
def corner(x: Tensor[f32, 3]) -> f32:
    v = x[1, :, 2:]
    w = v[:, 0]
    return v[0, 1] + w[-1] + x[-1][0, 0] + x[..., 1][0, 1]


@fn
def write_through(x: Tensor[int, 2]) -> None:
    row = x[1]
    for i in range(row.shape[0]):
        row[i] = i * 10
    x[:, 1:][0, 0] = 99


def test_views_share_memory():
    x = np.random.default_rng(0).random((3, 4, 5), np.float32)
    agree(corner, x)
    agree(corner, x[:, ::-1, ::1])
    agree(corner, x.transpose(0, 1, 2)[:, 1:, :])
    y = np.zeros((2, 3), np.int64)
    agree(write_through, y)
    write_through(y)
    assert y.tolist() == [[0, 99, 0], [0, 10, 20]]


@fn
def half_view(x: Tensor[float, 2], n: int) -> Tensor[float, 2]:
    return x[n:, ::2]


def test_returned_views_keep_the_memory_alive():
    x = np.arange(12.0).reshape(3, 4)
    v = half_view(x, 1)
    assert isinstance(v, Array) and v.tolist() == x[1:, ::2].tolist()
    v[0, 0] = -1.0
    assert x[1, 0] == -1.0
    del x
    import gc

    gc.collect()
    assert v.tolist() == [[-1.0, 6.0], [8.0, 10.0]]


@fn
def copy_rows(a: Tensor[f32, 1], b: Tensor[f32, 1]) -> None:
    for i in range(a.shape[0]):
        b[i] = a[i] + 1


def test_overlapping_arguments():
    x = np.zeros(6, np.float32)
    copy_rows(x[:-1], x[1:])
    assert x.tolist() == [0, 1, 2, 3, 4, 5]


@fn
def wide_load(x: Tensor[f32, 1], i: int) -> f32:
    return x.load(i, width=4).reduce_add()


@fn
def masked(x: Tensor[f32, 1], out: Tensor[f32, 1], n: int) -> None:
    from_lane = 0
    i = 0
    while i < n:
        m = (iota(i32, 4) + i32(i)) < i32(n)
        out.store(i, x.load(i, width=4, mask=m) * 2.0, mask=m)
        i += 4
        from_lane += 1


def test_vector_access_is_checked():
    x = np.arange(6, dtype=np.float32)
    for i in (0, 2, -4):
        agree(wide_load, x, i)
        agree(wide_load, np.arange(12, dtype=np.float32)[::2], i)
    for i in (3, 6, -7, 100):
        assert isinstance(wide_load_outcome(x, i), IndexError)
    out = np.full(6, -1, np.float32)
    agree(masked, x, out, 6)
    masked(x, out, 5)
    assert out.tolist() == [0, 2, 4, 6, 8, -1]
    with pytest.raises(IndexError, match="a lane of the access at index 4 is out of bounds"):
        masked(x, out, 7)


def wide_load_outcome(x, i):
    for run in (wide_load, wide_load.reference):
        try:
            run(x, i)
        except IndexError as e:
            error = e
        else:
            return None
    return error


@fn
def sieve(n: int) -> int:
    flags = StackArray[bool, 100](True)
    count = 0
    for i in range(2, n):
        if flags[i]:
            count += 1
            for j in range(i * i, n, i):
                flags[j] = False
    return count


@fn
def stack_sum(n: int) -> float:
    a = StackArray[float, 8]()
    for i in range(n):
        a[i] = i * 0.5
    fill(a, 1.0)
    acc = 0.0
    for v in a:
        acc += v
    return acc + a[-1]


@fn
def fill(a: StackArray[float, 8], x: float) -> None:
    for i in range(4):
        a[i] += x


def test_stack_arrays():
    for n in (0, 3, 50, 100):
        agree(sieve, n, plain=True)
    assert isinstance(agree(sieve, 101), Raised)
    for n in (0, 5, 8):
        assert stack_sum(n) == stack_sum.reference(n) == sum(i * 0.5 for i in range(n)) + 4 + (3.5 if n == 8 else 0)


@fn
def by_pointer(x: Tensor[i32, 1], n: int) -> i32:
    p = x.ptr
    q = p + n - 1
    acc = i32(0)
    for i in range(n):
        acc += p[i]
    q[0] = acc
    (p + 1).store(0, p.load(0, width=2))
    return q[0] + i32(q - p)


@fn
def at_address(p: Ptr[u8], i: int) -> u8:
    return p[i]


@fn
def bytes_of(x: Tensor[f32, 1]) -> int:
    p = x.ptr.cast(u8)
    acc = 0
    for i in range(x.shape[0] * 4):
        acc = acc * 3 + int(p[i])
    return acc


def test_pointers():
    x = np.arange(1, 6, dtype=np.int32)
    agree(by_pointer, x, 5)
    raw = np.arange(10, dtype=np.uint8)
    assert at_address(raw.ctypes.data, 7) == 7 == at_address.reference(raw.ctypes.data, 7)
    agree(bytes_of, np.array([1.5, -2.0], np.float32))


def test_the_evaluator_checks_pointers():
    @fn(unchecked=True)
    def beyond(x: Tensor[int, 1], i: int) -> int:
        return x[i]

    from sapwood.lang.ops.pointer import MemoryFault

    with pytest.raises(MemoryFault):
        beyond.reference(np.arange(4), 4)
    assert beyond.reference(np.arange(4)[::-1], 3) == 0


@fn
def narrow_tensor(x: Tensor[bf16, 1], y: Tensor[f16, 1]) -> None:
    for i in range(x.shape[0]):
        x[i] = x[i] * bf16(1.5)
        y[i] = f16(f32(x[i]) + f32(y[i]))


def test_narrow_floats_in_memory():
    results = []
    for run in (narrow_tensor, narrow_tensor.python, narrow_tensor.reference):
        x, y = Array.zeros(3, "bf16"), Array.zeros(3, "f16")
        for i, v in enumerate((0.1, 300.0, -7.7)):
            x[i], y[i] = v, v
        run(x, y)
        results.append((x.tolist(), y.tolist()))
    assert results[0] == results[1] == results[2]


@fn
def scalar_tensor(x: Tensor[float, 0]) -> float:
    return x[()]


def test_rank_zero():
    assert scalar_tensor(np.array(2.5)) == 2.5


@fn
def bools(x: Tensor[bool, 1]) -> int:
    n = 0
    for i in range(len(x)):
        if x[i]:
            n += 1
        x[i] = not x[i]
    return n


def test_bool_tensor():
    agree(bools, np.array([True, False, True]))
