"""Random modules of programs, compiled and in CPython; and every program that ever failed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import conformance
import fuzz
import pytest
from expressions import FEATURES

HERE = Path(__file__).parent


@pytest.mark.parametrize("seed", [1_000_001])
def test_modules_agree(seed):
    found = fuzz.failures(seed, frozenset(FEATURES), chunk=20)
    assert not found, "\n".join(f"{f.text}\n{f.source}" for f in found)


def test_found():
    for path in sorted((HERE / "found").glob("*.py")):
        assert list(conformance.differences(conformance.load(path))) == [], path


def test_shrinking():
    """A program that fails is cut down to what fails."""
    source = "\n".join(
        [
            "from conformance import case, fn",
            "",
            "@case(3)",
            "@case(4)",
            "@fn",
            "def p0(n: int) -> int:",
            "    total = 0",
            "    for i in range(n):",
            "        total += i",
            "        if total > 2:",
            "            total = total.nothing",
            "    return total",
            "",
        ]
    )
    texts, death = fuzz.run(source)
    assert death == "" and texts
    small = fuzz.shrink(fuzz.Failure(0, "p0", fuzz.kind_of(texts[0], ""), texts[0], source))
    assert "nothing" in small.source and len(small.source.splitlines()) < len(source.splitlines()) - 2


def test_a_crash_and_a_hang_are_told(monkeypatch):
    crash = "import os\nfrom conformance import case, fn\n\n@case(1)\n@fn\ndef p0(n: int) -> int:\n    return n\n"
    assert fuzz.run(crash + "os.kill(os.getpid(), 11)\n")[1].startswith("exit -11")
    assert fuzz.run(crash + "while True:\n    pass\n", limit=2)[1] == "hang"
    assert fuzz.run(crash) == ([], "")


def test_an_interrupted_run_leaves_no_answer_behind(monkeypatch):
    def interrupted(text):
        raise KeyboardInterrupt

    source = "from conformance import case, fn\n\n@case(1)\n@fn\ndef p0(n: int) -> int:\n    return n.nothing\n"
    with monkeypatch.context() as patch:
        patch.setattr(fuzz.json, "loads", interrupted)
        with pytest.raises(KeyboardInterrupt):
            fuzz.run(source)
    assert fuzz.run(source.replace(".nothing", "")) == ([], "")


PROGRAMS, PARTS = 200_000, 80  # modules 0 ... 3999, in parts that workers share


@pytest.mark.nightly
@pytest.mark.timeout(36_000)
@pytest.mark.parametrize("part", range(PARTS))
def test_stored_seeds(part, tmp_path):
    """`-k "stored_seeds and 17"` is one part; `--last-failed` goes on with those that failed; -s shows progress."""
    programs = PROGRAMS // PARTS
    first = part * programs // fuzz.CHUNK
    command = [sys.executable, str(HERE / "fuzz.py"), "--jobs", "1", "--keep", str(tmp_path)]
    command += ["--programs", str(programs), "--seed", str(first)]
    done = subprocess.run(command, check=False, stdout=subprocess.PIPE, text=True)
    assert done.returncode == 0, done.stdout + "\n".join(p.read_text() for p in tmp_path.glob("*.py"))
    assert done.stdout.startswith(f"{programs} programs, 0 failures")
