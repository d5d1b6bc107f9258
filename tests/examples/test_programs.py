"""Examples that are ordinary programs: compiled code and CPython do the same, also where they raise."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import io
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import sapwood
from sapwood.runtime.heap import live_objects

EXAMPLES = Path(__file__).parents[2] / "examples"
SOUND = b"abracadabra abracadabra, said the abbot" * 3
CALLS: dict[str, list[tuple[str, tuple[Any, ...]]]] = {
    "calculator": [
        *(("evaluate", (text, {"x": 1.5})) for text in ("2^3^2 - (x*4)", "1 / 0", "(1", "y", "1 $ 2", "1.2.3", "")),
        ("calculate", (["a = 3", "b = a * 2", "b / (a - 3)", "c", "1 +", "2 3", "b / 4"],)),
    ],
    "life": [("run", (text, 7)) for text in (".#.\n..#\n###", "#", "", ".##\n##.\n.#.")],
    "huffman": [
        *(("encode", (text,)) for text in ("abracadabra", "", "aaaa", "é€é")),
        ("decode", ("010", {"a": "0", "b": "10"})),
        ("decode", ("011", {"a": "0", "b": "10"})),
    ],
    "text_diff": [("report", pair) for pair in (("a\nb\nc\nd", "a\nc\ne\nd"), ("", "x"), ("same", "same"))],
    "compress": [
        ("compress", (SOUND,)),
        ("compress", (b"",)),
        *(("decompress", (data,)) for data in (b"\0\0a\1\3b", b"\5\1a", b"ab")),
    ],
    "polynomials": [
        ("arithmetic", ([1.0, 2.0, 1.0], [1.0, 1.0])),
        ("arithmetic", ([-4.5, 0.0, 1.0], [0.0, 0.0, 0.0, 2.0])),
        ("arithmetic", ([1.0], [])),
        ("gcd", ([-1.0, 0.0, 1.0], [1.0, 2.0, 1.0])),
        *(("root", (coefficients, x)) for coefficients, x in (([-2.0, 0.0, 1.0], 1.0), ([1.0, 0.0, 1.0], 1.0))),
    ],
}


def plain(name: str) -> ModuleType:
    """The example without Sapwood: `fn` does nothing, a struct is a dataclass."""
    module = ModuleType(f"plain_{name}")
    sys.modules[module.__name__] = module
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sapwood, "fn", lambda function: function)
        patch.setattr(sapwood, "struct", dataclasses.dataclass)
        exec(compile((EXAMPLES / f"{name}.py").read_text(), f"{name}.py", "exec"), vars(module))
    return module


def outcome(function: Any, args: tuple[Any, ...]) -> tuple[Any, ...]:
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        try:
            return function(*copy.deepcopy(args)), printed.getvalue()
        except Exception as e:
            return type(e).__name__, str(e), printed.getvalue()


@pytest.mark.parametrize("name", CALLS)
def test_compiled_code_does_what_python_does(name, example):
    compiled, python = example(name), plain(name)
    before = live_objects()
    for function, args in CALLS[name]:
        expected, found = outcome(getattr(python, function), args), outcome(getattr(compiled, function), args)
        assert repr(found) == repr(expected), (function, args)
        del found
        assert live_objects() == before, (function, args)


def test_programs_run(run_example):
    assert run_example("calculator", "x = 2", "x ^ 10") == "2: 1024\n"
    assert run_example("huffman", "aab").endswith("24 bits became 3; decoded: aab\n")
