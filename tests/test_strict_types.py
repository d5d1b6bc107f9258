"""Programs of the tutorial, kernels of the library and generic functions under a type checker in strict mode."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import sapwood

TUTORIAL = Path(__file__).parents[1] / "docs" / "tutorial"
# What the tutorial leaves to the compiler, for example the elements of `found = []`, a checker does not know.
LEFT_OUT = [
    "reportMissingParameterType",
    *(f"reportUnknown{kind}Type" for kind in ("Argument", "Lambda", "Member", "Parameter", "Variable")),
]
PYRIGHT = Path(sys.executable).parent / "pyright"
CHECKER = pytest.mark.skipif(not PYRIGHT.exists(), reason="no pyright")


def programs() -> dict[str, str]:
    """name -> text of each program that is not there to show a mistake."""
    out: dict[str, str] = {}
    for page in sorted(TUTORIAL.glob("*.md")):
        found = re.findall(r"^```python\n(.*?)^```(?:\s*^```\n(.*?)^```)?", page.read_text(), re.DOTALL | re.MULTILINE)
        for i, (program, printed) in enumerate(found):
            if "error[" not in printed:
                out[f"{page.stem.replace('-', '_')}_{i}.py"] = program
    return out


GENERIC = """
from typing import Any, TypeVar

from sapwood import Tensor, fn

T = TypeVar("T")


@fn
def same(x: T) -> T:
    return x


@fn
def first(x: T, y: T) -> T:
    return x


@fn(inline=True)
def anything(x: Any) -> Any:
    return x


@fn
def half(x: float) -> float:
    return x / 2.0


@fn
def total(x: Tensor[float, 1]) -> float:
    return float(x[0]) + same(2.0)


a: float = 1.0 + same(2.0)
b: int = 1 + same(2)
c: float = 1.0 + first(2.0, 3.0)
d: str = anything([1])
e: float = half(1) + total([1.0])
"""


def errors(folder: Path, config: dict[str, Any]) -> str:
    """What the checker finds in strict mode in a folder; nothing where it is content."""
    strict = {"typeCheckingMode": "strict", "extraPaths": [str(Path(sapwood.__file__).parents[1])]}
    (folder / "pyrightconfig.json").write_text(json.dumps(strict | config))
    command = [str(PYRIGHT), "--pythonpath", sys.executable, "--project", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    return done.stdout if done.returncode else ""


@pytest.mark.nightly
@CHECKER
def test_tutorial(tmp_path):
    assert len(programs()) >= 10
    for name, program in programs().items():
        (tmp_path / name).write_text(program)
    assert not errors(tmp_path, dict.fromkeys(LEFT_OUT, False))


@pytest.mark.nightly
@CHECKER
def test_kernels(tmp_path):
    kernels = Path(sapwood.__file__).parent / "kernels"
    assert not errors(tmp_path, {"include": [os.path.relpath(kernels, tmp_path)]})


@pytest.mark.nightly
@CHECKER
def test_generic_functions(tmp_path):
    (tmp_path / "generic.py").write_text(GENERIC)
    assert not errors(tmp_path, {})
