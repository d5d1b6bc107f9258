"""The programs of the README and of the language reference run and print what the pages say.

Blocks up to an output are one program.

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


def programs(page: str) -> list[tuple[str, str | None]]:
    found: list[tuple[str, str | None]] = []
    source: list[str] = []
    text = (ROOT / page).read_text(encoding="utf-8")
    for language, body in re.findall(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        if language == "python":
            source.append(body)
        elif source:
            found.append(("\n".join(source), body if language == "" else None))
            source = []
    return found


COUNTS = {"README.md": 3, "docs/language.md": 6}


@pytest.mark.parametrize(("page", "number"), [(p, i) for p, n in COUNTS.items() for i in range(n)])
def test_programs_print_what_the_page_says(page, number, tmp_path):
    source, expected = programs(page)[number]
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


@pytest.mark.parametrize(("page", "compared"), [("README.md", 2), ("docs/language.md", 6)])
def test_there_are_programs(page, compared):
    assert len(programs(page)) == COUNTS[page]
    assert sum(expected is not None for _, expected in programs(page)) == compared


PAGES = [p.relative_to(ROOT) for p in (*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_links_lead_somewhere(page):
    text = re.sub(r"```.*?```|`[^`]*`", "", (ROOT / page).read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
        assert (ROOT / page.parent / target).exists(), target
