"""The simt target: kernels on CPU cores, each thread a coroutine."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sapwood.targets.base import Target, ThreadCode, host_target
from sapwood.targets.simt.layout import LAUNCH, WARP

SHARED_BYTES = 48 * 1024  # what every GPU that we know gives a block without asking
MAX_SHARED_BYTES = 227 * 1024  # what an H100 gives a block whose launch asks for it


@dataclass(frozen=True)
class SimtTarget(Target):
    """The kernel model on the processor of `host`."""

    host: Target = field(default=None, compare=False, kw_only=True)  # type: ignore[assignment]

    @property
    def feature_string(self) -> str:
        return self.host.feature_string

    def function_attributes(self, function: Any) -> str:
        return self.host.function_attributes(function)

    def illegal(self, op: Any) -> str | None:
        if any(str(v.type).startswith("Tile") for v in (*op.operands, *op.results)):
            return "a tile register cannot be kept while a thread waits; use it in an @fn"
        return self.host.illegal(op)

    def how(self, function: Any) -> str:
        if self.name not in FAST_NAMES:
            return f"coroutines: target {self.name}"
        from sapwood.targets.simt.workitems_plan import Plan

        plan = Plan(function)
        if plan.reason is not None:
            return f"coroutines: {plan.reason}"
        rest = "; coroutines in blocks of several axes" if plan.uniformity.flat else ""
        if not plan.split:
            return f"work-item loops: one, as nothing waits{rest}"
        lines = sorted({op.loc.line for op in plan.split if not op.attrs.get("once")})
        return f"work-item loops, split at lines {', '.join(map(str, lines))}{rest}" if lines else (
            f"work-item loops, split where threads wait{rest}"
        )

    def thread_code(self, emitter: Any) -> ThreadCode:
        from sapwood.targets.simt.lower import Coroutine

        if self.checks:
            from sapwood.targets.simt.checked import Checked

            return Checked(emitter)
        if self.name in FAST_NAMES:
            from sapwood.targets.simt.workitems import WorkItems
            from sapwood.targets.simt.workitems_plan import Plan

            plan = Plan(emitter.function)
            if plan.reason is None:
                return WorkItems(emitter, plan)
        return Coroutine(emitter)


FAST = "simt"
CHECKED = "checked"
WIDE = "warp64"
VARIANTS = ("", "coroutines", CHECKED, WIDE)
FAST_NAMES = (FAST, f"{FAST}:{WIDE}")


def make(variant: str) -> SimtTarget:
    """`simt` on this machine: work-item loops where they can be; or `simt:coroutines`, one for each thread; or
    `simt:checked`, which reports races and other bugs of kernels; or `simt:warp64`, whose warps have 64 threads."""
    if variant not in VARIANTS:
        raise ValueError(f"target simt has no variant {variant!r}, but these: {', '.join(VARIANTS[1:])}")
    return on(host_target(), variant)


def on(host: Target, variant: str = "") -> SimtTarget:
    """simt with the code of a given CPU target."""
    return SimtTarget(
        f"{FAST}:{variant}" if variant else FAST,
        host.triple,
        host.cpu,
        host.features,
        host.vector_bytes,
        host.data_layout,
        kernel=True,
        checks=variant == CHECKED,
        warp_size=2 * WARP if variant == WIDE else WARP,
        shared_bytes=SHARED_BYTES,
        max_shared_bytes=MAX_SHARED_BYTES,
        launch=LAUNCH,
        host=host,
    )
