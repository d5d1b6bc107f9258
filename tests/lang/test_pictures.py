"""Pictures: the SVG is read again, and each of its cells is where it should be."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from sapwood.lang.ops.gpu.matrix import UNITS
from sapwood.lang.pictures import CELL, fragments, layout, ways
from sapwood.lang.types import BF16, F32, F64, I8, SCALARS
from sapwood.runtime.array import contiguous_strides

NAME = "{http://www.w3.org/2000/svg}"


def read(svg: str) -> tuple[list[dict[str, str]], dict[str, list[str]]]:
    """Cells (place, colour, title, label, small), and texts by their class."""
    root = ElementTree.fromstring(svg)
    width, height = float(root.get("width")), float(root.get("height"))
    texts: dict[str, list[str]] = {}
    at: dict[tuple[str, int, int], str] = {}
    for t in root.iter(f"{NAME}text"):
        kind = "label" if t.get("class") == "long" else t.get("class")
        texts.setdefault(kind, []).append(t.text)
        at[kind, int(t.get("x")), int(t.get("y"))] = t.text
    cells = []
    for r in root.iter(f"{NAME}rect"):
        assert r.get("class") == "cell" and r.get("width") == r.get("height") == str(CELL)
        x, y = int(r.get("x")), int(r.get("y"))
        assert 0 <= x <= width - CELL and 0 <= y <= height - CELL
        cells.append({
            "x": x, "y": y, "color": r.get("fill"), "title": r.find(f"{NAME}title").text,
            "label": at["label", x + CELL // 2, y + 16], "small": at["small", x + CELL // 2, y + 28],
        })  # fmt: skip
    assert len({(c["x"], c["y"]) for c in cells}) == len(cells), "cells lie on each other"
    return cells, texts


@pytest.mark.parametrize("name", UNITS)
@pytest.mark.parametrize("which", ["", "a", "b", "c"])
def test_a_fragment_has_each_element_once(name, which):
    unit = UNITS[name]
    cells, texts = read(fragments(unit, which))
    for letter in which or "abc":
        fragment = getattr(unit, letter)
        places = {}
        for c in cells:
            found = re.fullmatch(rf"{letter}\[(\d+), (\d+)\]: element (\d+) of lane (\d+)", c["title"])
            if found:
                r, column, k, lane = map(int, found.groups())
                assert fragment.place(lane, k) == (r, column)
                assert c["label"] == f"T{lane}" and c["small"] == str(k)
                places[r, column] = c
        assert len(places) == fragment.rows * fragment.columns
        first = places[0, 0]
        for (r, column), c in places.items():
            assert (c["x"], c["y"]) == (first["x"] + column * CELL, first["y"] + r * CELL)
    assert len(texts["label"]) == len(texts["small"]) == len(cells)
    assert len({c["color"] for c in cells}) == 32  # one for each lane
    shown = [getattr(unit, letter) for letter in which or "abc"]
    assert len(texts["axis"]) == sum(f.rows + f.columns for f in shown)


def test_a_product_stands_as_one_writes_it():
    unit = UNITS["m16n8k16_f16"]
    cells, _ = read(fragments(unit))
    corner = {c["title"][0]: (c["x"], c["y"]) for c in cells if "[0, 0]" in c["title"]}
    assert corner["a"][1] == corner["c"][1] and corner["b"][0] == corner["c"][0]
    assert corner["a"][0] + unit.a.columns * CELL < corner["c"][0]
    assert corner["b"][1] + unit.b.rows * CELL < corner["c"][1]


@pytest.mark.parametrize(
    ("scalar", "shape", "strides"),
    [
        (F32, (8, 33), None), (F32, (4, 32), None), (BF16, (2, 3, 5), (1, 2, 6)), (F64, (40,), None),
        (I8, (3, 7), (7, 1)), (F32, (4, 4), (-4, 1)),
    ],
)  # fmt: skip
def test_a_layout_has_each_element_where_it_lies(scalar, shape, strides):
    cells, texts = read(layout(scalar, shape, strides))
    steps = strides or contiguous_strides(shape)
    found = {}
    for c in cells:
        title = re.fullmatch(r"\[([\d, ]+)\]: element (-?\d+), byte (-?\d+), bank (\d+)", c["title"])
        index, at, byte, bank = title.groups()
        place = tuple(map(int, index.split(", ")))
        assert int(at) == sum(i * s for i, s in zip(place, steps, strict=True)) and c["label"] == at
        assert int(byte) == int(at) * scalar.itemsize and int(bank) == int(byte) // 4 % 32 and c["small"] == f"b{bank}"
        found[place] = c
    size = 1
    for n in shape:
        size *= n
    assert len(found) == len(cells) == len(texts["label"]) == size
    banks = {}
    for c in cells:
        assert banks.setdefault(c["small"], c["color"]) == c["color"]
    assert len(set(banks.values())) == len(banks)
    assert len([t for t in texts["note"] if "threads along axis" in t]) == len(shape)


def test_bank_conflicts():
    assert ways((32, 32), (32, 1), 4, 0) == 32 and ways((32, 32), (32, 1), 4, 1) == 1
    assert ways((32, 33), (33, 1), 4, 0) == 1
    assert ways((32, 64), (64, 1), 2, 1) == 1  # two threads read one word
    assert ways((32, 64), (64, 1), 2, 0) == 32
    assert ways((8, 16), (16, 1), 4, 0) == 4
    assert ways((64,), (1,), 8, 0) == 1 and ways((64,), (2,), 8, 0) == 2  # halves of a warp
    assert ways((32,), (0,), 4, 0) == 1  # all read the same
    assert "32 threads along axis 0: in 32 steps: a 32-way bank conflict" in layout(F32, (32, 32))


@pytest.mark.parametrize(
    ("shape", "strides", "text"),
    [((), None, "one to three axes"), ((2, 2, 2, 2), None, "axes"), ((4, 4), (1,), "axes"), ((0, 4), None, "1 to 4096"),
     ((65, 64), None, "1 to 4096")],
)  # fmt: skip
def test_what_cannot_be_drawn(shape, strides, text):
    with pytest.raises(ValueError, match=text):
        layout(SCALARS["f32"], shape, strides)
    with pytest.raises(ValueError, match="fragments a, b and c, not 'd'"):
        fragments(UNITS["m16n8k8_f16"], "d")


def test_the_picture_of_the_documentation_is_the_one_that_is_made():
    picture = Path(__file__).parents[2] / "docs" / "images" / "m16n8k8_f16.svg"
    assert picture.read_text() == fragments(UNITS["m16n8k8_f16"])
