"""Products by a warpgroup: four warps, one after the other, multiply matrices that lie in shared memory.

`wgmma_unit` says what there is. Source: PTX ISA, "Asynchronous Warpgroup Level Matrix Multiply-Accumulate Instructions"
(`wgmma`), and its sections "Shared Memory Matrix Layout" and "Matrix Descriptor Format". Only sm_90a has it. Elsewhere
each thread reads the factors by the same rules, in the language (lang/library/tile_warpgroup.py).
"""

from __future__ import annotations

from typing import Any

from sapwood.lang.api import dtypes
from sapwood.lang.bits import from_bits, to_bits
from sapwood.lang.errors import BadOperand
from sapwood.lang.ir.ssa import Var
from sapwood.lang.ops.base import operation
from sapwood.lang.ops.gpu.copies import misaligned, pointer
from sapwood.lang.ops.gpu.matrix import UNITS, Fragment, Unit, add_products, check_fragment, require_warp
from sapwood.lang.types import F32, Ptr, Scalar, Tuple
from sapwood.lang.values import Agg, Known, Value, describe

WARPGROUP = 128
SWIZZLES = (0, 32, 64, 128)  # bytes of a row that chunks of 16 change places in
MAJORS = ("k", "mn")
CHUNK = 16  # bytes that stay together


class WarpgroupUnit(Unit):
    """One of a warpgroup: m is 64; the fragments are of 128 threads."""


_TYPES = {  # (factor, sum) -> the types of the instruction
    (dtypes.f16, dtypes.f32): "f32.f16.f16",
    (dtypes.f16, dtypes.f16): "f16.f16.f16",
    (dtypes.bf16, dtypes.f32): "f32.bf16.bf16",
    (dtypes.f32, dtypes.f32): "f32.tf32.tf32",
    (dtypes.i8, dtypes.i32): "s32.s8.s8",
    (dtypes.u8, dtypes.i32): "s32.u8.u8",
}


