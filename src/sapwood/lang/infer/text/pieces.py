"""`s.split()`, `s.split(sep)` and `s.splitlines()` where only a loop takes the pieces: no list is made of them.

A text does not change, so nobody can tell when a piece is cut out of it. Errors come when Python has them, at the call.
"""

from __future__ import annotations

import builtins
import operator
from typing import Any

from sapwood.lang.front import hir
from sapwood.lang.infer.iteration.adapters import adapter, lazy
from sapwood.lang.infer.iteration.protocol import Iteration, Sink
from sapwood.lang.infer.text.strings import as_text, call, is_text
from sapwood.lang.ops import arith
from sapwood.lang.ops.operators import binary, truth
from sapwood.lang.types import BOOL
from sapwood.lang.values import Agg, Known, Value, Var


def pieces(w: Any, e: hir.Expr) -> Value | None:
    """The value of an expression that is a call of one of these methods, for who only iterates; None: it is another."""
    match e:
        case hir.Call(
            callee=hir.Call(
                callee=hir.Literal(value=builtins.getattr),
                args=(receiver, hir.Literal(value="split" | "splitlines" as name)),
                loc=place,
            ),
            args=args,
            kwargs=(),
        ) if len(args) < 2 and not any(isinstance(a, hir.Starred) for a in args):
            pass
        case _:
            return None
    s = w.expr(receiver)
    given = w.arguments(args)
    kind, more = _asked(w, name, given) if is_text(s) else ("", [])
    w.b.loc = e.loc
    if not kind:
        return w.call(w.apply_operator(getattr, [s, Known(name)], place), given, {}, e.loc)
    if kind == "split":
        from sapwood.lang.library.text_object import text_size

        empty = binary(w.b, operator.eq, call(w, text_size, more[0]), Known(0))
        w.b.raise_if(empty, ValueError, "empty separator")
    return lazy(f"text {kind}", as_text(w, s, name), *more)


def _asked(w: Any, name: str, given: list[Value]) -> tuple[str, list[Value]]:
    """How the text is cut, and the operands of that; ("", []) for what is a mistake."""
    if name == "splitlines":
        return "lines", [w.b.materialize(truth(w.b, given[0])) if given else w.b.const(False, BOOL)]
    if not given or given[0] == Known(None):
        return "words", []
    return ("split", [as_text(w, given[0], name)]) if is_text(given[0]) else ("", [])


class Pieces(Iteration):
    """The pieces of a text; the state is the byte where the search for the next one begins."""

    kind = "list_iterator"

    def __init__(self, cut: Any, s: Var, *more: Value) -> None:
        super().__init__()
        self.cut, self.s, self.more = cut, s, more

    def start(self, w: Any, prefix: str) -> None:
        self.state = [prefix]
        w.vars[prefix] = w.b.index(0)

    def next(self, w: Any, sink: Sink) -> Value:
        from sapwood.lang.library.text_object import text_part

        (slot,) = self.state
        found = call(w, self.cut, self.s, *self.more, w.vars[slot])
        assert isinstance(found, Agg)
        start, stop, after = found.items
        sink.end_unless(w.b.emit1(arith.compare, (start, w.b.index(0)), BOOL, test="ge"))
        w.vars[slot] = after
        return call(w, text_part, self.s, start, stop)


@adapter("text words")
def _words(w: Any, value: Agg) -> Iteration:
    from sapwood.lang.library.text_split import next_word

    return Pieces(next_word, *value.items)  # type: ignore[arg-type]


@adapter("text split")
def _split(w: Any, value: Agg) -> Iteration:
    from sapwood.lang.library.text_split import next_field

    return Pieces(next_field, *value.items)  # type: ignore[arg-type]


@adapter("text lines")
def _lines(w: Any, value: Agg) -> Iteration:
    from sapwood.lang.library.text_split import next_line

    return Pieces(next_line, *value.items)  # type: ignore[arg-type]
