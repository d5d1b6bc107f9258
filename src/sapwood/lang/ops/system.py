"""Systems programming: atomics, calls of native functions, function addresses, pauses.

What the thread pool is made of. Atomics are sequentially consistent.
"""

from __future__ import annotations

from typing import Any

from sapwood.lang.errors import BadOperand
from sapwood.lang.ir.ssa import Var
from sapwood.lang.ops.base import operation
from sapwood.lang.ops.numeric import normalise
from sapwood.lang.types import I64, Ptr, Scalar
from sapwood.lang.values import Known, Value, describe


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
def atomic_load(p: Any) -> Any:
    """Read an int that other threads write."""


@atomic_load.typing
def _(b, p):
    p, elem = _place(b, p, "atomic_load")
    return b.emit1(atomic_load, (p,), elem)


@atomic_load.reference
def _(op, p):
    return p.load(op.result.type)


@atomic_load.lowering
def _(e, op, p):
    t, pt, align = _natural(e, op)
    return e.value(f"load atomic {t}, {pt} {p} seq_cst, align {align}")


@operation()
def atomic_store(p: Any, x: Any) -> None:
    """Write an int that other threads read."""


@atomic_store.typing
def _(b, p, x):
    p, elem = _place(b, p, "atomic_store")
    b.emit(atomic_store, (p, b.coerce(x, elem)))
    return Known(None)


@atomic_store.reference
def _(op, p, x):
    p.store(op.operands[1].type, x)


@atomic_store.lowering
def _(e, op, p, x):
    t, pt, align = _natural(e, op)
    e.line(f"store atomic {t} {x}, {pt} {p} seq_cst, align {align}")


@operation(varies=True)
def atomic_add(p: Any, x: Any) -> Any:
    """Add to an int, f32 or f64 and give its old value, in one step."""


@atomic_add.typing
def _(b, p, x):
    p, elem = _place(b, p, "atomic_add", floats=True)
    return b.emit1(atomic_add, (p, b.coerce(x, elem)), elem)


@atomic_add.reference
def _(op, p, x):
    old = p.load(op.result.type)
    p.store(op.result.type, normalise(op.result.type, old + x))
    return old


@atomic_add.lowering
def _(e, op, p, x):
    t, pt, _ = _natural(e, op)
    word = "fadd" if op.result.type.is_float else "add"
    return e.value(f"atomicrmw {word} {pt} {p}, {t} {x} seq_cst")


@operation(varies=True)
def atomic_cas(p: Any, expected: Any, new: Any) -> Any:
    """Write `new` if the value is `expected`; gives the old value."""


@atomic_cas.typing
def _(b, p, expected, new):
    p, elem = _place(b, p, "atomic_cas")
    return b.emit1(atomic_cas, (p, b.coerce(expected, elem), b.coerce(new, elem)), elem)


@atomic_cas.reference
def _(op, p, expected, new):
    old = p.load(op.result.type)
    if old == expected:
        p.store(op.result.type, new)
    return old


@atomic_cas.lowering
def _(e, op, p, expected, new):
    t, pt, _ = _natural(e, op)
    pair = e.value(f"cmpxchg {pt} {p}, {t} {expected}, {t} {new} seq_cst seq_cst")
    return e.value(f"extractvalue {{{t}, i1}} {pair}, 0")


@operation()
def cpu_pause() -> None:
    """Tell the processor that this is a waiting loop."""


@cpu_pause.typing
def _(b):
    b.emit(cpu_pause)
    return Known(None)


@cpu_pause.reference
def _(op):
    return None


@cpu_pause.lowering
def _(e, op):
    if e.target.name == "x86":
        e.call("llvm.x86.sse2.pause", "void", [])


@operation(space="host")
def call_native(symbol: str, result: Any, *args: Any) -> Any:
    """Call a C function of the process by name; arguments are i64, i32 and pointers, the result is a dtype."""


def _native_arguments(b, args: Value) -> list[Var]:
    from sapwood.lang.ops.operators import tuple_items

    return [b.materialize(a) if not isinstance(a, Var) else a for a in tuple_items(args)]


@call_native.typing
def _(b, symbol, result, args):
    from sapwood.lang.ops.convert import dtype_argument

    name = b.known(symbol, "the symbol", str)
    ty = dtype_argument(b, result, "call_native")
    return b.emit1(call_native, tuple(_native_arguments(b, args)), ty, symbol=name)


@call_native.reference
def _(op, *values):
    raise NotImplementedError("the evaluator does not call native functions")


@call_native.lowering
def _(e, op, *values):
    args = [(e.type(v.type), x) for v, x in zip(op.operands, values, strict=True)]
    return e.call(op.attrs["symbol"], e.type(op.result.type), args)


@operation(space="host")
def call_address(address: Any, result: Any, *args: Any) -> Any:
    """Call a C function by its address."""


@call_address.typing
def _(b, address, result, args):
    from sapwood.lang.ops.convert import dtype_argument

    ty = dtype_argument(b, result, "call_address")
    return b.emit1(call_address, (b.coerce(address, I64), *_native_arguments(b, args)), ty)


@call_address.reference
def _(op, *values):
    raise NotImplementedError("the evaluator does not call native functions")


@call_address.lowering
def _(e, op, address, *values):
    pointer = e.value(f"inttoptr i64 {address} to ptr")
    args = ", ".join(f"{e.type(v.type)} {x}" for v, x in zip(op.operands[1:], values, strict=True))
    return e.value(f"call {e.type(op.result.type)} {pointer}({args})")


@operation(space="host")
def symbol_address(symbol: str) -> Any:
    """The address of a symbol of this object or of the process."""


@symbol_address.typing
def _(b, symbol):
    return b.emit1(symbol_address, (), I64, symbol=b.known(symbol, "the symbol", str))


@symbol_address.reference
def _(op):
    raise NotImplementedError("the evaluator has no symbols")


@symbol_address.lowering
def _(e, op):
    return e.value(f"ptrtoint ptr @{op.attrs['symbol']} to i64")
