"""nvptx: NVIDIA GPUs. Kernels become PTX here (lower.py); driver/ runs them, launcher.py is what the host calls."""

from sapwood.targets.base import register_target
from sapwood.targets.nvptx.target import ARCHITECTURES, NvptxTarget, make

register_target("nvptx", make)

__all__ = ["ARCHITECTURES", "NvptxTarget", "make"]
