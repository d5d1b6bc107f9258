"""Targets from outside: an installed package brings one through an entry point, and kernels compile for it."""

from __future__ import annotations

import numpy as np
import pytest

from sapwood import Tensor, i32, kernel
from sapwood.gpu import barrier, lane_id, shared, thread_idx, warp
from sapwood.targets import base

# the whole of an imaginary target: x86-64 as a GPU whose blocks have one thread
PACKAGE = '''
from dataclasses import dataclass
from sapwood.targets.base import Target, ThreadCode

class Lonely(ThreadCode):
    def end(self, name, params):
        attributes = self.e.target.function_attributes(self.e.function)
        self.e.finish(f"define void @{name}({', '.join(params)})", attributes)
    def leave(self):
        self.e.line("ret void")
    def fail(self):
        self.e.line("unreachable")
    def place(self, name, axis):
        return "0" if name.endswith("idx") else "1"
    def lane_id(self):
        return "0"
    def shared_storage(self, nbytes, align):
        return self.e.value(f"addrspacecast ptr {self.e.alloca(nbytes, align)} to ptr addrspace(3)")
    def barrier(self, line, uniform):
        pass
    def shuffle(self, mode, ty, x, n, mask, line):
        return x

@dataclass(frozen=True)
class LonelyTarget(Target):
    def illegal(self, op):
        return "lonely threads have no one to add with" if op.name == "atomic_add" else None
    def thread_code(self, emitter):
        return Lonely(emitter)

def make(variant):
    return LonelyTarget("lonely", "x86_64-unknown-linux-gnu", variant or "x86-64", frozenset({"sse2"}), 16,
                        kernel=True, gpu=True, warp_size=1, shared_bytes=1024)
'''


@kernel
def echo(x: Tensor[i32, 1]) -> None:
    tile = shared(i32, 4)
    tile[0] = x[thread_idx.x]
    barrier()
    x[lane_id()] = warp.shuffle(tile[0], 0) + i32(warp.size)


@pytest.fixture
def installed(tmp_path, monkeypatch):
    (tmp_path / "sapwood_lonely.py").write_text(PACKAGE)
    info = tmp_path / "sapwood_lonely-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: sapwood-lonely\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[sapwood.targets]\nlonely = sapwood_lonely:make\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    base._REGISTRY.pop("lonely", None)


def test_a_target_of_another_package(installed):
    assert base.get_target("lonely:z9").cpu == "z9"
    x = np.zeros(4, np.int32)
    assert "ret void" in echo.inspect(x, kind="llvm", target="lonely")
    assert "echo:" in echo.inspect(x, kind="asm", target="lonely")
    with pytest.raises(ValueError, match=r"unknown target 'other'; known are .*lonely.*nvptx.*simt.*x86"):
        base.get_target("other")


def test_without_the_package_there_is_no_such_target():
    with pytest.raises(ValueError, match=r"unknown target 'lonely'"):
        base.get_target("lonely")
