"""Atomic operations on memory that threads share, with C++'s memory orders and the scopes of a GPU.

`order` is "relaxed", "acquire", "release", "acq_rel" or "seq_cst"; `scope`, the threads that it counts for: "block",
"cluster", "device" or "system". Both are known at compile time. Where a function says neither, it has "seq_cst" for all
of the process; in a kernel passes/orders.py decides, and docs/design/atomics.md says why. On a CPU scopes mean nothing.
The evaluator lets one thread run at a time, so there orders mean nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sapwood.lang.bits import to_bits
from sapwood.lang.errors import BadOperand
from sapwood.lang.errors.systems import BadOrdering, BadScope
from sapwood.lang.ir.ssa import Var
from sapwood.lang.ops.base import Operation, operation
from sapwood.lang.ops.convert import lower_convert
from sapwood.lang.ops.numeric import normalise
from sapwood.lang.types import F32, Ptr, Scalar
from sapwood.lang.values import Known, Value, describe

LLVM = {"relaxed": "monotonic", "acquire": "acquire", "release": "release", "acq_rel": "acq_rel", "seq_cst": "seq_cst"}
LOADS, STORES = ("relaxed", "acquire", "seq_cst"), ("relaxed", "release", "seq_cst")
FENCES = ("acquire", "release", "acq_rel", "seq_cst")
ACQUIRES = ("acquire", "acq_rel", "seq_cst")
SCOPES = ("block", "cluster", "device", "system")

# what an operation takes, in words, and whether it takes a type
Types = tuple[str, Callable[[Scalar], bool]]
INTS: Types = "an int", lambda t: t.is_int
UNSIGNED: Types = "an unsigned int", lambda t: t.kind == "uint"
ORDERED: Types = "an int, f32 or f64", lambda t: t.is_int or t.is_float and not t.narrow
NUMBERS: Types = "a number", lambda t: t.is_int or t.is_float


def _order(b, order: Value, function: str, allowed: tuple[str, ...]) -> str:
    """The order that is said; empty where none is."""
    if order == Known(None):
        return ""
    given = b.known(order, "the order", str)
    if given not in allowed:
        raise BadOrdering(b.loc, function=function, ordering=given, allowed=", ".join(allowed))
    return given


def _scope(b, scope: Value, function: str) -> str:
    if scope == Known(None):
        return ""
    given = b.known(scope, "the scope", str)
    if given not in SCOPES:
        raise BadScope(b.loc, function=function, scope=given, allowed=", ".join(SCOPES))
    return given


def _how(b, order: Value, scope: Value, function: str, allowed: tuple[str, ...]) -> dict[str, str]:
    return {"order": _order(b, order, function, allowed), "scope": _scope(b, scope, function)}


def _place(b, p: Value, function: str, types: Types) -> tuple[Var, Scalar]:
    what, takes = types
    if isinstance(p, Var) and isinstance(p.type, Ptr) and isinstance(p.type.elem, Scalar) and takes(p.type.elem):
        return p, p.type.elem
    hint = f"pass a Ptr to {what}, for example x.ptr + i"
    raise BadOperand(b.loc, function=function, detail=f"needs a pointer to {what}, not {describe(p)}", hint=hint)


def _said(e, op) -> str:
    """The scope and the order of an operation, as LLVM writes them."""
    scope = e.target.sync_scopes.get(op.attrs["scope"])
    return (f'syncscope("{scope}") ' if scope else "") + LLVM[op.attrs["order"]]


def _bits(e, elem: Scalar, x: str) -> tuple[str, str]:
    """(type, value) of the bits of a number: LLVM compares and exchanges ints."""
    t = e.type(elem)
    if t in ("float", "double"):
        return f"i{elem.bits}", e.value(f"bitcast {t} {x} to i{elem.bits}")
    return t, x


@operation(varies=True)
def atomic_load(p: Any, order: Any = None, scope: Any = None) -> Any:
    """Read a number that other threads write. Orders: relaxed, acquire, seq_cst."""


@atomic_load.typing
def _(b, p, order, scope):
    p, elem = _place(b, p, "atomic_load", NUMBERS)
    return b.emit1(atomic_load, (p,), elem, **_how(b, order, scope, "atomic_load", LOADS))


@atomic_load.reference
def _(op, p):
    return p.load(op.result.type)


@atomic_load.lowering
def _(e, op, p):
    elem, pointer = op.result.type, e.type(op.operands[0].type)
    return e.value(f"load atomic {e.type(elem)}, {pointer} {p} {_said(e, op)}, align {elem.itemsize}")


@operation()
def atomic_store(p: Any, x: Any, order: Any = None, scope: Any = None) -> None:
    """Write a number that other threads read. Orders: relaxed, release, seq_cst."""


@atomic_store.typing
def _(b, p, x, order, scope):
    p, elem = _place(b, p, "atomic_store", NUMBERS)
    b.emit(atomic_store, (p, b.coerce(x, elem)), (), _how(b, order, scope, "atomic_store", STORES))
    return Known(None)


@atomic_store.reference
def _(op, p, x):
    p.store(op.operands[1].type, x)


@atomic_store.lowering
def _(e, op, p, x):
    elem, pointer = op.operands[1].type, e.type(op.operands[0].type)
    e.line(f"store atomic {e.type(elem)} {x}, {pointer} {p} {_said(e, op)}, align {elem.itemsize}")


def _define(
    name: str, doc: str, word: str, types: Types, rule: Callable[[Any, Any], Any]
) -> Operation[..., Any]:
    """A read-modify-write: gives the old value. `word` is LLVM's, `rule` makes the new value of the old one and x."""

    def stub(p: Any, x: Any, order: Any = None, scope: Any = None) -> Any: ...

    stub.__name__, stub.__doc__ = name, doc
    op = operation(varies=True)(stub)

    @op.typing
    def _(b, p, x, order, scope):
        p, elem = _place(b, p, name, types)
        return b.emit1(op, (p, b.coerce(x, elem)), elem, **_how(b, order, scope, name, tuple(LLVM)))

    @op.reference
    def _(o, p, x):
        old = p.load(o.result.type)
        p.store(o.result.type, normalise(o.result.type, rule(old, x)))
        return old

    @op.lowering
    def _(e, o, p, x):
        elem: Scalar = o.result.type
        if elem.narrow and word == "add":
            return _add_narrow(e, o, p, x)
        full = word
        if word in ("add", "min", "max") and elem.is_float:
            full = f"f{word}"
        elif word in ("min", "max") and not elem.signed:
            full = f"u{word}"
        return e.value(f"atomicrmw {full} {e.type(o.operands[0].type)} {p}, {e.type(elem)} {x} {_said(e, o)}")

    return op


