"""Nothing that safe code can do, and nothing that it can be given, ends the interpreter.

The programs run in a child process, so that a crash is a failed test and not the end of the run.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import sapwood

ENVIRONMENT = os.environ | {"PYTHONPATH": str(Path(sapwood.__file__).parents[1])}


def survives(source: str, tmp_path: Path, timeout: float = 400) -> str:
    """Run a program in a process of its own; what it printed. It must come to its end by itself."""
    file = tmp_path / "program.py"
    file.write_text(source)
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", str(file)],
        capture_output=True, text=True, timeout=timeout, env=ENVIRONMENT, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"ended with {done.returncode}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    return done.stdout


ARGUMENTS = '''
import random, sys
import numpy as np
from sapwood import Array, CompileError, Tensor, f32, fn, i8, struct, u64

@struct(frozen=True)
class Point:
    x: float
    y: int

@struct
class Counter:
    n: int

@fn
def number(x: int) -> int: return x
@fn
def small(x: i8) -> i8: return x
@fn
def wide(x: u64) -> u64: return x
@fn
def real(x: float) -> float: return x
@fn
def truth(x: bool) -> bool: return not x
@fn
def array(x: Tensor[float, 1]) -> float: return x[0] if len(x) else 0.0
@fn
def matrix(x: Tensor[f32, 2]) -> float: return x[0, 0]
@fn
def writes(x: Tensor[float, 1]) -> None: x[0] = 1.0
@fn
def ints(x: list[int]) -> int: return len(x)
@fn
def nested(x: list[list[tuple[int, float | None]]]) -> int: return len(x)
@fn
def maybe(x: int | None) -> int: return 0 if x is None else x
@fn
def point(x: Point) -> float: return x.x
@fn
def counter(x: Counter) -> int:
    x.n += 1
    return x.n
@fn
def pair(x: tuple[int, list[float]]) -> int: return x[0]
@fn
def anything(x): return x
@fn
def thing(x: object) -> object: return x

class Liar:
    """Says that it is everything and fails at each."""
    __array_interface__ = {"data": (0, False), "shape": (10,), "typestr": "<f8", "version": 3}
    ndim, shape, dtype = 1, (3,), np.dtype(float)
    def __len__(self): return -5
    def __index__(self): raise ZeroDivisionError
    def __float__(self): return "no"
    def __bool__(self): raise ValueError
    def __eq__(self, other): raise KeyError
    def __hash__(self): raise TypeError
    def __getattr__(self, name): raise AttributeError(name)
    def __iter__(self): raise RuntimeError

class BadInt(int):
    def __index__(self): return self
class BadList(list):
    def __len__(self): return 100
    def __getitem__(self, i): raise IndexError
class BadFloat(float):
    def __float__(self): raise ValueError

released = memoryview(bytearray(16)); released.release()
empty = np.zeros(0); ro = np.ones(4); ro.flags.writeable = False
circular = []; circular.append(circular)
deep = []
for _ in range(3000): deep = [deep]
VALUES = [
    0, 1, -1, 2**31, 2**63 - 1, -2**63, 2**63, 2**64, -2**200, 10**400, True, False, None, ..., NotImplemented,
    0.0, -0.0, 1e308, float("inf"), float("nan"), 1j, "", "text", "\\ud800", "\\x00", "a" * 10000, b"", b"bytes",
    bytearray(8), released, memoryview(b"abc"), [], [1], [1.5, 2], [None], [1, None, "x"], [[(1, 2.0)]], [[(1, None)]],
    [[(1, "a")]],
    circular, deep, (), (1,), (1, [2.0]), (1, [2.0, "x"]), {}, {1: 2}, {1, 2}, frozenset("ab"), range(5), slice(1),
    iter([1]), np.zeros(3), np.zeros((2, 2), np.float32), np.zeros(3, "f2"), np.zeros(3, "M8[s]"), np.zeros(3, object),
    np.float64(1.5), np.int8(5), np.bool_(True), np.zeros((2,) * 20), np.ones(10)[::-2], np.zeros((3, 0)), empty, ro,
    np.array("text"),
    np.zeros(3, dtype=[("x", "f8"), ("y", "i8")]), np.broadcast_to(np.float32(1), (4, 4)),
    np.frombuffer(b"12345678xyz", dtype="u1")[1:9].view("f8"), np.zeros(4, ">f8"),
    Array.zeros((3,), "f64"), Array.zeros((2, 2), "f32"), Array.zeros((4,), "bf16"),
    Point(1.0, 2), Point(None, 2), Point("x", "y"), Counter(1), Counter("x"), Counter(2**70), object(), Liar(),
    BadInt(5),
    BadList([1, 2, 3]), BadFloat(2.0), type, int, len, lambda x: x, print, sys, Exception("e"),
    CompileError(), number, array, super, property(), staticmethod(len), (i for i in [1]), random.Random(1),
]
FUNCTIONS = [
    number, small, wide, real, truth, array, matrix, writes, ints, nested, maybe, point, counter, pair, anything, thing
]
tried = 0
for _ in range(2):
    for f in FUNCTIONS:
        for v in VALUES:
            for args, kwargs in (((v,), {}), ((), {"x": v}), ((v, v), {}), ((), {"y": v})):
                try:
                    f(*args, **kwargs)
                except (Exception, RecursionError):
                    pass
                tried += 1
        try: f()
        except TypeError: pass
print("tried", tried)
'''


def test_arguments_of_every_kind(tmp_path):
    assert "tried" in survives(ARGUMENTS, tmp_path, 500)


RECURSION = '''
import sys, threading
from sapwood import fn

@fn
def down(n: int) -> int:
    return 0 if n == 0 else 1 + down(n - 1)

@fn
def with_lists(n: int) -> int:
    xs = [n, n + 1]
    return 0 if n == 0 else xs[0] - n + with_lists(n - 1) + len(xs)

@fn
def even(n: int) -> bool:
    return True if n == 0 else odd(n - 1)

@fn
def odd(n: int) -> bool:
    return False if n == 0 else even(n - 1)

@fn
def back_and_forth(f: object, n: int) -> object:
    return f(n)

def python_side(n):
    return back_and_forth(python_side, n + 1)

for f in (down, with_lists, even):
    f(100)
    for n in (10**7, 2**62):
        try:
            f(n)
            print("returned", f.__name__, n)
        except RecursionError as error:
            print("stopped", f.__name__)
try:
    python_side(0)
except RecursionError:
    print("stopped python")

def in_thread():
    try:
        down(10**9)
    except RecursionError:
        print("stopped in a thread")
for size in (0, 1 << 20):
    threading.stack_size(size)
    t = threading.Thread(target=in_thread); t.start(); t.join()
from sapwood.runtime.heap import live_objects
print("live", live_objects())
'''


def test_deep_recursion(tmp_path):
    out = survives(RECURSION, tmp_path)
    assert out.count("stopped") >= 7 and "live 0" in out


ALLOCATIONS = '''
import resource
from sapwood import fn
from sapwood.runtime.heap import live_objects
resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))

@fn
def repeated(n: int) -> int:
    xs = [1, 2, 3] * n
    return len(xs)

@fn
def grows(n: int) -> int:
    xs = [0.0]
    while True:
        xs += xs
    return n

@fn
def keeps(n: int) -> int:
    rows = []
    for i in range(n):
        rows.append([i] * 1_000_000)
    return len(rows)

@fn
def caught(n: int) -> int:
    try:
        return len([0] * n)
    except MemoryError:
        return -1

sizes = (2**40, 2**61, 2**62, 2**63 - 1)
for f, args in (*((repeated, n) for n in sizes), (grows, 1), (keeps, 10**6)):
    try:
        print(f(args))
    except (MemoryError, OverflowError) as error:
        print(type(error).__name__)
print(caught(2**50), repeated(-5), repeated(3), live_objects())
'''


def test_huge_allocations(tmp_path):
    out = survives(ALLOCATIONS, tmp_path)
    assert out.count("MemoryError") + out.count("OverflowError") == 6
    assert out.splitlines()[-1] == "-1 0 9 0"


CALLBACKS = '''
import sys
from sapwood import fn
from sapwood.runtime.heap import live_objects

@fn
def sums(f: object, n: int) -> int:
    xs = []
    for i in range(n):
        xs.append([i, int(f(i))])
    return len(xs)

@fn
def catches(f: object, n: int) -> int:
    errors = 0
    for i in range(n):
        xs = [i]
        try:
            xs.append(int(f(i)))
        except ValueError:
            errors += xs[0]
        except ZeroDivisionError:
            return -errors
        finally:
            errors += 1
    return errors

def fails(i):
    if i == 3: raise ValueError("three")
    if i == 7: 1 // 0
    return i

def nests(i):
    return sums(lambda k: catches(fails, k), i)

for f in (sums, catches):
    for g in (fails, nests, lambda i: "x", lambda i: None, lambda i: sys.exit(3), lambda i: 2**100, 5):
        for n in (0, 3, 6, 12):
            results = []
            for run in (f, f.__wrapped__):
                try:
                    results.append(run(g, n))
                except BaseException as error:
                    results.append((type(error), str(error)))
            if "Overflow" not in str(results[0]):
                assert results[0] == results[1], (f, g, n, results)
assert live_objects() == 0, live_objects()
print("agreed")
'''


def test_exceptions_thrown_from_callbacks(tmp_path):
    assert "agreed" in survives(CALLBACKS, tmp_path)


THREADS = '''
import os, threading
from sapwood import fn, parallel
from sapwood.runtime.heap import live_objects

@fn
def work(n: int, f: object) -> int:
    rows = []
    for i in range(n):
        rows.append([i] * (i % 7))
        if i % 50 == 0:
            f(i)
    total = 0
    for row in rows:
        total += len(row)
    return total

@fn
def sums(n: int) -> float:
    total = 0.0
    for i in parallel(n, add=total):
        total += i * 0.5
    return total

expected, expected_sum = work(500, lambda i: None), sums(1000)
wrong = []
def many():
    for _ in range(30):
        if work(500, lambda i: sum(range(100))) != expected or sums(1000) != expected_sum:
            wrong.append(1)
threads = [threading.Thread(target=many) for _ in range(8)]
for t in threads: t.start()
children = []
for _ in range(4):
    pid = os.fork()
    if pid == 0:
        ok = work(500, len if False else (lambda i: None)) == expected and sums(1000) == expected_sum
        os._exit(0 if ok else 7)
    children.append(pid)
for t in threads: t.join()
codes = [os.waitpid(pid, 0)[1] for pid in children]
print(wrong, codes, live_objects())
'''


def test_threads_and_forks(tmp_path):
    assert survives(THREADS, tmp_path).strip() == "[] [0, 0, 0, 0] 0"


@pytest.mark.nightly
def test_arguments_again_in_other_orders(tmp_path):
    shuffled = "for round in range(12):\n    random.Random(round).shuffle(VALUES)"
    source = ARGUMENTS.replace("for _ in range(2):", shuffled)
    assert "tried" in survives(source, tmp_path, 1200)


FULL_TABLES = '''
import resource
from sapwood import fn
from sapwood.runtime.heap import live_objects

@fn
def fills(n: int, limit: object) -> int:
    s = {0}
    d = {0: 0}
    for i in range(n):
        s.add(i)
        d[i] = i
    failures = 0
    limit(True)
    for i in range(n, 3 * n):
        try:
            s.add(i)
            d[i] = i
        except MemoryError:
            failures += 1
    limit(False)
    for i in range(n, n + 10):
        s.add(i)
        d[i] = i
    missing = 0
    for i in range(-5, n + 10):
        if i not in s or i not in d:
            missing += 1
    return failures if missing == 5 else -missing

def limit(on):
    now = 1 if on else resource.RLIM_INFINITY
    resource.setrlimit(resource.RLIMIT_AS, (now, resource.RLIM_INFINITY))

for n in (90_000, 120_000):
    print(fills(n, limit) > 0, live_objects())
'''


def test_tables_that_cannot_grow(tmp_path):
    """Adding to a set whose table is full and cannot grow raises, again and again, and nothing hangs."""
    assert survives(FULL_TABLES, tmp_path) == "True 0\n" * 2
