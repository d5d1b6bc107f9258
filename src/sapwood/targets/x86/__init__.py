"""x86-64 CPUs, from SSE2 to AMX, dispatched on probed features."""

from sapwood.targets.base import register_target
from sapwood.targets.x86.features import LEVELS, host_features, level, probe
from sapwood.targets.x86.target import X86Target, host, make, variant

register_target("x86", variant)

__all__ = ["LEVELS", "X86Target", "host", "host_features", "level", "make", "probe", "variant"]
