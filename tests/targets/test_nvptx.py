"""Code for NVIDIA GPUs, as far as it goes without one: every allowed operation compiles, and ptxas takes it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from sapwood import SIMD, CompileError, Tensor, f16, f32, i16, i32, kernel, u64
from sapwood.gpu import (
    atomic_add,
    barrier,
    block_dim,
    block_idx,
    cluster_sync,
    lane_id,
    m16n8k8_f16,
    mbarrier,
    mma,
    shared,
    thread_idx,
    warp,
    zero_c,
)
from sapwood.lang.ops.arith import fma
from sapwood.lang.ops.gpu.matrix import UNITS
from sapwood.targets.base import get_target
from sapwood.targets.nvptx.legality import LEGAL, SINCE, generation
from sapwood.targets.nvptx.target import ARCHITECTURES

WARPGROUPS = ("wgmma.mma", "wgmma.order")  # on sm_90a only
TENSORS = ("tensor_load", "tensor_store_issue")
MATRICES = ("mma.sync", "ldmatrix.sync", "stmatrix.sync", "dot_product")
ELSEWISE = (*MATRICES, "warp_redux", *TENSORS, *WARPGROUPS)  # not so on simt
PROGRAM = Path(__file__).with_name("every_op.py")
needs_ptxas = pytest.mark.skipif(shutil.which("ptxas") is None, reason="ptxas is not installed")


def assemble(ptx: str, architecture: str, tmp_path: Path) -> str:
    """What ptxas says about PTX that it accepts."""
    source = tmp_path / "kernel.ptx"
    source.write_text(ptx)
    command = ["ptxas", f"-arch={architecture}", "-v", str(source), "-o", str(tmp_path / "kernel.cubin")]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stderr


def together(modules: list[str]) -> str:
    """Several PTX modules as one: the head of the first, the bodies of all. Their constants keep apart."""
    mark = ".address_size 64"
    head = modules[0].partition(mark)[0]
    bodies = [re.sub(r"(?<![\w$])_\$_", f"_$_{i}_", m.partition(mark)[2]) for i, m in enumerate(modules)]
    return head + mark + "\n" + "\n".join(bodies)


@kernel
def block_sum(out: Tensor[f32, 1], x: Tensor[f32, 1]) -> None:
    partial = shared(f32, 32)
    t = thread_idx.x
    i = block_idx.x * block_dim.x + t
    total = x[i] if i < x.size else f32(0)
    for k in range(5):
        total += warp.shuffle_down(total, 16 >> k)
    if lane_id() == 0:
        partial[t // warp.size] = total
    barrier()
    if t == 0:
        for k in range(1, block_dim.x // warp.size):
            total += partial[k]
        out[block_idx.x] = total
    barrier()


X = np.zeros(4, np.float32)


@needs_ptxas
@pytest.mark.parametrize("architecture", ["sm_75", "sm_90a"])
def test_a_block_reduction_assembles(architecture, tmp_path):
    ptx = block_sum.inspect(X, X, kind="ptx", target=f"nvptx:{architecture}")
    assert f".target {architecture}" in ptx
    assert ptx.count("bar.sync") == 2 and ptx.count("shfl.sync.down.b32") == 5
    assert "ld.shared" in ptx and "st.shared" in ptx and "st.global" in ptx
    said = assemble(ptx, architecture, tmp_path)
    assert "block_sum" in said and "128 bytes smem" in said


@kernel
def leave_early(x: Tensor[f32, 1]) -> None:
    if thread_idx.x >= x.size:
        return
    barrier()
    x[thread_idx.x] = 1.0


def test_a_barrier_that_not_all_threads_of_a_warp_reach_is_not_the_aligned_one():
    ptx = leave_early.inspect(X, kind="ptx")
    assert "barrier.sync" in ptx and "bar.sync" not in ptx


COMPILED_FOR = ["nvptx:sm_75", "nvptx:sm_90a", "simt"]
COMPILED_FOR += [pytest.param(f"nvptx:{a}", marks=pytest.mark.nightly) for a in ("sm_80", "sm_100a", "sm_120")]


@pytest.fixture(scope="module", params=COMPILED_FOR)
def everything(request):
    command = [sys.executable, str(PROGRAM), request.param]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-4000:]
    return request.param, json.loads(done.stdout)


def test_every_allowed_operation_compiles(everything, tmp_path):
    target, found = everything
    simt = target == "simt"
    has = {n for n in LEGAL if (n not in ELSEWISE if simt else SINCE.get(n, (0, ""))[0] <= generation(target))}
    has -= set() if target == "nvptx:sm_90a" else set(WARPGROUPS)
    assert has - set(found["ops"]) == set(), "operations of the table that no kernel here uses"
    if target.startswith("nvptx"):
        assert "cvta.shared.u64" in found["code"]["memory"]  # the address of shared memory, seen from anywhere
        assert set(found["ops"]) <= set(LEGAL)
        for unit in UNITS.values():
            code = found["code"].get(f"products_{unit.name}", "")
            assert (unit.ptx in code) == (unit.since <= generation(target))
        if shutil.which("ptxas"):
            architecture = target.partition(":")[2]
            said = assemble(together(list(found["code"].values())), architecture, tmp_path)
            assert said.count("Compiling entry function") == len(found["code"])


@needs_ptxas
@pytest.mark.parametrize("architecture", sorted(ARCHITECTURES))
def test_every_architecture_is_one_that_ptxas_knows(architecture, tmp_path):
    assemble(block_sum.inspect(X, X, kind="asm", target=f"nvptx:{architecture}"), architecture, tmp_path)


@kernel
def one_lane_stores(out: Tensor[f32, 1], x: Tensor[f16, 1]) -> None:
    a, c = (x[0], x[1], x[2], x[3]), zero_c(m16n8k8_f16)
    total = mma(m16n8k8_f16, a, a[:2], c)
    if lane_id() == 0:
        out[0] = total[0]


def test_a_product_stays_where_the_whole_warp_comes():
    ptx = one_lane_stores.inspect(X, X.astype(np.float16), kind="ptx")
    assert ptx.index("mma.sync") < ptx.index("%laneid;") < ptx.index("st.global")  # LLVM has not moved it


# -- what is refused ---------------------------------------------------------------------------------


@kernel
def vectors(x: Tensor[f32, 1]) -> None:
    v = SIMD[f32, 4](1.0)
    x[0] = (v + v).reduce_add()


@kernel
def narrow_fma(x: Tensor[f16, 1]) -> None:
    x[0] = fma(x[0], x[0], x[0])


@kernel
def small_atomics(x: Tensor[i16, 1]) -> None:
    atomic_add(x.ptr, 1)


@kernel
def clusters(x: Tensor[i32, 1]) -> None:
    cluster_sync()


def test_what_an_architecture_is_too_old_for_is_a_diagnostic():
    with pytest.raises(CompileError, match=r"X001.*cluster_arrive(.|\n)*clusters need sm_90 or newer, not sm_89"):
        clusters.inspect(np.zeros(4, np.int32), kind="ptx", target="nvptx:sm_89")
    assert "barrier.cluster.wait" in clusters.inspect(np.zeros(4, np.int32), kind="ptx", target="nvptx:sm_90")


@kernel
def two_arrivals(x: Tensor[i32, 1]) -> None:
    bars = shared(u64, 1)
    mbarrier.arrive(bars.ptr)
    mbarrier.arrive(bars.ptr, 2)


def test_copies_and_mbarriers_by_architecture():
    x = np.zeros(4, np.int32)
    with pytest.raises(CompileError, match=r"X001.*mbarrier_arrive(.|\n)*mbarriers need sm_80 or newer, not sm_75"):
        two_arrivals.inspect(x, kind="ptx", target="nvptx:sm_75")
    with pytest.raises(CompileError, match=r"arrive\(bars.ptr, 2\)(.|\n)*arrivals of more than one need sm_90"):
        two_arrivals.inspect(x, kind="ptx", target="nvptx:sm_86")
    assert "mbarrier.arrive.shared.b64 _, [" in two_arrivals.inspect(x, kind="ptx", target="nvptx:sm_90")


@kernel
def more_shared(x: Tensor[i32, 1]) -> None:
    x[0] = shared(i32, 12 * 1024 + 1)[0]


@pytest.mark.parametrize(
    ("k", "dtype", "text"),
    [
        (vectors, np.float32, "a thread of a GPU works on scalars, not on SIMD[f32, 4]"),
        (narrow_fma, np.float16, "error[X001]: fma on f16"),
        (small_atomics, np.int16, "NVIDIA GPUs have it for i32, u32, i64, u64, f32, f64, f16, bf16, not for i16"),
        (more_shared, np.int32, "error[X006]: 'more_shared' declares 49156 bytes of shared memory"),
    ],
)
def test_what_llvm_could_not_select_is_a_diagnostic(k, dtype, text):
    with pytest.raises(CompileError) as e:
        k.inspect(np.zeros(4, dtype), kind="ptx", target="nvptx:sm_90a")
    assert text in str(e.value)


def test_names_of_targets():
    assert get_target("nvptx:sm_90a").cpu == "sm_90a"
    assert get_target("nvptx").cpu == "sm_75"
    assert get_target("nvptx:sm_75").key != get_target("nvptx:sm_90a").key
    for name, text in {
        "nvptx:sm_61": "unknown architecture 'sm_61' of target nvptx",
        "nowhere": "unknown target 'nowhere'",
        "simt:x": "target simt has no variant 'x'",
        "x86:pentium": "unknown level 'pentium' of target x86",
    }.items():
        with pytest.raises(ValueError, match=text):
            get_target(name)
    with pytest.raises(ValueError, match="target simt has no PTX"):
        block_sum.inspect(X, X, kind="ptx", target="simt")
