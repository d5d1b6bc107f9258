"""The kernels of gpu/ against NumPy, on every way that a kernel runs here, and their PTX by ptxas."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from gpu_conformance import kernels_of, launch, load

from sapwood import config

PROGRAMS = load()
ARCHITECTURES = ("sm_75", "sm_80", "sm_90a", "sm_100a", "sm_120")
WAYS = ("simt", "simt:coroutines", "simt:checked")


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_gives_what_numpy_gives(name, way):
    with config.override(SAPWOOD_TARGET=way):
        for size in PROGRAMS[name].sizes:
            PROGRAMS[name].check(launch, size)


@pytest.mark.skipif(shutil.which("ptxas") is None, reason="ptxas is not installed")
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_ptxas_takes_all_kernels(architecture, tmp_path):
    program = Path(__file__).with_name("gpu_conformance.py")
    done = subprocess.run([sys.executable, str(program), architecture], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-4000:]
    found = json.loads(done.stdout)
    mark = ".address_size 64"
    texts = [text for text in found.values() if text is not None]
    source = tmp_path / "kernels.ptx"
    source.write_text(texts[0].partition(mark)[0] + mark + "\n" + "\n".join(t.partition(mark)[2] for t in texts))
    command = ["ptxas", f"-arch={architecture}", "-v", str(source), "-o", str(tmp_path / "kernels.cubin")]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-4000:]
    assert done.stderr.count("Compiling entry function") == len(texts)
    assert len(found) >= len(kernels_of(PROGRAMS)) and (architecture == "sm_75" or len(texts) > 0)
