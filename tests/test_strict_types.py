"""The programs of the tutorial under a type checker in strict mode."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import sapwood

TUTORIAL = Path(__file__).parents[1] / "docs" / "tutorial"
# What the tutorial leaves to the compiler, for example the elements of `found = []`, a checker does not know.
LEFT_OUT = [
    "reportMissingParameterType",
    *(f"reportUnknown{kind}Type" for kind in ("Argument", "Lambda", "Member", "Parameter", "Variable")),
]


def programs() -> dict[str, str]:
    """name -> text of each program that is not there to show a mistake."""
    out: dict[str, str] = {}
    for page in sorted(TUTORIAL.glob("*.md")):
        found = re.findall(r"^```python\n(.*?)^```(?:\s*^```\n(.*?)^```)?", page.read_text(), re.DOTALL | re.MULTILINE)
        for i, (program, printed) in enumerate(found):
            if "error[" not in printed:
                out[f"{page.stem.replace('-', '_')}_{i}.py"] = program
    return out


@pytest.mark.nightly
@pytest.mark.skipif(shutil.which("pyright", path=str(Path(sys.executable).parent)) is None, reason="no pyright")
def test_tutorial(tmp_path):
    for name, program in programs().items():
        (tmp_path / name).write_text(program)
    config = {"typeCheckingMode": "strict", "extraPaths": [str(Path(sapwood.__file__).parents[1])]}
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(config | dict.fromkeys(LEFT_OUT, False)))
    pyright = str(Path(sys.executable).parent / "pyright")
    command = [pyright, "--pythonpath", sys.executable, "--project", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert len(programs()) >= 10
    assert done.returncode == 0, done.stdout
