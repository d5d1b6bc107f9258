"""Memory of a few words that is kept for the next who asks, by size: functions that a module has on demand.

Compiled code that uses the heap holds the GIL, so one list for each size is enough for the process. A block of class k
is one of malloc's, has room for 16 k + 8 bytes, and may as well be given to `free`. The lists are in the shared state
(runtime/heap.py): the first block and how many there are; the first word of a block is the next one's address.
"""

from __future__ import annotations

from typing import Any

from sapwood.runtime.heap import CLASSES, LISTS, class_of, room_of

MOST = 1 << 14  # blocks that a list keeps


def allocate_small(e: Any, nbytes: str) -> str:
    """The address of memory for so many bytes (LLVM's text of an i64), or null: the text of a value."""
    e.declare("declare ptr @malloc(i64)")
    e.declare("@sapwood_heap_state = external global i64")
    if nbytes.isdecimal() and class_of(int(nbytes)) is not None:
        k = class_of(int(nbytes))
        name = e.module.helper(f"sapwood.allocate.{k}", lambda: _allocating(e, str(k)))
        return e.value(f"call ptr @{name}(i64 {nbytes})")
    name = e.module.helper("sapwood.allocate", lambda: _allocating(e, None))
    return e.value(f"call ptr @{name}(i64 {nbytes})")


def free_small(e: Any, p: str, nbytes: str) -> None:
    """Give back memory that was asked for with so many bytes at least."""
    e.declare("declare void @free(ptr)")
    e.declare("@sapwood_heap_state = external global i64")
    if nbytes.isdecimal() and class_of(int(nbytes)) is not None:
        k = class_of(int(nbytes))
        name = e.module.helper(f"sapwood.free.{k}", lambda: _freeing(e, str(k)))
    else:
        name = e.module.helper("sapwood.free", lambda: _freeing(e, None))
    e.line(f"call void @{name}(ptr {p}, i64 {nbytes})")


def kept_blocks(e: Any) -> str:
    """How many blocks all lists keep: they count as allocated, but live no more."""
    total = "0"
    for k in range(CLASSES):
        p = e.value(f"getelementptr i64, ptr @sapwood_heap_state, i64 {LISTS + 2 * k + 1}")
        total = e.value(f"add i64 {total}, {e.value(f'load i64, ptr {p}, align 8{_tag()}')}")
    return total


def rounded(e: Any, nbytes: str) -> str:
    """What to ask libc for, so that the block belongs to the class of its size."""
    if nbytes.isdecimal():
        return str(room_of(int(nbytes)))
    up = e.value(f"add i64 {nbytes}, 7")
    whole = e.value(f"add i64 {e.value(f'and i64 {up}, -16')}, 8")
    return e.select("i1", e.value(f"icmp ult i64 {nbytes}, {16 * CLASSES - 7}"), "i64", whole, nbytes)


def _tag() -> str:
    from sapwood.lang.lower.emitter import alias_tag
    from sapwood.lang.types import I64

    return alias_tag("state", I64)


def _class(k: str | None) -> str:
    """Text that makes %k and the addresses of the list's words, after a test whether there is a list for %n."""
    if k is not None:
        return f"""  br label %look
look:
  %head = getelementptr i64, ptr @sapwood_heap_state, i64 {LISTS + 2 * int(k)}
  %count = getelementptr i64, ptr @sapwood_heap_state, i64 {LISTS + 2 * int(k) + 1}"""
    return f"""  %up = add i64 %n, 7
  %small = icmp ult i64 %n, {16 * CLASSES - 7}
  br i1 %small, label %look, label %large
look:
  %k = lshr i64 %up, 4
  %at = shl i64 %k, 1
  %lists = getelementptr i64, ptr @sapwood_heap_state, i64 {LISTS}
  %head = getelementptr i64, ptr %lists, i64 %at
  %count = getelementptr i64, ptr %head, i64 1"""


def _counted(change: int) -> str:
    return f"""  %old = load i64, ptr @sapwood_heap_state, align 8{_tag()}
  %live = add i64 %old, {change}
  store i64 %live, ptr @sapwood_heap_state, align 8{_tag()}"""


def _allocating(e: Any, k: str | None) -> str:
    if k is None:
        ask = """large:
  %some = call i64 @llvm.umax.i64(i64 %n, i64 1)
  br label %ask
least:
  %whole = and i64 %up, -16
  %room = add i64 %whole, 8
  br label %ask
ask:
  %size = phi i64 [ %some, %large ], [ %room, %least ]"""
        e.declare("declare i64 @llvm.umax.i64(i64, i64)")
    else:
        ask = f"least:\n  br label %ask\nask:\n  %size = add i64 {16 * int(k) + 8}, 0"
    name = "sapwood.allocate" if k is None else f"sapwood.allocate.{k}"
    return f"""define internal noalias ptr @{name}(i64 %n) nounwind{' noinline' if k is None else ''} {{
entry:
{_class(k)}
  %first = load ptr, ptr %head, align 8{_tag()}
  %none = icmp eq ptr %first, null
  br i1 %none, label %least, label %take
take:
  %next = load ptr, ptr %first, align 8
  store ptr %next, ptr %head, align 8{_tag()}
  %kept = load i64, ptr %count, align 8{_tag()}
  %left = add i64 %kept, -1
  store i64 %left, ptr %count, align 8{_tag()}
  ret ptr %first
{ask}
  %p = call ptr @malloc(i64 %size)
  %failed = icmp eq ptr %p, null
  br i1 %failed, label %done, label %made, !prof !1
made:
{_counted(1)}
  br label %done
done:
  ret ptr %p
}}"""


def _freeing(e: Any, k: str | None) -> str:
    name = "sapwood.free" if k is None else f"sapwood.free.{k}"
    return f"""define internal void @{name}(ptr %p, i64 %n) nounwind{' noinline' if k is None else ''} {{
entry:
{_class(k)}
  %kept = load i64, ptr %count, align 8{_tag()}
  %full = icmp uge i64 %kept, {MOST}
  br i1 %full, label %large, label %keep
keep:
  %next = load ptr, ptr %head, align 8{_tag()}
  store ptr %next, ptr %p, align 8
  store ptr %p, ptr %head, align 8{_tag()}
  %more = add i64 %kept, 1
  store i64 %more, ptr %count, align 8{_tag()}
  ret void
large:
  call void @free(ptr %p)
{_counted(-1)}
  ret void
}}"""
