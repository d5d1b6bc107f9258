"""Checked launches find each bug of gpu_bugs/ at its lines, and nothing in the kernels of gpu/."""

from __future__ import annotations

import gpu_bugs_kit
import gpu_conformance
import pytest

from sapwood.gpu import checked

BUGS = gpu_bugs_kit.load()
PROGRAMS = gpu_conformance.load()
SEEDS = range(4)
MANY_SEEDS = range(100)


@pytest.mark.parametrize("name", BUGS)
def test_a_bug_is_found_at_its_lines(name):
    for seed in SEEDS:
        BUGS[name].check(seed)


@pytest.mark.nightly
@pytest.mark.parametrize("name", BUGS)
def test_a_bug_is_found_in_every_schedule(name):
    for seed in MANY_SEEDS:
        BUGS[name].check(seed)


def small(program: gpu_conformance.Program) -> int:
    """The largest size that does not take long when every access is looked at."""
    return max((n for n in program.sizes if n <= 5000), default=program.sizes[0])


# every third in `make test`, those that test_gpu.py leaves out: a checked kernel takes a second to compile
SOME = [n if k % 3 == 0 else pytest.param(n, marks=pytest.mark.nightly) for k, n in enumerate(PROGRAMS)]


@pytest.mark.parametrize("name", SOME)
def test_no_report_on_a_correct_kernel(name):
    for seed in (1, 2):
        with checked(seed):
            PROGRAMS[name].check(gpu_conformance.launch, small(PROGRAMS[name]))


@pytest.mark.nightly
@pytest.mark.parametrize("name", PROGRAMS)
def test_no_report_in_any_schedule(name):
    for seed in MANY_SEEDS:
        with checked(seed):
            PROGRAMS[name].check(gpu_conformance.launch, small(PROGRAMS[name]))
