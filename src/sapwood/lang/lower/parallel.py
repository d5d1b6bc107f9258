"""Lowering of `parallel_for`: the body becomes a function of (context, chunk, err), run by the pool.

The context is a struct on the caller's stack with the values that the body uses. Reductions: each chunk
leaves its partial result in a slot of its own; the caller merges them in ascending order, so the result does
not depend on which thread ran what.
"""

from __future__ import annotations

from collections.abc import Callable

from sapwood.lang.ir.ssa import Op, Region, Var
from sapwood.lang.lower.emitter import Emitter, llvm_type, memory_type
from sapwood.lang.ops.control import CHUNKS, identity
from sapwood.lang.types import sizeof


def free_variables(region: Region) -> list[Var]:
    """Values used in the region and defined outside it, in order of first use."""
    defined: set[Var] = set(region.params)
    used: dict[Var, None] = {}
    for op in region.walk():
        for inner in op.regions:
            defined.update(inner.params)
        defined.update(op.results)
    for op in region.walk():
        for v in (*op.operands, *op.edge, *op.cleanup, *op.shared):
            if v not in defined:
                used[v] = None
    return list(used)


def lower_parallel(e: Emitter, op: Op) -> None:
    region = op.regions[0]
    captured = [v for v in free_variables(region) if not e.is_literal(e.name(v))]
    n = op.operands[0]
    kinds = op.attrs["kinds"]
    slots = [n, *[v for v in captured if v is not n]]
    offsets, size = _layout(slots)
    partial_at = size
    context = e.alloca(size + 8, 64)
    types = [r.type for r in op.results]
    widths = [max(8, sizeof(t)) for t in types]
    row = sum(widths)
    partials = e.alloca(CHUNKS * max(row, 1), 64) if types else "null"
    for v, at in zip(slots, offsets, strict=True):
        p = e.value(f"getelementptr i8, ptr {context}, i64 {at}")
        e.line(f"store {memory_type(v.type)} {e.to_memory(v.type, e.name(v))}, ptr {p}, align 1")
    p = e.value(f"getelementptr i8, ptr {context}, i64 {partial_at}")
    e.line(f"store ptr {partials}, ptr {p}")

    count = e.name(n)
    some = e.value(f"icmp slt i64 {count}, {CHUNKS}")
    chunks = e.value(f"select i1 {some}, i64 {count}, i64 {CHUNKS}")
    body = _outline(e, op, slots, offsets, partial_at, widths)
    e.declare("declare i32 @sapwood_parallel_for(ptr, ptr, i64, ptr)")
    give_back = _release_gil(e)
    status = e.value(f"call i32 @sapwood_parallel_for(ptr @{body}, ptr {context}, i64 {chunks}, ptr %err)")
    give_back()
    if op.may_raise:
        e.fail_if(e.value(f"icmp ne i32 {status}, 0"), op)
    _merge(e, op, kinds, widths, partials, chunks)


def _release_gil(e: Emitter) -> Callable[[], None]:
    """Let the GIL go if this thread has it (functions with objects keep it): workers may want to print.

    Gives what takes it up again.
    """
    e.declare("declare i32 @PyGILState_Check()")
    e.declare("declare ptr @PyEval_SaveThread()")
    e.declare("declare void @PyEval_RestoreThread(ptr)")
    held = e.value(f"icmp ne i32 {e.value('call i32 @PyGILState_Check()')}, 0")
    save, go = e.label("save"), e.label("go")
    before = e.current
    e.line(f"br i1 {held}, label %{save}, label %{go}")
    e.block(save)
    saved = e.value("call ptr @PyEval_SaveThread()")
    e.line(f"br label %{go}")
    e.block(go)
    thread = e.value(f"phi ptr [ null, %{before} ], [ {saved}, %{save} ]")

    def give_back() -> None:
        restore, on = e.label("restore"), e.label("on")
        e.line(f"br i1 {held}, label %{restore}, label %{on}")
        e.block(restore)
        e.line(f"call void @PyEval_RestoreThread(ptr {thread})")
        e.line(f"br label %{on}")
        e.block(on)

    return give_back


