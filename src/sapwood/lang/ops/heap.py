"""Heap objects: allocation, counts of references, raw access for the library.

An object is {i64 count, ptr drop} and then its own words. Who owns what is decided by passes/ownership.py, which
inserts `retain` and `release`; nothing else does. Results of operations are owned, operands are borrowed unless the
entry says `consumes`. Counts are plain memory: objects belong to the threads that hold the GIL.
"""

from __future__ import annotations

import ctypes
from functools import lru_cache
from typing import Any

from sapwood.lang import memory_layout
from sapwood.lang.errors import BadOperand
from sapwood.lang.ir.ssa import Var
from sapwood.lang.lower.small_blocks import allocate_small, free_small, rounded
from sapwood.lang.ops.base import operation
from sapwood.lang.ops.pointer import Block, Pointer
from sapwood.lang.types import BOOL, I64, U8, HeapType, List, Object, Ptr, Ref, Stored
from sapwood.lang.values import Known, describe
from sapwood.runtime import heap

HEADER = 16  # bytes before an object's own words
IMMORTAL = 1 << 60  # the count of constants
WORDS = Ptr(I64, "generic", "header")


# -- objects ----------------------------------------------------------------------------------------


@operation(name="new_object", control=True, raises=True)
def new_object(kind: Any, nbytes: int) -> Any:
    """A new object of `kind` (a heap type known at compile time) in `nbytes` bytes with its header; MemoryError.

    What follows the header is not initialised. Attribute `drop`: the function that its end calls.
    """


@new_object.typing
def _(b, kind, nbytes):
    target = b.known(kind, "the type of a heap object", HeapType)
    drop = b.interpreter.drop_function(target)
    return b.emit1(new_object, (b.coerce(nbytes, I64),), Ref(target), drop=drop)


@new_object.reference
def _(ev, op, nbytes):
    return (Pointer(Block(make_object(op.attrs["drop"], nbytes), nbytes), 0, I64),)


def make_object(drop: Any, nbytes: int) -> int:
    """`new_object` in the evaluator: the address."""
    address = _allocate(nbytes)
    ctypes.c_int64.from_address(address).value = 1
    ctypes.c_int64.from_address(address + 8).value = drop_word(drop)
    return address


@new_object.lowering
def _(e, op):
    p = _lower_allocate(e, op, e.name(op.operands[0]))
    e.line(f"store i64 1, ptr {p}, align 8{_tag('count')}")
    at = e.value(f"getelementptr i8, ptr {p}, i64 8")
    e.line(f"store ptr @{op.attrs['drop'].name}, ptr {at}, align 8{_tag('header')}")
    e.names[op.result] = p


@operation(name="allocate", control=True, raises=True)
def allocate(nbytes: int) -> Any:
    """Raw memory, as Ptr[u8]; MemoryError when there is none. At least one byte is asked for."""


@allocate.typing
def _(b, nbytes):
    return b.emit1(allocate, (b.coerce(nbytes, I64),), Ptr(U8, "generic", "elements"))


@allocate.reference
def _(ev, op, nbytes):
    return (Pointer(Block(_allocate(nbytes), nbytes), 0, U8),)


@allocate.lowering
def _(e, op):
    e.names[op.result] = _lower_allocate(e, op, e.name(op.operands[0]))


@operation(name="reallocate", control=True, raises=True)
def reallocate(p: Any, nbytes: int) -> Any:
    """Memory of `allocate` with another size: its contents, perhaps elsewhere. MemoryError leaves it as it was."""


@reallocate.typing
def _(b, p, nbytes):
    return b.emit1(reallocate, (_pointer(b, p, "reallocate"), b.coerce(nbytes, I64)), p.type)


@reallocate.reference
def _(ev, op, p, nbytes):
    return (Pointer(Block(resize(p.address, nbytes), nbytes), 0, op.result.type.elem),)


def resize(address: int, nbytes: int) -> int:
    """`reallocate` in the evaluator."""
    moved = _libc().realloc(address, max(heap.room_of(nbytes), 1)) if 0 <= nbytes < heap.LARGEST else 0
    if not moved:
        raise MemoryError
    return moved


@reallocate.lowering
def _(e, op):
    from sapwood.lang.ops.control import fail_with_if

    p, n = (e.name(v) for v in op.operands)
    moved = e.call("realloc", "ptr", [("ptr", p), ("i64", rounded(e, n))])
    fail_with_if(e, op, e.value(f"icmp eq ptr {moved}, null"), MemoryError)
    e.names[op.result] = moved


