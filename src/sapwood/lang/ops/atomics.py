"""Atomic operations on memory that threads share, with C++'s memory orderings.

`ordering` is "relaxed", "acquire", "release", "acq_rel" or "seq_cst" (which is the default), known at compile time.
The evaluator runs one thread, so orderings mean nothing there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sapwood.lang.errors import BadOperand
from sapwood.lang.errors.systems import BadOrdering
from sapwood.lang.ir.ssa import Var
from sapwood.lang.ops.base import Operation, operation
from sapwood.lang.ops.numeric import normalise
from sapwood.lang.types import Ptr, Scalar
from sapwood.lang.values import Known, Value, describe

LLVM = {"relaxed": "monotonic", "acquire": "acquire", "release": "release", "acq_rel": "acq_rel", "seq_cst": "seq_cst"}
LOADS, STORES = ("relaxed", "acquire", "seq_cst"), ("relaxed", "release", "seq_cst")
FENCES = ("acquire", "release", "acq_rel", "seq_cst")


def _ordering(b, ordering: Value, function: str, allowed: tuple[str, ...]) -> str:
    given = b.known(ordering, "the ordering", str)
    if given not in allowed:
        raise BadOrdering(b.loc, function=function, ordering=given, allowed=", ".join(allowed))
    return given


def _place(b, p: Value, function: str, floats: bool = False) -> tuple[Var, Scalar]:
    if isinstance(p, Var) and isinstance(p.type, Ptr) and isinstance(p.type.elem, Scalar):
        elem = p.type.elem
        if elem.is_int or floats and elem.is_float and not elem.narrow:
            return p, elem
    if floats:
        hint = "pass a Ptr to an integer, f32 or f64, for example x.ptr + i"
        raise BadOperand(b.loc, function=function, detail=f"cannot add to {describe(p)}", hint=hint)
    hint = "pass a Ptr to an integer, for example x.ptr + i"
    raise BadOperand(b.loc, function=function, detail=f"needs a pointer to an int, not {describe(p)}", hint=hint)


def _natural(e, op) -> tuple[str, str, int]:
    elem = op.operands[0].type.elem
    return e.type(elem), e.type(op.operands[0].type), elem.itemsize


@operation(varies=True)
def atomic_load(p: Any, ordering: str = "seq_cst") -> Any:
    """Read an int that other threads write. Orderings: relaxed, acquire, seq_cst."""


@atomic_load.typing
def _(b, p, ordering):
    p, elem = _place(b, p, "atomic_load")
    return b.emit1(atomic_load, (p,), elem, ordering=_ordering(b, ordering, "atomic_load", LOADS))


@atomic_load.reference
def _(op, p):
    return p.load(op.result.type)


@atomic_load.lowering
def _(e, op, p):
    t, pt, align = _natural(e, op)
    return e.value(f"load atomic {t}, {pt} {p} {LLVM[op.attrs['ordering']]}, align {align}")


@operation()
def atomic_store(p: Any, x: Any, ordering: str = "seq_cst") -> None:
    """Write an int that other threads read. Orderings: relaxed, release, seq_cst."""


@atomic_store.typing
def _(b, p, x, ordering):
    p, elem = _place(b, p, "atomic_store")
    attrs = {"ordering": _ordering(b, ordering, "atomic_store", STORES)}
    b.emit(atomic_store, (p, b.coerce(x, elem)), (), attrs)
    return Known(None)


@atomic_store.reference
def _(op, p, x):
    p.store(op.operands[1].type, x)


@atomic_store.lowering
def _(e, op, p, x):
    t, pt, align = _natural(e, op)
    e.line(f"store atomic {t} {x}, {pt} {p} {LLVM[op.attrs['ordering']]}, align {align}")


def _define(
    name: str, doc: str, word: str, rule: Callable[[Any, Any], Any], floats: bool = False
) -> Operation[..., Any]:
    """A read-modify-write: gives the old value."""

    def stub(p: Any, x: Any, ordering: str = "seq_cst") -> Any: ...

    stub.__name__, stub.__doc__ = name, doc
    op = operation(varies=True)(stub)

    @op.typing
    def _(b, p, x, ordering):
        p, elem = _place(b, p, name, floats)
        how = _ordering(b, ordering, name, tuple(LLVM))
        return b.emit1(op, (p, b.coerce(x, elem)), elem, ordering=how)

    @op.reference
    def _(o, p, x):
        old = p.load(o.result.type)
        p.store(o.result.type, normalise(o.result.type, rule(old, x)))
        return old

    @op.lowering
    def _(e, o, p, x):
        t, pt, _ = _natural(e, o)
        elem = o.result.type
        full = f"f{word}" if elem.is_float and word == "add" else word
        if word in ("min", "max") and not elem.signed:
            full = f"u{word}"
        return e.value(f"atomicrmw {full} {pt} {p}, {t} {x} {LLVM[o.attrs['ordering']]}")

    return op


atomic_add = _define(
    "atomic_add", "Add to an int, f32 or f64 in one step; gives its old value.", "add", lambda a, x: a + x, floats=True
)
atomic_sub = _define("atomic_sub", "Subtract from an int in one step; gives its old value.", "sub", lambda a, x: a - x)
atomic_and = _define("atomic_and", "Bitwise and in one step; gives the old value.", "and", lambda a, x: a & x)
atomic_or = _define("atomic_or", "Bitwise or in one step; gives the old value.", "or", lambda a, x: a | x)
atomic_xor = _define("atomic_xor", "Bitwise exclusive or in one step; gives the old value.", "xor", lambda a, x: a ^ x)
atomic_min = _define("atomic_min", "Keep the smaller of the int and x; gives the old value.", "min", min)
atomic_max = _define("atomic_max", "Keep the larger of the int and x; gives the old value.", "max", max)
atomic_exchange = _define("atomic_exchange", "Write an int in one step; gives the old value.", "xchg", lambda a, x: x)


@operation(varies=True)
def atomic_cas(p: Any, expected: Any, new: Any, ordering: str = "seq_cst", failure: str = "") -> Any:
    """Write `new` if the value is `expected` (compare and exchange); gives the old value.

    `failure` is the ordering where it was not: relaxed, acquire or seq_cst; else what `ordering` has of a load.
    """


@atomic_cas.typing
def _(b, p, expected, new, ordering, failure):
    p, elem = _place(b, p, "atomic_cas")
    how = _ordering(b, ordering, "atomic_cas", tuple(LLVM))
    weaker = {"release": "relaxed", "acq_rel": "acquire"}.get(how, how)
    other = weaker if failure == Known("") else _ordering(b, failure, "atomic_cas on failure", LOADS)
    operands = (p, b.coerce(expected, elem), b.coerce(new, elem))
    return b.emit1(atomic_cas, operands, elem, ordering=how, failure=other)


@atomic_cas.reference
def _(op, p, expected, new):
    old = p.load(op.result.type)
    if old == expected:
        p.store(op.result.type, new)
    return old


@atomic_cas.lowering
def _(e, op, p, expected, new):
    t, pt, _ = _natural(e, op)
    orders = f"{LLVM[op.attrs['ordering']]} {LLVM[op.attrs['failure']]}"
    pair = e.value(f"cmpxchg {pt} {p}, {t} {expected}, {t} {new} {orders}")
    return e.value(f"extractvalue {{{t}, i1}} {pair}, 0")


@operation()
def fence(ordering: str = "seq_cst") -> None:
    """Order the memory accesses before and after. Orderings: acquire, release, acq_rel, seq_cst."""


@fence.typing
def _(b, ordering):
    b.emit(fence, (), (), {"ordering": _ordering(b, ordering, "fence", FENCES)})
    return Known(None)


@fence.reference
def _(op):
    return None


@fence.lowering
def _(e, op):
    e.line(f"fence {LLVM[op.attrs['ordering']]}")
