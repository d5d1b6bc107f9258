"""Texts as objects: where their bytes are, and growing one in place."""

from __future__ import annotations

import ctypes
from functools import lru_cache
from typing import Any

from sapwood.lang.errors import BadOperand
from sapwood.lang.ops import heap
from sapwood.lang.ops.base import operation
from sapwood.lang.ops.convert import bitcast
from sapwood.lang.ops.memory import pointer_add
from sapwood.lang.ops.pointer import Block, Pointer
from sapwood.lang.ops.text import TEXT_AT, constant_object
from sapwood.lang.types import I64, U8, Ptr, Ref, Str
from sapwood.lang.values import describe, make_tuple
from sapwood.runtime.errors import read_text


@operation(name="text_data")
def text_data(s: Any) -> Any:
    """The UTF-8 of a str, as Ptr[u8]; a zero byte follows it."""


@text_data.typing
def _(b, s):
    s = b.materialize(s)
    if not isinstance(s.type, Ref):
        raise BadOperand(b.loc, function="text_data", detail=f"{describe(s)} is no str", hint="pass a str")
    p = b.emit1(bitcast, (b.emit1(heap.words, (s,), heap.WORDS),), Ptr(U8))
    return b.emit1(pointer_add, (p, b.index(TEXT_AT)), Ptr(U8), stride=1)


@operation(name="python_text")
def python_text(x: Any) -> Any:
    """The UTF-8 that CPython keeps with a str (given by its address), and its size; UnicodeEncodeError of a lone
    surrogate."""


@python_text.typing
def _(b, x):
    from sapwood.lang.ops import memory
    from sapwood.lang.ops.objects import api

    size = memory.allocate_stack(b, I64, 8)
    p = api(b, "PyUnicode_AsUTF8AndSize", (x, size), Ptr(U8))
    return make_tuple([p, b.emit1(memory.load, (size,), I64)])


@operation(pure=True)
def bytes_constant() -> Any:
    """A bytes object that is known at compile time (attribute `data`) and never ends."""


@bytes_constant.reference
def _(op):
    buffer = _bytes_object(op.attrs["data"])
    return Pointer(Block(ctypes.addressof(buffer), len(buffer), buffer), 0, I64)


@lru_cache(maxsize=4096)
def _bytes_object(data: bytes) -> Any:
    buffer = ctypes.create_string_buffer(TEXT_AT + len(data) + 1)
    head = (heap.IMMORTAL, 0, len(data), len(data), 0)
    buffer[: TEXT_AT + len(data)] = b"".join(w.to_bytes(8, "little") for w in head) + data
    return buffer


@bytes_constant.lowering
def _(e, op):
    data = op.attrs["data"]
    n = len(data) + 1
    body = "".join(f"\\{c:02X}" for c in data)
    return e.module.data(
        f"{{i64, ptr, i64, i64, i64, [{n} x i8]}} "
        f'{{i64 {heap.IMMORTAL}, ptr null, i64 {n - 1}, i64 {n - 1}, i64 0, [{n} x i8] c"{body}\\00"}}'
    )


@operation(pure=True)
def ascii_character(code: int) -> Any:
    """The text of one ASCII character: one of 128 objects that never end."""


@ascii_character.typing
def _(b, code):
    return b.emit1(ascii_character, (b.coerce(code, I64),), Ref(Str()))


@ascii_character.reference
def _(op, code):
    buffer = constant_object(chr(code))
    return Pointer(Block(ctypes.addressof(buffer), len(buffer), buffer), 0, I64)


@ascii_character.lowering
def _(e, op, code):
    kind = "{i64, ptr, i64, i64, i64, [8 x i8]}"
    items = (
        f'{kind} {{i64 {heap.IMMORTAL}, ptr null, i64 1, i64 1, i64 0, [8 x i8] c"\\{c:02X}{NULL * 7}"}}'
        for c in range(128)
    )
    table = e.module.data(f"[128 x {kind}] [{', '.join(items)}]")
    return e.value(f"getelementptr {kind}, ptr {table}, i64 {code}")


NULL = "\\00"


@operation(name="text_grow", control=True, raises=True, consumes=True)
def text_grow(s: Any, more: int) -> Any:
    """The text s as an object that nobody else refers to, with room for `more` bytes behind its own; MemoryError.

    It is s itself, perhaps moved, if this was the only reference to it, else a copy.
    """


@text_grow.typing
def _(b, s, more):
    drop = b.interpreter.drop_function(Str())
    return b.emit1(text_grow, (b.materialize(s), b.coerce(more, I64)), Ref(Str()), drop=drop)


