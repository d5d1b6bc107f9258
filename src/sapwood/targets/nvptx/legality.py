"""What LLVM can select for NVIDIA GPUs: a table, because LLVM ends the process on anything else.

An operation that is not here is refused with a diagnostic. To add one, enter it and let the test of every entry
compile it (tests/targets/test_nvptx.py).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sapwood.targets.nvptx import atomics

Rule = Callable[[Any], str | None]

PRINTED = 32  # values of a `vprintf` (CUDA C++ Programming Guide, "Formatted Output: Limitations")


def _always(op: Any) -> str | None:
    return None


def _types(op: Any) -> list[str]:
    return [str(v.type) for v in (*op.operands, *op.results)]


def _no_mask(op: Any) -> str | None:
    masked = len(op.operands) > (1 if op.name == "load" else 2)
    return "masked access is for vectors; use `if`" if masked else None


def _floats(op: Any) -> str | None:
    """One instruction for f32 and f64."""
    bad = next((t for t in _types(op) if t not in ("f32", "f64")), None)
    return f"it exists for f32 and f64, not for {bad}" if bad is not None else None


def _print(op: Any) -> str | None:
    if len(op.operands) > PRINTED:
        return f"a line has at most {PRINTED} values there; print several lines"
    texts = (*(p for p in op.attrs["parts"] if isinstance(p, str)), op.attrs["sep"], op.attrs["end"])
    return "its format ends at a NUL" if any("\0" in text for text in texts) else None


_ARITHMETIC = (
    "add sub mul div and or xor floordiv floormod shl shr compare select neg minimum maximum absolute copysign "
    "floor ceil trunc round_even constant convert bitcast popcount leading_zeros trailing_zeros"
)
_MEMORY = "pointer_add pointer_sub address pointer_at stack_storage shared_storage dynamic_storage dynamic_bytes"
_CONTROL = "yield break continue return raise raise_if if loop"
_KERNEL = "thread_idx block_idx block_dim grid_dim lane_id warp_id barrier give_way"
_WARPS = "warp_shuffle warp_vote warp_match warp_sync warp_active_mask warp_redux"
_SYNC = "barrier_vote named_barrier_arrive named_barrier_sync is_cooperative grid_sync"
_COPIES = "copy_issue commit_group wait_group"
_MBARRIERS = "mbarrier_init mbarrier_arrive mbarrier_arrive_after_copies mbarrier_test mbarrier_wait"
_BULK = (
    "bulk_load tensor_load tensor_store_issue bulk_store_issue bulk_commit_group bulk_wait_group fence_async "
    "mbarrier_expect_tx mbarrier_arrive_expect_tx"
)
_CLUSTERS = "cluster_idx cluster_dim block_rank cluster_arrive cluster_wait map_pointer"
_MATRICES = "mma.sync ldmatrix.sync stmatrix.sync dot_product wgmma.mma wgmma.order"

LEGAL: dict[str, Rule] = {
    **dict.fromkeys(_ARITHMETIC.split(), _always),
    **dict.fromkeys(("fma", "sqrt"), _floats),
    **dict.fromkeys(_MEMORY.split(), _always),
    **dict.fromkeys(("load", "store"), _no_mask),
    "print": _print,
    **dict.fromkeys(_CONTROL.split(), _always),
    **dict.fromkeys(f"{_KERNEL} {_WARPS}".split(), _always),
    **dict.fromkeys(_SYNC.split(), _always),
    **dict.fromkeys(f"{_CLUSTERS} {_COPIES} {_MBARRIERS} {_BULK}".split(), _always),
    **dict.fromkeys(_MATRICES.split(), _always),
    **dict.fromkeys((*atomics.INSTRUCTIONS, *atomics.BY_LLVM, "fence"), _always),
}

# operation -> (the oldest architecture that has it, what it is part of)
SINCE: dict[str, tuple[int, str]] = {
    "warp_redux": (80, "reductions by one instruction"),
    **dict.fromkeys(_CLUSTERS.split(), (90, "clusters")),
    **dict.fromkeys(_COPIES.split(), (80, "asynchronous copies")),
    **dict.fromkeys(_MBARRIERS.split(), (80, "mbarriers")),
    **dict.fromkeys(_BULK.split(), (90, "bulk copies and mbarriers that count bytes")),
    "ldmatrix.sync": (75, "matrices from shared memory"),
    "stmatrix.sync": (90, "matrices to shared memory"),
}

WGMMA = "sm_90a"  # no other architecture has these, neither older nor newer


def generation(cpu: str) -> int:
    """The number of an architecture: 90 of sm_90a."""
    return int("".join(c for c in cpu if c.isdigit()))


def illegal(op: Any, cpu: str) -> str | None:
    """Why an operation is not available on an architecture, or None."""
    since, what = SINCE.get(op.name, (0, ""))
    if op.name == "mbarrier_arrive" and not op.attrs["one"]:
        since, what = 90, "arrivals of more than one"
    if op.name == "mma.sync":  # each entry of the table of matrix units says itself
        since, what = op.attrs["since"], f"products {op.attrs['unit']}"
    if op.name.startswith("wgmma.") and cpu != WGMMA:
        return f"products of warpgroups need {WGMMA}, not {cpu}; the target nvptx:{WGMMA} has them, and simt"
    if generation(cpu) < since:
        return f"{what} need sm_{since} or newer, not {cpu}; a target like nvptx:sm_{since} has them, and simt"
    if op.name.startswith("atomic_") or op.name == "fence":
        return atomics.illegal(op, generation(cpu))
    vector = next((t for t in _types(op) if t.startswith(("SIMD", "Tile"))), None)
    if vector is not None:
        return f"a thread of a GPU works on scalars, not on {vector}"
    rule = LEGAL.get(op.name)
    return "it is not in the target's table yet" if rule is None else rule(op)
