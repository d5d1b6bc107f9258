"""A program that compiles kernels with every operation that a GPU target allows, and prints the code as JSON.

    python every_op.py TARGET      {"ops": [operations], "code": {kernel: assembly}}

It runs in a process of its own, because LLVM ends the process on code that it cannot select.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from typing import Any, TypeVar

from sapwood import (
    Array,
    Const,
    Ptr,
    StackArray,
    Tensor,
    bf16,
    f16,
    f32,
    f64,
    fn,
    i8,
    i16,
    i32,
    i64,
    kernel,
    u8,
    u16,
    u32,
    u64,
    unroll,
)
from sapwood.gpu import (
    async_copy,
    atomic_add,
    atomic_and,
    atomic_cas,
    atomic_dec,
    atomic_exchange,
    atomic_inc,
    atomic_load,
    atomic_max,
    atomic_min,
    atomic_or,
    atomic_store,
    atomic_sub,
    atomic_xor,
    barrier,
    barrier_all,
    barrier_any,
    barrier_count,
    block,
    block_dim,
    block_idx,
    block_rank,
    bulk_commit_group,
    bulk_copy,
    bulk_store,
    bulk_wait_group,
    cluster_arrive,
    cluster_dim,
    cluster_idx,
    cluster_sync,
    cluster_wait,
    commit_group,
    dp2a,
    dp4a,
    dynamic_shared,
    fence,
    fence_async,
    grid_dim,
    grid_sync,
    lane_id,
    ldmatrix,
    load_a,
    load_b,
    load_c,
    map_shared,
    mbarrier,
    mma,
    named_barrier,
    shared,
    stmatrix,
    store_c,
    tensor_copy,
    tensor_store,
    thread_idx,
    wait_group,
    warp,
    warp_id,
    wgmma,
    wgmma_commit_group,
    wgmma_fence,
    wgmma_operand,
    wgmma_unit,
    wgmma_wait_group,
)
from sapwood.lang.ops.arith import ceil, copysign, floor, fma, round_even, select, sqrt, trunc
from sapwood.lang.ops.bits import leading_zeros, popcount, trailing_zeros
from sapwood.lang.ops.gpu.matrix import UNITS
from sapwood.lang.ops.memory import address

T = TypeVar("T")
S = TypeVar("S")

INTS = (i8, i16, i32, i64, u8, u16, u32, u64)
FLOATS = (f16, bf16, f32, f64)
NUMBERS = (*INTS, *FLOATS)


@fn
def checked(x: Tensor[T, 1], i: int) -> T:
    return x[i]  # with the bounds check of host functions: a raise


@kernel
def ints(out: Tensor[T, 1], x: Tensor[T, 1], y: Tensor[T, 1]) -> None:
    i = thread_idx.x + block_idx.y * block_dim.z + grid_dim.x
    a, b = x[i], y[i]
    c = (a + b) * (a - b) // b + a % b
    c = (c << (b & 3)) | (c >> (a & 3)) ^ ~a
    c = c // 7 + c % 5 + min(a, b) - max(a, c) + abs(c) + -b
    c = select(a < b, c, a)
    if a <= b or a == c:
        c += checked(x, i)
    out[i] = c


@kernel
def floats(out: Tensor[T, 1], x: Tensor[T, 1], y: Tensor[T, 1]) -> None:
    i = thread_idx.x
    a, b = x[i], y[i]
    c = (a + b) * (a - b) / b - a
    c = min(c, a) + max(c, b) + abs(c) + copysign(a, b)
    c += floor(a) + ceil(a) + trunc(b) + round_even(b)
    if a >= b or a != c:
        c = -c
    out[i] = c


@kernel
def fused(out: Tensor[T, 1], x: Tensor[T, 1]) -> None:
    i = thread_idx.x
    out[i] = fma(x[i], x[i], x[i]) + sqrt(x[i])


@kernel
def conversions(out: Tensor[u64, 1], x: Tensor[T, 1]) -> None:
    i = thread_idx.x
    for dtype in unroll(NUMBERS):
        (out.ptr + i).cast(dtype)[0] = x[i].cast(dtype)


@kernel
def bits(out: Tensor[i32, 1], x: Tensor[f32, 1]) -> None:
    i = thread_idx.x
    out[i] = x[i].bitcast(i32)


@kernel
def prints(x: Tensor[T, 1]) -> None:
    print("x is", x[0], x[0] == x[1], f"{x[2]}")


@kernel
def memory(out: Tensor[i64, 1]) -> None:
    t = thread_idx.x
    here = StackArray[i64, 8](0)
    tile = shared(i64, (4, 8))
    tile[t // 8, t % 8] = t
    for k in range(8):
        if k == t:
            continue
        if k > 2 * t:
            break
        here[k] = t + k
    barrier()
    p = out.ptr + t
    p[0] = here[t % 8] + tile[t % 4, 3] + ((out.ptr + 3) - p) + address(p)
    (p.cast(u8))[1] = 7
    Ptr[i64](address(p) + 8)[0] = address(tile.ptr)


@kernel
def atomics(out: Tensor[T, 1], x: Tensor[T, 1]) -> None:
    box = shared(T, 1)
    i = thread_idx.x
    box[0] = x[0]
    barrier()
    atomic_add(box.ptr, x[i])
    atomic_add(out.ptr, x[i])


@kernel
def waits(out: Tensor[i32, 1]) -> None:
    tail = dynamic_shared(i32, 64)
    while atomic_load(out.ptr) == 0:
        out[1] = tail[0]


@kernel
def barriers(out: Tensor[i32, 1], on: bool) -> None:
    out[0] = i32(barrier_count(on))
    if barrier_all(on) or barrier_any(out[1] == 0):
        named_barrier(1, 64).sync()
    else:
        named_barrier(1 + out[2], 64).arrive()
    grid_sync()


@kernel
def copies(out: Tensor[f32, 1], n: int) -> None:
    tile = shared(f32, 16)
    bars = shared(u64, 2)
    mbarrier.init(bars.ptr, n)
    for count in unroll((1, 2, 4)):
        async_copy(tile.ptr + 4 * thread_idx.x, out.ptr, count)
        async_copy(tile.ptr, out.ptr + n, count, n)
    commit_group()
    wait_group(1)
    mbarrier.arrive(bars.ptr)
    mbarrier.arrive_after_copies(bars.ptr + 1)
    if mbarrier.test(bars.ptr, n):
        mbarrier.wait(bars.ptr + 1, 0)
    out[0] = tile[n]


@kernel
def bulk_copies(out: Tensor[f32, 1], n: int) -> None:
    tile = shared(f32, 32)
    bars = shared(u64, 2)
    fence_async()
    mbarrier.arrive(bars.ptr, 2)
    mbarrier.arrive(map_shared(bars, n).ptr, n)
    mbarrier.expect_tx(bars.ptr, 64)
    mbarrier.arrive_expect_tx(bars.ptr, 4 * n)
    bulk_copy(tile.ptr, out.ptr, n, bars.ptr)
    mbarrier.wait(bars.ptr, n)
    bulk_store(out.ptr + 4, tile.ptr, 16)
    bulk_commit_group()
    bulk_wait_group(1)


@kernel
def boxes(out: Tensor[f32, 2], x: Tensor[i16, 3], n: int) -> None:
    tile, small, bars = shared(f32, (8, 32), align=1024), shared(i16, (2, 3, 8), align=128), shared(u64, 1)
    tensor_copy(tile, out, (n, 2), bars.ptr, 128)
    tensor_copy(small, x, (0, n, -n), bars.ptr)
    tensor_store(out, (n, -1), tile, 128)


@kernel
def clusters(out: Tensor[i32, 1]) -> None:
    tile = shared(i32, 32)
    cluster_sync()
    map_shared(tile, cluster_idx.x)[thread_idx.x] = i32(cluster_dim.y)
    atomic_add(map_shared(tile.ptr + 1, block_rank()), 1)
    cluster_arrive()
    cluster_wait()
    out[thread_idx.x] = tile[thread_idx.x]


@kernel
def int_atomics(out: Tensor[T, 1]) -> None:
    p = out.ptr
    if atomic_cas(p, 1, 2) == atomic_load(p + 1):
        atomic_store(p + 2, 3)
    atomic_sub(p, 1)
    atomic_and(p, 7)
    atomic_or(p, 1, "relaxed")
    atomic_xor(p, 2, "acquire")
    atomic_min(p, 3, "release")
    atomic_max(p, 4, "acq_rel")
    out[3] = atomic_exchange(p, 5) + atomic_sub(p, 1, "seq_cst", "system") + atomic_xor(p, 9, "acq_rel", "block")


@kernel
def counters(out: Tensor[T, 1]) -> None:
    box = shared(T, 1)
    out[0] = atomic_inc(box.ptr, 7) + atomic_dec(out.ptr, 7, "acq_rel")


@kernel
def real_atomics(out: Tensor[T, 1]) -> None:
    box = shared(T, 1)
    for q in unroll((out.ptr, box.ptr)):
        low, high = atomic_min(q, 1.5, "acq_rel"), atomic_max(q, 2.5, "seq_cst", "system")
        out[1] = low + high + atomic_exchange(q, 0.5, "acquire") + atomic_cas(q, 0.5, 1.0, "acq_rel", "acquire")
        atomic_store(q + 1, atomic_load(q), "release", "block")


@kernel
def half_atomics(out: Tensor[T, 1]) -> None:
    box = shared(T, 1)
    for q in unroll((out.ptr, box.ptr)):
        old = atomic_cas(q, 1, 2, "acq_rel", "acquire") + atomic_cas(q, 1, 2, "release", "seq_cst", "system")
        atomic_store(q + 1, old + atomic_load(q), "release", "block")


@kernel
def orders(out: Tensor[T, 1], scopes: Const[tuple[str, ...]]) -> None:
    """Each order in each scope, with and without a use of the result, and fences."""
    box = shared(T, 1)
    total = T(0)
    for scope in unroll(scopes):
        for order in unroll(("relaxed", "acquire", "release", "acq_rel", "seq_cst")):
            for q in unroll((out.ptr, box.ptr, Ptr[T](address(out.ptr)))):
                total += atomic_add(q, 1, order, scope) + atomic_cas(q, 1, 2, order, scope=scope)
                atomic_add(q, 1, order, scope)
        for order in unroll(("acquire", "release", "acq_rel", "seq_cst")):
            fence(order, scope)
    out[1] = total


@kernel
def warps(a: Tensor[f32, 1], b: Tensor[i32, 1], c: Tensor[u32, 1], n: int, on: bool, half: f16) -> None:
    i = thread_idx.x
    if on:
        a[i] += f32(half)
    if n < 0:
        raise ValueError("negative", n)
    a[i] = warp.shuffle_down(a[i], n) + warp.shuffle_xor(a[i], 1) + f32(warp.broadcast(f64(a[i]), 2))
    b[i] = warp.shuffle_up(b[i], 1) + warp.shuffle(b[i], i32(n))
    c[i] = warp.shuffle(c[i], 0)
    if lane_id() == warp.size - 1:
        c[i] += 1
    c[i] += warp.ballot(on) + warp.ballot(on, mask=c[i]) + warp.active_mask()
    if warp.any(c[i] > 2, mask=0xFF) or warp.all(c[i] > 2) or warp.match_all(a[i]) or warp.match_all(f64(n)):
        warp.sync()
        b[i] = warp.shuffle_xor(b[i], 1, mask=c[i])
    warp.sync(c[i])
    c[i] += warp.match_any(half) + warp.match_any(n, mask=c[i]) + u32(warp_id())


@kernel
def collectives(out: Tensor[T, 1]) -> None:
    """On NVIDIA from sm_80 on one instruction each, if these are i32 or u32."""
    x = out[thread_idx.x]
    x = warp.reduce_add(x) + warp.reduce_min(x) + warp.reduce_max(x, mask=0xFF)
    if T is not f32:
        x ^= warp.reduce_and(x) + warp.reduce_or(x) + warp.reduce_xor(x)
    out[thread_idx.x] = block.reduce_max(warp.scan_add(x)) + block.scan_add(x) + block.broadcast(x)


@kernel
def bit_counts(out: Tensor[T, 1], x: Tensor[T, 1]) -> None:
    i = thread_idx.x
    out[i] = popcount(x[i]) + trailing_zeros(x[i]) + leading_zeros(x[i])


@kernel
def products(out: Tensor[S, 2], x: Tensor[T, 2], y: Tensor[T, 2], unit: Const[Any]) -> None:
    c = load_c(unit, out)
    for k in range(0, x.shape[1], unit.k):
        c = mma(unit, load_a(unit, x, 0, k), load_b(unit, y, k, 0), c)
    store_c(unit, c, out)


@kernel
def matrices(out: Tensor[T, 1], stores: Const[bool]) -> None:
    tile = shared(out.dtype, 64)
    for n in unroll((1, 2, 4)):
        x = ldmatrix(tile.ptr + 16 * lane_id(), n)
        out[n] = x[0]
        if stores:
            stmatrix(tile.ptr, x)


@kernel
def dots(a: Tensor[S, 1], b: Tensor[T, 1], c: Tensor[i32, 1]) -> None:
    for high in unroll((False, True)):
        total = dp2a(a[0], b[1], dp4a(a[2], b[3], c[0].bitcast(u32) if S is u32 and T is u32 else c[0]), high)
        c[1] += total.bitcast(i32)


@kernel
def warpgroup_products(out: Tensor[S, 2], x: Tensor[T, 2], unit: Const[Any], held: Const[bool]) -> None:
    tile = wgmma_operand(shared(x.dtype, 64 * unit.k, 1024).ptr, 32)
    c = wgmma_fence(load_c(unit, out))
    if held:
        c = wgmma(unit, c, load_a(unit, x), tile)
    else:
        c = wgmma(unit, c, tile, tile)
    wgmma_commit_group()
    store_c(unit, wgmma_wait_group(1, c), out)


@kernel
def matrices_transposed(out: Tensor[u16, 1], stores: Const[bool]) -> None:
    tile = shared(u16, 64)
    x = ldmatrix(tile.ptr + 8 * lane_id(), 4, True)
    out[0] = x[7]
    if stores:
        stmatrix(tile.ptr, x, True)


def array(dtype: Any) -> Array:
    return Array.zeros((4,), dtype.__name__)


def kernels(generation: int, warpgroups: bool) -> list[tuple[str, Any, tuple[Any, ...]]]:
    out = [("bits", bits, (array(i32), array(f32))), ("memory", memory, (array(i64),))]
    out.append(("barriers", barriers, (array(i32), True)))
    if generation >= 80:
        out.append(("copies", copies, (array(f32), 1)))
    if generation >= 90:
        out.append(("bulk_copies", bulk_copies, (array(f32), 1)))
        out.append(("boxes", boxes, (array(f32).reshape(2, 2), array(i16).reshape(1, 2, 2), 1)))
        out.append(("clusters", clusters, (array(i32),)))
    out.append(("waits", waits, (array(i32),)))
    out.append(("warps", warps, (array(f32), array(i32), array(u32), 1, True, f16(0.5))))
    if generation < 1000:  # they are no operations of their own on simt
        out += [(f"collectives_{t.__name__}", collectives, (array(t),)) for t in (i32, u32, f32)]
    out += [(f"bit_counts_{t.__name__}", bit_counts, (array(t),) * 2) for t in INTS]
    out += [(f"ints_{t.__name__}", ints, (array(t),) * 3) for t in INTS]
    out += [(f"floats_{t.__name__}", floats, (array(t),) * 3) for t in FLOATS]
    out += [(f"prints_{t.__name__}", prints, (array(t),)) for t in NUMBERS]
    out += [(f"fused_{t.__name__}", fused, (array(t),) * 2) for t in (f32, f64)]
    out += [(f"atomics_{t.__name__}", atomics, (array(t),) * 2) for t in (i32, i64, u32, u64, f16, bf16, f32, f64)]
    out += [(f"counters_{t.__name__}", counters, (array(t),)) for t in (u32, u64)]
    out += [(f"real_atomics_{t.__name__}", real_atomics, (array(t),)) for t in (f32, f64)]
    out += [(f"half_atomics_{t.__name__}", half_atomics, (array(t),)) for t in (i16, u16, f16, bf16)]
    scopes = ("block", "device", "system", *(("cluster",) if generation >= 90 else ()))
    out += [(f"orders_{t.__name__}", orders, (array(t), scopes)) for t in (i32, u64, f32)]
    out += [(f"int_atomics_{t.__name__}", int_atomics, (array(t),)) for t in (i32, i64, u32, u64)]
    out += [(f"conversions_{t.__name__}", conversions, (array(u64), array(t))) for t in NUMBERS]
    stores = generation >= 90
    out += [(f"matrices_{t.__name__}", matrices, (array(t), stores)) for t in (i8, u8, f16, bf16, i32, f32)]
    out.append(("matrices_transposed", matrices_transposed, (array(u16), stores)))
    for t, u in ((i32, i32), (i32, u32), (u32, i32), (u32, u32)):
        out.append((f"dots_{t.__name__}_{u.__name__}", dots, (array(t), array(u), array(i32))))
    for factor in (f16, bf16, f32, i8, u8) if warpgroups else ():
        for total in (None, f16) if factor is f16 else (None,):
            unit = wgmma_unit(8, factor, total)
            c, x = Array.zeros((64, 64), unit.sum.__name__), Array.zeros((64, 64), factor.__name__)
            out += [(f"{unit.name}_{held}", warpgroup_products, (c, x, unit, held)) for held in {False, factor is i8}]
    for unit in UNITS.values():
        if unit.since <= generation:
            x, y, c = (Array.zeros((16, 16), t.__name__) for t in (unit.factor, unit.factor, unit.sum))
            out.append((f"products_{unit.name}", products, (c, x, y, unit)))
    return out


def main(target: str) -> None:
    from sapwood.lang.pipeline import compile_entry
    from sapwood.targets.base import get_target
    from sapwood.targets.codegen import emit_assembly
    from sapwood.targets.nvptx.legality import WGMMA, generation

    chosen = get_target(target)
    if not chosen.gpu:  # that LLVM takes the code, not how fast it is: optimising the loops takes a minute
        chosen = replace(chosen, opt_level=0)
    ops: set[str] = set()
    code = {}
    for name, k, args in kernels(generation(chosen.cpu) if chosen.gpu else 1000, chosen.cpu == WGMMA):
        compiled = compile_entry(k, k.state.classify(list(args)), chosen, name)
        ops.update(op.name for op in compiled.program.walk())
        code[name] = emit_assembly(compiled.text, chosen)
    json.dump({"ops": sorted(ops), "code": code}, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1])