def _usable(address: int) -> int:
    libc = ctypes.CDLL(None)
    libc.malloc_usable_size.restype = ctypes.c_size_t
    return libc.malloc_usable_size(ctypes.c_void_p(address))


@text_grow.reference
def _(ev, op, s, more):
    count, size = (ctypes.c_int64.from_address(s.address + at) for at in (0, 16))
    needed = size.value + more + TEXT_AT + 1
    if count.value == 1:
        if needed <= _usable(s.address):
            return (Pointer(Block(s.address, None), 0, I64),)
        moved = heap.resize(s.address, needed + (needed >> 1))
        return (Pointer(Block(moved, None), 0, I64),)
    new = heap.make_object(op.attrs["drop"], needed)
    ctypes.memmove(new + 16, s.address + 16, TEXT_AT - 16 + size.value + 1)
    count.value -= 1
    return (Pointer(Block(new, None), 0, I64),)


_HELPER = """define internal ptr @sapwood_text_grow(ptr %s, i64 %more, ptr %drop) {
  %count = load i64, ptr %s, align 8
  %sole = icmp eq i64 %count, 1
  %sizeat = getelementptr i8, ptr %s, i64 16
  %size = load i64, ptr %sizeat, align 8
  %total = add i64 %size, HEAD
  %least = add i64 %total, %more
  %up = add i64 %least, 7
  %whole = and i64 %up, -16
  %needed = add i64 %whole, 8 ; see lower/small_blocks.py
  br i1 %sole, label %own, label %shared
own:
  %usable = call i64 @malloc_usable_size(ptr %s)
  %less = add i64 %usable, -8
  %part = and i64 %less, -16
  %room = add i64 %part, 8
  %fits = icmp ule i64 %least, %room
  br i1 %fits, label %keep, label %bigger
keep:
  ret ptr %s
bigger:
  %half = lshr i64 %room, 1
  %ample = add i64 %room, %half
  %larger = icmp ugt i64 %needed, %ample
  %want = select i1 %larger, i64 %needed, i64 %ample
  %moved = call ptr @realloc(ptr %s, i64 %want)
  ret ptr %moved
shared:
  %new = call ptr @malloc(i64 %needed)
  %none = icmp eq ptr %new, null
  br i1 %none, label %failed, label %copy
failed:
  ret ptr null
copy:
  call ptr @memcpy(ptr %new, ptr %s, i64 %total)
  store i64 1, ptr %new, align 8
  %dropat = getelementptr i8, ptr %new, i64 8
  store ptr %drop, ptr %dropat, align 8
  %left = add i64 %count, -1
  store i64 %left, ptr %s, align 8
  %old = load i64, ptr @sapwood_heap_state, align 8
  %live = add i64 %old, 1
  store i64 %live, ptr @sapwood_heap_state, align 8
  ret ptr %new
}""".replace("HEAD", str(TEXT_AT + 1))


@text_grow.lowering
def _(e, op):
    from sapwood.lang.ops.control import fail_with

    if _HELPER not in e.module.functions:
        e.module.functions.append(_HELPER)
        e.declare("@sapwood_heap_state = external global i64")
        e.declare("declare i64 @malloc_usable_size(ptr)")
        e.declare("declare ptr @realloc(ptr, i64)")
        e.declare("declare ptr @malloc(i64)")
        e.declare("declare ptr @memcpy(ptr, ptr, i64)")
    s, more = (e.name(v) for v in op.operands)
    grown = e.value(f"call ptr @sapwood_text_grow(ptr {s}, i64 {more}, ptr @{op.attrs['drop'].name})")
    bad, good = e.label("nomemory"), e.label("ok")
    e.line(f"br i1 {e.value(f'icmp eq ptr {grown}, null')}, label %{bad}, label %{good}, !prof !1")
    e.block(bad)
    heap.lower_release_rarely(e, s, op.operands[0].type)
    fail_with(e, op, MemoryError)
    e.block(good)
    e.names[op.result] = grown




@operation(space="host")
def print_text(s: Any, flush: bool) -> None:
    """Write a text to sys.stdout, through Python."""


@print_text.typing
def _(b, s, flush):
    b.emit(print_text, (b.materialize(s), b.materialize(flush)))


@print_text.reference
def _(op, s, flush):
    print(read_text(s.address), end="", flush=flush)


@print_text.lowering
def _(e, op, s, flush):
    e.call("sapwood_print_text", "void", [("ptr", s), ("i32", e.value(f"zext i1 {flush} to i32"))])
