"""The texts of diagnostics, against golden/*.txt. SAPWOOD_UPDATE_GOLDEN=1 writes the files anew."""

from __future__ import annotations

import importlib
import os
import re
from pathlib import Path

import mistakes
import pytest

from sapwood.lang import errors
from sapwood.lang.errors import CompileError

HERE = Path(__file__).parent
GOLDEN = HERE / "golden"

for module in sorted(HERE.glob("mistakes_*.py")):  # each enters its mistakes with `mistakes.call`
    importlib.import_module(module.stem)


def text_of(name: str) -> str:
    """The diagnostic of a mistake, with the directory of this test taken out of its paths, and lines counted from the
    definition that they are in, so that mistakes can be added anywhere."""
    with pytest.raises(CompileError) as caught:
        mistakes.MISTAKES[name]()
    text = re.sub(r"\S*/(?=\w+\.py)", "", str(caught.value)) + "\n"
    return re.sub(r"(\w+\.py):(\d+):", lambda m: f"{m[1]}:+{_line(m[1], int(m[2]))}:", text)


def _line(file: str, line: int) -> int:
    lines = (HERE / file).read_text().splitlines()
    starts = [i for i, text in enumerate(lines, 1) if text.startswith(("def ", "class "))]
    return line - max((i for i in starts if i <= line), default=0)


@pytest.mark.parametrize("name", sorted(mistakes.MISTAKES))
def test_text(name):
    text, path = text_of(name), GOLDEN / f"{name}.txt"
    if os.environ.get("SAPWOOD_UPDATE_GOLDEN"):
        path.write_text(text)
    assert text == path.read_text()


def test_every_text_belongs_to_a_mistake():
    assert {p.stem for p in GOLDEN.glob("*.txt")} == set(mistakes.MISTAKES)


def _classes(cls: type = CompileError) -> list[type]:
    return [cls, *(c for s in cls.__subclasses__() for c in _classes(s))]


def test_codes_are_unique_and_documented():
    codes: dict[str, type] = {}
    for cls in _classes():
        if "code" in vars(cls) and cls is not CompileError:
            assert cls.code not in codes, f"{cls} and {codes[cls.code]} share {cls.code}"
            assert cls.help, cls
            codes[cls.code] = cls
    shown = {re.match(r"error\[(\w+)\]", p.read_text()).group(1) for p in GOLDEN.glob("*.txt")}
    assert len(shown) >= 25
    assert shown <= codes.keys()


def test_a_diagnostic_pickles():
    import pickle

    for name in ("misspelt_name", "float_argument_for_int"):
        with pytest.raises(CompileError) as caught:
            mistakes.MISTAKES[name]()
        again = pickle.loads(pickle.dumps(caught.value))
        assert str(again) == str(caught.value)


def test_wide_characters_and_tabs_keep_the_caret_in_place(tmp_path):
    source = tmp_path / "wide.py"
    source.write_text("\tx = '漢字' + missing\n")
    loc = errors.Loc(str(source), 1, 12, 1, 19, "f")
    first, second = errors.excerpt(loc, '  ')
    start = errors._width(first[: first.index("missing")])
    assert second == " " * start + "^" * 7
