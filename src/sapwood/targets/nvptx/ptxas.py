"""NVIDIA's assembler, where it is installed: PTX -> what a kernel takes of an SM, and a cubin.

It is on PATH with the CUDA toolkit, or in site-packages with the PyPI package nvidia-cuda-nvcc. Nothing needs it: the
driver assembles PTX, too. Source: "CUDA Compiler Driver NVCC", chapter on ptxas and its `-v`.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sysconfig
import tempfile
from dataclasses import dataclass
from pathlib import Path

TIMEOUT = 300  # seconds for a module

_ENTRY = re.compile(r"Compiling entry function '(\S+)' for")
_STACK = re.compile(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads")
_USED = re.compile(r"Used (\d+) registers")
_SHARED = re.compile(r"(\d+) bytes smem")


class PtxasError(RuntimeError):
    """ptxas is not there, or refused the PTX."""


@dataclass(frozen=True)
class Resources:
    """What a kernel takes: registers and bytes of the stack (in local memory) of a thread, bytes of static shared
    memory of a block, bytes of registers that are stored to and loaded from local memory."""

    registers: int
    shared_bytes: int
    stack_bytes: int
    spill_store_bytes: int
    spill_load_bytes: int


def find() -> str | None:
    """The path of ptxas, or None."""
    found = shutil.which("ptxas")
    if found is not None:
        return found
    places = Path(sysconfig.get_paths()["purelib"]).glob("nvidia/*/bin/ptxas")
    return next((str(p) for p in sorted(places)), None)


def assemble(ptx: str, architecture: str) -> tuple[bytes, dict[str, Resources]]:
    """A module of PTX as a cubin, and the resources of its kernels by name. Raises PtxasError."""
    program = find()
    if program is None:
        raise PtxasError("ptxas is not installed; the CUDA toolkit has it, and `pip install nvidia-cuda-nvcc`")
    with tempfile.TemporaryDirectory(prefix="sapwood-") as folder:
        source, cubin = Path(folder, "kernel.ptx"), Path(folder, "kernel.cubin")
        source.write_text(ptx, encoding="ascii")
        command = [program, f"-arch={architecture}", "-v", str(source), "-o", str(cubin)]
        try:
            done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=TIMEOUT)
        except subprocess.TimeoutExpired:
            raise PtxasError(f"ptxas took more than {TIMEOUT} seconds for {architecture}") from None
        if done.returncode:
            raise PtxasError(f"ptxas refused the code for {architecture}:\n{done.stderr.strip()}")
        return cubin.read_bytes(), _resources(done.stderr)


def _resources(said: str) -> dict[str, Resources]:
    found: dict[str, Resources] = {}
    name, stack = "", (0, 0, 0)
    for line in said.splitlines():
        if match := _ENTRY.search(line):
            name = match[1]
        elif match := _STACK.search(line):
            stack = (int(match[1]), int(match[2]), int(match[3]))
        elif (match := _USED.search(line)) and name:
            shared = _SHARED.search(line)
            found[name] = Resources(int(match[1]), int(shared[1]) if shared else 0, *stack)
            name, stack = "", (0, 0, 0)
    return found
