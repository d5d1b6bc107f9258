"""Which type two operands meet in.

Literals are weak: they take the other side's type (an int literal any numeric type, a float literal any float
type). Otherwise: the wider of a kind; an int meets a float in that float; an unsigned int meets a wider
signed one. bf16 with f16, and signed with unsigned of the same width, have no common type.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sapwood.lang.errors import BadOperand, LaneMismatch, MixedSigns, NoOperator
from sapwood.lang.errors.hints import operand_hint
from sapwood.lang.ir.ssa import Var
from sapwood.lang.types import F64, I64, Scalar, Simd, elem_of, is_numeric, like
from sapwood.lang.values import Known, Value, describe

if TYPE_CHECKING:
    from sapwood.lang.infer.builder import Builder

Number = Scalar | Simd


def common_type(b: Builder, op: str, values: Sequence[Value]) -> Number:
    strong: Number | None = None
    weak_float = weak_int = False
    for v in values:
        match v:
            case Var(type=Scalar() | Simd() as t):
                strong = t if strong is None else _meet(b, op, strong, t)
            case Known(value=bool()):
                pass
            case Known(value=int()):
                weak_int = True
            case Known(value=float()):
                weak_float = True
            case _:
                raise _no_operator(b, op, values)
    if strong is None:
        return F64 if weak_float else I64
    elem = elem_of(strong)
    if weak_float and not elem.is_float:
        return like(strong, F64)
    if weak_int and elem.kind == "bool":
        return like(strong, I64)
    return strong


def to_type(b: Builder, value: Value, ty: Number) -> Var:
    """Bring one operand to the common type."""
    if isinstance(value, Known):
        return b.const(value.value, ty)
    assert isinstance(value, Var)
    return b.convert(value, ty)


def _no_operator(b: Builder, op: str, values: Sequence[Value]) -> NoOperator | BadOperand:
    if op.isidentifier():  # a function of numbers
        wrong = next(v for v in values if not is_numeric(v.type if isinstance(v, Var) else None))
        return BadOperand(b.loc, function=op, detail=f"takes numbers, not {describe(wrong)}", hint="pass a number")
    left = describe(values[0])
    right = describe(values[1]) if len(values) > 1 else ""
    return NoOperator(b.loc, left=left, op=op, right=right, hint=operand_hint(op, left, right))


def _meet(b: Builder, op: str, x: Number, y: Number) -> Number:
    lanes: Number
    if isinstance(x, Simd) and isinstance(y, Simd) and x.lanes != y.lanes:
        raise LaneMismatch(b.loc, left=x, op=op, right=y)
    lanes = x if isinstance(x, Simd) else y
    p, q = elem_of(x), elem_of(y)
    if p == q:
        return like(lanes, p)
    if p.kind == "bool" or q.kind == "bool":
        return like(lanes, q if p.kind == "bool" else p)
    if p.is_float != q.is_float:
        return like(lanes, p if p.is_float else q)
    if p.is_float:
        if p.bits == q.bits:
            hint = "convert one of them, for example f32(x)"
            raise NoOperator(b.loc, left=x, op=op, right=y, hint=hint)
        return like(lanes, p if p.bits > q.bits else q)
    if p.kind == q.kind:
        return like(lanes, p if p.bits > q.bits else q)
    signed, unsigned = (p, q) if p.signed else (q, p)
    if signed.bits > unsigned.bits:
        return like(lanes, signed)
    raise MixedSigns(b.loc, left=x, op=op, right=y, to=signed)
