"""The README's programs run and print what it says. Blocks up to an output are one program.

An output fence without a language is compared; one that says `text` depends on the machine and is not.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import sapwood

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def programs() -> list[tuple[str, str | None]]:
    found: list[tuple[str, str | None]] = []
    source: list[str] = []
    for language, body in re.findall(r"^```(\w*)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL):
        if language == "python":
            source.append(body)
        elif source:
            found.append(("\n".join(source), body if language == "" else None))
            source = []
    return found


@pytest.mark.parametrize("number", range(len(programs())))
def test_programs_print_what_the_readme_says(number, tmp_path):
    source, expected = programs()[number]
    (tmp_path / "example.py").write_text(source)
    environment = os.environ | {"PYTHONPATH": str(Path(sapwood.__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, "example.py"], capture_output=True, text=True, timeout=120, cwd=tmp_path,
        env=environment, check=False,
    )  # fmt: skip
    said = done.stdout + done.stderr.replace(f"{tmp_path}{os.sep}", "")
    if expected is None:
        assert done.returncode == 0, said
        assert done.stdout.strip()
    else:
        assert expected.strip() in said


def test_there_are_programs():
    assert len(programs()) == 3
    assert sum(expected is not None for _, expected in programs()) == 2


PAGES = [p.relative_to(ROOT) for p in (*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_links_lead_somewhere(page):
    text = re.sub(r"```.*?```|`[^`]*`", "", (ROOT / page).read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
        assert (ROOT / page.parent / target).exists(), target
