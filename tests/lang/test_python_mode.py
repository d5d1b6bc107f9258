"""f.python(...) where the function's module is not an imported one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import sapwood


def test_plain_python_in_a_script(tmp_path):
    """There `__builtins__` is a module."""
    (tmp_path / "script.py").write_text(
        "from sapwood import fn\n\n@fn\ndef total(n: int) -> int:\n    s = 0\n    for i in range(n):\n        s += i\n"
        "    return s\n\nassert total.python(5) == total.reference(5) == total(5) == 10\n"
    )
    environment = os.environ | {"PYTHONPATH": str(Path(sapwood.__file__).parents[1])}
    subprocess.run([sys.executable, "script.py"], timeout=60, cwd=tmp_path, env=environment, check=True)
