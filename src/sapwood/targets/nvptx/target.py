"""The nvptx target: architectures and how a kernel is laid out for them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sapwood.targets.base import Target, ThreadCode
from sapwood.targets.nvptx.atomics import LLVM_SCOPES
from sapwood.targets.nvptx.launcher import LAUNCH
from sapwood.targets.nvptx.legality import WGMMA, generation, illegal

TRIPLE = "nvptx64-nvidia-cuda"
DATA_LAYOUT = "e-p6:32:32-i64:64-i128:128-i256:256-v16:16-v32:32-n16:32:64"
WARP = 32
SHARED_BYTES = 48 * 1024  # static; more has to be asked for at the launch

# architecture -> the oldest PTX version that knows it (PTX ISA, "Release Notes"), so that old drivers take it; for
# sm_75 the one with its `mma.sync` and `ldmatrix`
ARCHITECTURES = {
    "sm_75": "ptx65",
    "sm_80": "ptx71",  # the first that tests an mbarrier by its parity
    "sm_86": "ptx71",
    "sm_89": "ptx78",
    "sm_90": "ptx80",  # the first with bulk copies
    "sm_90a": "ptx80",
    "sm_100": "ptx86",
    "sm_100a": "ptx86",
    "sm_120": "ptx87",
    "sm_120a": "ptx87",
}
DEFAULT = "sm_75"

# KiB of shared memory that a block can have when its launch asks for it (CUDA C++ Programming Guide, "Technical
# Specifications per Compute Capability")
MAX_SHARED = {
    "sm_75": 64, "sm_80": 163, "sm_86": 99, "sm_89": 99, "sm_90": 227, "sm_90a": 227, "sm_100": 227, "sm_100a": 227,
    "sm_120": 99, "sm_120a": 99,
}  # fmt: skip


# instructions that every architecture has, by the names that operations ask for (x86's): fused multiply-add, rounding
INSTRUCTIONS = frozenset({"fma", "sse4.1"})


@dataclass(frozen=True)
class NvptxTarget(Target):
    """One NVIDIA architecture; `cpu` is its name."""

    def has(self, feature: str) -> bool:
        """Besides names of features: "wgmma", and "sm_80" for what this architecture and newer ones have."""
        if feature == "wgmma":
            return self.cpu == WGMMA
        if feature.startswith("sm_"):
            return self.generation >= generation(feature)
        return feature in self.features or feature in INSTRUCTIONS

    @property
    def generation(self) -> int:
        """The number of the architecture: 90 of sm_90a."""
        return generation(self.cpu)

    def function_attributes(self, function: Any) -> str:
        return f'nounwind "target-cpu"="{self.cpu}" "target-features"="{self.feature_string}"'

    def illegal(self, op: Any) -> str | None:
        return illegal(op, self.cpu)

    def thread_code(self, emitter: Any) -> ThreadCode:
        from sapwood.targets.nvptx.lower import PtxThread

        return PtxThread(emitter)


def make(variant: str) -> NvptxTarget:
    """`nvptx:sm_90a`; `nvptx` alone is the oldest architecture that we make code for."""
    cpu = variant or DEFAULT
    if cpu not in ARCHITECTURES:
        raise ValueError(f"unknown architecture {cpu!r} of target nvptx; known are {', '.join(ARCHITECTURES)}")
    return NvptxTarget(
        "nvptx",
        TRIPLE,
        cpu,
        frozenset({ARCHITECTURES[cpu]}),
        16,
        DATA_LAYOUT,
        kernel=True,
        gpu=True,
        warp_size=WARP,
        shared_bytes=SHARED_BYTES,
        sync_scopes=LLVM_SCOPES,
        max_shared_bytes=MAX_SHARED[cpu] * 1024,
        launch=LAUNCH,
    )
