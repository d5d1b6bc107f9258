"""AMX: tile registers of x86 and their products (Intel 64 and IA-32 SDM, volume 1, chapter 18).

A tile is a matrix of up to 16 rows of up to 64 bytes, held in one of 8 registers: `Tile[rows, row_bytes]`. Its
shape is part of its type. LLVM assigns the registers and writes the tile configuration.
"""

from __future__ import annotations

import operator
import struct
from typing import Any

from sapwood.lang.errors import BadOperand
from sapwood.lang.ir.ssa import Var
from sapwood.lang.ops.arith import _exact_fma
from sapwood.lang.ops.base import operation
from sapwood.lang.ops.numeric import round_float
from sapwood.lang.ops.operators import binary, require_index
from sapwood.lang.types import F32, U8, Ptr, Simd, Tile
from sapwood.lang.values import Known, Value, describe

MAX_ROWS, MAX_ROW_BYTES = 16, 64


def _shape(b: Any, rows: Value, row_bytes: Value, function: str) -> Tile:
    r, n = b.known(rows, "the rows of a tile", int), b.known(row_bytes, "the row bytes of a tile", int)
    if not 1 <= r <= MAX_ROWS or not 4 <= n <= MAX_ROW_BYTES or n % 4:
        detail = f"there is no tile of {r} rows of {n} bytes"
        hint = f"1 to {MAX_ROWS} rows of 4, 8, ... {MAX_ROW_BYTES} bytes"
        raise BadOperand(b.loc, function=function, detail=detail, hint=hint)
    return Tile(r, n)


def _pointer(b: Any, p: Value, function: str) -> Var:
    if isinstance(p, Var) and isinstance(p.type, Ptr) and p.type.space != "shared":
        return p
    hint = "x.ptr gives a tensor's pointer"
    raise BadOperand(b.loc, function=function, detail=f"needs a Ptr, not {describe(p)}", hint=hint)


def _stride(b: Any, p: Var, stride: Value, function: str) -> Var:
    """Bytes between rows."""
    from sapwood.lang.infer.layout import size_of

    assert isinstance(p.type, Ptr)
    n = require_index(b, stride, f"the stride of {function}")
    return b.materialize(binary(b, operator.mul, n, Known(size_of(b, p.type.elem))))


def _needs(target: Any, *features: str) -> str | None:
    missing = [f for f in features if not target.has(f)]
    return f"AMX needs {' and '.join(missing)}" if missing else None


def _dims(e: Any, t: Tile) -> list[tuple[str, str]]:
    return [("i16", str(t.rows)), ("i16", str(t.row_bytes))]


@operation(pure=True)
def tile_zero(rows: int, row_bytes: int) -> Any:
    """A tile of zeros."""


@tile_zero.typing
def _(b, rows, row_bytes):
    return b.emit1(tile_zero, (), _shape(b, rows, row_bytes, "tile_zero"))


@tile_zero.reference
def _(op):
    t = op.result.type
    return (bytes(t.row_bytes),) * t.rows


@tile_zero.legality
def _(target, op):
    return _needs(target, "amx-tile")


@tile_zero.lowering
def _(e, op):
    return e.call("llvm.x86.tilezero.internal", "x86_amx", _dims(e, op.result.type))


@operation(pure=False)
def tile_load(p: Any, stride: int, rows: int, row_bytes: int) -> Any:
    """A tile from memory: its rows are `stride` elements of p apart."""


@tile_load.typing
def _(b, p, stride, rows, row_bytes):
    p = _pointer(b, p, "tile_load")
    return b.emit1(tile_load, (p, _stride(b, p, stride, "tile_load")), _shape(b, rows, row_bytes, "tile_load"))


@tile_load.reference
def _(op, p, stride):
    t = op.result.type
    return tuple(bytes(p.add(r, stride).load(Simd(U8, t.row_bytes))) for r in range(t.rows))


@tile_load.legality
def _(target, op):
    return _needs(target, "amx-tile")


@tile_load.lowering
def _(e, op, p, stride):
    args = [*_dims(e, op.result.type), ("ptr", p), ("i64", stride)]
    return e.call("llvm.x86.tileloadd64.internal", "x86_amx", args)


@operation()
def tile_store(p: Any, stride: int, tile: Any) -> None:
    """Write a tile to memory, rows `stride` elements of p apart."""


