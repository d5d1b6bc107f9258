"""The order and the scope of atomic operations and fences that do not say theirs.

A host function's are sequentially consistent, for all of the process. A kernel's acquire and release, for the device;
on shared memory for those that can reach it. Where nothing in a kernel could learn what another thread has released,
nobody can tell such an operation from a relaxed one, which costs a GPU much less: histograms and sums need not say so.
Why: docs/design/atomics.md.
"""

from __future__ import annotations

from sapwood.lang.ir.ssa import Function, Op, Var
from sapwood.lang.ops.atomics import ACQUIRES

ATOMIC = "atomic_"
WEAKER = {"release": "relaxed", "acq_rel": "acquire"}  # what an order has of a load


def settle_orders(function: Function) -> None:
    """Fill in what operations leave open."""
    found = [op for op in function.body.walk() if op.name.startswith(ATOMIC) or op.name == "fence"]
    if not found:
        return
    kernel = function.kind == "kernel"
    used = {v for op in function.body.walk() for v in op.operands}
    clusters = any(op.name == "map_pointer" for op in function.body.walk())
    told = any(_learns(op, used) for op in found)
    for op in found:
        if not op.attrs["order"]:
            op.attrs["order"] = _order(op, told) if kernel else "seq_cst"
        if not op.attrs["scope"]:
            op.attrs["scope"] = _scope(op, clusters) if kernel else "system"
        if op.name == "atomic_cas" and not op.attrs["failure"]:
            op.attrs["failure"] = WEAKER.get(op.attrs["order"], op.attrs["order"])


def _learns(op: Op, used: set[Var]) -> bool:
    """Whether the thread may know after it what others did. One whose result nobody uses has learnt nothing."""
    if op.name == "fence":
        return True
    orders = (op.attrs["order"], op.attrs.get("failure") or "relaxed")
    return any(order in ("", *ACQUIRES) for order in orders) and any(v in used for v in op.results)


def _order(op: Op, told: bool) -> str:
    if op.name == "fence":
        return "seq_cst"  # as CUDA's __threadfence()
    if not told:
        return "relaxed"
    return {"atomic_load": "acquire", "atomic_store": "release"}.get(op.name, "acq_rel")


def _scope(op: Op, clusters: bool) -> str:
    if op.operands and op.operands[0].type.space == "shared":  # type: ignore[union-attr]
        return "cluster" if clusters else "block"
    return "device"