def _layout(slots: list[Var]) -> tuple[list[int], int]:
    offsets, at = [], 0
    for v in slots:
        width = sizeof(v.type)
        at = -(-at // min(width, 64)) * min(width, 64)
        offsets.append(at)
        at += width
    return offsets, -(-at // 8) * 8


def _outline(e: Emitter, op: Op, slots: list[Var], offsets: list[int], partial_at: int, widths: list[int]) -> str:
    region, kinds = op.regions[0], op.attrs["kinds"]
    name = e.module.fresh(f"{e.function.name if e.function else 'f'}.parallel")
    inner = Emitter(e.module, e.function)
    inner.in_chunk = True
    inner.names.update({v: t for v, t in e.names.items() if e.is_literal(t)})
    for v, at in zip(slots, offsets, strict=True):
        p = inner.value(f"getelementptr i8, ptr %context, i64 {at}")
        x = inner.value(f"load {memory_type(v.type)}, ptr {p}, align 1")
        inner.names[v] = inner.from_memory(v.type, x)
    n = inner.name(slots[0])
    # ceil(n / chunks of this loop) indices per chunk
    some = inner.value(f"icmp slt i64 {n}, {CHUNKS}")
    chunks = inner.value(f"select i1 {some}, i64 {n}, i64 {CHUNKS}")
    rounded = inner.value(f"add i64 {n}, {chunks}")
    rounded = inner.value(f"sub i64 {rounded}, 1")
    size = inner.value(f"udiv i64 {rounded}, {chunks}")
    first = inner.value(f"mul i64 %chunk, {size}")
    last = inner.value(f"add i64 {first}, {size}")
    over = inner.value(f"icmp sgt i64 {last}, {n}")
    last = inner.value(f"select i1 {over}, i64 {n}, i64 {last}")
    pre, head, run, done = (inner.label(s) for s in ("pre", "loop", "body", "done"))
    inner.line(f"br label %{pre}")
    inner.block(pre)
    inner.line(f"br label %{head}")
    inner.block(head)
    index = inner.value("phi i64 ")
    index_slot = len(inner.lines) - 1
    inner.names[region.params[0]] = index
    accumulators, slots_at = [], []
    for v in region.params[1:]:
        acc = inner.value(f"phi {llvm_type(v.type)} ")
        slots_at.append(len(inner.lines) - 1)
        inner.names[v] = acc
        accumulators.append(acc)
    more = inner.value(f"icmp slt i64 {index}, {last}")
    inner.line(f"br i1 {more}, label %{run}, label %{done}")
    inner.block(run)
    values = inner.region(region)
    edges: list[tuple[list[str], str]] = []
    starts = [inner.literal(v.type, identity(k, v.type)) for v, k in zip(region.params[1:], kinds, strict=True)]
    edges.append(([first, *starts], pre))
    if values is not None:
        following = inner.value(f"add i64 {index}, 1")
        edges.append(([following, *values], inner.current))
        inner.line(f"br label %{head}")
    for j, slot in enumerate([index_slot, *slots_at]):
        inner.lines[slot] += ", ".join(f"[ {v[j]}, %{label} ]" for v, label in edges)
    inner.block(done)
    if accumulators:
        base = inner.value(f"getelementptr i8, ptr %context, i64 {partial_at}")
        base = inner.value(f"load ptr, ptr {base}")
        row = inner.value(f"mul i64 %chunk, {sum(widths)}")
        at = 0
        for acc, v, width in zip(accumulators, region.params[1:], widths, strict=True):
            p = inner.value(f"getelementptr i8, ptr {base}, i64 {inner.value(f'add i64 {row}, {at}')}")
            inner.line(f"store {llvm_type(v.type)} {acc}, ptr {p}, align 1")
            at += width
    inner.line("ret i32 0")
    head_text = f"define internal i32 @{name}(ptr %context, i64 %chunk, ptr %err)"
    inner.finish(head_text, e.module.target.function_attributes(e.function))
    return name


def _merge(e: Emitter, op: Op, kinds: tuple[str, ...], widths: list[int], partials: str, chunks: str) -> None:
    if not kinds:
        return
    pre, head, run, done = (e.label(s) for s in ("pre", "merge", "step", "merged"))
    e.line(f"br label %{pre}")
    e.block(pre)
    e.line(f"br label %{head}")
    e.block(head)
    i = e.value("phi i64 ")
    slots = [len(e.lines) - 1]
    totals = []
    for r in op.results:
        totals.append(e.value(f"phi {llvm_type(r.type)} "))
        slots.append(len(e.lines) - 1)
    more = e.value(f"icmp slt i64 {i}, {chunks}")
    e.line(f"br i1 {more}, label %{run}, label %{done}")
    e.block(run)
    row = e.value(f"mul i64 {i}, {sum(widths)}")
    new, at = [], 0
    for kind, total, r, width in zip(kinds, totals, op.results, widths, strict=True):
        t = llvm_type(r.type)
        p = e.value(f"getelementptr i8, ptr {partials}, i64 {e.value(f'add i64 {row}, {at}')}")
        x = e.value(f"load {t}, ptr {p}, align 1")
        if kind == "add":
            new.append(e.value(f"{'fadd' if r.type.is_float else 'add'} {t} {total}, {x}"))
        else:
            sign = "fcmp o" if r.type.is_float else "icmp s" if r.type.signed else "icmp u"
            take = e.value(f"{sign}{'lt' if kind == 'min' else 'gt'} {t} {x}, {total}")
            new.append(e.select("i1", take, t, x, total))
        at += width
    following = e.value(f"add i64 {i}, 1")
    edges = [(["0", *(e.name(v) for v in op.operands[1:])], pre), ([following, *new], e.current)]
    e.line(f"br label %{head}")
    for j, slot in enumerate(slots):
        e.lines[slot] += ", ".join(f"[ {v[j]}, %{label} ]" for v, label in edges)
    e.block(done)
    for r, total in zip(op.results, totals, strict=True):
        e.names[r] = total