@operation(name="free")
def free(p: Any, nbytes: int = 0) -> None:
    """Give back memory of `allocate`, or that of an object whose end has come; sooner where it is known that so many
    bytes of it were asked for."""


@free.typing
def _(b, p, nbytes=Known(0)):
    size = () if nbytes == Known(0) else (b.coerce(nbytes, I64),)
    b.emit(free, (_pointer(b, p, "free"), *size))
    return Known(None)


@free.reference
def _(op, p, *nbytes):
    _libc().free(p.address)
    heap.count(-1)


@free.lowering
def _(e, op, p, *nbytes):
    if nbytes:
        free_small(e, p, nbytes[0])
        return
    _count(e, -1)
    e.call("free", "void", [("ptr", p)])


def _pointer(b, p, function: str) -> Var:
    if not isinstance(p, Var) or not isinstance(p.type, Ptr):
        raise BadOperand(b.loc, function=function, detail=f"needs a Ptr, not {describe(p)}", hint="pass a pointer")
    return p


@lru_cache(maxsize=1)
def _libc() -> Any:
    libc = ctypes.CDLL(None)
    libc.malloc.restype = libc.realloc.restype = ctypes.c_void_p
    libc.malloc.argtypes = [ctypes.c_size_t]
    libc.realloc.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    libc.free.argtypes = [ctypes.c_void_p]
    return libc


_DROPS: dict[int, Any] = {}  # of objects that the evaluator made: what stands in their headers -> function


def made_by_evaluator(address: int) -> bool:
    """Whether an object's end is a function that only the evaluator can run."""
    return ctypes.c_int64.from_address(address + 8).value in _DROPS


def _allocate(nbytes: int) -> int:
    address = _libc().malloc(max(heap.room_of(nbytes), 1)) if 0 <= nbytes < heap.LARGEST else 0
    if not address:
        raise MemoryError
    heap.count(1)
    return address


def _lower_allocate(e, op, n: str) -> str:
    from sapwood.lang.ops.control import fail_with_if

    p = allocate_small(e, n)
    fail_with_if(e, op, e.value(f"icmp eq ptr {p}, null"), MemoryError)
    return p


def _tag(alias: str) -> str:
    from sapwood.lang.lower.emitter import alias_tag

    return alias_tag(alias, I64)


def _count(e, change: int) -> None:
    """Keep the number of live allocations, for tests and leak checks."""
    e.declare("@sapwood_heap_state = external global i64")
    old = e.value(f"load i64, ptr @sapwood_heap_state, align 8{_tag('state')}")
    new = e.value(f"add i64 {old}, {change}")
    e.line(f"store i64 {new}, ptr @sapwood_heap_state, align 8{_tag('state')}")


# -- counts -----------------------------------------------------------------------------------------


@operation(control=True)
def retain(x: Any) -> None:
    """One more reference. Inserted by the ownership pass."""


@retain.reference
def _(ev, op, x):
    retain_value(x, op.operands[0].type)
    return ()


def retain_value(x: Pointer, t: Any) -> None:
    """`retain` in the evaluator."""
    if x.address:
        if isinstance(t.target, Object):
            ctypes.pythonapi.Py_IncRef(ctypes.c_void_p(x.address))
        else:
            ctypes.c_int64.from_address(x.address).value += 1


@retain.lowering
def _(e, op):
    lower_retain(e, e.name(op.operands[0]), op.operands[0].type)


def lower_retain(e, p: str, t: Ref) -> None:
    if isinstance(t.target, Object):
        e.call("Py_IncRef", "void", [("ptr", p)])  # takes null
        return
    done = ""
    if t.nullable:
        some, done = e.label("some"), e.label("retained")
        e.line(f"br i1 {e.value(f'icmp eq ptr {p}, null')}, label %{done}, label %{some}")
        e.block(some)
    count = e.value(f"load i64, ptr {p}, align 8{_tag('count')}")
    e.line(f"store i64 {e.value(f'add nuw nsw i64 {count}, 1')}, ptr {p}, align 8{_tag('count')}")
    if done:
        e.line(f"br label %{done}")
        e.block(done)


@operation(control=True)
def release(x: Any) -> None:
    """One reference less; the last one ends the object. Inserted by the ownership pass."""


@release.reference
def _(ev, op, x):
    release_value(ev, x, op.operands[0].type)
    return ()


def release_value(ev: Any, x: Pointer, t: Any) -> None:
    """`release` in the evaluator."""
    if isinstance(t.target, Object):
        if x.address:
            ctypes.pythonapi.Py_DecRef(ctypes.c_void_p(x.address))
    elif x.address:
        end_reference(ev, x.address)


