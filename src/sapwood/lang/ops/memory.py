"""Loads, stores, pointer arithmetic and stack storage. Vector access needs element alignment only."""

from __future__ import annotations

import operator
from typing import Any

from sapwood.lang.errors import BadOperand
from sapwood.lang.ir.ssa import Var
from sapwood.lang.ops.base import operation
from sapwood.lang.ops.heap import lower_retain, retain_value
from sapwood.lang.ops.pointer import Block, Pointer
from sapwood.lang.types import I64, Leaf, Ptr, Ref, Scalar, Simd, Type, elem_of
from sapwood.lang.values import Known, Value


@operation(pure=True)
def pointer_add(p: Any, n: Any) -> Any:
    """Pointer plus n elements of `stride` bytes."""


@pointer_add.reference
def _(op, p, n):
    return p.add(n, op.attrs["stride"])


@pointer_add.lowering
def _(e, op, p, n):
    space, stride = e.type(op.operands[0].type), op.attrs["stride"]
    unit = f"i{8 * stride}" if stride in (1, 2, 4, 8) else f"[{stride} x i8]"
    return e.value(f"getelementptr {unit}, {space} {p}, i64 {n}")


def offset(b, p: Var, n: Value, stride: int | None = None) -> Var:
    """`p + n` elements; nothing is emitted for 0."""
    from sapwood.lang.ops.operators import require_index

    n = require_index(b, n, "a pointer offset")
    if n == Known(0):
        return p
    assert isinstance(p.type, Ptr)
    if stride is None:
        from sapwood.lang.infer.layout import size_of

        stride = size_of(b, p.type.elem)
    return b.emit1(pointer_add, (p, b.materialize(n)), p.type, stride=stride)


@operation(pure=True)
def pointer_sub(p: Any, q: Any) -> Any:
    """Bytes between two pointers."""


@pointer_sub.reference
def _(op, p, q):
    return p.address - q.address


@pointer_sub.lowering
def _(e, op, p, q):
    t = e.type(op.operands[0].type)
    a, c = e.value(f"ptrtoint {t} {p} to i64"), e.value(f"ptrtoint {t} {q} to i64")
    return e.value(f"sub i64 {a}, {c}")


def pointer_difference(b, p: Var, q: Var) -> Value:
    from sapwood.lang.infer.layout import size_of
    from sapwood.lang.ops.operators import binary

    assert isinstance(p.type, Ptr)
    return binary(b, operator.floordiv, b.emit1(pointer_sub, (p, q), I64), Known(size_of(b, p.type.elem)))


@operation(pure=True)
def address(p: Any) -> Any:
    """The address of a pointer as an int; of shared memory, the one that all of the block's threads can use.

    Attribute `given`: to somebody who may write there.
    """


@address.typing
def _(b, p):
    if not isinstance(p, Var) or not isinstance(p.type, Ptr):
        raise BadOperand(b.loc, function="address", detail="needs a Ptr", hint="x.ptr gives a tensor's pointer")
    return b.emit1(address, (p,), I64)


@address.reference
def _(op, p):
    return p.address


@address.lowering
def _(e, op, p):
    t = e.type(op.operands[0].type)
    if t != "ptr":  # a pointer of another address space counts from elsewhere
        p = e.value(f"addrspacecast {t} {p} to ptr")
    return e.value(f"ptrtoint ptr {p} to i64")


@operation(pure=True)
def pointer_at(p: Any) -> Any:
    """A pointer from an address (attribute of the result type: what it points to)."""


@pointer_at.reference
def _(op, n):
    return Pointer(Block(n, None), 0, op.result.type.elem)


@pointer_at.lowering
def _(e, op, n):
    return e.value(f"inttoptr i64 {n} to {e.type(op.result.type)}")


# -- load and store ---------------------------------------------------------------------------------


@operation(varies=True)
def load(p: Any) -> Any:
    """Read a leaf through a pointer; with a second operand, a mask, lanes that are off give zero.

    A reference is shared with the memory; with the attribute `take` it moves out, with `borrow` the memory keeps it.
    """


@load.reference
def _(op, p, *mask):
    ty = op.result.type
    if not mask:
        x = p.load(ty)
        if isinstance(ty, Ref) and not (op.attrs.get("take") or op.attrs.get("borrow")):
            retain_value(x, ty)
        return x
    size = ty.elem.itemsize
    zero = 0.0 if ty.elem.is_float else ty.elem.kind != "bool" and 0
    return tuple(p.add(i, size).load(ty.elem) if on else zero for i, on in enumerate(mask[0]))


@load.lowering
def _(e, op, p, *mask):
    ty: Leaf = op.result.type
    pt = e.type(op.operands[0].type)
    align = op.attrs.get("align") or _natural(ty)
    memory = e.memory_type(ty)
    volatile = "volatile " if op.attrs.get("volatile") else ""
    if mask:
        name = f"llvm.masked.load.{e.mangle(ty)}.{'p0' if pt == 'ptr' else 'p3'}"
        zero = e.literal(ty, 0)
        mt = e.type(op.operands[1].type)
        arg = (f"{pt} align {align}", p)
        return e.call(name, memory, [arg, (mt, mask[0]), (memory, zero)])
    stream = ", !nontemporal !0" if op.attrs.get("stream") else ""
    x = e.value(f"load {volatile}{memory}, {pt} {p}, align {align}{stream}{e.load_metadata(op)}{_alias(op, ty)}")
    if isinstance(ty, Ref) and not (op.attrs.get("take") or op.attrs.get("borrow")):
        lower_retain(e, x, ty)
    return e.from_memory(ty, x)


