"""Dot products of small integers that lie in one register: `dp4a`, `dp2a`.

Source: PTX ISA, "Integer Arithmetic Instructions: dp4a" and "... dp2a". A GPU has an instruction; elsewhere it is plain
arithmetic, in the language (lang/library/dot.py).
"""

from __future__ import annotations

from typing import Any

from sapwood.lang.bits import wrap_int
from sapwood.lang.errors import BadOperand
from sapwood.lang.ir.ssa import Var
from sapwood.lang.ops.base import operation
from sapwood.lang.types import I32, U32
from sapwood.lang.values import Known, Value, describe


@operation(pure=True, space="kernel")
def dot_product(a: Any, b: Any, c: Any) -> Any:
    """The instruction; attribute `first` is the first byte of b, `count` how many products there are: 4 of bytes, 2 of
    a's halves and bytes of b."""


@dot_product.reference
def _(ev, op, a, b, c):
    return dot(op, a, b, c)


def parts(x: int, signed: bool, bits: int) -> list[int]:
    """The numbers of so many bits in a word, the lowest first."""
    found = [x >> at & (1 << bits) - 1 for at in range(0, 32, bits)]
    return [v - (1 << bits) if signed and v >> bits - 1 else v for v in found]


def dot(op: Any, a: int, b: int, c: int) -> int:
    n, first = op.attrs["count"], op.attrs["first"]
    left = parts(a, op.operands[0].type.signed, 32 // n)
    right = parts(b, op.operands[1].type.signed, 8)[first : first + n]
    return wrap_int(op.result.type, c + sum(x * y for x, y in zip(left, right, strict=True)))


@dot_product.lowering
def _(e, op, a, b, c):
    signs = "".join(f".{'s' if v.type.signed else 'u'}" for v in op.operands[:2])
    return e.thread.dot_product(op.attrs["count"], op.attrs["first"], signs, a, b, c)


def _operands(b: Any, function: str, x: Value, y: Value, z: Value) -> tuple[Var, Var, Var]:
    for value in (x, y):
        if not isinstance(value, Var) or value.type not in (I32, U32):
            hint = "an i32 holds signed bytes and a u32 unsigned ones; x.bitcast(u32) makes one of the other"
            raise BadOperand(b.loc, function=function, detail=f"it packs i32 and u32, not {describe(value)}", hint=hint)
    return x, y, b.coerce(z, I32 if I32 in (x.type, y.type) else U32)  # type: ignore[return-value, union-attr]


@operation()
def dp4a(a: Any, b: Any, c: Any) -> Any:
    """c and the four products of the bytes of a and b, added; sums wrap.

    a and b are an i32, four signed bytes, or a u32, four unsigned ones; c and the result are i32, or u32 where both
    are. (PTX: `dp4a`; CUDA C++: `__dp4a`.)
    """


@dp4a.typing
def _(b, x, y, z):
    return _dot(b, "dp4a", x, y, z, 4, 0)


@operation()
def dp2a(a: Any, b: Any, c: Any, high: bool = False) -> Any:
    """c and two products, of the halves of a and of the low two bytes of b, or of its `high` ones; sums wrap.

    a is an i32, two i16, or a u32, two u16; b, c and the result are as those of `dp4a`. `high` is known at compile
    time. (PTX: `dp2a.lo`, `dp2a.hi`; CUDA C++: `__dp2a_lo`, `__dp2a_hi`.)
    """


@dp2a.typing
def _(b, x, y, z, high):
    return _dot(b, "dp2a", x, y, z, 2, 2 if b.known(high, "high of dp2a", bool) else 0)


def _dot(b: Any, function: str, x: Value, y: Value, z: Value, count: int, first: int) -> Value:
    from sapwood.lang.library.dot import sum_of_products

    x, y, z = _operands(b, function, x, y, z)
    if b.target.gpu:
        return b.emit1(dot_product, (x, y, z), z.type, count=count, first=first)
    return b.interpreter.call_function(sum_of_products, (x, y, z, Known(count), Known(first)))