def drop_word(drop: Any) -> int:
    """What stands for a drop function in the headers of objects that the evaluator makes."""
    _DROPS[id(drop)] = drop
    return id(drop)


def end_reference(ev: Any, address: int) -> None:
    """One reference less, in the evaluator."""
    count = ctypes.c_int64.from_address(address)
    count.value -= 1
    if count.value == 0:
        drop = _DROPS.get(ctypes.c_int64.from_address(address + 8).value)
        if drop is None:  # made by compiled code
            heap.end(address)
        else:
            ev.function(drop, (Pointer(Block(address, None), 0, I64),))


@release.lowering
def _(e, op):
    p, t = e.name(op.operands[0]), op.operands[0].type
    if isinstance(t.target, Object):
        e.call("Py_DecRef", "void", [("ptr", p)])  # takes null
        return
    if e.is_straight() and not t.nullable:
        e.line(f"call preserve_mostcc void @{e.module.helper('sapwood.release', _releasing)}(ptr {p}, ptr %err)")
        return
    done = e.label("released")
    if t.nullable:
        some = e.label("some")
        e.line(f"br i1 {e.value(f'icmp eq ptr {p}, null')}, label %{done}, label %{some}")
        e.block(some)
    count = e.value(f"load i64, ptr {p}, align 8{_tag('count')}")
    left = e.value(f"add nsw i64 {count}, -1")
    e.line(f"store i64 {left}, ptr {p}, align 8{_tag('count')}")
    end = e.label("end")
    e.line(f"br i1 {e.value(f'icmp eq i64 {left}, 0')}, label %{end}, label %{done}")
    e.block(end)
    e.line(f"call void @{e.module.helper('sapwood.end', _ending)}(ptr {p}, ptr %err)")
    e.line(f"br label %{done}")
    e.block(done)


def _ending(convention: str = "", name: str = "sapwood.end") -> str:
    """The function that calls the drop function of an object."""
    return f"""define internal {convention} void @{name}(ptr %x, ptr %err) noinline nounwind {{
  %at = getelementptr i8, ptr %x, i64 8
  %drop = load ptr, ptr %at, align 8{_tag("header")}
  %status = call {{i32}} %drop(ptr %x, ptr %err)
  ret void
}}"""


def _releasing() -> str:
    """`release` as a function, which leaves the registers of its caller alone."""
    head = "define internal preserve_mostcc void @sapwood.release(ptr %x, ptr %err) noinline nounwind {"
    aside = _ending("preserve_mostcc", "sapwood.end.aside")
    return f"{aside}\n{head}\n{_counting('preserve_mostcc void @sapwood.end.aside')}"


def _counting(end: str) -> str:
    return f"""  %count = load i64, ptr %x, align 8{_tag("count")}
  %left = add nsw i64 %count, -1
  store i64 %left, ptr %x, align 8{_tag("count")}
  %last = icmp eq i64 %left, 0
  br i1 %last, label %end, label %done
end:
  tail call {end}(ptr %x, ptr %err)
  ret void
done:
  ret void
}}"""


def lower_release_rarely(e, p: str, t: Ref) -> None:
    """`release` where the program comes rarely, by a call of a function."""
    if isinstance(t.target, Object):
        e.call("Py_DecRef", "void", [("ptr", p)])  # takes null
        return
    e.module.helper("sapwood.end", _ending)
    e.line(f"call void @{e.module.helper('sapwood.release.rarely', _releasing_rarely)}(ptr {p}, ptr %err)")


def _releasing_rarely() -> str:
    """The function that gives up a reference, or null."""
    head = "define internal void @sapwood.release.rarely(ptr %x, ptr %err) cold noinline nounwind {"
    test = "  %none = icmp eq ptr %x, null\n  br i1 %none, label %done, label %some\nsome:"
    return f"{head}\n{test}\n{_counting('void @sapwood.end')}"


@operation()
def reference_count(x: Any) -> int:
    """How many references there are to an object, this one included: 1 says that nobody else has it."""
    ...


@reference_count.typing
def _(b, x):
    return b.emit1(reference_count, (b.materialize(x),), I64)


@reference_count.reference
def _(op, x):
    return ctypes.c_int64.from_address(x.address).value


@reference_count.lowering
def _(e, op, p):
    return e.value(f"load i64, ptr {p}, align 8{_tag('count')}")


# -- references -------------------------------------------------------------------------------------


@operation(pure=True)
def null() -> Any:
    """A null pointer or reference."""


@null.reference
def _(op):
    t = op.result.type
    return Pointer(Block(0, 0), 0, t.elem if isinstance(t, Ptr) else I64)


