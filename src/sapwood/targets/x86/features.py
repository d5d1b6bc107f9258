"""CPU features: probed from the kernel, masked by SAPWOOD_DISABLE_FEATURES, and the named levels.

Names are LLVM's. The kernel's list (/proc/cpuinfo) holds what the processor has and the system has enabled,
so a feature in it can be used. The CPU's name is never consulted: virtual machines lie about it.
"""

from __future__ import annotations

import ctypes
import platform
from functools import lru_cache

# /proc/cpuinfo flag -> LLVM feature. What is not here is not used.
_FLAGS = {
    "pni": "sse3",
    "ssse3": "ssse3",
    "cx16": "cx16",
    "sse4_1": "sse4.1",
    "sse4_2": "sse4.2",
    "popcnt": "popcnt",
    "avx": "avx",
    "f16c": "f16c",
    "fma": "fma",
    "bmi1": "bmi",
    "bmi2": "bmi2",
    "abm": "lzcnt",
    "movbe": "movbe",
    "avx2": "avx2",
    "avx512f": "avx512f",
    "avx512cd": "avx512cd",
    "avx512bw": "avx512bw",
    "avx512dq": "avx512dq",
    "avx512vl": "avx512vl",
    "avx512_vnni": "avx512vnni",
    "avx512_bf16": "avx512bf16",
    "avx512_fp16": "avx512fp16",
    "amx_tile": "amx-tile",
    "amx_bf16": "amx-bf16",
    "amx_int8": "amx-int8",
}

# a feature is dropped when one that it needs is
_NEEDS = {
    "sse3": (),
    "ssse3": ("sse3",),
    "sse4.1": ("ssse3",),
    "sse4.2": ("sse4.1",),
    "popcnt": (),
    "avx": ("sse4.2",),
    "f16c": ("avx",),
    "fma": ("avx",),
    "avx2": ("avx",),
    "avx512f": ("avx2", "fma", "f16c"),
    "avx512cd": ("avx512f",),
    "avx512bw": ("avx512f",),
    "avx512dq": ("avx512f",),
    "avx512vl": ("avx512f",),
    "avx512vnni": ("avx512f",),
    "avx512bf16": ("avx512bw",),
    "avx512fp16": ("avx512bw", "avx512vl", "avx512dq"),
    "amx-tile": (),
    "amx-bf16": ("amx-tile",),
    "amx-int8": ("amx-tile",),
}

# what is taken away to test the code of a lower machine
LEVELS: dict[str, tuple[str, ...]] = {
    "sse2": ("sse3", "cx16", "popcnt", "bmi", "bmi2", "lzcnt", "movbe", "amx-tile"),
    "sse4": ("avx", "bmi", "bmi2", "lzcnt", "movbe", "amx-tile"),
    "avx2": ("avx512f", "amx-tile"),
    "avx512": ("avx512bf16", "avx512fp16", "amx-tile"),
    "avx512bf16": ("amx-tile",),
    "amx": (),
}


@lru_cache(maxsize=1)
def probe() -> frozenset[str]:
    """Features of this processor that the system lets programs use."""
    if platform.system() != "Linux":
        return frozenset({"sse3", "ssse3", "cx16"})
    flags: set[str] = set()
    with open("/proc/cpuinfo", encoding="ascii", errors="replace") as f:
        for line in f:
            if line.startswith("flags"):
                flags = set(line.split(":", 1)[1].split())
                break
    found = {llvm for flag, llvm in _FLAGS.items() if flag in flags}
    if "amx-tile" in found and not _permit_amx():
        found -= {f for f in found if f.startswith("amx")}
    return frozenset(found)


def _permit_amx() -> bool:
    """Ask the kernel for the tile state, once for the process: arch_prctl(ARCH_REQ_XCOMP_PERM, XTILEDATA)."""
    libc = ctypes.CDLL(None, use_errno=True)
    return libc.syscall(158, 0x1023, 18) == 0


def without(features: frozenset[str], disabled: frozenset[str]) -> frozenset[str]:
    """`features` less the disabled ones and everything that needs them."""
    left = set(features - disabled)
    changed = True
    while changed:
        gone = {f for f in left if any(n not in left for n in _NEEDS.get(f, ()))}
        left -= gone
        changed = bool(gone)
    return frozenset(left)


def host_features() -> frozenset[str]:
    """Probed features less those that SAPWOOD_DISABLE_FEATURES takes away."""
    from sapwood import config

    return without(probe(), frozenset(config.disable_features()))


def level(name: str) -> frozenset[str]:
    """The features of a named level, as far as this machine has them."""
    return without(probe(), frozenset(LEVELS[name]))
