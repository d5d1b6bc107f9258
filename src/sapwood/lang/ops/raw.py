"""Memory of containers: moving and clearing it, comparing what lies in it."""

from __future__ import annotations

import ctypes
from typing import Any

from sapwood.lang.errors import BadOperand
from sapwood.lang.ir.ssa import Var
from sapwood.lang.ops.base import operation
from sapwood.lang.types import I64, Ptr, Ref, Stored
from sapwood.lang.values import Known, describe


def pointer_argument(b: Any, p: Any, function: str) -> Var:
    if not isinstance(p, Var) or not isinstance(p.type, Ptr):
        raise BadOperand(b.loc, function=function, detail=f"needs a Ptr, not {describe(p)}", hint="pass a pointer")
    return p


@operation(name="move_memory")
def move_memory(target: Any, source: Any, nbytes: int) -> None:
    """Copy bytes, also between places that overlap. Counts do not change: references move."""


@move_memory.typing
def _(b, target, source, nbytes):
    p, q = pointer_argument(b, target, "move_memory"), pointer_argument(b, source, "move_memory")
    b.emit(move_memory, (p, q, b.coerce(nbytes, I64)))
    return Known(None)


@move_memory.reference
def _(op, target, source, nbytes):
    ctypes.memmove(target.address, source.address, nbytes)


@move_memory.lowering
def _(e, op, target, source, nbytes):
    e.call("llvm.memmove.p0.p0.i64", "void", [("ptr", target), ("ptr", source), ("i64", nbytes), ("i1", "false")])


@operation(name="fill_memory")
def fill_memory(target: Any, byte: int, nbytes: int) -> None:
    """Set bytes to one value."""


@fill_memory.typing
def _(b, target, byte, nbytes):
    value = b.known(byte, "the byte of fill_memory", int)
    b.emit(fill_memory, (pointer_argument(b, target, "fill_memory"), b.coerce(nbytes, I64)), (), {"byte": value})
    return Known(None)


@fill_memory.reference
def _(op, target, nbytes):
    ctypes.memset(target.address, op.attrs["byte"], nbytes)


@fill_memory.lowering
def _(e, op, target, nbytes):
    byte = str(op.attrs["byte"])
    e.call("llvm.memset.p0.i64", "void", [("ptr", target), ("i8", byte), ("i64", nbytes), ("i1", "false")])


@operation(name="holds_references")
def holds_references(kind: Any) -> Any:
    """Whether elements (types.Stored) hold references, known at compile time: if not, copying is copying memory."""
    ...


@holds_references.typing
def _(b, kind):
    stored = b.known(kind, "the type of elements", Stored)
    return Known(any(isinstance(leaf, Ref) for leaf in stored.spec.leaves()))


@operation(name="keep")
def keep(x: Any) -> None:
    """Does nothing, but what it is given lives so long."""


@keep.typing
def _(b, x):
    from sapwood.lang.values import leaves_of

    b.emit(keep, tuple(leaves_of(x)))
    return Known(None)


@keep.reference
def _(op, *leaves):
    return None


@keep.lowering
def _(e, op, *leaves):
    return None


# -- what lies there --------------------------------------------------------------------------------


@operation(name="equal_values")
def equal_values(x: Any, y: Any) -> Any:
    """Python's `x == y` between elements of containers; values of unlike types are not equal."""
    ...


@equal_values.typing
def _(b, x, y):
    from sapwood.lang.infer.equality import equal

    return equal(b.interpreter.frames[-1], x, y)


@operation(name="less_values")
def less_values(x: Any, y: Any) -> Any:
    """Python's `x < y`; of tuples the first items that differ decide."""
    ...


@less_values.typing
def _(b, x, y):
    from sapwood.lang.infer.equality import less

    return less(b.interpreter.frames[-1], x, y)
