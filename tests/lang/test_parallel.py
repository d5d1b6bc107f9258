"""parallel: reductions, exceptions, nesting, fork, several threads and processes."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

import sapwood
from sapwood import Tensor, f32, fn, parallel


@pytest.fixture(params=[1, 2])
def threads(request):
    old = sapwood.set_num_threads(request.param)
    yield request.param
    sapwood.set_num_threads(old)


@fn
def squares(out: Tensor[int, 1]) -> None:
    for i in parallel(out.shape[0]):
        out[i] += i * i


def test_every_index_runs_once(threads):
    for n in (0, 1, 2, 127, 128, 129, 1000):
        out = np.zeros(n, np.int64)
        squares(out)
        assert (out == np.arange(n) ** 2).all()


@fn
def reductions(x: Tensor[f32, 1]) -> tuple[f32, float, f32, f32, int]:
    s, d, low, high, n = f32(0), 1.0, f32(100), f32(-100), 0
    for i in parallel(x.shape[0], add=(s, d, n), min=low, max=high):
        s += x[i]
        d += x[i] * 0.5
        low = min(low, x[i])
        high = max(high, x[i])
        n += 1
    return s, d, low, high, n


def test_reductions_do_not_depend_on_threads():
    rng = np.random.default_rng(0)
    for n in (0, 1, 5, 128, 300, 5000):
        x = rng.standard_normal(n).astype(np.float32)
        results = []
        for count in (1, 2, 1, 2):
            old = sapwood.set_num_threads(count)
            results += [reductions(x) for _ in range(5)]
            sapwood.set_num_threads(old)
        assert len(set(results)) == 1
        assert results[0] == reductions.reference(x)
        assert results[0][4] == n
        assert results[0][2:4] == ((x.min(), x.max()) if n else (100, -100))


@fn
def fails_at(x: Tensor[int, 1], n: int) -> None:
    for i in parallel(n):
        if x[i] != 0:
            raise ValueError("failed at", i)


def test_the_lowest_failing_index_raises(threads):
    x = np.zeros(5000, np.int64)
    x[[77, 78, 4000]] = 1
    for _ in range(20):
        with pytest.raises(ValueError) as caught:
            fails_at(x, 5000)
        assert caught.value.args == ("failed at", 77)
    with pytest.raises(IndexError, match="index 5000 is out of bounds for axis 0 with size 5000"):
        x[:] = 0
        fails_at(x, 5001)
    fails_at(x, 5000)


@fn
def nested(out: Tensor[int, 2]) -> int:
    rows, cols = out.shape
    total = 0
    for i in parallel(rows, add=total):
        part = 0
        for j in parallel(cols, add=part):
            out[i, j] = i * 100 + j
            part += 1
        total += part
    return total


def test_nested(threads):
    out = np.zeros((40, 50), np.int64)
    assert nested(out) == 2000
    assert (out == np.arange(40)[:, None] * 100 + np.arange(50)).all()


@fn
def deep(n: int) -> int:
    if n == 0:
        return 0
    return deep(n - 1) + 1


@fn
def recursion_inside(n: int, depth: int) -> int:
    total = 0
    for _ in parallel(n, add=total):
        total += deep(depth)
    return total


@fn
def endless(n: int) -> int:
    return endless(n + 1) + 1


@fn
def endless_inside(n: int) -> int:
    total = 0
    for i in parallel(n, add=total):
        total += endless(i)
    return total


def test_recursion_inside(threads):
    assert recursion_inside(300, 50) == 15000
    with pytest.raises(RecursionError):
        endless_inside(4)


@fn
def prints(n: int) -> None:
    for i in parallel(n):
        print("line", i)


def test_print_inside(threads, capsys):
    prints(20)
    assert sorted(capsys.readouterr().out.splitlines()) == sorted(f"line {i}" for i in range(20))


@fn
def skips(out: Tensor[int, 1]) -> None:
    for i in parallel(len(out)):
        if i % 3 == 0:
            continue
        for j in range(10):
            if j > i:
                break
            out[i] += j


def test_continue_and_inner_break(threads):
    out = np.zeros(50, np.int64)
    skips(out)
    want = np.zeros(50, np.int64)
    skips.reference(want)
    assert (out == want).all() and out[1] == 1


def test_concurrent_callers():
    outs = [np.zeros(3000, np.int64) for _ in range(4)]

    def work(out):
        for _ in range(30):
            squares(out)

    callers = [threading.Thread(target=work, args=(o,)) for o in outs]
    for t in callers:
        t.start()
    for t in callers:
        t.join()
    for out in outs:
        assert (out == 30 * np.arange(3000) ** 2).all()


def test_fork_after_parallel():
    squares(np.zeros(1000, np.int64))
    pid = os.fork()
    if pid == 0:  # the child must not use pytest
        out = np.zeros(1000, np.int64)
        squares(out)
        os._exit(0 if (out == np.arange(1000) ** 2).all() else 1)
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            assert status == 0
            return
        time.sleep(0.01)
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    raise AssertionError("the child hangs")


_WORK = """
import time, sys
import numpy as np
sys.path.insert(0, {directory!r})
from test_parallel import squares
x = np.zeros(2000, np.int64)
squares(x)
print("ready", flush=True)
sys.stdin.readline()
start = time.perf_counter()
for _ in range(1500):
    squares(x)
print(time.perf_counter() - start)
"""


def test_two_processes_do_not_slow_each_other_to_a_crawl():
    """Spinning pools of two processes on two cores were 40 times slower; sleeping ones share fairly."""
    code = _WORK.format(directory=os.path.dirname(__file__))

    def run(count):
        env = dict(os.environ, SAPWOOD_NUM_THREADS="2")
        children = [
            subprocess.Popen([sys.executable, "-c", code], stdin=-1, stdout=-1, text=True, env=env)
            for _ in range(count)
        ]
        for c in children:
            assert c.stdout.readline() == "ready\n"
        return [float(c.communicate("go\n", timeout=60)[0]) for c in children]

    alone = min(run(1)[0] for _ in range(2))
    together = max(run(2))
    assert together < 12 * max(alone, 0.01), f"alone {alone:.3f} s, together {together:.3f} s"


def test_set_num_threads_checks_its_argument():
    for bad in (0, -1, True, 1.5, "2"):
        with pytest.raises(ValueError, match="number of threads"):
            sapwood.set_num_threads(bad)
    old = sapwood.set_num_threads(1)
    assert sapwood.num_threads() == 1
    sapwood.set_num_threads(old)
