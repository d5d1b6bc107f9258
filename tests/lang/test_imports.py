"""A call whose code is in the cache loads what it needs: neither the front end nor inference nor LLVM."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from importlib.util import find_spec

import pytest

COMPILER = ["front", "infer", "lower", "passes", "pipeline", "loading.build", "loading.units"]
COMPILER += ["border.boundary", "border.heap_description"]
HEAVY = [f"sapwood.lang.{name}" for name in COMPILER] + ["sapwood.runtime.entry", "llvmlite.binding"]


def test_what_is_heavy_exists():
    assert all(find_spec(name) for name in HEAVY)


CALLS = {
    "numbers": """
        @fn
        def f(x: float, n: int) -> float:
            return x ** 0.5 + n
        print(f(2.25, 3))
    """,
    "arrays": """
        import numpy as np

        @fn
        def f(x: Tensor[f64, 1], y: Tensor[f64, 1]) -> None:
            for i in range(x.shape[0]):
                y[i] = 2 * x[i]
        y = np.zeros(3)
        f(np.arange(3.0), y)
        print(y)
    """,
    "postponed_annotations": """
        def scale() -> object:
            return 3

        @fn
        def f(x: "float", y: Const[int], z) -> "float":
            return x * y + z
        print(f(0.5, 3, 1))
    """,
    "containers": """
        @fn
        def f(words: list[str], counts: dict[str, int], more: set[int], row: tuple[int, str]) -> list[str]:
            return [w for w in words if counts[w] in more] + [row[1]]
        print(f(["a", "b"], {"a": 1, "b": 2}, {2}, (1, "c")))
    """,
    "anything": """
        @fn
        def f(x, y):
            return x + y
        print(f([1, 2], [3]), f("a", "b"), f(1, 2), f(1.5, 2.5))
    """,
    "optional_values": """
        @fn
        def f(x: int | None, o: object, v: memoryview, b: bytes) -> int:
            return (0 if x is None else x) + len(v) + len(b)
        print(f(None, "o", memoryview(b"abc"), b"de"))
    """,
    "members": """
        import enum
        class Colour(enum.Enum):
            RED = "r"
            GREEN = "g"
        @fn
        def f(c: Colour) -> str:
            return c.value
        print(f(Colour.GREEN))
    """,
    "structs": """
        @struct
        class Point:
            x: float
            y: float
            def move(self, by: float) -> None:
                self.x += by
        @fn
        def f(p: Point, by: float) -> Point:
            p.move(by)
            return Point(p.y, p.x)
        p = Point(1.0, 2.0)
        print(f(p, 2.0), p)
    """,
    "graphs_of_objects": """
        @struct
        class Node:
            value: int
            next: "Node | None" = None
        @fn
        def f(n: Node, by: int) -> int:
            total = 0
            at: Node | None = n
            while at is not None:
                at.value += by
                total += at.value
                at = at.next
            return total
        n = Node(1, Node(2))
        print(f(n, 1), n)
    """,
    "functions": """
        def double(x: float) -> float:
            return 2 * x

        @fn
        def f(g: Callable, x: float) -> float:
            return g(x)
        print(f(double, 3.0))
    """,
    "linked_units": """
        @fn(unit=True)
        def g(x: float) -> float:
            return x + 1

        @fn
        def f(x: float) -> float:
            return g(x) * 2
        print(f(3.0))
    """,
    "parallel_loops": """
        import numpy as np
        from sapwood import parallel

        @fn
        def f(y: Tensor[f64, 1]) -> None:
            for i in parallel(y.shape[0]):
                y[i] = i * 2.0
        y = np.zeros(300)
        f(y)
        print(y.sum())
    """,
    "kernels": """
        import numpy as np
        from sapwood import block_dim, block_idx, kernel, thread_idx

        @kernel
        def k(y: Tensor[f64, 1]) -> None:
            i = block_idx.x * block_dim.x + thread_idx.x
            if i < y.shape[0]:
                y[i] = i * 2.0
        y = np.zeros(300)
        k[3, 128](y)
        print(y.sum())
    """,
    "structured_arrays": """
        import numpy as np
        from sapwood import numpy_dtype

        @struct
        class Point:
            x: float
            y: float
        @fn
        def f(p: Tensor[Point, 1]) -> float:
            p[0].x += 1
            return p[0].x + p[1].y
        print(f(np.ones(2, numpy_dtype(Point))))
    """,
    "exceptions": """
        @fn
        def f(x: int) -> int:
            if x < 0:
                raise ValueError(f"{x} is negative")
            return x
        try:
            f(-1)
        except ValueError as e:
            print(e)
    """,
    "overloads": """
        @fn
        def f(x: int) -> str:
            return "int"
        @f.overload
        def f(x: str) -> str:
            return "str"
        print(f(1), f("a"))
    """,
    "methods_and_protocols": """
        from typing import Protocol
        class Shape(Protocol):
            def area(self) -> float: ...
        @struct(frozen=True)
        class Square:
            side: float
            def area(self) -> float:
                return self.side ** 2
        @fn
        def f(s: Shape, n: Const[int]) -> float:
            return s.area() * n
        print(f(Square(3.0), 2))
    """,
    "keywords_and_defaults": """
        @fn
        def f(x: int, *, y: int = 2, z: int = 3) -> int:
            return x + y * z
        print(f(1, z=5))
    """,
}


@pytest.mark.parametrize("call", CALLS)
def test_a_cached_call_does_not_load_the_compiler(tmp_path, call):
    head = "from typing import Callable\nfrom sapwood import Const, Tensor, f64, fn, struct\n"
    if call == "postponed_annotations":
        head = "from __future__ import annotations\n" + head
    tail = f"import sys\nprint([m for m in sys.modules if any(m == h or m.startswith(h + '.') for h in {HEAVY})])\n"
    program = tmp_path / "main.py"
    program.write_text(head + textwrap.dedent(CALLS[call]) + tail)
    environment = {**os.environ, "SAPWOOD_CACHE_DIR": str(tmp_path / "cache")}

    def run() -> list[str]:
        command = [sys.executable, str(program)]
        done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment, timeout=300)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip().splitlines()

    *first, loaded = run()
    assert "sapwood.lang.pipeline" in loaded
    *second, loaded = run()
    assert second == first
    assert loaded == "[]"
