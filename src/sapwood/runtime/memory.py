"""How much memory this process can still use."""

from __future__ import annotations

import os

from sapwood.runtime import cgroup


def available_memory(root: str = "/") -> int:
    """Bytes that can be used without swapping and without being killed: of the machine, and of the control groups.

    root: where the file system begins; tests give another one.
    """
    machine = _machine_memory(os.path.join(root, "proc/meminfo"))
    granted = cgroup.available_memory(root)
    return machine if granted is None else min(machine, granted)


def _machine_memory(meminfo: str) -> int:
    """MemAvailable, the kernel's own estimate; else half of what is installed."""
    try:
        with open(meminfo, encoding="ascii", errors="replace") as f:
            for line in f:
                name, _, value = line.partition(":")
                if name == "MemAvailable":
                    return int(value.split()[0]) * 1024
    except (OSError, ValueError, IndexError):
        pass
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
