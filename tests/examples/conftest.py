"""Examples are loaded by path, as a reader would run them."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

import sapwood

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def example():
    """`example("mandelbrot")`: the module of examples/mandelbrot.py."""

    def load(name: str):
        path = EXAMPLES / f"{name}.py"
        spec = importlib.util.spec_from_file_location(f"example_{name.replace('/', '_')}", path)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module
        spec.loader.exec_module(module)
        return module

    return load


@pytest.fixture
def run_example(tmp_path):
    """`run_example("mandelbrot", "--size", "60x40")`: what it prints, run in an empty directory."""

    def call(name: str, *arguments: str) -> str:
        command = [sys.executable, str(EXAMPLES / f"{name}.py"), *arguments]
        environment = os.environ | {"PYTHONPATH": str(Path(sapwood.__file__).parents[1])}
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=240, check=False, cwd=tmp_path, env=environment
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return call
