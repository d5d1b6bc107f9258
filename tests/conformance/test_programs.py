"""The programs of programs/: compiled code does what CPython does, and leaves no object behind.

Every third program by default, all of them nightly.
"""

from __future__ import annotations

from pathlib import Path

import conformance
import pytest

MODULES = sorted((Path(__file__).parent / "programs").glob("*.py"))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_programs(path):
    found = list(conformance.differences(conformance.load(path)[::3]))
    assert not found, "\n" + "\n".join(found)


@pytest.mark.nightly
@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_all_programs(path):
    found = list(conformance.differences(conformance.load(path)))
    assert not found, "\n" + "\n".join(found)


def test_a_difference_is_found(tmp_path):
    """The comparison sees values, types, signs, exceptions, output and their absence."""
    path = tmp_path / "wrong.py"
    path.write_text(WRONG)
    programs = conformance.load(path)
    others = vars(conformance.execute(path, True)[0])
    for program in programs:
        program.plain = others.get(f"{program.name}_other", program.plain)
    names = {text.split("(")[0] for text in conformance.differences(programs)}
    assert names == {"value", "kind", "sign", "error", "text", "output"}


WRONG = """
from conformance import case, fn

@case(1)
@fn
def right(n: int) -> int:
    return n

@case(1)
@fn
def value(n: int) -> int:
    return n
def value_other(n: int) -> int:
    return n + 1

@case(1)
@fn
def kind(n: int) -> int:
    return n
def kind_other(n: int) -> float:
    return float(n)

@case(0.0)
@fn
def sign(x: float) -> float:
    return x
def sign_other(x: float) -> float:
    return -x

@case(0)
@fn
def error(n: int) -> int:
    return n
def error_other(n: int) -> int:
    return 1 // n

@case(0)
@fn
def text(n: int) -> int:
    return 1 // n
def text_other(n: int) -> int:
    raise ZeroDivisionError("another text")

@case(0)
@fn
def output(n: int) -> int:
    return n
def output_other(n: int) -> int:
    print(n)
    return n
"""
