"""The programs of the README and of the language reference run and print what the pages say.

Blocks up to an output are one program.

An output fence without a language is compared; one that says `text` depends on the machine and is not. Where a page
talks to a server, there is one; only its port is another.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import sapwood

ROOT = Path(__file__).parents[1]
ENVIRONMENT = os.environ | {"PYTHONPATH": str(Path(sapwood.__file__).parents[1])}


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


COUNTS = {"README.md": 6, "docs/language.md": 6, "docs/serving.md": 1}
ADDRESS = "http://127.0.0.1:8000"


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The address of a server of the demo model."""
    command = [sys.executable, "-c", "import sys; from sapwood.cli import main; sys.exit(main())", "serve", "--port=0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=ENVIRONMENT)
    try:
        assert process.stdout is not None
        yield next(m.group() for line in process.stdout if (m := re.search(r"http://\S+", line)))
    finally:
        process.terminate()
        process.wait()


@pytest.mark.parametrize(("page", "number"), [(p, i) for p, n in COUNTS.items() for i in range(n)])
def test_programs_print_what_the_page_says(page, number, tmp_path, request):
    source, expected = programs(page)[number]
    if ADDRESS in source:
        source = source.replace(ADDRESS, request.getfixturevalue("server"))
    (tmp_path / "example.py").write_text(source)
    done = subprocess.run(
        [sys.executable, "example.py"], capture_output=True, text=True, timeout=400, cwd=tmp_path,
        env=ENVIRONMENT, check=False,
    )  # fmt: skip
    said = done.stdout + done.stderr.replace(f"{tmp_path}{os.sep}", "")
    if expected is None:
        assert done.returncode == 0, said
        assert done.stdout.strip()
    else:
        assert expected.strip() in said


BOOK = sorted(str(p.relative_to(ROOT)) for d in ("tutorial", "reference") for p in (ROOT / "docs" / d).glob("*.md"))
BOOK += ["docs/coming-from-numba.md", "docs/coming-from-cython.md"]
RUNNER = """
import contextlib, io, json, runpy, sys, traceback
said = []
for file in sys.argv[1:]:
    with contextlib.redirect_stdout(io.StringIO()) as out:
        try:
            runpy.run_path(file, run_name="__main__")
        except BaseException:
            out.write(traceback.format_exc())
    said.append(out.getvalue())
print(json.dumps(said))
"""


@pytest.mark.parametrize("page", BOOK)
def test_programs_of_the_book(page, tmp_path):
    """All programs of a page, in one process."""
    parts = programs(page)
    files = [tmp_path / str(i) / "example.py" for i in range(len(parts))]
    for file, (source, _) in zip(files, parts, strict=True):
        file.parent.mkdir()
        file.write_text(source)
    command = [sys.executable, "-c", RUNNER, *map(str, files)]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=400, cwd=tmp_path, env=ENVIRONMENT, check=False
    )
    assert done.returncode == 0, done.stderr
    for (source, expected), said in zip(parts, json.loads(done.stdout.splitlines()[-1]), strict=True):
        shown = re.sub(rf"{re.escape(str(tmp_path))}/\d+/", "", said)
        if expected is None:
            assert "Traceback" not in shown, source
        else:
            assert expected.strip() in shown, f"{source}\nsaid\n{shown}"


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl")
@pytest.mark.parametrize("page", ["README.md", "docs/serving.md"])
def test_curl_is_answered(page, server):
    text = (ROOT / page).read_text(encoding="utf-8").replace("\\\n", "")
    (command,) = re.findall(r"^(?:\$ )?(curl .*)$", text, re.MULTILINE)
    command = command.replace(ADDRESS, server)
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=400, check=True)
    assert json.loads(done.stdout)["choices"][0]["text"]


COMPARED = {"README.md": 4, "docs/language.md": 6, "docs/serving.md": 0}


@pytest.mark.parametrize(("page", "compared"), COMPARED.items())
def test_there_are_programs(page, compared):
    assert len(programs(page)) == COUNTS[page]
    assert sum(expected is not None for _, expected in programs(page)) == compared


PAGES = [p.relative_to(ROOT) for p in (*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_links_lead_somewhere(page):
    text = re.sub(r"```.*?```|`[^`]*`", "", (ROOT / page).read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
        assert (ROOT / page.parent / target).exists(), target