@operation()
def store(p: Any, x: Any) -> Any:
    """Write a leaf through a pointer; with a third operand, a mask, lanes that are off stay. A reference moves in."""


@store.reference
def _(op, p, x, *mask):
    ty = op.operands[1].type
    if not mask:
        p.store(ty, x)
        return
    for i, on in enumerate(mask[0]):
        if on:
            p.add(i, ty.elem.itemsize).store(ty.elem, x[i])


@store.lowering
def _(e, op, p, x, *mask):
    ty: Leaf = op.operands[1].type
    pt = e.type(op.operands[0].type)
    align = op.attrs.get("align") or _natural(ty)
    memory = e.memory_type(ty)
    volatile = "volatile " if op.attrs.get("volatile") else ""
    x = e.to_memory(ty, x)
    if mask:
        name = f"llvm.masked.store.{e.mangle(ty)}.{'p0' if pt == 'ptr' else 'p3'}"
        e.call(name, "void", [(memory, x), (f"{pt} align {align}", p), (e.type(op.operands[2].type), mask[0])])
        return
    stream = ", !nontemporal !0" if op.attrs.get("stream") else ""
    e.line(f"store {volatile}{memory} {x}, {pt} {p}, align {align}{stream}{_alias(op, ty)}")


def _alias(op, ty: Leaf) -> str:
    from sapwood.lang.lower.emitter import alias_tag

    alias = op.operands[0].type.alias
    return alias_tag(alias, ty) if alias else ""


def _natural(ty: Leaf) -> int:
    return elem_of(ty).itemsize if isinstance(ty, Scalar | Simd) else 8


@operation()
def prefetch(p: Any, write: bool = False, locality: int = 3) -> None:
    """Ask for the cache line at a pointer, for reading or to write it. `locality`: 0 (used once) to 3 (kept in every
    cache). Never faults."""


@prefetch.typing
def _(b, p, write, locality):
    if not isinstance(p, Var) or not isinstance(p.type, Ptr):
        raise BadOperand(b.loc, function="prefetch", detail="needs a Ptr", hint="x.ptr gives a tensor's pointer")
    kept = b.known(locality, "the locality of prefetch", int)
    if not 0 <= kept <= 3:
        hint = "0 is used once, 3 is kept in every cache"
        raise BadOperand(b.loc, function="prefetch", detail=f"{kept} is not a locality", hint=hint)
    attrs = {"write": b.known(write, "write of prefetch", bool), "locality": kept}
    b.emit(prefetch, (p,), (), attrs)
    return Known(None)


@prefetch.reference
def _(op, p):
    return None


@prefetch.lowering
def _(e, op, p):
    pt = e.type(op.operands[0].type)
    how = [("i32", str(int(op.attrs.get("write", False)))), ("i32", str(op.attrs.get("locality", 3))), ("i32", "1")]
    e.call(f"llvm.prefetch.{'p0' if pt == 'ptr' else 'p3'}", "void", [(pt, p), *how])


@operation()
def assume_aligned(p: Any, nbytes: int) -> Any:
    """The pointer, whose address is known to be a multiple of `nbytes`. Checked code raises ValueError if it is not; in
    unchecked code that is undefined."""


@assume_aligned.typing
def _(b, p, nbytes):
    from sapwood.lang.ops import arith
    from sapwood.lang.types import BOOL

    if not isinstance(p, Var) or not isinstance(p.type, Ptr):
        hint = "x.ptr gives a tensor's pointer"
        raise BadOperand(b.loc, function="assume_aligned", detail="needs a Ptr", hint=hint)
    n = alignment(b, nbytes, "assume_aligned")
    if not b.unchecked:
        low = b.emit1(arith.band, (b.emit1(address, (p,), I64), b.index(n - 1)), I64)
        odd = b.emit1(arith.compare, (low, b.index(0)), BOOL, test="ne")
        b.raise_if(odd, ValueError, f"the address is not a multiple of {n}")
    return b.emit1(assume_aligned, (p,), p.type, align=n)


@assume_aligned.reference
def _(op, p):
    return p


@assume_aligned.lowering
def _(e, op, p):
    if e.type(op.operands[0].type) == "ptr":
        e.declare("declare void @llvm.assume(i1)")
        e.line(f'call void @llvm.assume(i1 true) ["align"(ptr {p}, i64 {op.attrs["align"]})]')
    return p


def alignment(b, nbytes: Value, function: str) -> int:
    """An alignment in bytes, known and a power of two."""
    from sapwood.lang.errors.systems import BadAlignment

    n = b.known(nbytes, "an alignment", int)
    if not 1 <= n <= 4096 or n & (n - 1):
        raise BadAlignment(b.loc, function=function, found=n)
    return n


# -- stack storage ----------------------------------------------------------------------------------


@operation(varies=True)
def stack_storage() -> Any:
    """Storage in the frame of the function: attributes `bytes` and `align`. Its contents are undefined."""


@stack_storage.reference
def _(op):
    return Pointer(Block.allocate(op.attrs["bytes"]), 0, op.result.type.elem)


@stack_storage.lowering
def _(e, op):
    return e.alloca(op.attrs["bytes"], op.attrs["align"])


def allocate_stack(b, elem: Type, nbytes: int) -> Var:
    return b.emit1(stack_storage, (), Ptr(elem, "local"), bytes=nbytes, align=64 if nbytes >= 64 else 16)
