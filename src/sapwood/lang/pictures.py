"""Pictures, as SVG text: how a tensor lies in memory and in the banks of shared memory, and how the threads of a warp
share a matrix.

    svg = layout(Scalar, (8, 33), (33, 1))          # sapwood inspect --layout 'f32[8, 33]'
    svg = fragments(UNITS["m16n8k16_bf16"])         # sapwood inspect --fragment m16n8k16_bf16

Source of the banks: CUDA C++ Programming Guide, "Shared Memory" (32 banks of 4 bytes).
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Sequence
from typing import Any
from xml.sax.saxutils import escape

from sapwood.runtime.array import contiguous_strides

BANKS, BANK_BYTES, WARP = 32, 4, 32
CELL, GAP, MARGIN, LINE = 34, 26, 12, 16
MOST = 4096  # cells of a picture that one can still look at
STYLE = """<style>
svg { background: #ffffff }
text { font: 11px Helvetica, Arial, sans-serif; fill: #1f2933 }
rect { stroke: #ffffff }
.head { font-size: 14px }
.label, .long { font-size: 12px; text-anchor: middle }
.long { font-size: 10px }
.small, .axis { font-size: 9px; fill: #616e7c; text-anchor: middle }
</style>"""


class Svg:
    """A picture that grows to hold what is drawn."""

    def __init__(self) -> None:
        self.parts: list[str] = []
        self.width = self.height = 0

    def _reach(self, x: float, y: float) -> None:
        self.width, self.height = max(self.width, math.ceil(x + MARGIN)), max(self.height, math.ceil(y + MARGIN))

    def cell(self, x: int, y: int, color: str, label: str, small: str, name: str) -> None:
        """A square with a label, a second line below it, and a text for who points at it."""
        self.parts.append(
            f"<rect class='cell' x='{x}' y='{y}' width='{CELL}' height='{CELL}' fill='{color}'>"
            f"<title>{escape(name)}</title></rect>"
        )
        self.text(x + CELL // 2, y + 16, label, "label" if len(label) < 5 else "long")
        self.text(x + CELL // 2, y + 28, small, "small")
        self._reach(x + CELL, y + CELL)

    def text(self, x: int, y: int, text: str, kind: str = "note") -> None:
        self.parts.append(f"<text class='{kind}' x='{x}' y='{y}'>{escape(text)}</text>")
        if kind in ("note", "head"):
            self._reach(x + 6.5 * len(text), y)

    def axes(self, x: int, y: int, rows: int, columns: int) -> None:
        """The numbers of columns above cells that begin there, and of rows to the left."""
        for c in range(columns):
            self.text(x + c * CELL + CELL // 2, y - 5, str(c), "axis")
        for r in range(rows):
            self.text(x - 11, y + r * CELL + 21, str(r), "axis")

    def __str__(self) -> str:
        w, h = self.width, self.height
        head = f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {w} {h}' width='{w}' height='{h}'>"
        return "\n".join([head, STYLE, *self.parts, "</svg>"]) + "\n"


def _color(number: int, count: int) -> str:
    """One of `count` light colours; neighbours differ in hue, and every second one in lightness."""
    return f"hsl({360 * number / count:g}, {70 if number % 2 else 85}%, {78 if number % 2 else 86}%)"


# -- layouts -------------------------------------------------------------------------------------------


def served_together(itemsize: int) -> int:
    """Threads of a warp that shared memory serves together: half of them where an element takes two banks."""
    return WARP * BANK_BYTES // max(itemsize, BANK_BYTES)


def ways(shape: Sequence[int], strides: Sequence[int], itemsize: int, axis: int) -> int:
    """In how many steps shared memory serves threads that go along an axis: the most words that are in one bank."""
    starts = [i * strides[axis] * itemsize for i in range(min(served_together(itemsize), shape[axis]))]
    words = {(at + byte) // BANK_BYTES for at in starts for byte in range(0, itemsize, BANK_BYTES)}
    return max(Counter(word % BANKS for word in words).values())


def layout(scalar: Any, shape: Sequence[int], strides: Sequence[int] | None = None) -> str:
    """A tensor of up to three axes: each element with its place in memory, in the colour of its bank.

    `scalar`: the type of the elements; `strides`: in elements, of rows one after the other where there are none. Raises
    ValueError for what cannot be drawn.
    """
    steps = contiguous_strides(shape) if strides is None else tuple(strides)
    if len(steps) != len(shape) or not 1 <= len(shape) <= 3:
        raise ValueError(f"a picture has one to three axes and a stride for each, not {len(shape)} and {len(steps)}")
    if any(n < 1 for n in shape) or math.prod(shape) > MOST:
        raise ValueError(f"a picture has 1 to {MOST} elements, not {' x '.join(map(str, shape))}")
    svg, size = Svg(), scalar.itemsize
    svg.text(MARGIN, 22, f"{scalar}[{', '.join(map(str, shape))}], strides ({', '.join(map(str, steps))})", "head")
    banks = f"{BANKS} banks of {BANK_BYTES} bytes"
    svg.text(MARGIN, 40, f"numbers: places in memory, in elements; b and colours: {banks}")
    planes, rows, columns = (1, 1, *shape)[-3:]
    left = MARGIN + GAP
    for plane in range(planes):
        top = 40 + 2 * GAP + plane * (rows * CELL + 2 * GAP)
        if len(shape) == 3:
            svg.text(MARGIN, top - LINE - 2, f"[{plane}]")
        svg.axes(left, top, rows, columns)
        for r, c in itertools.product(range(rows), range(columns)):
            index = (plane, r, c)[-len(shape) :]
            at = sum(i * s for i, s in zip(index, steps, strict=True))
            bank = at * size // BANK_BYTES % BANKS
            name = f"[{', '.join(map(str, index))}]: element {at}, byte {at * size}, bank {bank}"
            svg.cell(left + c * CELL, top + r * CELL, _color(bank, BANKS), str(at), f"b{bank}", name)
    below, together = svg.height + LINE, served_together(size)
    for axis in range(len(shape)):
        n = ways(shape, steps, size, axis)
        said = "in one step, without conflicts" if n == 1 else f"in {n} steps: a {n}-way bank conflict"
        svg.text(MARGIN, below + axis * LINE, f"{min(together, shape[axis])} threads along axis {axis}: {said}")
    return str(svg)


# -- fragments -----------------------------------------------------------------------------------------


def fragments(unit: Any, which: str = "") -> str:
    """Which thread holds each element of the matrices of a unit, and as which of its numbers: of A, B and C as they
    stand in a product, or of one of them (`which`: a, b or c).

    A cell has the lane, and below it the index in the lane's tuple. Raises ValueError for another `which`.
    """
    if which not in ("", "a", "b", "c"):
        raise ValueError(f"{unit.name} has the fragments a, b and c, not {which!r}")
    svg = Svg()
    shown = which or "abc"
    text = f"fragment {which} of {unit.name}" if which else f"{unit.name}: a @ b + c"
    svg.text(MARGIN, 22, text, "head")
    svg.text(MARGIN, 40, "T: the lane of the warp; below it the index in its tuple")
    left, top = MARGIN + GAP, 40 + 2 * GAP
    if len(shown) == 1:
        _matrix(svg, getattr(unit, shown), shown, left, top)
        return str(svg)
    right, below = left + unit.a.columns * CELL + 2 * GAP, top + unit.b.rows * CELL + 2 * GAP
    _matrix(svg, unit.b, "b", right, top)
    _matrix(svg, unit.a, "a", left, below)
    _matrix(svg, unit.c, "c", right, below)
    return str(svg)


def _matrix(svg: Svg, fragment: Any, name: str, x: int, y: int) -> None:
    lanes = fragment.threads
    svg.text(x, y - LINE - 4, f"{name}: {fragment.rows} x {fragment.columns}")
    svg.axes(x, y, fragment.rows, fragment.columns)
    for lane, k in itertools.product(range(lanes), range(fragment.size)):
        r, c = fragment.place(lane, k)
        about = f"{name}[{r}, {c}]: element {k} of lane {lane}"
        svg.cell(x + c * CELL, y + r * CELL, _color(lane, lanes), f"T{lane}", str(k), about)
