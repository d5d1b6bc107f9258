"""Launches in host code (`@fn` functions), held to the same launches made from Python."""

from __future__ import annotations

import subprocess
import sys
from typing import TypeVar

import numpy as np
import pytest

from sapwood import Tensor, bf16, f16, f32, f64, fn, gpu, i8, i32, i64, kernel, struct, u64
from sapwood.gpu import barrier, block_dim, block_idx, dynamic_shared, thread_idx
from sapwood.lang.errors import CompileError

T = TypeVar("T")


@kernel
def shifted(x: Tensor[f32, 1], by: f32, y: Tensor[f32, 1]) -> None:
    i = block_idx.x * block_dim.x + thread_idx.x
    if i < x.size:
        y[i] = x[i] + by


@fn
def several(x: Tensor[f32, 1], y: Tensor[f32, 1], seen: Tensor[f32, 1]) -> f32:
    for n in range(3):
        shifted[(x.size + 63) // 64, 64](x, n, y)
        seen[n] = y[1]
        x[0] = y[1]  # what the kernel has written is read here, and the other way round
    shifted.launch(grid=(1,), block=(x.size - 3, 1))(x=x[3:], y=y, by=10.0)
    return y[0]


@pytest.mark.parametrize("mode", ["compiled", "reference", "python"])
@pytest.mark.parametrize("n", [4, 200])
def test_a_function_launches_and_sees_what_kernels_write(n, mode):
    run = {"compiled": several, "reference": several.reference, "python": several.python}[mode]
    x, y, seen = np.arange(n, dtype=np.float32), np.full(n, np.nan, np.float32), np.zeros(3, np.float32)
    assert run(x, y, seen) == 13
    assert seen.tolist() == [1, 2, 3]
    assert x[:2].tolist() == [3, 1]
    np.testing.assert_array_equal(y[: n - 3], np.arange(3, n) + 10.0)
    np.testing.assert_array_equal(y[n - 3 :], np.arange(n - 3, n) + 2.0)


@struct(frozen=True)
class Frozen:
    factor: f64
    pair: tuple[i32, i8]


@struct
class Changing:
    count: i64
    half: f16


@kernel
def takes_all(
    out: Tensor[f64, 1], a: T, b: bool, s: Frozen, c: Changing, pair: tuple[i64, f32], byte: i8, whole: u64,
    narrow: bf16, z: complex, scale: f64 = 2.0, *, last: i64 = 7,
) -> None:  # fmt: skip
    out[0] = f64(a / T(3))
    out[1] = 1.0 if b else 0.0
    out[2] = s.factor
    out[3] = s.pair[0] + s.pair[1]
    c.count += 1  # a copy of each thread's own
    out[4] = f64(c.count) + f64(c.half)
    out[5] = f64(pair[0]) + f64(pair[1])
    out[6] = byte
    out[7] = f64(whole)
    out[8] = f64(narrow)
    out[9] = z.imag
    out[10] = scale
    out[11] = last


@fn
def gives_all(out: Tensor[f64, 1], x: f32, n: i64) -> i64:
    c = Changing(n, f16(0.5))
    s = Frozen(1.5, (i32(3), i8(4)))
    takes_all[1, 1](out, x, n > 0, s, c, (n, x), i8(-3), u64(2**64 - 1), bf16(1.25), complex(1, n), last=n)
    return c.count


@pytest.mark.parametrize("mode", ["compiled", "reference", "python"])
def test_arguments_of_all_kinds(mode):
    run = {"compiled": gives_all, "reference": gives_all.reference, "python": gives_all.python}[mode]
    out = np.full(12, np.nan)
    assert run(out, 1.0, 40) == 40
    third = float(np.float32(1) / np.float32(3))  # an f32 for a parameter of any type stays one
    assert out.tolist() == [third, 1, 1.5, 7, 41.5, 41, -3, float(2**64 - 1), 1.25, 40, 2, 40]


@kernel
def summed(x: Tensor[i64, 2], out: Tensor[i64, 1]) -> None:
    parts = dynamic_shared(i64)
    t = thread_idx.x
    total = 0
    for j in range(x.shape[1]):
        total += x[t, j]
    parts[t] = total
    barrier()
    if t == 0:
        for k in range(block_dim.x):
            out[0] += parts[k]


@fn
def sum_of_part(x: Tensor[i64, 2], out: Tensor[i64, 1]) -> None:
    rows = x.shape[0]
    summed.launch(grid=1, block=rows, shared=rows * 8)(x, out)
    summed.launch(grid=1, block=1, shared=8)(x[1:2, ::2], out)


@pytest.mark.parametrize("step", [1, 2, -1])
def test_views_and_shared_memory(step):
    x = np.arange(60).reshape(6, 10)[:, ::step]
    out = np.zeros(1, np.int64)
    sum_of_part(x, out)
    assert out[0] == x.sum() + x[1, ::2].sum()


@fn
def launches_below(x: Tensor[f32, 1], n: i64) -> None:
    if n > 0:
        shifted[1, x.size](x, 1, x)
        launches_below(x, n - 1)


@fn
def calls_what_launches(x: Tensor[f32, 1]) -> None:
    launches_below(x, 5)
    for k in [shifted, shifted]:
        k[1, 2](x, 0, x)


def test_functions_that_launch_call_each_other():
    x = np.zeros(3, np.float32)
    launches_below(x, 5)
    assert x.tolist() == [5, 5, 5]


@fn
def keeps_launches(x: Tensor[f32, 1], wide: bool) -> None:
    launch = shifted[1, 2]
    for k in range(2):
        launch(x, k, x)
    other = shifted[1, x.size] if wide else shifted.launch(grid=1, block=1)
    other(x, 10, x)


@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize("mode", ["compiled", "reference", "python"])
def test_launches_are_values(mode, wide):
    run = {"compiled": keeps_launches, "reference": keeps_launches.reference, "python": keeps_launches.python}[mode]
    x = np.zeros(3, np.float32)
    run(x, wide)
    assert x.tolist() == ([11, 11, 10] if wide else [11, 1, 0])


@kernel
def refuses(x: Tensor[f32, 1], at: i64) -> None:
    if x[at] < 0:
        raise ValueError("negative")


@fn
def catches(x: Tensor[f32, 1], at: i64) -> i64:
    try:
        refuses[1, 1](x, at)
    except ValueError:
        return 1
    except IndexError:
        return 2
    return 0


@fn
def lets_pass(x: Tensor[f32, 1]) -> None:
    refuses[1, 1](x, 0)


def test_exceptions_of_kernels_leave_by_the_launch():
    x = np.array([-1, 1], np.float32)
    assert [catches(x, at) for at in range(3)] == [1, 0, 2]
    with pytest.raises(ValueError, match="negative") as e:
        lets_pass(x)
    lines = [(f.frame.code.name, str(f.statement).strip()) for f in e.traceback]
    assert ("lets_pass", "refuses[1, 1](x, 0)") in lines


@fn
def on_objects(x: object, y: object, n: i64) -> None:
    shifted[(n + 63) // 64, 64](x, 0.5, y)


@pytest.mark.parametrize("kind", ["simt", "cuda"])
def test_arrays_of_devices_are_objects(kind, fake_cuda):
    if kind == "cuda":
        fake_cuda()
    device = gpu.device(kind)
    x, y = device.array(np.arange(100, dtype=np.float32)), device.zeros(100)
    on_objects(x, y, 100)
    np.testing.assert_array_equal(y.numpy(), np.arange(100) + np.float32(0.5))


def test_arrays_that_cannot_be_written_are_refused():
    """What a kernel does with a tensor is not known when the function is compiled."""
    x, y = np.zeros(4, np.float32), np.zeros(4, np.float32)
    x.flags.writeable = False
    with pytest.raises(ValueError, match="argument 'x' is written to"):
        several(x, y, np.zeros(3, np.float32))


# -- mistakes ------------------------------------------------------------------------------------------


@fn
def without_a_grid(x: Tensor[f32, 1]) -> None:
    shifted(x, 1, x)


@kernel
def in_a_kernel(x: Tensor[f32, 1]) -> None:
    shifted[1, 1](x, 1, x)


@fn
def too_few(x: Tensor[f32, 1]) -> None:
    shifted[1, 1](x, 1)


@fn
def no_such_name(x: Tensor[f32, 1]) -> None:
    shifted[1, 1](x, 1, z=x)


@fn
def wrong_type(x: Tensor[f64, 1]) -> None:
    shifted[1, 1](x, 1, x)


@fn
def too_many_threads(x: Tensor[f32, 1]) -> None:
    shifted[1, 2000](x, 1, x)


@fn
def no_such_option(x: Tensor[f32, 1]) -> None:
    shifted.launch(grid=1, blocks=1)(x, 1, x)


@fn
def a_function(x: Tensor[f32, 1]) -> None:
    too_few[1, 1](x)


@fn(nogil=True)
def without_the_gil(x: Tensor[f32, 1]) -> None:
    shifted[1, 1](x, 1, x)


def local_kernel():
    @kernel
    def local(x: Tensor[f32, 1]) -> None:
        x[0] = 1

    @fn
    def launches_it(x: Tensor[f32, 1]) -> None:
        local[1, 1](x)

    launches_it(np.zeros(1, np.float32))


X = np.zeros(4, np.float32)


@pytest.mark.parametrize(
    ("run", "text"),
    [
        (lambda: without_a_grid(X), "error[X004]: the kernel 'shifted' is called without a grid"),
        (lambda: in_a_kernel[1, 1](X), "error[X010]: the kernel 'shifted' is launched in a kernel"),
        (lambda: too_few(X), "error[T007]: 'shifted' missing a required argument: 'y'"),
        (lambda: no_such_name(X), "error[T007]: 'shifted' missing a required argument: 'y'"),
        (lambda: wrong_type(X.astype(np.float64)), "shifted(): argument 'x' must be Tensor[f32, 1]"),
        (lambda: too_many_threads(X), "the number of threads of a block is 2000, but the limit is 1024"),
        (lambda: no_such_option(X), "unexpected keyword argument 'blocks'"),
        (lambda: a_function(X), "error[L001]: 'too_few'"),
        (lambda: without_the_gil(X), "error[X009]: object cannot be used where the GIL is not held"),
        (local_kernel, "define it at the top of a module"),
    ],
    ids=lambda v: v if isinstance(v, str) else "",
)
def test_mistakes(run, text):
    with pytest.raises((CompileError, TypeError, ValueError)) as e:
        run()
    assert text in str(e.value)


PROGRAM = """
import sys
import numpy as np
from sapwood import Tensor, f32, fn, kernel
from sapwood.gpu import thread_idx

@kernel
def k(x: Tensor[f32, 1]) -> None:
    x[thread_idx.x] = {value}

@fn
def launches(x: Tensor[f32, 1]) -> None:
    k[1, x.size](x)

x = np.zeros(2, np.float32)
launches(x)
print(x.tolist(), "sapwood.lang.infer" in sys.modules)
"""


def test_the_next_process_takes_it_from_the_cache(tmp_path):
    module = tmp_path / "program.py"

    def run(value: int) -> str:
        module.write_text(PROGRAM.format(value=value))
        command = [sys.executable, "program.py"]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout

    assert run(1) == "[1.0, 1.0] True\n"
    assert run(1) == "[1.0, 1.0] False\n"
    assert run(2) == "[2.0, 2.0] True\n"  # the kernel has changed
