"""What the control groups of this process grant: memory and processors. Versions 1 and 2, and all groups above.

https://docs.kernel.org/admin-guide/cgroup-v2.html and cgroup-v1/memory.html. A group's limit holds for everything
below it, so each is looked at from the process's own group up to where the hierarchy is mounted. Files that are
missing or strange set no limit. `root` is where the file system begins; tests give another one.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

UNLIMITED = 1 << 60  # version 1 writes "no limit" as a number near 2**63


def available_memory(root: str = "/") -> int | None:
    """Bytes that the process can still use under the limits of its groups; None without a limit.

    Pages of files count as free, because the kernel drops them before it kills anything.
    """
    found: list[int] = []
    for version, directory in _groups("memory", root):
        v2 = version == 2
        names = ("memory.max", "memory.high") if v2 else ("memory.limit_in_bytes",)
        limits = [n for n in (_number(os.path.join(directory, name)) for name in names) if n is not None]
        limit = min(limits, default=UNLIMITED)
        used = _number(os.path.join(directory, "memory.current" if v2 else "memory.usage_in_bytes"))
        if limit < UNLIMITED and used is not None:
            found.append(max(limit - max(used - _file_cache(directory, v2), 0), 0))
    return min(found, default=None)


def cpu_quota(root: str = "/") -> int:
    """Whole processors, rounded up, that the groups grant; 0 when there is no limit."""
    found: list[int] = []
    for version, directory in _groups("cpu", root):
        if version == 2:
            quota, _, period = (_text(os.path.join(directory, "cpu.max")) or "").strip().partition(" ")
        else:
            quota = _text(os.path.join(directory, "cpu.cfs_quota_us")) or ""
            period = _text(os.path.join(directory, "cpu.cfs_period_us")) or ""
        try:
            granted, every = int(quota), int(period)
        except ValueError:
            continue
        if granted > 0 and every > 0:
            found.append(max(-(-granted // every), 1))
    return min(found, default=0)


def _groups(controller: str, root: str) -> Iterator[tuple[int, str]]:
    """(version, directory) of each group with this controller that the process is in, innermost first."""
    own: dict[str, str] = {}  # controller -> path of the group in its hierarchy; "" is version 2
    for line in (_text(os.path.join(root, "proc/self/cgroup")) or "").splitlines():
        _, _, rest = line.partition(":")
        names, _, path = rest.partition(":")
        own.update(dict.fromkeys(names.split(","), path))
    for line in (_text(os.path.join(root, "proc/self/mountinfo")) or "").splitlines():
        fields, _, rest = line.partition(" - ")
        mount, kind = fields.split(), rest.split()
        if len(mount) < 5 or len(kind) < 3:
            continue
        if kind[0] == "cgroup2":
            version, path = 2, own.get("")
        elif kind[0] == "cgroup" and controller in kind[2].split(","):
            version, path = 1, own.get(controller)
        else:
            continue
        if path is not None:
            top = os.path.join(root, mount[4].lstrip("/"))
            yield from ((version, directory) for directory in _upwards(top, _below(path, mount[3])))


def _below(path: str, mounted: str) -> str:
    """A group's path from the group that is mounted; "" when it is outside of that, as containers may see it."""
    base = mounted.rstrip("/") + "/"
    if ".." in path.split("/") or not (path + "/").startswith(base):
        return ""
    return path[len(base) :].strip("/")


def _upwards(top: str, below: str) -> Iterator[str]:
    parts = [p for p in below.split("/") if p]
    for count in range(len(parts), -1, -1):
        yield os.path.join(top, *parts[:count])


def _file_cache(directory: str, v2: bool) -> int:
    """Bytes of pages of files, which can be read again."""
    stat: dict[str, int] = {}
    for line in (_text(os.path.join(directory, "memory.stat")) or "").splitlines():
        name, _, value = line.partition(" ")
        if value.isdigit():
            stat[name] = int(value)
    prefix = "" if v2 or "total_inactive_file" not in stat else "total_"  # of the groups below too
    return stat.get(f"{prefix}inactive_file", 0) + stat.get(f"{prefix}active_file", 0)


def _text(path: str) -> str | None:
    try:
        with open(path, encoding="utf-8", errors="replace") as f:
            return f.read()
    except OSError:
        return None


def _number(path: str) -> int | None:
    text = (_text(path) or "").strip()
    return int(text) if text.isdigit() else None
