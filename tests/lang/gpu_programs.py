"""Random structured kernels: uniform and varying branches and loops, barriers, shuffles, early returns."""

from __future__ import annotations

import importlib.util
import random
import sys
from pathlib import Path
from typing import Any

HEAD = """from sapwood import Tensor, StackArray, f32, fn, i32, kernel
from sapwood.gpu import barrier, block_dim, block_idx, grid_dim, lane_id, shared, thread_idx, warp


@fn
def helper(a: i32, n: i32) -> i32:
    if a % i32(3) == i32(0):
        return a + n
    for _ in range(int(n) % 3):
        a += i32(1)
        if a % i32(5) == i32(2):
            return a * i32(2)
    return a


@kernel
def random_kernel(out: Tensor[i32, 2], x: Tensor[i32, 1], n: int) -> None:
    t, dim, block = thread_idx.x, block_dim.x, block_idx.x
    at = block * dim + t
    tile = shared(i32, 1024)
    tile[t] = i32(t)
    a, b, c = i32(t), x[at % x.size], i32(at)
    u, v = i32(block), i32(n)
    out[at, 0], out[at, 1], out[at, 2] = i32(-1), i32(-1), i32(-1)
    barrier()
"""
TAIL = """    out[at, 0], out[at, 1], out[at, 2] = a, b, c
"""


class Programs:
    """Writes one kernel. A statement is written knowing whether the threads that did not return are all there."""

    def __init__(self, seed: int) -> None:
        self.r = random.Random(seed)
        self.lines: list[str] = []
        self.names = 0
        self.budget = 14
        self.returned = False

    def text(self) -> str:
        self.block(1, True, False)
        return HEAD + "\n".join(self.lines) + "\n" + TAIL

    def put(self, depth: int, text: str) -> None:
        self.lines.append("    " * depth + text)

    def value(self, uniform: bool = False) -> str:
        names = ["u", "v"] if uniform else ["a", "b", "c", "u", "v", "a", "b", "i32(t)", "i32(lane_id())"]
        return self.r.choice([*names, f"i32({self.r.randrange(-3, 9)})"])

    def expression(self, uniform: bool = False) -> str:
        x, y = self.value(uniform), self.value(uniform)
        form = self.r.choice(["{} + {}", "{} - {}", "{} * {}", "{} ^ {}", "({} if {} > i32(2) else i32(1))"])
        return form.format(x, y)

    def condition(self, uniform: bool) -> str:
        if uniform:
            return self.r.choice(["u > i32(0)", "v % i32(2) == i32(0)", "block == 1", "dim > 32", "n < 3"])
        k = self.r.randrange(1, 40)
        return self.r.choice([
            f"t < {k}", f"t >= {k}", f"at < {3 * k}", f"t == {k}", f"t % 3 == {k % 3}", "a > b", "lane_id() == 0",
            f"{k} > t", f"at <= n + {k}", "a % i32(4) != i32(1)", "t // 32 == 0", f"t != {k}",
        ])  # fmt: skip

    def block(self, depth: int, together: bool, looping: bool) -> None:
        """`together`: whether threads may wait here; `looping`: whether a `break` may stand here."""
        for _ in range(self.r.randrange(1, 5)):
            self.statement(depth, together, looping)

    def statement(self, depth: int, together: bool, looping: bool) -> None:
        self.budget -= 1
        r = self.r
        kinds = ["assign", "assign", "assign", "call"]
        if self.budget > 0 and depth < 5:
            kinds += ["if", "if_uniform", "for", "for_varying", "stride"]
        if together:
            kinds += ["exchange", "exchange", "shuffle", "shuffle"]
        if depth == 2 and not looping and self.budget % 3 == 0:
            kinds.append("return")
        if looping and not together:
            kinds.append("leave")
        kind = r.choice(kinds)
        getattr(self, kind)(depth, together, looping)

    def assign(self, depth: int, together: bool, looping: bool) -> None:
        if self.r.random() < 0.15 and together:
            self.put(depth, f"{self.r.choice('uv')} = {self.expression(True)}")
        elif self.r.random() < 0.2:
            self.put(depth, f"{self.r.choice('abc')} += x[int({self.value()}) % x.size]")
        else:
            self.put(depth, f"{self.r.choice('abc')} = {self.expression()}")

    def call(self, depth: int, together: bool, looping: bool) -> None:
        self.put(depth, f"{self.r.choice('abc')} = helper({self.value()}, {self.value()})")

    def exchange(self, depth: int, together: bool, looping: bool) -> None:
        k = self.r.randrange(1, 9)
        self.put(depth, f"tile[t] = {self.value()}")
        self.put(depth, "barrier()")
        self.put(depth, f"{self.r.choice('abc')} += tile[(t + {k}) % dim]")
        self.put(depth, "barrier()")

    def shuffle(self, depth: int, together: bool, looping: bool) -> None:
        mode = self.r.choice(["shuffle", "shuffle_up", "shuffle_down", "shuffle_xor"])
        n = self.r.choice(["1", "2", "16", "31", "5", "n", "t"])
        self.put(depth, f"{self.r.choice('abc')} += warp.{mode}({self.value()}, {n})")

    def _if(self, depth: int, uniform: bool, together: bool, looping: bool) -> None:
        self.put(depth, f"if {self.condition(uniform)}:")
        self.block(depth + 1, together and uniform, looping)
        if self.r.random() < 0.5:
            self.put(depth, "else:")
            self.block(depth + 1, together and uniform, looping)

    def if_uniform(self, depth: int, together: bool, looping: bool) -> None:
        self._if(depth, True, together, looping)

    def leave(self, depth: int, together: bool, looping: bool) -> None:
        self.put(depth, f"if {self.condition(self.r.random() < 0.3)}:")
        self.put(depth + 1, self.r.choice(["break", "continue"]))

    def _return(self, depth: int) -> None:
        self.put(depth, f"if {self.condition(False)}:")
        self.put(depth + 1, "return")

    def _for(self, depth: int, count: str, together: bool) -> None:
        self.names += 1
        k = f"k{self.names}"
        self.put(depth, f"for {k} in range({count}):")
        self.put(depth + 1, f"{self.r.choice('abc')} += i32({k})")
        self.block(depth + 1, together, True)

    def for_(self, depth: int, together: bool, looping: bool) -> None:
        self._for(depth, self.r.choice(["2", "3", "int(u) % 3 + 1", "n % 4"]), together and self.r.random() < 0.7)

    def for_varying(self, depth: int, together: bool, looping: bool) -> None:
        self._for(depth, self.r.choice(["t % 4", "int(a) % 3", "int(b) % 5"]), False)

    def stride(self, depth: int, together: bool, looping: bool) -> None:
        self.names += 1
        k = f"k{self.names}"
        self.put(depth, f"for {k} in range(t, x.size, {self.r.choice(['dim', '32', '3 * dim'])}):")
        self.put(depth + 1, f"{self.r.choice('abc')} += x[{k}]")
        if self.r.random() < 0.5:
            self.block(depth + 1, False, True)


setattr(Programs, "if", lambda self, d, t, w: self._if(d, False, t, w))
setattr(Programs, "for", Programs.for_)
setattr(Programs, "return", lambda self, d, t, w: self._return(d))


def random_kernel(seed: int, folder: Path) -> Any:
    """(kernel, its text)"""
    text = Programs(seed).text()
    path = folder / f"random_kernel_{seed}.py"
    path.write_text(text)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = sys.modules[path.stem] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.random_kernel, text
