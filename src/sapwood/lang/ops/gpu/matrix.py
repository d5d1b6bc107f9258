"""Matrix units: a warp multiplies two small matrices that lie, in pieces, in its threads' registers.

A thread's piece is a fragment: a tuple of scalars. `UNITS` is the table of what there is; everything else follows from
it: types, legality, the place of each element, the instruction. Source: PTX ISA, "Warp Level Matrix Multiply-Accumulate
Instructions" (`mma.sync`), and the section that each entry names for its fragments.

A target with matrix units gets one operation, `mma_sync`. Elsewhere the warp does the same by shuffles, in the language
(lang/library/tile.py).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from sapwood.lang.api import dtypes
from sapwood.lang.bits import from_bits, to_bits, wrap_int
from sapwood.lang.errors import BadOperand
from sapwood.lang.ops import arith
from sapwood.lang.ops.base import operation
from sapwood.lang.ops.numeric import round_float
from sapwood.lang.types import F32, Tuple
from sapwood.lang.values import Agg, Known, Var, describe

Digits = tuple[tuple[int, int, int], ...]
Place = tuple[int, int]  # row, column
WARP = 32


@dataclass(frozen=True)
class Fragment:
    """Where the elements of a matrix lie in the threads of a warp.

    `lanes` and `elements` take a lane's number, and that of an element in its tuple, apart into digits, the fastest
    first: each is (how many values it has, rows that a step of it moves, columns that it moves).
    """

    rows: int
    columns: int
    size: int  # elements that a thread has
    lanes: Digits
    elements: Digits

    @property
    def threads(self) -> int:
        """How many threads have it: those of a warp, or of a warpgroup."""
        return math.prod(count for count, _, _ in self.lanes)

    def place(self, lane: int, k: int) -> Place:
        """(row, column) of element k of a lane's tuple. In kernels it is `fragment_place(fragment, lane, k)`."""
        row = column = 0
        for number, digits in ((lane, self.lanes), (k, self.elements)):
            for count, down, right in digits:
                number, digit = divmod(number, count)
                row, column = row + digit * down, column + digit * right
        return row, column


@dataclass(frozen=True, repr=False)
class Unit:
    """One kind of product: `m x k` times `k x n`, added to `m x n`. `a` and `c` are fragments."""

    name: str
    m: int
    n: int
    k: int
    factor: Any  # dtype of the elements of A and B
    sum: Any  # dtype of the elements of C and of the result
    ptx: str  # the instruction
    a: Fragment
    c: Fragment

    def __repr__(self) -> str:
        return self.name


@dataclass(frozen=True, repr=False)
class MatrixUnit(Unit):
    """One of a warp; `b` is a fragment, too."""

    b: Fragment
    since: int  # the first NVIDIA architecture that has it
    section: str  # of the PTX ISA, where its fragments are drawn


def _unit(m: int, k: int, factor: Any, total: Any, ptx_types: str, since: int, suffix: str = "") -> MatrixUnit:
    """A product of m8n8 or m16n8: eight groups of four lanes, and registers of 32 bits that hold `p` factors each.

    A group has a row of A and of C, or two that are eight apart, and a column of B. Along k each lane has `p`
    neighbours, and then those that are `4 * p` further.
    """
    p = 4 // factor.scalar.itemsize
    halves, steps = m // 8, k // (4 * p)
    elements = ((p, 0, 1), (halves, 8, 0), (steps, 0, 4 * p))
    a = Fragment(m, k, halves * steps * p, ((4, 0, p), (8, 1, 0)), elements)
    b = Fragment(k, 8, steps * p, ((4, p, 0), (8, 0, 1)), ((p, 1, 0), (steps, 4 * p, 0)))
    c = Fragment(m, 8, 2 * halves, ((4, 0, 2), (8, 1, 0)), ((2, 0, 1), (halves, 8, 0)))
    shape = f"m{m}n8k{k}"
    name = f"{shape}_{'tf32' if factor is dtypes.f32 else factor.__name__}{suffix}"
    ptx = f"mma.sync.aligned.{shape}.row.col.{ptx_types}"
    return MatrixUnit(name, m, 8, k, factor, total, ptx, a, c, b, since, f"Matrix Fragments for mma.{shape}")


