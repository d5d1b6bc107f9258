"""Vectors: lanes, shuffles, reductions, dot products."""

from __future__ import annotations

from functools import reduce
from typing import Any

from sapwood.lang.errors import BadOperand, TooManyLanes
from sapwood.lang.ir.ssa import Var
from sapwood.lang.ops import arith
from sapwood.lang.ops.base import Operation, operation
from sapwood.lang.ops.numeric import compute, normalise, round_float
from sapwood.lang.types import BF16, BOOL, F32, Scalar, Simd, elem_of
from sapwood.lang.values import Value, describe


def vector_type(b, elem: Scalar, lanes: int) -> Simd:
    if not isinstance(lanes, int) or lanes < 1 or lanes > 1024 or lanes & (lanes - 1):
        raise TooManyLanes(b.loc, elem=elem, lanes=lanes)
    return Simd(elem, lanes)


def require_vector(b, v: Value, function: str) -> Var:
    if isinstance(v, Var) and isinstance(v.type, Simd):
        return v
    detail = f"needs a SIMD vector, not {describe(v)}"
    raise BadOperand(b.loc, function=function, detail=detail, hint="load one: x.load(i, width=8)")


@operation(pure=True)
def extract(v: Any, i: Any) -> Any:
    """One lane; the lane number is taken modulo the number of lanes."""


@extract.reference
def _(op, v, i):
    return v[i % len(v)]


@extract.lowering
def _(e, op, v, i):
    ty = op.operands[0].type
    if not e.is_literal(i):
        i = e.value(f"and i64 {i}, {ty.lanes - 1}")
    return e.value(f"extractelement {e.type(ty)} {v}, i64 {i}")


@operation(pure=True)
def insert(v: Any, i: Any, x: Any) -> Any:
    """A vector with one lane replaced; the lane number is taken modulo the number of lanes."""


@insert.reference
def _(op, v, i, x):
    k = i % len(v)
    return (*v[:k], x, *v[k + 1 :])


@insert.lowering
def _(e, op, v, i, x):
    ty = op.result.type
    if not e.is_literal(i):
        i = e.value(f"and i64 {i}, {ty.lanes - 1}")
    return e.value(f"insertelement {e.type(ty)} {v}, {e.type(ty.elem)} {x}, i64 {i}")


@operation(pure=True)
def permute(v: Any, w: Any) -> Any:
    """Lanes of v followed by lanes of w, chosen by the attribute `lanes`."""


@permute.reference
def _(op, v, w):
    both = v + w
    return tuple(both[i] for i in op.attrs["lanes"])


@permute.lowering
def _(e, op, v, w):
    t = e.type(op.operands[0].type)
    mask = ", ".join(f"i32 {i}" for i in op.attrs["lanes"])
    return e.value(f"shufflevector {t} {v}, {t} {w}, <{len(op.attrs['lanes'])} x i32> <{mask}>")


def permuted(b, v: Var, w: Var, lanes: tuple[int, ...]) -> Var:
    return b.emit1(permute, (v, w), Simd(elem_of(v.type), len(lanes)), lanes=lanes)


@operation(pure=True)
def shuffle(v: Any, lanes: tuple[int, ...]) -> Any:
    """Lanes of v in the given order, a compile-time tuple of lane numbers (its length: a power of two)."""


@shuffle.typing
def _(b, v, lanes):
    v = require_vector(b, v, "shuffle")
    order = b.known(lanes, "the lane order", tuple)
    vector_type(b, v.type.elem, len(order))
    if not all(isinstance(i, int) and 0 <= i < v.type.lanes for i in order):
        detail = f"lane numbers must be from 0 to {v.type.lanes - 1}"
        raise BadOperand(b.loc, function="shuffle", detail=detail, hint="for example (1, 0, 3, 2)")
    return permuted(b, v, v, order)


@operation(pure=True)
def join(v: Any, w: Any) -> Any:
    """The lanes of v followed by those of w."""


@join.typing
def _(b, v, w):
    v, w = require_vector(b, v, "join"), require_vector(b, w, "join")
    if v.type != w.type:
        raise BadOperand(b.loc, function="join", detail=f"{v.type} and {w.type} differ", hint="cast one of them")
    return permuted(b, v, w, tuple(range(2 * v.type.lanes)))


@operation(pure=True)
def iota(dtype: Any, lanes: int) -> Any:
    """0, 1, 2, ... as SIMD[dtype, lanes]."""


@iota.typing
def _(b, dtype, lanes):
    from sapwood.lang.ops.convert import dtype_argument

    ty = vector_type(b, dtype_argument(b, dtype, "iota"), b.known(lanes, "the number of lanes", int))
    return b.emit1(iota, (), ty)


@iota.reference
def _(op):
    ty = op.result.type
    return tuple(normalise(ty.elem, i) for i in range(ty.lanes))


@iota.lowering
def _(e, op):
    ty = op.result.type
    items = ", ".join(f"{e.type(ty.elem)} {e.literal(ty.elem, normalise(ty.elem, i))}" for i in range(ty.lanes))
    return f"<{items}>"


# -- reductions: on floats always the same tree, halves first, so that every target gives the same bits ---

_STEPS: dict[str, Operation[..., Any]] = {
    "add": arith.add,
    "mul": arith.mul,
    "min": arith.minimum,
    "max": arith.maximum,
    "and": arith.band,
    "or": arith.bor,
}


