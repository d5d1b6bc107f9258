"""Sizes of texts and bytes that a loop leaves alone: read once before it, as they do not change.

LLVM reads them again after every store and call in the loop, and so cannot tell once and for all whether a text is
ASCII.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sapwood.lang.ir.ssa import Op, Var
from sapwood.lang.types import Bytes, Ref, Str
from sapwood.lang.values import Value

_KINDS = (Ref(Str()), Ref(Bytes()))


@dataclass
class Sizes:
    """Bytes and (of a text) code points, as values that hold in a loop; whether the loop asks for them."""

    size: Var
    points: Var
    asked: bool = False


@contextmanager
def read_before(w: Any, values: Iterable[Value]) -> Iterator[None]:
    """While a loop is walked: the sizes of these of its values that are texts are read before it."""
    b, around = w.b, w.b.sizes
    texts = {v for v in values if isinstance(v, Var) and v.type in _KINDS and v not in around}
    if not texts:
        yield
        return
    region, placed = b.region, list[tuple[list[Op], Sizes]]()
    known = dict(around)
    for v in sorted(texts, key=lambda v: v.id):
        start = len(region.ops)
        known[v] = Sizes(*_read(w, v))
        placed.append((region.ops[start:], known[v]))
    b.sizes = known
    try:
        yield
    finally:
        b.sizes = around
        # by what they are: the loop may have put constants at the beginning of the region
        idle = {id(op) for ops, sizes in placed if not sizes.asked for op in ops}
        if idle:
            region.ops[:] = [op for op in region.ops if id(op) not in idle]


def sizes_of(w: Any, x: Var) -> tuple[Var, Var]:
    """How many bytes there are, and how many code points in a text."""
    known = w.b.sizes.get(x)
    if known is None:
        return _read(w, x)
    known.asked = True
    return known.size, known.points


def _read(w: Any, x: Var) -> tuple[Var, Var]:
    from sapwood.lang.library.text_object import text_points, text_size

    return tuple(w.b.materialize(w.call_compiled(read, [x], {})) for read in (text_size, text_points))  # type: ignore[return-value]