def _add_narrow(e, op, p: str, x: str) -> str:
    """Add to 16 bits of float by compare and exchange, with the sum in f32 as everywhere."""
    elem, pointer = op.result.type, e.type(op.operands[0].type)
    wide = lower_convert(e, x, elem, F32)
    first = e.value(f"load atomic i16, {pointer} {p} monotonic, align 2")
    before, head, done = e.current, e.label("add"), e.label("added")
    e.line(f"br label %{head}")
    e.block(head)
    old = e.value("phi i16 ")
    at = len(e.lines) - 1
    total = e.value(f"fadd float {lower_convert(e, old, elem, F32)}, {wide}")
    new = lower_convert(e, total, F32, elem)
    pair = e.value(f"cmpxchg {pointer} {p}, i16 {old}, i16 {new} {_said(e, op)} monotonic")
    seen = e.value(f"extractvalue {{i16, i1}} {pair}, 0")
    e.lines[at] += f"[ {first}, %{before} ], [ {seen}, %{e.current} ]"
    e.line(f"br i1 {e.value(f'extractvalue {{i16, i1}} {pair}, 1')}, label %{done}, label %{head}")
    e.block(done)
    return old


def _least(old: Any, x: Any) -> Any:
    """As IEEE 754's minimumNumber: of a number and a NaN the number."""
    return x if x < old or old != old else old


def _most(old: Any, x: Any) -> Any:
    return x if x > old or old != old else old


