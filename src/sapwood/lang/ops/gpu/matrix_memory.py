"""Small matrices between shared memory and the registers of a warp: `ldmatrix` and `stmatrix`.

A matrix is eight rows of 16 bytes. The lanes say where rows are, and each lane gets 32 bits of each matrix: lane `l`
what is `l % 4` words into row `l // 4`. Source: PTX ISA, "Warp Level Matrix Multiply-Accumulate Instructions: ldmatrix"
and "... stmatrix". Elsewhere lanes tell each other the addresses by shuffles (lang/library/tile_memory.py).
"""

from __future__ import annotations

from typing import Any

from sapwood.lang.errors import BadOperand
from sapwood.lang.ir.ssa import Var
from sapwood.lang.ops import arith
from sapwood.lang.ops.base import operation
from sapwood.lang.ops.gpu.copies import misaligned, pointer
from sapwood.lang.ops.gpu.matrix import WARP, Fragment, require_warp
from sapwood.lang.types import BOOL, Ptr, Scalar, Tensor, Tuple
from sapwood.lang.values import Agg, Known, Value, describe

ROW = 16  # bytes
ROWS = 8  # of a matrix
WORD = 4  # bytes that a lane has of a matrix
COUNTS = (1, 2, 4)  # matrices of one instruction


def _lane_place(lane: int, i: int, per: int, transposed: bool) -> tuple[int, int]:
    """(row, column in elements) of element i of the word that a lane has; `per` elements make a word."""
    return (per * (lane % 4) + i, lane // 4) if transposed else (lane // 4, per * (lane % 4) + i)


@operation(name="ldmatrix.sync", space="kernel", varies=True)
def ldmatrix_sync(p: Any) -> Any:
    """The instruction: p is a lane's row; attributes `count` and `transposed`; results are elements."""


@ldmatrix_sync.reference
def _(ev, op, p):
    elem, size = op.results[0].type, op.results[0].type.itemsize
    rows = [ev.thread.exchange(p, lane, op) for lane in range(ROWS * op.attrs["count"])]
    out = []
    for first in range(0, len(rows), ROWS):
        for i in range(WORD // size):
            row, column = _lane_place(ev.thread.lane, i, WORD // size, op.attrs["transposed"])
            out.append(rows[first + row].add(column, size).load(elem))
    return tuple(out) if len(out) > 1 else out[0]


@ldmatrix_sync.lowering
def _(e, op, p):
    types = [e.type(v.type) for v in op.results]
    found = e.thread.load_matrices(p, op.attrs["count"], op.attrs["transposed"], types)
    return found if len(found) > 1 else found[0]


@operation(name="stmatrix.sync", space="kernel")
def stmatrix_sync(p: Any, *elements: Any) -> None:
    """The instruction: p is a lane's row, and then come its elements; attributes `count` and `transposed`."""


@stmatrix_sync.reference
def _(ev, op, p, *elements):
    elem, size = op.operands[1].type, op.operands[1].type.itemsize
    rows = [ev.thread.exchange(p, lane, op) for lane in range(ROWS * op.attrs["count"])]
    per = WORD // size
    for k, x in enumerate(elements):
        row, column = _lane_place(ev.thread.lane, k % per, per, op.attrs["transposed"])
        rows[k // per * ROWS + row].add(column, size).store(elem, x)
    return ()


@stmatrix_sync.lowering
def _(e, op, p, *elements):
    typed = [(e.type(v.type), x) for v, x in zip(op.operands[1:], elements, strict=True)]
    e.thread.store_matrices(p, op.attrs["count"], op.attrs["transposed"], typed)


@operation(space="kernel")
def ldmatrix(p: Any, count: int = 1, transposed: bool = False) -> Any:
    """`count` (1, 2 or 4) matrices of eight rows of 16 bytes, from shared memory: by all 32 threads of a warp together.

    p points to elements of 8, 16 or 32 bits. The p of lane `8 * m + i` is where row i of matrix m begins, aligned to 16
    bytes (else ValueError); those of further lanes are not looked at. The result is a tuple, of each matrix the
    elements in 32 bits: lane `l` has those that are `l % 4` words into row `l // 4`. `transposed`, of 16-bit elements,
    gives rows `2 * (l % 4)` and the next of column `l // 4`. All threads of the warp must come to it, and none may have
    returned. What others wrote is there after a barrier, as for any load. (PTX: `ldmatrix.sync.aligned.m8n8`, from
    sm_75 on.)
    """


@ldmatrix.typing
def _(b, p, count, transposed):
    from sapwood.lang.library.tile_memory import load_rows

    p, elem = _row_pointer(b, p, "ldmatrix", transposed)
    n, turned = b.known(count, "the count of ldmatrix", int), b.known(transposed, "transposed of ldmatrix", bool)
    if n not in COUNTS:
        hint = "an instruction loads 1, 2 or 4 of them"
        raise BadOperand(b.loc, function="ldmatrix", detail=f"cannot load {n} matrices", hint=hint)
    require_warp(b, "ldmatrix")
    _aligned_rows(b, "ldmatrix", p, n)
    per = WORD // elem.itemsize
    if not b.target.gpu:
        return b.interpreter.call_function(load_rows, (p, Known(n), Known(per), Known(turned)))
    attrs = {"count": n, "transposed": turned}
    return Agg(Tuple(n * per), b.emit(ldmatrix_sync, (p,), (elem,) * (n * per), attrs))


@operation(space="kernel")
def stmatrix(p: Any, x: Any, transposed: bool = False) -> None:
    """Write 1, 2 or 4 matrices of eight rows of 16 bytes to shared memory: by all 32 threads of a warp together.

    x is a tuple of elements as `ldmatrix` gives one, of the type that p points to; its length says how many matrices.
    p is as that of `ldmatrix`. (PTX: `stmatrix.sync.aligned.m8n8`, from sm_90 on.)
    """


@stmatrix.typing
def _(b, p, x, transposed):
    from sapwood.lang.library.tile_memory import store_rows

    p, elem = _row_pointer(b, p, "stmatrix", transposed)
    turned = b.known(transposed, "transposed of stmatrix", bool)
    per = WORD // elem.itemsize
    items = x.items if isinstance(x, Agg) and isinstance(x.type, Tuple) else ()
    if len(items) not in (per, 2 * per, 4 * per) or any(not isinstance(v, Var) or v.type != elem for v in items):
        sizes = f"{per}, {2 * per} or {4 * per}"
        hint = f"it is a tuple of {sizes} {elem}, which make 1, 2 or 4 matrices"
        raise BadOperand(b.loc, function="stmatrix", detail=f"cannot store {describe(x)} as matrices", hint=hint)
    n = len(items) // per
    require_warp(b, "stmatrix")
    _aligned_rows(b, "stmatrix", p, n)
    if not b.target.gpu:
        return b.interpreter.call_function(store_rows, (p, x, Known(n), Known(per), Known(turned)))
    b.emit(stmatrix_sync, (p, *items), (), {"count": n, "transposed": turned})
    return Known(None)


def _row_pointer(b: Any, p: Value, function: str, transposed: Value) -> tuple[Var, Scalar]:
    q, elem = pointer(b, p, function, "row", True)
    if elem.itemsize > WORD or elem.kind == "bool":
        hint = "elements have 8, 16 or 32 bits"
        raise BadOperand(b.loc, function=function, detail=f"cannot move matrices of {elem}", hint=hint)
    if transposed == Known(True) and elem.itemsize != 2:
        hint = "it transposes elements of 16 bits only; transpose others where they are written"
        raise BadOperand(b.loc, function=function, detail=f"cannot transpose matrices of {elem}", hint=hint)
    return q, elem


def _aligned_rows(b: Any, function: str, p: Var, count: int) -> None:
    """Raise ValueError where a lane that says where a row is says an address that is no multiple of 16."""
    from sapwood.lang.ops.gpu.place import lane_id

    if b.unchecked:
        return
    odd = misaligned(b, ROW - 1, p)
    if ROWS * count < WARP:
        asked = b.emit1(arith.compare, (b.apply(lane_id), b.index(ROWS * count)), BOOL, test="lt")
        odd = b.emit1(arith.band, (odd, asked), BOOL)
    b.raise_if(odd, ValueError, f"{function}: the address of a row is not a multiple of {ROW}")


@operation(space="kernel")
def transposed(x: Any) -> Any:
    """A view of a tensor of two axes with the axes exchanged: `transposed(x)[i, j]` is `x[j, i]`. Nothing is copied."""


@transposed.typing
def _(b, x):
    if not isinstance(x, Agg) or not isinstance(x.type, Tensor) or x.type.rank != 2:
        hint = "it exchanges the axes of a tensor of two axes"
        raise BadOperand(b.loc, function="transposed", detail=f"{describe(x)} is none", hint=hint)
    p, rows, columns, down, right = x.items
    return Agg(Tensor(x.type.elem, 2, "strided"), (p, columns, rows, right, down))


NO, PLAIN, TRANSPOSED = 0, 1, 2  # whether `ldmatrix` can load a fragment, and how


@operation(space="kernel")
def how_rows_lie(fragment: Any, dtype: Any, x: Any) -> int:
    """How `ldmatrix` of the target can load a fragment of a factor from a tensor, if an address in it is aligned and
    all of it is inside: NO, PLAIN or TRANSPOSED, at compile time. Used by lang/library/tile.py."""
    ...


@how_rows_lie.typing
def _(b, fragment, dtype, x):
    kind, shape = x.type, fragment.value
    assert isinstance(kind, Tensor) and isinstance(shape, Fragment)
    p, strides = x.items[0], x.items[3:]
    elem = dtype.value.scalar
    if not b.target.gpu or shape.threads != WARP or kind.elem != elem:
        return Known(NO)
    if not isinstance(p.type, Ptr) or p.type.space != "shared":
        return Known(NO)
    if not all(isinstance(s, Known) for s in strides):
        return Known(NO)
    along = 1 if shape.lanes[0][2] else 0  # the axis along which neighbours in a register lie
    for axis, how in ((along, PLAIN), (1 - along, TRANSPOSED)):
        pitch = strides[1 - axis].value * elem.itemsize
        if strides[axis].value == 1 and pitch % ROW == 0 and (how == PLAIN or elem.itemsize == 2):
            return Known(how)
    return Known(NO)