@tile_store.typing
def _(b, p, stride, tile):
    p = _pointer(b, p, "tile_store")
    if not isinstance(tile, Var) or not isinstance(tile.type, Tile):
        detail = f"needs a tile, not {describe(tile)}"
        raise BadOperand(b.loc, function="tile_store", detail=detail, hint="tile_store(p, stride, tile)")
    b.emit(tile_store, (p, _stride(b, p, stride, "tile_store"), tile))
    return Known(None)


@tile_store.reference
def _(op, p, stride, tile):
    t = op.operands[2].type
    for r, row in enumerate(tile):
        p.add(r, stride).store(Simd(U8, t.row_bytes), tuple(row))


@tile_store.legality
def _(target, op):
    return _needs(target, "amx-tile")


@tile_store.lowering
def _(e, op, p, stride, tile):
    args = [*_dims(e, op.operands[2].type), ("ptr", p), ("i64", stride), ("x86_amx", tile)]
    e.call("llvm.x86.tilestored64.internal", "void", args)


@operation(pure=True)
def tdpbf16ps(c: Any, a: Any, b: Any) -> Any:
    """c[m][n] + sum over k of a[m][2k] * b[k][2n] + a[m][2k + 1] * b[k][2n + 1], f32 c, bf16 a and b.

    The sums of the even and of the odd products ascend over k in f32 with fused multiply-adds, are added to each
    other, and then to c. Subnormal inputs and results count as zero; rounding is to nearest even.
    c: Tile[M, 4N], a: Tile[M, 4K], b: Tile[K, 4N]. Legal on x86 with amx-bf16.
    """


@tdpbf16ps.typing
def _(b, c, x, y):
    types = [v.type if isinstance(v, Var) else None for v in (c, x, y)]
    match types:
        case [Tile() as t, Tile() as p, Tile() as q]:
            if t == Tile(p.rows, q.row_bytes) and p.row_bytes == 4 * q.rows:
                return b.emit1(tdpbf16ps, (c, x, y), t)
    detail = f"got {', '.join(describe(v) for v in (c, x, y))}"
    raise BadOperand(b.loc, function="tdpbf16ps", detail=detail, hint="Tile[M, 4N], Tile[M, 4K] and Tile[K, 4N]")


def _flush(v: float) -> float:
    return v * 0.0 if abs(v) < 2.0**-126 else v


def _add(x: float, y: float) -> float:
    return _flush(round_float(F32, x + y))  # rounding twice is harmless: f64 has more than 2 * 24 + 2 bits


def _multiply_add(x: float, y: float, c: float) -> float:
    """x * y + c rounded once to f32. The product of bf16 numbers is exact in f64, the sum most often."""
    p = x * y
    s = p + c
    t = s - p
    if (p - (s - t)) + (c - t) == 0.0:
        return _flush(round_float(F32, s))
    return _flush(round_float(F32, _exact_fma(x, y, c)))


@tdpbf16ps.reference
def _(op, c, a, b):
    def narrow(row: bytes) -> list[float]:
        bits = struct.unpack(f"<{len(row) // 2}H", row)
        return [_flush(struct.unpack("<f", struct.pack("<I", w << 16))[0]) for w in bits]

    left, right = [narrow(r) for r in a], [narrow(r) for r in b]
    out = []
    for m, row in enumerate(c):
        sums = [_flush(v) for v in struct.unpack(f"<{len(row) // 4}f", row)]
        for n in range(len(sums)):
            even = odd = 0.0
            for k in range(len(right)):
                even = _multiply_add(left[m][2 * k], right[k][2 * n], even)
                odd = _multiply_add(left[m][2 * k + 1], right[k][2 * n + 1], odd)
            sums[n] = _add(sums[n], _add(even, odd))
        out.append(struct.pack(f"<{len(sums)}f", *sums))
    return tuple(out)


@tdpbf16ps.legality
def _(target, op):
    return _needs(target, "amx-tile", "amx-bf16")


@tdpbf16ps.lowering
def _(e, op, c, a, b):
    t, k = op.result.type, op.operands[1].type.row_bytes
    args = [*_dims(e, t), ("i16", str(k)), ("x86_amx", c), ("x86_amx", a), ("x86_amx", b)]
    return e.call("llvm.x86.tdpbf16ps.internal", "x86_amx", args)
