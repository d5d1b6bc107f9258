"""What every test sees: helper modules of the test's own directory, and a compile cache of the run's own."""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

if "SAPWOOD_CACHE_DIR" not in os.environ:  # worker processes of one run share the directory of the first
    os.environ["SAPWOOD_CACHE_DIR"] = tempfile.mkdtemp(prefix="sapwood-test-cache-")
    atexit.register(shutil.rmtree, os.environ["SAPWOOD_CACHE_DIR"], ignore_errors=True)

for name in ("lang", "conformance", "fuzz", "gpu", "engine", "graph", "kernels", "models", "serve", "loadgen"):
    directory = str(Path(__file__).parent / name)
    if directory not in sys.path:
        sys.path.insert(0, directory)

# no test fails because the machine is busy; a test that needs a number of examples of its own says so
for profile, examples in (("default", 25), ("nightly", 5000)):
    settings.register_profile(
        profile, max_examples=examples, deadline=None, suppress_health_check=[HealthCheck.too_slow]
    )
settings.load_profile("default")


def pytest_xdist_auto_num_workers() -> int:
    """One more than there are cores: a fifth of the time tests wait for other processes, sockets and clocks."""
    return len(os.sched_getaffinity(0)) + 1


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long runs may take long: the limit of one test is for hangs, and a busy machine is none."""
    _sample(items)
    for item in items:
        if item.get_closest_marker("nightly") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(3600))


def _sample(items: list[pytest.Item]) -> None:
    """Of a test that is marked `sampled(n)`, n cases stay in `make test`, spread over all; the others are nightly."""
    cases: dict[tuple[str, str], list[pytest.Item]] = {}
    for item in items:
        if item.get_closest_marker("sampled"):
            cases.setdefault((str(item.path), item.name.partition("[")[0]), []).append(item)
    for found in cases.values():
        marker = found[0].get_closest_marker("sampled")
        assert marker is not None
        kept = {k * len(found) // marker.args[0] for k in range(marker.args[0])}
        for k, item in enumerate(found):
            if k not in kept:
                item.add_marker(pytest.mark.nightly)


@pytest.fixture
def fake_cuda(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Any]]:
    """Called with what a `FakeCuda` takes, it puts one in the place of libcuda."""
    from fake_cuda import FakeCuda

    from sapwood.lang.devices import cuda_kernels
    from sapwood.targets.nvptx.driver import library

    found = library._library

    def install(**options: Any) -> Any:
        fake = FakeCuda(**options)

        def load(fn: Any, arguments: Any, device: Any) -> Any:
            fake.loading = fn, arguments
            return real_load(fn, arguments, device)

        monkeypatch.setattr(cuda_kernels, "_load", load)
        library.use(fake)
        return fake

    real_load = cuda_kernels._load
    yield install
    library.use(None)
    library._library = found
