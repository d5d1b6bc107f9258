"""simt: GPU kernels on CPU cores, with shared memory, barriers and warp operations. See docs/design/gpu-seam.md."""

from sapwood.targets.base import register_target
from sapwood.targets.simt.target import SimtTarget, make, on

register_target("simt", make)

__all__ = ["SimtTarget", "make", "on"]
