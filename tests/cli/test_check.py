"""`sapwood check`: mistakes of a tree, as text and as JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sapwood.cli import main

GOOD = '''
from sapwood import Tensor, fn, struct

@struct(frozen=True)
class Point:
    x: float
    y: float

@fn
def total(xs: list[int], scale: float = 2.0) -> float:
    t = 0.0
    for x in xs:
        t += x * scale
    return t

@fn
def length(p: Point, t: Tensor[float, 1]) -> float:
    return p.x + p.y + t[0]

@fn
def open_one(x):
    return x + 1

print("printed while it is imported")
'''
BAD = '''
from sapwood import fn

@fn
def adds_text(n: int) -> int:
    return n + "1"

@fn
def calls_it(n: int) -> int:
    return adds_text(n) + 1

@fn
def fine(n: int) -> int:
    return n
'''


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "pkg").mkdir()
    (tmp_path / ".hidden").mkdir()
    (tmp_path / "good.py").write_text(GOOD)
    (tmp_path / "pkg" / "bad.py").write_text(BAD)
    (tmp_path / ".hidden" / "bad.py").write_text(BAD)
    (tmp_path / "other.py").write_text("raise SystemExit('not imported: it does not mention the package')")
    return tmp_path


def test_what_is_fine_exits_with_zero(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(tree / "good.py")]) == 0
    assert "3 functions in 1 files: 0 mistakes; 1 wait for a call" in capsys.readouterr().out
    assert main(["check", "--verbose", str(tree / "good.py")]) == 0
    assert "open_one() is compiled when it is called: what 'x' is given" in capsys.readouterr().out


def test_mistakes_are_printed_with_their_places(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(tree)]) == 2
    out = capsys.readouterr().out
    assert 'return n + "1"' in out and "bad.py:6:12 in adds_text" in out
    assert "called from" in out
    assert "6 functions in 3 files: 2 mistakes" in out and ".hidden" not in out


def test_json_is_for_editors(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--json", str(tree)]) == 2
    found = json.loads(capsys.readouterr().out)
    assert [f["severity"] for f in found] == ["note", "error", "error"]
    first = found[1]
    assert first["file"].endswith("bad.py") and (first["line"], first["column"], first["end_column"]) == (6, 12, 19)
    assert first["code"] == "T003" and "int + str" in first["message"] and first["help"]
    assert found[2]["related"][0]["line"] == 10


def test_files_that_cannot_be_imported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "broken.py").write_text("import sapwood\nx = (1,\n")
    (tmp_path / "fails.py").write_text("import sapwood\nraise ValueError('on import')\n")
    assert main(["check", str(tmp_path)]) == 2
    out = capsys.readouterr().out
    assert "broken.py:2" in out and "on import" in out
    assert main(["check", str(tmp_path / "nowhere")]) == 2