def wgmma_unit(n: int, factor: Any, sum: Any = None) -> WarpgroupUnit:
    """The product of m64 by `n` of factors f16, bf16, f32 (as tf32), i8 or u8; sums are f32, f16 of f16 if asked for,
    or i32. n is a multiple of 8 up to 256; of 8-bit factors 8, 24 or a multiple of 16. Raises ValueError for others.
    """
    ints = factor in (dtypes.i8, dtypes.u8)
    total = sum if sum is not None else dtypes.i32 if ints else dtypes.f32
    if (factor, total) not in _TYPES:
        raise ValueError(f"wgmma has no products of {factor!r} with sums of {total!r}")
    if not 8 <= n <= 256 or n % 8 or (ints and n % 16 and n not in (8, 24)):
        raise ValueError(f"wgmma has no products of {factor!r} with n = {n}")
    size = factor.scalar.itemsize
    k, p = 32 // size, 4 // size
    lanes = ((4, 0, p), (8, 1, 0), (4, 16, 0))
    a = Fragment(64, k, 4 * p, lanes, ((p, 0, 1), (2, 8, 0), (2, 0, 4 * p)))
    c = Fragment(64, n, n // 2, ((4, 0, 2), (8, 1, 0), (4, 16, 0)), ((2, 0, 1), (2, 8, 0), (n // 8, 0, 8)))
    kind = "tf32" if factor is dtypes.f32 else factor.__name__
    name = f"m64n{n}k{k}_{kind}{'_f16' if total is dtypes.f16 else ''}"
    ptx = f"wgmma.mma_async.sync.aligned.m64n{n}k{k}.{_TYPES[factor, total]}"
    return WarpgroupUnit(name, 64, n, k, factor, total, ptx, a, c)


# -- operands ----------------------------------------------------------------------------------------


@operation(space="kernel")
def wgmma_operand(p: Any, swizzle: int = 0, leading: int = 0, stride: int = 0) -> Any:
    """A factor in shared memory, as a descriptor says it: where it begins, and how it lies.

    p points to its first element, aligned to 16 bytes. `swizzle` is 0 or how many bytes, 32, 64 or 128, are in a row
    whose chunks of 16 bytes are exchanged (`swizzled` says how); arrays are then aligned to eight rows, and p points
    into the first of eight. Raises ValueError where that is not so, in code that is checked. `leading`
    and `stride` are bytes between groups of elements, multiples of 16; a `stride` of 0 stands for that of eight rows
    which follow each other. The result is (p, swizzle, leading, stride).
    """


@wgmma_operand.typing
def _(b, p, swizzle, leading, stride):
    q, _ = pointer(b, p, "wgmma_operand", "factor", True)
    rows = b.known(swizzle, "the swizzle of wgmma_operand", int)
    if rows not in SWIZZLES:
        hint = "it is 0, 32, 64 or 128 bytes"
        raise BadOperand(b.loc, function="wgmma_operand", detail=f"a swizzle of {rows}", hint=hint)
    ahead = b.known(leading, "the leading of wgmma_operand", int)
    down = b.known(stride, "the stride of wgmma_operand", int) or 8 * (rows or CHUNK)
    for what, n in (("leading", ahead), ("stride", down)):
        if n % CHUNK or not 0 <= n < 1 << 18:
            hint = "it counts bytes: a multiple of 16, less than 262144"
            raise BadOperand(b.loc, function="wgmma_operand", detail=f"a {what} of {n}", hint=hint)
    if not b.unchecked or b.target.checks:
        bits = CHUNK - 1 | 7 * rows  # it begins in a chunk of the first of eight rows
        what = f"its array is not aligned to {8 * rows} bytes" if rows else f"the address is not a multiple of {CHUNK}"
        b.raise_if(misaligned(b, bits, q), ValueError, f"wgmma_operand: {what}")
    return Agg(Tuple(4), (q, Known(rows), Known(ahead), Known(down)))


def byte_of(mn: int, k: int, size: int, major: str, swizzle: int, leading: int, stride: int) -> int:
    """Where an element of a factor lies, from its beginning and before chunks are exchanged; `mn` is its row in A or
    its column in B."""
    wide = swizzle or CHUNK
    if major == "k":
        ahead = k * size if swizzle else k * size // CHUNK * leading + k * size % CHUNK
        return mn % 8 * wide + mn // 8 * stride + ahead
    chunk, within = divmod(mn * size, CHUNK)
    if not swizzle:
        return within + chunk * stride + k % 8 * CHUNK + k // 8 * leading
    rest, chunk = divmod(chunk, swizzle // CHUNK)
    return within + chunk * CHUNK + rest * leading + k % 8 * swizzle + k // 8 * stride


def exchanged(address: int, swizzle: int) -> int:
    """The address at which a byte lies whose chunk is exchanged."""
    return address ^ (address >> 7 & swizzle // CHUNK - 1) << 4 if swizzle else address


# -- the product -------------------------------------------------------------------------------------


@operation(name="wgmma.mma", space="kernel", varies=True)
def wgmma_mma(*operands: Any) -> Any:
    """The instruction: elements of C, then A (a pointer, or elements) and B (a pointer); results are those of the sum.

    Attributes: `unit`, and for a and b `(major, swizzle, leading, stride)`, or None for A in registers.
    """


def _number(unit: WarpgroupUnit, x: Any) -> Any:
    """A factor as the unit sees it; it drops the low bits of an f32."""
    return from_bits(F32, to_bits(F32, x) & 0xFFFFE000) if unit.factor is dtypes.f32 else x


def _read(unit: WarpgroupUnit, p: Any, how: tuple[str, int, int, int], mn: int, k: int) -> Any:
    elem = unit.factor.scalar
    there = exchanged(p.address + byte_of(mn, k, elem.itemsize, *how), how[1])
    return _number(unit, p.add(there - p.address, 1).load(elem))


@wgmma_mma.reference
def _(ev, op, *values):
    """Each thread reads what its elements need."""
    unit, how_a, how_b = op.attrs["unit"], op.attrs["a"], op.attrs["b"]
    thread, n = ev.thread, unit.c.size
    sums, left, right = values[:n], values[n:-1], values[-1]
    number = thread.number % WARPGROUP
    if how_a is None:
        held: dict[tuple[int, int], Any] = {}
        for lane in range(32):
            other = thread.exchange(left, lane, op)
            at = number // 32 * 32 + lane
            held |= {unit.a.place(at, i): _number(unit, x) for i, x in enumerate(other)}
    else:
        rows = {unit.c.place(number, i)[0] for i in range(n)}
        held = {(r, k): _read(unit, left[0], how_a, r, k) for r in rows for k in range(unit.k)}
    columns = {unit.c.place(number, i)[1] for i in range(n)}
    others = {(k, c): _read(unit, right, how_b, c, k) for c in columns for k in range(unit.k)}
    return add_products(unit, number, held, others, sums)


@wgmma_mma.lowering
def _(e, op, *values):
    typed = [(e.type(v.type), x) for v, x in zip(op.operands, values, strict=True)]
    unit = op.attrs["unit"]
    n = unit.c.size
    return e.thread.warpgroup_multiply(unit.ptx, typed[:n], typed[n:-1], op.attrs["a"], typed[-1], op.attrs["b"])


@operation(space="kernel")
def wgmma(unit: Any, c: Any, a: Any, b: Any, a_major: str = "k", b_major: str = "k") -> Any:
    """A @ B + C by a warpgroup: 128 threads of a block, the first of them a multiple of 128, issue it together.

    `unit` is a `wgmma_unit(n, factor)`. c is the thread's fragment of sums, a tuple of `unit.c.size`; so is the result,
    which is complete after `wgmma_commit_group` and `wgmma_wait_group`; until then nothing may be done with it but
    another `wgmma`, and nothing of a and b be written. `wgmma_fence` comes before the first of them. a is a
    `wgmma_operand`, or the thread's fragment of `unit.a.size` factors; b is a `wgmma_operand`. `a_major` says along
    which axis neighbours in memory lie: "k", or "mn", which is a's rows and b's columns and for 16-bit factors only.

    Products are exact and added as those of `mma`; of f32 factors the low 13 bits are dropped. What threads have
    written to shared memory the unit sees after `fence_async` and a barrier. Only sm_90a has it. (PTX:
    `wgmma.mma_async`.)
    """


@wgmma.typing
def _(b, unit, c, x, y, a_major, b_major):
    from sapwood.lang.library.tile_warpgroup import multiply_by_warpgroup

    found = known_unit(b, unit, "wgmma")
    check_fragment(b, "wgmma", found, "c", c, "zero_c(unit) makes one")
    majors = [b.known(m, f"{name}_major of wgmma", str) for name, m in (("a", a_major), ("b", b_major))]
    for name, m in zip("ab", majors, strict=True):
        if m not in MAJORS or (m == "mn" and found.factor.scalar.itemsize != 2):
            hint = '"k", or "mn" of 16-bit factors'
            raise BadOperand(b.loc, function="wgmma", detail=f'{name}_major cannot be "{m}" of {found}', hint=hint)
    in_registers = not _is_operand(x)
    if in_registers:
        check_fragment(b, "wgmma", found, "a", x, "load_a(unit, ...) makes one; in memory it is a wgmma_operand")
    for name, value in (("a", x), ("b", y)):
        if (name == "b" or not in_registers) and not _fits(found, value):
            detail = f"{name} of {found} is a factor of {found.factor.__name__} in shared memory, not {describe(value)}"
            raise BadOperand(b.loc, function="wgmma", detail=detail, hint="wgmma_operand(tile.ptr, ...) makes one")
    require_warp(b, "wgmma")
    if not b.target.gpu:
        kinds = tuple(Known(m) for m in majors)
        return b.interpreter.call_function(multiply_by_warpgroup, (unit, c, x, y, Known(in_registers), *kinds))
    how_a = None if in_registers else (majors[0], *(v.value for v in x.items[1:]))
    left = x.items if in_registers else x.items[:1]
    results = (found.sum.scalar,) * found.c.size
    attrs = {"unit": found, "a": how_a, "b": (majors[1], *(v.value for v in y.items[1:]))}
    return Agg(Tuple(found.c.size), b.emit(wgmma_mma, (*c.items, *left, y.items[0]), results, attrs))


def _is_operand(x: Value) -> bool:
    return isinstance(x, Agg) and len(x.items) == 4 and isinstance(x.items[0], Var) and isinstance(x.items[0].type, Ptr)


def _fits(unit: WarpgroupUnit, x: Value) -> bool:
    return _is_operand(x) and x.items[0].type.elem == unit.factor.scalar and all(  # type: ignore[union-attr]
        isinstance(v, Known) for v in x.items[1:]  # type: ignore[union-attr]
    )


def known_unit(b: Any, unit: Any, function: str) -> WarpgroupUnit:
    if isinstance(unit, Known) and isinstance(unit.value, WarpgroupUnit):
        return unit.value
    hint = "the first argument is a wgmma_unit(n, factor), made outside of the kernel"
    raise BadOperand(b.loc, function=function, detail=f"{describe(unit)} is no unit of a warpgroup", hint=hint)


@operation(space="kernel")
def best_unit(factor: Any, sum: Any, n: int) -> Any:
    """The unit of the target for products of a dtype, at compile time: of a warpgroup with that n, else of a warp with
    the longest k, else None. It loses nothing of a factor: f32 has none. Used by lang/library/tile_matmul.py."""


@best_unit.typing
def _(b, factor, sum, n):
    dtype, total = factor.value, sum.value
    if dtype is dtypes.f32:
        return Known(None)
    if b.target.has("wgmma") and (dtype, total) in _TYPES:
        return Known(wgmma_unit(n.value, dtype, total))
    found = [u for u in UNITS.values() if u.factor is dtype and u.sum is total and b.target.has(f"sm_{u.since}")]
    return Known(max(found, key=lambda u: u.m * u.k, default=None))


# -- order -------------------------------------------------------------------------------------------


@operation(name="wgmma.order", space="kernel")
def wgmma_order(*sums: Any) -> Any:
    """`wgmma.fence` or `wgmma.wait_group`, through which elements of sums go; attribute `text` is the instruction."""


@wgmma_order.reference
def _(ev, op, *sums):
    return sums if len(sums) != 1 else sums[0]


@wgmma_order.lowering
def _(e, op, *sums):
    typed = [(e.type(v.type), x) for v, x in zip(op.operands, sums, strict=True)]
    found = e.thread.warpgroup_order(op.attrs["text"], typed)
    return found if len(found) != 1 else found[0]


def _through(b: Any, function: str, text: str, c: Value) -> Value:
    items = c.items if isinstance(c, Agg) and isinstance(c.type, Tuple) else ()
    if not items or any(not isinstance(x, Var) or not isinstance(x.type, Scalar) for x in items):
        hint = "c = wgmma_fence(c) before the first product, c = wgmma_wait_group(0, c) behind the last"
        detail = f"it takes the fragment of sums, not {describe(c)}"
        raise BadOperand(b.loc, function=function, detail=detail, hint=hint)
    if not b.target.gpu:
        return c
    results = b.emit(wgmma_order, items, tuple(x.type for x in items), {"text": text})
    return Agg(Tuple(len(items)), results)


@operation(space="kernel")
def wgmma_fence(c: Any) -> Any:
    """The sums as they are: what was written to them, or to fragments of A, is there for products that follow.

    Comes before the first `wgmma` and whenever registers that the next one uses were written by other operations.
    (PTX: `wgmma.fence`.)
    """


@wgmma_fence.typing
def _(b, c):
    return _through(b, "wgmma_fence", "wgmma.fence.sync.aligned;", c)


@operation(space="kernel")
def wgmma_commit_group() -> None:
    """Make the warpgroup's products since the last one a group. (PTX: `wgmma.commit_group`.)"""


@wgmma_commit_group.typing
def _(b):
    if b.target.gpu:
        b.emit(wgmma_order, (), (), {"text": "wgmma.commit_group.sync.aligned;"})
    return Known(None)


@operation(space="kernel")
def wgmma_wait_group(n: int, c: Any) -> Any:
    """The sums, when all groups of products but the newest `n` (0 to 7) are complete. (PTX: `wgmma.wait_group`.)"""


@wgmma_wait_group.typing
def _(b, n, c):
    left = b.known(n, "the number of groups of wgmma_wait_group", int)
    if not 0 <= left <= 7:
        hint = "wgmma_wait_group(1, c) lets the newest group go on"
        raise BadOperand(b.loc, function="wgmma_wait_group", detail=f"{left} groups", hint=hint)
    return _through(b, "wgmma_wait_group", f"wgmma.wait_group.sync.aligned {left};", c)