_FLOATS = "Of a number and a NaN it keeps the number; which of two zeros of unlike sign is open."

atomic_add = _define(
    "atomic_add", "Add to a number in one step; gives its old value.", "add", NUMBERS, lambda a, x: a + x
)
atomic_sub = _define("atomic_sub", "Subtract from an int; gives its old value.", "sub", INTS, lambda a, x: a - x)
atomic_and = _define("atomic_and", "Bitwise and; gives the old value.", "and", INTS, lambda a, x: a & x)
atomic_or = _define("atomic_or", "Bitwise or; gives the old value.", "or", INTS, lambda a, x: a | x)
atomic_xor = _define("atomic_xor", "Bitwise exclusive or; gives the old value.", "xor", INTS, lambda a, x: a ^ x)
atomic_min = _define(
    "atomic_min", f"Keep the smaller of the int, f32 or f64 and x; gives the old value. {_FLOATS}", "min", ORDERED,
    _least,
)
atomic_max = _define(
    "atomic_max", f"Keep the larger of the int, f32 or f64 and x; gives the old value. {_FLOATS}", "max", ORDERED, _most
)
atomic_exchange = _define("atomic_exchange", "Write a number; gives the old value.", "xchg", NUMBERS, lambda a, x: x)
atomic_inc = _define(
    "atomic_inc", "Count an unsigned int up, from x on to 0; gives the old value. (CUDA C++: `atomicInc`.)",
    "uinc_wrap", UNSIGNED, lambda a, x: 0 if a >= x else a + 1,
)
atomic_dec = _define(
    "atomic_dec", "Count an unsigned int down, from 0 or above x to x; gives the old value. (CUDA C++: `atomicDec`.)",
    "udec_wrap", UNSIGNED, lambda a, x: x if a == 0 or a > x else a - 1,
)


@operation(varies=True)
def atomic_cas(p: Any, expected: Any, new: Any, order: Any = None, failure: Any = None, scope: Any = None) -> Any:
    """Write `new` if the number is `expected`, bit by bit (compare and exchange); gives the old value.

    `failure` is the order where it was not: relaxed, acquire or seq_cst; else what `order` has of a load.
    """


@atomic_cas.typing
def _(b, p, expected, new, order, failure, scope):
    p, elem = _place(b, p, "atomic_cas", NUMBERS)
    how = _how(b, order, scope, "atomic_cas", tuple(LLVM))
    how["failure"] = _order(b, failure, "atomic_cas on failure", LOADS)
    return b.emit1(atomic_cas, (p, b.coerce(expected, elem), b.coerce(new, elem)), elem, **how)


@atomic_cas.reference
def _(op, p, expected, new):
    elem = op.result.type
    old = p.load(elem)
    if to_bits(elem, old) == to_bits(elem, expected):
        p.store(elem, new)
    return old


@atomic_cas.lowering
def _(e, op, p, expected, new):
    elem = op.result.type
    (t, x), (_, y) = _bits(e, elem, expected), _bits(e, elem, new)
    orders = f"{_said(e, op)} {LLVM[op.attrs['failure']]}"
    pair = e.value(f"cmpxchg {e.type(op.operands[0].type)} {p}, {t} {x}, {t} {y} {orders}")
    old = e.value(f"extractvalue {{{t}, i1}} {pair}, 0")
    return old if t == e.type(elem) else e.value(f"bitcast {t} {old} to {e.type(elem)}")


@operation()
def fence(order: Any = None, scope: Any = None) -> None:
    """Order the memory accesses before and after. Orders: acquire, release, acq_rel, seq_cst, which is the default.

    (PTX: `fence`; CUDA C++: `__threadfence_block()`, `__threadfence()` and `__threadfence_system()` are `fence()` with
    a scope.)
    """


@fence.typing
def _(b, order, scope):
    b.emit(fence, (), (), _how(b, order, scope, "fence", FENCES))
    return Known(None)


@fence.reference
def _(op):
    return None


@fence.lowering
def _(e, op):
    e.line(f"fence {_said(e, op)}")