@null.lowering
def _(e, op):
    return "null"


@operation(pure=True, consumes=True)
def reference_as(x: Any) -> Any:
    """The same reference with another type: nullable, not nullable (after a test), of a more exact target."""


@reference_as.reference
def _(op, x):
    return x


@reference_as.lowering
def _(e, op, x):
    return x


@operation(pure=True)
def is_null(x: Any) -> bool:
    """Whether a reference or pointer is null."""
    ...


@is_null.typing
def _(b, x):
    return b.emit1(is_null, (b.materialize(x),), BOOL)


@is_null.reference
def _(op, x):
    return x.address == 0


@is_null.lowering
def _(e, op, p):
    return e.value(f"icmp eq ptr {p}, null")


@operation(pure=True)
def same_object(x: Any, y: Any) -> bool:
    """Whether two references lead to the same object."""
    ...


@same_object.typing
def _(b, x, y):
    return b.emit1(same_object, (b.materialize(x), b.materialize(y)), BOOL)


@same_object.reference
def _(op, x, y):
    return x.address == y.address


@same_object.lowering
def _(e, op, p, q):
    return e.value(f"icmp eq ptr {p}, {q}")


@operation(pure=True)
def words(x: Any) -> Any:
    """The memory of an object as i64 words, for the library: word 0 is the count, 1 the drop function."""


@words.typing
def _(b, x):
    x = b.materialize(x)
    if not isinstance(x.type, Ref):
        raise BadOperand(b.loc, function="words", detail=f"{describe(x)} is no heap object", hint="pass one")
    return b.emit1(words, (x,), WORDS)


@words.reference
def _(op, x):
    return x


@words.lowering
def _(e, op, p):
    return p


@operation(name="object_at", pure=True)
def object_at(p: Any, kind: Any) -> Any:
    """The object whose memory begins at `p`, as a reference of `kind`: it takes over a count that the caller has."""


@object_at.typing
def _(b, p, kind):
    target = b.known(kind, "the type of a heap object", HeapType)
    return b.emit1(object_at, (_pointer(b, p, "object_at"),), Ref(target))


@object_at.reference
def _(op, p):
    return p


@object_at.lowering
def _(e, op, p):
    return p


@operation(name="shared_object_at")
def shared_object_at(p: Any, kind: Any) -> Any:
    """The object whose memory begins at `p`, as a reference of `kind` with a count of its own."""


@shared_object_at.typing
def _(b, p, kind):
    target = b.known(kind, "the type of a heap object", HeapType)
    return b.emit1(shared_object_at, (_pointer(b, p, "shared_object_at"),), Ref(target))


@shared_object_at.reference
def _(op, p):
    retain_value(p, op.result.type)
    return p


@shared_object_at.lowering
def _(e, op, p):
    lower_retain(e, p, op.result.type)
    return p


# -- elements ---------------------------------------------------------------------------------------


@operation(name="elements_at")
def elements_at(p: Any, kind: Any) -> Any:
    """Memory as elements of a container: `p` with the element type `kind` (types.Stored)."""


@elements_at.typing
def _(b, p, kind):
    from sapwood.lang.ops.convert import bitcast

    stored = b.known(kind, "the type of elements", Stored)
    return b.emit1(bitcast, (_pointer(b, p, "elements_at"),), Ptr(stored, "generic", "elements"))


@operation(name="elements")
def elements(xs: Any) -> Any:
    """The elements of a list, as a pointer that is good until the list changes its capacity."""


@elements.typing
def _(b, xs):
    from sapwood.lang.infer import layout

    if not isinstance(xs, Var) or not isinstance(xs.type, Ref) or not isinstance(xs.type.target, List):
        raise BadOperand(b.loc, function="elements", detail=f"{describe(xs)} is no list", hint="pass a list")
    to = Ptr(Stored(xs.type.target.elem), "generic", "elements")
    return layout.read(b, layout.at_offset(b, b.emit1(words, (xs,), WORDS), 32, to), to)


@operation(name="take")
def take(p: Any, i: int) -> Any:
    """Move an element out of memory: the place then holds nothing."""


@take.typing
def _(b, p, i):
    from sapwood.lang.infer import layout
    from sapwood.lang.ops.memory import offset

    p = _pointer(b, p, "take")
    return layout.read(b, offset(b, p, i), p.type.elem, take=True)


@operation(name="stored_size")
def stored_size(kind: Any) -> int:
    """Bytes that an element (types.Stored) takes, known at compile time."""
    ...


@stored_size.typing
def _(b, kind):

    return Known(memory_layout.size(b.known(kind, "the type of elements", Stored)))
