"""The kernels of gpu/ against NumPy, on every way that a kernel runs here, and their PTX by ptxas."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from gpu_conformance import kernels_of, launch, launch_on, load

from sapwood import config, gpu
from sapwood.targets.nvptx.driver.device import count

PROGRAMS = load()
ARCHITECTURES = (
    "sm_90a", *(pytest.param(a, marks=pytest.mark.nightly) for a in ("sm_75", "sm_80", "sm_100a", "sm_120")),
)  # fmt: skip
# in `make test` two of three programs; of the third the checked code is run (test_gpu_bugs.py)
CASES = [
    pytest.param(name, way, marks=pytest.mark.nightly if k % 3 == 0 or way != "simt" else ())
    for k, name in enumerate(PROGRAMS) for way in ("simt", "simt:coroutines")
]  # fmt: skip


@pytest.mark.parametrize(("name", "way"), CASES)
def test_a_program_gives_what_numpy_gives(name, way):
    with config.override(SAPWOOD_TARGET=way):
        for size in PROGRAMS[name].sizes:
            PROGRAMS[name].check(launch, size)


@pytest.mark.nightly
@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_passes_a_driver_what_it_should(name, fake_cuda):
    """Through all of the CUDA layer, to a driver that runs the kernels on simt."""
    fake_cuda()
    for size in PROGRAMS[name].sizes:
        PROGRAMS[name].check(launch_on(gpu.device("cuda")), size)


@pytest.mark.skipif(count() == 0, reason="there is no CUDA device")
@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_is_right_on_a_gpu(name):
    device = gpu.device("cuda")
    if not PROGRAMS[name].can_run(device.target_now.cpu):
        pytest.skip(f"it needs sm_{PROGRAMS[name].since} or {PROGRAMS[name].only}")
    for size in PROGRAMS[name].sizes:
        PROGRAMS[name].check(launch_on(device), size)


@pytest.mark.skipif(shutil.which("ptxas") is None, reason="ptxas is not installed")
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_ptxas_takes_all_kernels(architecture, tmp_path):
    program = Path(__file__).with_name("gpu_conformance.py")
    done = subprocess.run([sys.executable, str(program), architecture], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-4000:]
    found = json.loads(done.stdout)
    count = 0
    for module in modules([text for text in found.values() if text is not None]):
        source = tmp_path / "kernels.ptx"
        source.write_text(module)
        command = ["ptxas", f"-arch={architecture}", "-v", str(source), "-o", str(tmp_path / "kernels.cubin")]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-4000:]
        count += done.stderr.count("Compiling entry function")
    assert count == sum(text is not None for text in found.values()) > 60
    assert set(found) == set(kernels_of(PROGRAMS))


def modules(texts: list[str]) -> list[str]:
    """PTX of many kernels in few modules: no two of a module have one name."""
    mark = ".address_size 64"
    out: list[dict[str, str]] = []
    for text in texts:
        name = re.findall(r"\.entry (\w+)", text)[0]
        place = next((m for m in out if name not in m), None)
        if place is None:
            place = {}
            out.append(place)
        place[name] = text.partition(mark)[2]
    head = texts[0].partition(mark)[0] + mark
    return ["\n".join([head, *m.values()]) for m in out]