m16n8k8_f16 = _unit(16, 8, dtypes.f16, dtypes.f32, "f32.f16.f16.f32", 75)
m16n8k16_f16 = _unit(16, 16, dtypes.f16, dtypes.f32, "f32.f16.f16.f32", 80)
m16n8k8_f16_f16 = _unit(16, 8, dtypes.f16, dtypes.f16, "f16.f16.f16.f16", 75, "_f16")
m16n8k16_f16_f16 = _unit(16, 16, dtypes.f16, dtypes.f16, "f16.f16.f16.f16", 80, "_f16")
m16n8k8_bf16 = _unit(16, 8, dtypes.bf16, dtypes.f32, "f32.bf16.bf16.f32", 80)
m16n8k16_bf16 = _unit(16, 16, dtypes.bf16, dtypes.f32, "f32.bf16.bf16.f32", 80)
m16n8k4_tf32 = _unit(16, 4, dtypes.f32, dtypes.f32, "f32.tf32.tf32.f32", 80)
m16n8k8_tf32 = _unit(16, 8, dtypes.f32, dtypes.f32, "f32.tf32.tf32.f32", 80)
m8n8k16_i8 = _unit(8, 16, dtypes.i8, dtypes.i32, "s32.s8.s8.s32", 75)
m8n8k16_u8 = _unit(8, 16, dtypes.u8, dtypes.i32, "s32.u8.u8.s32", 75)
m16n8k16_i8 = _unit(16, 16, dtypes.i8, dtypes.i32, "s32.s8.s8.s32", 80)
m16n8k16_u8 = _unit(16, 16, dtypes.u8, dtypes.i32, "s32.u8.u8.s32", 80)
m16n8k32_i8 = _unit(16, 32, dtypes.i8, dtypes.i32, "s32.s8.s8.s32", 80)
m16n8k32_u8 = _unit(16, 32, dtypes.u8, dtypes.i32, "s32.u8.u8.s32", 80)

UNITS = {
    u.name: u
    for u in (
        m16n8k8_f16, m16n8k16_f16, m16n8k8_f16_f16, m16n8k16_f16_f16, m16n8k8_bf16, m16n8k16_bf16, m16n8k4_tf32,
        m16n8k8_tf32, m8n8k16_i8, m8n8k16_u8, m16n8k16_i8, m16n8k16_u8, m16n8k32_i8, m16n8k32_u8,
    )
}  # fmt: skip


@operation(name="mma.sync", space="kernel", varies=True)
def mma_sync() -> Any:
    """The instruction: operands are elements of A, B and C, results those of the sum; attribute `unit` is a name."""


def to_tf32(x: float) -> float:
    """Rounded to the eleven bits that tf32 has, ties away from zero. (PTX: `cvt.rna.tf32.f32`.)"""
    bits = to_bits(F32, x)
    return x if bits & 0x7F800000 == 0x7F800000 else from_bits(F32, bits + 0x1000 & 0xFFFFE000)


def add_products(unit: Unit, number: int, a: dict[Place, Any], b: dict[Place, Any], sums: Any) -> tuple[Any, ...]:
    """The elements of A @ B + C of a thread that has these of C; `number` is its place among those of the fragment."""
    total = unit.sum.scalar
    wide = F32 if total.is_float else total
    out = []
    for i, x in enumerate(sums):
        row, column = unit.c.place(number, i)
        for k in range(unit.k):
            exact = arith._exact_fma(a[row, k], b[k, column], x)
            x = round_float(wide, exact) if wide.is_float else wrap_int(wide, int(exact))
        out.append(round_float(total, x) if total.is_float else x)
    return tuple(out)


@mma_sync.reference
def _(ev, op, *values):
    """Gather the matrices from the warp; compute this thread's elements."""
    unit, thread = UNITS[op.attrs["unit"]], ev.thread
    warp = [thread.exchange(values, lane, op) for lane in range(WARP)]
    a, b = ({}, {})
    for lane, held in enumerate(warp):
        a |= {unit.a.place(lane, k): x for k, x in enumerate(held[: unit.a.size])}
        b |= {unit.b.place(lane, k): x for k, x in enumerate(held[unit.a.size :][: unit.b.size])}
    if unit.factor is dtypes.f32:
        a, b = ({at: to_tf32(x) for at, x in matrix.items()} for matrix in (a, b))
    return add_products(unit, thread.lane, a, b, values[-unit.c.size :])


