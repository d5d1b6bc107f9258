"""Calls of native functions by name or address, addresses of symbols, pauses: what the thread pool is made of."""

from __future__ import annotations

from typing import Any

from sapwood.lang.ir.ssa import Var
from sapwood.lang.ops.base import operation
from sapwood.lang.types import I64
from sapwood.lang.values import Known, Value


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
