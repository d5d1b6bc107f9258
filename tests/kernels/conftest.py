"""Fixtures of the kernel tests: thread counts and feature levels."""

from __future__ import annotations

import pytest

import sapwood
from sapwood.lang.loading.current_target import use_target
from sapwood.targets.x86 import LEVELS, level, make, probe


@pytest.fixture(params=[1, 2])
def threads(request):
    old = sapwood.set_num_threads(request.param)
    yield request.param
    sapwood.set_num_threads(old)


def feature_levels() -> list[str]:
    """The named levels that differ on this machine."""
    found: dict[frozenset[str], str] = {}
    for name in LEVELS:
        found.setdefault(level(name), name)
    return list(found.values())


@pytest.fixture(params=feature_levels())
def target(request):
    """Compiled code of one feature level."""
    assert level(request.param) <= probe()
    with use_target(make(level(request.param))) as made:
        yield made
