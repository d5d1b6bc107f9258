"""nvptx: NVIDIA GPUs. Code only, as PTX; launching it needs a driver, which is not part of this yet."""

from sapwood.targets.base import register_target
from sapwood.targets.nvptx.target import ARCHITECTURES, NvptxTarget, make

register_target("nvptx", make)

__all__ = ["ARCHITECTURES", "NvptxTarget", "make"]
