"""Limits of control groups, in trees of files as kernels and containers show them."""

from __future__ import annotations

from pathlib import Path

import pytest

from sapwood.runtime import cgroup, memory

GIB = 1 << 30
V2 = "31 23 0:28 {root} /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n"
V1 = (
    "30 23 0:27 / /sys/fs/cgroup ro - tmpfs tmpfs ro\n"
    "35 30 0:32 {root} /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n"
    "36 30 0:33 {root} /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct\n"
)


def tree(root: Path, files: dict[str, object]) -> str:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(str(content))
    return str(root)


def v2(tmp_path: Path, path: str, files: dict[str, object], root: str = "/") -> str:
    base = {"proc/self/cgroup": f"0::{path}\n", "proc/self/mountinfo": V2.format(root=root)}
    return tree(tmp_path, base | {f"sys/fs/cgroup/{name}": x for name, x in files.items()})


def v1(tmp_path: Path, path: str, files: dict[str, object], root: str = "/") -> str:
    own = f"12:memory:{path}\n5:cpu,cpuacct:{path}\n1:name=systemd:/other\n0::/\n"
    base = {"proc/self/cgroup": own, "proc/self/mountinfo": V1.format(root=root)}
    return tree(tmp_path, base | {f"sys/fs/cgroup/{name}": x for name, x in files.items()})


def test_no_groups_no_limits(tmp_path: Path):
    assert cgroup.available_memory(str(tmp_path)) is None and cgroup.cpu_quota(str(tmp_path)) == 0
    garbage = {"proc/self/cgroup": "nonsense\n::\n7\n", "proc/self/mountinfo": "x - y\n\na b c d e - cgroup2 z rw\n"}
    assert cgroup.available_memory(tree(tmp_path, garbage)) is None


def test_version_2_with_groups_above(tmp_path: Path):
    root = v2(tmp_path, "/pod/app", {
        "memory.stat": "anon 5\n", "cpu.stat": "",
        "pod/memory.max": 4 * GIB, "pod/memory.current": 3 * GIB, "pod/memory.stat": f"anon 1\ninactive_file {GIB}\n",
        "pod/app/memory.max": "max", "pod/app/memory.current": GIB, "pod/app/memory.stat": "",
        "pod/cpu.max": "150000 100000\n", "pod/app/cpu.max": "max 100000\n",
    })  # fmt: skip
    assert cgroup.available_memory(root) == 2 * GIB
    assert cgroup.cpu_quota(root) == 2
    tree(tmp_path, {"sys/fs/cgroup/pod/app/memory.max": 1536 << 20, "sys/fs/cgroup/pod/app/cpu.max": "50000 100000"})
    assert cgroup.available_memory(root) == 512 << 20
    assert cgroup.cpu_quota(root) == 1
    tree(tmp_path, {"sys/fs/cgroup/pod/app/memory.high": GIB + 5})
    assert cgroup.available_memory(root) == 5
    tree(tmp_path, {"sys/fs/cgroup/pod/app/memory.current": 2 * GIB})
    assert cgroup.available_memory(root) == 0


def test_pages_of_files_are_free(tmp_path: Path):
    """A restarted engine finds the weights of the one before still charged to its group."""
    stat = f"anon 100\nfile {2 * GIB}\nshmem 7\ninactive_file {GIB // 2}\nactive_file {GIB}\n"
    root = v2(tmp_path, "/", {"memory.max": 4 * GIB, "memory.current": 2 * GIB, "memory.stat": stat})
    assert cgroup.available_memory(root) == 4 * GIB - GIB // 2
    tree(tmp_path, {"sys/fs/cgroup/memory.current": 100})  # read at another moment
    assert cgroup.available_memory(root) == 4 * GIB


def test_version_1(tmp_path: Path):
    none = 9223372036854771712
    root = v1(tmp_path, "/a/b", {
        "memory/memory.limit_in_bytes": none, "memory/memory.usage_in_bytes": 9,
        "memory/a/memory.limit_in_bytes": 2 * GIB, "memory/a/memory.usage_in_bytes": GIB,
        "memory/a/memory.stat": "inactive_file 1\nactive_file 2\ntotal_inactive_file 300\ntotal_active_file 4\n",
        "memory/a/b/memory.limit_in_bytes": none, "memory/a/b/memory.usage_in_bytes": GIB,
        "cpu,cpuacct/cpu.cfs_quota_us": -1, "cpu,cpuacct/cpu.cfs_period_us": 100000,
        "cpu,cpuacct/a/cpu.cfs_quota_us": 350000, "cpu,cpuacct/a/cpu.cfs_period_us": 100000,
        "cpu,cpuacct/a/b/cpu.cfs_quota_us": -1, "cpu,cpuacct/a/b/cpu.cfs_period_us": 100000,
    })  # fmt: skip
    assert cgroup.available_memory(root) == GIB + 304
    assert cgroup.cpu_quota(root) == 4


@pytest.mark.parametrize(
    ("path", "mounted"),
    [("/docker/abc", "/docker/abc"), ("/", "/"), ("/../../x", "/"), ("/elsewhere", "/docker/abc")],
)
def test_containers_see_their_group_as_the_top(tmp_path: Path, path: str, mounted: str):
    files = {"memory.max": 3 * GIB, "memory.current": GIB}
    assert cgroup.available_memory(v2(tmp_path / "2", path, files, mounted)) == 2 * GIB
    files = {"memory/memory.limit_in_bytes": 3 * GIB, "memory/memory.usage_in_bytes": GIB}
    assert cgroup.available_memory(v1(tmp_path / "1", path, files, mounted)) == 2 * GIB


def test_the_machine_and_the_groups(tmp_path: Path):
    root = v2(tmp_path, "/", {"memory.max": 3 * GIB, "memory.current": GIB})
    tree(tmp_path, {"proc/meminfo": "MemTotal: 9000000 kB\nMemAvailable:    1000 kB\n"})
    assert memory.available_memory(root) == 1_024_000
    tree(tmp_path, {"proc/meminfo": "MemTotal: 9000000 kB\nMemAvailable: 8000000 kB\n"})
    assert memory.available_memory(root) == 2 * GIB
    assert 0 < memory.available_memory() < 1 << 50  # of this machine
    assert memory.available_memory(str(tmp_path / "nothing")) > 0