@mma_sync.lowering
def _(e, op, *values):
    unit = UNITS[op.attrs["unit"]]
    typed = [(e.type(v.type), x) for v, x in zip(op.operands, values, strict=True)]
    a, b, c = typed[: unit.a.size], typed[unit.a.size : -unit.c.size], typed[-unit.c.size :]
    return e.thread.matrix_multiply(unit.ptx, a, b, c)


@operation(space="kernel")
def lane_absent(absent: Any, lane: Any) -> None:
    """Report, in a checked launch, that a lane is absent if it is: an i1 and an i64. Other launches do not ask."""


@lane_absent.typing
def _(b, absent, lane):
    b.emit(lane_absent, (b.materialize(absent), b.materialize(lane)))
    return Known(None)


@lane_absent.reference
def _(ev, op, absent, lane):
    from sapwood.lang.errors.kernels import AbsentLaneError

    if absent:
        thread = ev.thread
        who = f"thread {thread.number} of block {thread.block.number}"
        raise AbsentLaneError(op.loc, who=who, lane=lane)
    return ()


def require_warp(b: Any, function: str) -> None:
    """Comes before each operation of matrices: refuse warps of another size; in a checked launch, ask whether the warp
    is whole."""
    from sapwood.lang.library.tile import whole_warp

    if b.target.warp_size not in (0, WARP):
        hint = "its units are those of NVIDIA GPUs"
        raise BadOperand(b.loc, function=function, detail=f"a warp of {b.target.warp_size} threads", hint=hint)
    if b.target.checks:
        b.interpreter.call_function(whole_warp, ())


@operation(space="kernel")
def mma(unit: Any, a: Any, b: Any, c: Any) -> Any:
    """The product of two matrices and a sum, A @ B + C, by all 32 threads of a warp together.

    `unit` says which, `m16n8k16_bf16` for example: one of `UNITS`. a, b and c are this thread's fragments, tuples of
    `unit.a.size`, `unit.b.size` and `unit.c.size` numbers of type `unit.factor` (a, b) and `unit.sum` (c); the result
    is one like c. `load_a`, `load_b`, `load_c` make them.

    Products are exact; they are added to c in f32, in ascending k, each sum rounded (a GPU may add in another order
    and round less often); the result is rounded once more where `unit.sum` is f16. Those of 8-bit integers are added in
    i32, which wraps. f32 factors are rounded to tf32 (eleven bits), ties away from zero. All threads of the warp must
    come to it, and none may have returned. On NVIDIA GPUs from the architecture `unit.since` on. (PTX:
    `mma.sync.aligned`.)
    """


@mma.typing
def _(b, unit, x, y, z):
    from sapwood.lang.library.tile import multiply_by_shuffles

    unit = known_unit(b, unit, "mma")
    for name, value in (("a", x), ("b", y), ("c", z)):
        check_fragment(b, "mma", unit, name, value, f"load_{name}({unit}, ...) makes one")
    require_warp(b, "mma")
    if not b.target.gpu:
        return b.interpreter.call_function(multiply_by_shuffles, (Known(unit), x, y, z))
    results = (unit.sum.scalar,) * unit.c.size
    operands = (*x.items, *y.items, *z.items)
    return Agg(Tuple(unit.c.size), b.emit(mma_sync, operands, results, {"unit": unit.name, "since": unit.since}))


def known_unit(b: Any, unit: Any, function: str) -> MatrixUnit:
    if isinstance(unit, Known) and isinstance(unit.value, MatrixUnit):
        return unit.value
    hint = f"the first argument is one of {', '.join(UNITS)}, of sapwood.gpu"
    raise BadOperand(b.loc, function=function, detail=f"{describe(unit)} is no matrix unit", hint=hint)


def check_fragment(b: Any, function: str, unit: Unit, name: str, value: Any, hint: str) -> None:
    """Raise BadOperand unless a value is fragment `name` (a, b or c) of a unit."""
    size, elem = getattr(unit, name).size, (unit.sum if name == "c" else unit.factor).scalar
    items = value.items if isinstance(value, Agg) and isinstance(value.type, Tuple) else ()
    if len(items) == size and all(isinstance(x, Var) and x.type == elem for x in items):
        return
    detail = f"{name} of {unit} is a tuple of {size} {elem}, not {describe(value)}"
    raise BadOperand(b.loc, function=function, detail=detail, hint=hint)
