"""One character of a text as a value of its own: its code point, with no object behind it.

`s[i]`, iteration over a str and chr() give such values. Comparisons, `in "..."`, ord() and the questions about a
character (isdigit, ...) work on the code point. Whoever needs the str itself makes it (Builder.materialize): what is
stored, joined with another str, or passed to what knows nothing of characters.
"""

from __future__ import annotations

import operator
from typing import Any, TypeGuard

from sapwood.lang import types as ty
from sapwood.lang.ir.ssa import Var
from sapwood.lang.ops import arith
from sapwood.lang.ops.operators import COMPARISONS
from sapwood.lang.types import BOOL, U64
from sapwood.lang.values import Agg, Known, Value

CHARACTER = ty.Character()
_MOST_RANGES, _MOST_WORDS = 3, 4  # tests of a code point that are worth more than a search


def character(code: Any) -> Agg:
    return Agg(CHARACTER, (code,))


def is_character(v: Value) -> TypeGuard[Agg]:
    return isinstance(v, Agg) and isinstance(v.type, ty.Character)


def plain(b: Any, v: Value) -> Value:
    """A value without characters: each becomes a str."""
    if is_character(v):
        return b.materialize(v)
    if isinstance(v, Agg) and isinstance(v.type, ty.Tuple) and any(isinstance(i, Agg) for i in v.items):
        items = tuple(plain(b, i) for i in v.items)
        return v if all(map(operator.is_, items, v.items)) else Agg(v.type, items)
    return v


def code_of(b: Any, v: Value) -> Value | None:
    """The code point of a text that has just one for sure."""
    if is_character(v):
        return v.items[0]
    if isinstance(v, Known) and isinstance(v.value, str) and len(v.value) == 1:
        return b.index(ord(v.value))
    return None


def compare(b: Any, fn: Any, x: Value, y: Value) -> Value | None:
    """A comparison in which a character takes part; None where a code point does not tell."""
    p, q = code_of(b, x), code_of(b, y)
    if p is not None and q is not None:
        return b.emit1(arith.compare, (p, q), BOOL, test=COMPARISONS[fn])
    other = y if is_character(x) else x
    if fn in (operator.eq, operator.ne) and isinstance(other, Known):
        return Known(fn is operator.ne)
    return None


def _ranges(codes: list[int]) -> list[tuple[int, int]]:
    """Runs of following code points, each as (first, last)."""
    found: list[tuple[int, int]] = []
    for code in codes:
        if found and found[-1][1] == code - 1:
            found[-1] = found[-1][0], code
        else:
            found.append((code, code))
    return found


def is_one_of(b: Any, x: Agg, text: str) -> Value | None:
    """`x in text`, of a constant text; None if there is no short test for its characters."""
    codes = sorted(set(map(ord, text)))
    (code,) = x.items
    assert isinstance(code, Var)
    wide = b.convert(code, U64)

    def below(v: Var, end: int) -> Var:
        return b.emit1(arith.compare, (v, b.const(end, U64)), BOOL, test="lt")

    def less(v: Var, start: int) -> Var:
        return v if start == 0 else b.emit1(arith.sub, (v, b.const(start, U64)), U64)

    tests: list[Var] = []
    ranges = _ranges(codes)
    if len(ranges) <= _MOST_RANGES:
        for first, last in ranges:
            if first == last:
                tests.append(b.emit1(arith.compare, (wide, b.const(first, U64)), BOOL, test="eq"))
            else:
                tests.append(below(less(wide, first), last - first + 1))
    else:  # words of 64 bits, one for each character
        words: dict[int, int] = {}
        start = -64
        for c in codes:
            start = c if c - start >= 64 else start
            words[start] = words.get(start, 0) | 1 << (c - start)
        if len(words) > _MOST_WORDS:
            return None
        parts = [(b.const(bits, U64), less(wide, start)) for start, bits in words.items()]
        if len(parts) == 2:  # one shift, of the word that it can be (LLVM makes vectors of two, which take longer)
            first = below(wide, max(words))
            parts = [tuple(b.emit1(arith.select, (first, x, y), U64) for x, y in zip(*parts, strict=True))]
        for bits, place in parts:
            inside = below(place, 64)
            count = b.emit1(arith.band, (place, b.const(63, U64)), U64)
            bit = b.emit1(arith.band, (b.emit1(arith.shr, (bits, count), U64), b.const(1, U64)), U64)
            tests.append(b.emit1(arith.band, (inside, b.convert(bit, BOOL)), BOOL))
    if not tests:
        return Known(False)
    result = tests[0]
    for t in tests[1:]:
        result = b.emit1(arith.bor, (result, t), BOOL)
    return result


# -- methods -----------------------------------------------------------------------------------------


def _question(name: str) -> Any:
    def rule(w: Any, x: Agg) -> Value:
        from sapwood.lang.library import text_characters

        return w.call_compiled(getattr(text_characters, f"character_{name}"), [x.items[0]], {})

    rule.__name__ = name
    return rule


METHODS = {
    n: _question(n)
    for n in (
        "isalpha", "isalnum", "isdecimal", "isdigit", "isnumeric", "isspace", "isupper", "islower", "isascii",
        "isprintable",
    )
}  # fmt: skip


