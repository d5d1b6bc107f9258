"""Format specifiers as numbers, so that one compiled function serves them all.

`packed` holds alignment, sign, `#`, `z`, grouping and the letter of the type; the fill character, the width and the
precision (-1 where there is none) are numbers of their own.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

ALIGN_LEFT, ALIGN_RIGHT, ALIGN_AFTER_SIGN, ALIGN_CENTER = range(4)
ALIGN_MASK = 3
SIGN_PLUS, SIGN_SPACE, SIGN_MINUS = 1 << 2, 2 << 2, 3 << 2
SIGN_MASK = 3 << 2
ALTERNATE, NO_NEGATIVE_ZERO = 1 << 4, 1 << 5
GROUP_COMMA, GROUP_UNDERSCORE = 1 << 6, 2 << 6
GROUP_MASK = 3 << 6
TYPE_SHIFT = 8
TYPE_MASK = (1 << 24) - 1
UNSIGNED = 1 << 40  # the int is a u64
_ALIGN = {"<": ALIGN_LEFT, ">": ALIGN_RIGHT, "=": ALIGN_AFTER_SIGN, "^": ALIGN_CENTER}
_SIGN = {"-": SIGN_MINUS, None: 0, "+": SIGN_PLUS, " ": SIGN_SPACE}
_GROUP = {None: 0, ",": GROUP_COMMA, "_": GROUP_UNDERSCORE}
_GRAMMAR = re.compile(
    r"(?:(?P<fill>.)?(?P<align>[<>=^]))?(?P<sign>[-+ ])?(?P<z>z)?(?P<alt>#)?(?P<zero>0)?(?P<width>\d+)?"
    r"(?P<group>[,_])?(?:\.(?P<precision>\d+))?(?P<type>.)?",
    re.DOTALL | re.ASCII,
)


@dataclass(frozen=True)
class Spec:
    """One format specifier."""

    packed: int
    fill: int  # code point
    width: int
    precision: int

    @property
    def type(self) -> str:
        return chr(self.packed >> TYPE_SHIFT) if self.packed >> TYPE_SHIFT else ""

    @property
    def numbers(self) -> tuple[int, int, int, int]:
        return self.packed, self.fill, self.width, self.precision


def parse_spec(text: str, number: bool) -> Spec | None:
    """A constant format specifier for a number or a text; None when it is not well formed."""
    m = _GRAMMAR.fullmatch(text)
    if m is None:
        return None
    align, fill = m["align"], m["fill"]
    if m["zero"] and fill is None:
        fill = "0"
        align = align or ("=" if number else None)
    packed = _ALIGN[align or (">" if number else "<")] | _SIGN[m["sign"]] | _GROUP[m["group"]]
    packed |= (ALTERNATE if m["alt"] else 0) | (NO_NEGATIVE_ZERO if m["z"] else 0)
    packed |= ord(m["type"] or "\0") << TYPE_SHIFT
    width = int(m["width"]) if m["width"] else -1
    return Spec(packed, ord(fill or " "), width, int(m["precision"]) if m["precision"] else -1)
