"""What LLVM can select for NVIDIA GPUs: a table, because LLVM ends the process on anything else.

An operation that is not here is refused with a diagnostic. To add one, enter it and let the test of every entry
compile it (tests/targets/test_nvptx.py).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sapwood.lang.types import F32, F64, I8, I16, U8, U16, Ptr, Simd, elem_of

Rule = Callable[[Any], str | None]


def _always(op: Any) -> str | None:
    return None


def _types(op: Any) -> list[Any]:
    return [v.type for v in (*op.operands, *op.results)]


def _scalars(op: Any) -> str | None:
    """Scalars and pointers only."""
    vector = next((t for t in _types(op) if isinstance(t, Simd)), None)
    return f"a thread of a GPU works on scalars, not on {vector}" if vector is not None else None


def _no_mask(op: Any) -> str | None:
    masked = len(op.operands) > (1 if op.name == "load" else 2)
    return "masked access is for vectors; use `if`" if masked else _scalars(op)


def _floats(op: Any) -> str | None:
    """One instruction for f32 and f64."""
    bad = next((t for t in _types(op) if elem_of(t) not in (F32, F64)), None)
    return f"it exists for f32 and f64, not for {bad}" if bad is not None else _scalars(op)


def _atomic(op: Any) -> str | None:
    p = op.operands[0].type
    assert isinstance(p, Ptr)
    return f"atomics need 32 or 64 bits, not {p.elem}" if p.elem in (I8, I16, U8, U16) else None


_ARITHMETIC = (
    "add sub mul div and or xor floordiv floormod shl shr compare select neg minimum maximum absolute copysign "
    "floor ceil trunc round_even constant convert bitcast"
)
_MEMORY = "pointer_add pointer_sub address pointer_at stack_storage shared_storage"
_CONTROL = "yield break continue return raise raise_if if loop"
_KERNEL = "thread_idx block_idx block_dim grid_dim lane_id barrier warp_shuffle"

LEGAL: dict[str, Rule] = {
    **dict.fromkeys(_ARITHMETIC.split(), _scalars),
    **dict.fromkeys(("fma", "sqrt"), _floats),
    **dict.fromkeys(_MEMORY.split(), _scalars),
    **dict.fromkeys(("load", "store"), _no_mask),
    **dict.fromkeys(_CONTROL.split(), _always),
    **dict.fromkeys(_KERNEL.split(), _always),
    **dict.fromkeys(("atomic_add", "atomic_cas", "atomic_load", "atomic_store"), _atomic),
}


def illegal(op: Any) -> str | None:
    """Why an operation is not available, or None."""
    rule = LEGAL.get(op.name)
    return "it is not in the target's table yet" if rule is None else rule(op)