@operation(pure=True)
def reduce_ints(v: Any) -> Any:
    """All lanes of an int or bool vector combined; attribute `kind` says how. The order does not matter."""


@reduce_ints.reference
def _(op, v):
    elem = op.result.type
    step = {"add": lambda x, y: x + y, "mul": lambda x, y: x * y, "min": min, "max": max,
            "and": lambda x, y: x & y, "or": lambda x, y: x | y}[op.attrs["kind"]]  # fmt: skip
    return reduce(compute(elem, step), v)


@reduce_ints.lowering
def _(e, op, v):
    # The intrinsic and not a tree of shuffles: LLVM 20 takes a halving tree over products of bytes for a
    # VNNI dot product and sums the first four lanes only.
    ty, kind = op.operands[0].type, op.attrs["kind"]
    sign = ("s" if ty.elem.signed else "u") if kind in ("min", "max") else ""
    return e.call(f"llvm.vector.reduce.{sign}{kind}.{e.mangle(ty)}", e.type(ty.elem), [(e.type(ty), v)])


def _reduce(b, kind: str, v: Var) -> Var:
    if isinstance(v.type, Simd) and v.type.lanes > 1 and not v.type.elem.is_float:
        return b.emit1(reduce_ints, (v,), v.type.elem, kind=kind)
    while isinstance(v.type, Simd) and v.type.lanes > 1:
        n = v.type.lanes // 2
        low = permuted(b, v, v, tuple(range(n)))
        high = permuted(b, v, v, tuple(range(n, 2 * n)))
        v = b.emit1(_STEPS[kind], (low, high), low.type)
    return b.emit1(extract, (v, b.index(0)), elem_of(v.type))


def _define_reduction(name: str, kind: str, doc: str) -> Operation[..., Any]:
    def stub(v: Any) -> Any: ...

    stub.__name__, stub.__doc__ = name, doc
    op = operation(pure=True)(stub)

    @op.typing
    def _(b, v):
        v = require_vector(b, v, name)
        if kind in ("and", "or") and v.type.elem.is_float or name in ("any", "all") and v.type.elem != BOOL:
            want = "bool" if name in ("any", "all") else "ints"
            hint = "compare first, for example any(v > 0)"
            raise BadOperand(b.loc, function=name, detail=f"needs a vector of {want}, not {v.type}", hint=hint)
        return _reduce(b, kind, v)

    return op


reduce_add = _define_reduction("reduce_add", "add", "Sum of the lanes: halves are added until one is left.")
reduce_mul = _define_reduction("reduce_mul", "mul", "Product of the lanes, by halves.")
reduce_min = _define_reduction("reduce_min", "min", "Smallest lane (as Python's min, by halves).")
reduce_max = _define_reduction("reduce_max", "max", "Largest lane (as Python's max, by halves).")
any_lane = _define_reduction("any", "or", "Whether any lane of a bool vector is true.")
all_lanes = _define_reduction("all", "and", "Whether all lanes of a bool vector are true.")


# -- dot products -----------------------------------------------------------------------------------


@operation(pure=True)
def dot_bf16(acc: Any, x: Any, y: Any) -> Any:
    """acc[i] + x[2i+1] * y[2i+1] + x[2i] * y[2i] for SIMD[bf16, 2N] x, y and SIMD[f32, N] acc.

    One instruction (VDPBF16PS); subnormal inputs and results count as zero, products and sums round to
    nearest even, odd elements first. Legal on x86 with avx512bf16 for N of 4, 8 and 16.
    """


@dot_bf16.typing
def _(b, acc, x, y):
    acc = require_vector(b, acc, "dot_bf16")
    x, y = require_vector(b, x, "dot_bf16"), require_vector(b, y, "dot_bf16")
    n = acc.type.lanes
    if acc.type.elem != F32 or x.type != Simd(BF16, 2 * n) or y.type != x.type:
        detail = f"got {acc.type}, {x.type} and {y.type}"
        raise BadOperand(b.loc, function="dot_bf16", detail=detail, hint="SIMD[f32, N] and twice SIMD[bf16, 2 * N]")
    return b.emit1(dot_bf16, (acc, x, y), acc.type)


def _flush(v: float) -> float:
    return v * 0.0 if abs(v) < 2.0**-126 else v


@dot_bf16.reference
def _(op, acc, x, y):
    def step(a: float, p: float, q: float) -> float:
        exact = arith._exact_fma(_flush(p), _flush(q), a)
        return _flush(round_float(F32, exact))

    out = []
    for i, a in enumerate(acc):
        a = step(_flush(a), x[2 * i + 1], y[2 * i + 1])
        out.append(step(a, x[2 * i], y[2 * i]))
    return tuple(out)


@dot_bf16.legality
def _(target, op):
    if not target.has("avx512bf16"):
        return "dot_bf16 needs avx512bf16"
    n = op.result.type.lanes
    if n == 16 or (n in (4, 8) and target.has("avx512vl")):
        return None
    return "dot_bf16 takes 4, 8 or 16 lanes"


@dot_bf16.lowering
def _(e, op, acc, x, y):
    n = op.result.type.lanes
    f, h = f"<{n} x float>", f"<{2 * n} x bfloat>"
    t = e.type(op.operands[1].type)
    p, q = e.value(f"bitcast {t} {x} to {h}"), e.value(f"bitcast {t} {y} to {h}")
    return e.call(f"llvm.x86.avx512bf16.dpbf16ps.{32 * n}", f, [(f, acc), (h, p), (h, q)])


