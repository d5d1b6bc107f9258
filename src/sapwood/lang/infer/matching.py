"""What the tests of `match` patterns mean (front/patterns.py makes them)."""

from __future__ import annotations

import builtins
import enum
import operator
from typing import TYPE_CHECKING

from sapwood.lang import types as ty
from sapwood.lang.errors import PatternMismatch
from sapwood.lang.front import hir
from sapwood.lang.infer.builtins import builtin
from sapwood.lang.infer.objects import get_attribute
from sapwood.lang.ir.ssa import Var
from sapwood.lang.values import Agg, Known, Value, describe

if TYPE_CHECKING:
    from sapwood.lang.infer.walker import FunctionWalker as Walker

_WHOLE = (bool, bytearray, bytes, dict, float, frozenset, int, list, set, str, tuple)  # `case int(x)`: x is the subject


def kind_of(x: Value) -> str:
    """Values of different kinds are never equal. An empty text: only a comparison can tell."""
    match x:
        case Known(value=None):
            return "none"
        case Known(value=bool() | int() | float() | complex()) | Var(type=ty.Scalar()):
            return "number"
        case Known(value=str()) | Agg(type=ty.Character()):
            return "str"
        case Known(value=bytes()):
            return "bytes"
        case Known(value=tuple()) | Agg(type=ty.Tuple()):
            return "tuple"
        case Agg(type=ty.Struct(cls=cls)):
            return f"struct {cls.__module__}.{cls.__qualname__}"
    return ""


@builtin(hir.match_value)
def _value(w: Walker, subject: Value, value: Value, *taken: Value) -> Value:
    """`taken`: constants that earlier cases take; the last member of an Enum is what is left of it."""
    if isinstance(subject, Agg) and isinstance(subject.type, ty.Enum):
        cls = subject.type.cls
        members = {v.value for v in (value, *taken) if isinstance(v, Known) and isinstance(v.value, cls)}
        if not issubclass(cls, enum.Flag) and members >= set(cls):
            return Known(True)
    p, q = kind_of(subject), kind_of(value)
    if p and q and p != q:
        return Known(False)
    return w.call(Known(operator.eq), [subject, value], {}, w.b.loc)


@builtin(hir.match_singleton)
def _singleton(w: Walker, subject: Value, constant: Value, left: Value = Known(False)) -> Value:
    """`left`: an earlier case has taken the other bool, so that this is what a bool has left."""
    assert isinstance(constant, Known)
    if isinstance(constant.value, bool):
        if isinstance(subject, Var) and subject.type == ty.BOOL:
            if left == Known(True):
                return left
            return w.call(Known(operator.eq), [subject, constant], {}, w.b.loc)
        return Known(isinstance(subject, Known) and subject.value is constant.value)
    return w.call(Known(operator.is_), [subject, constant], {}, w.b.loc)


@builtin(hir.match_sequence)
def _sequence(w: Walker, subject: Value) -> Value:
    return w.call(Known(builtins.isinstance), [subject, Known((tuple, list))], {}, w.b.loc)


@builtin(hir.match_mapping)
def _mapping(w: Walker, subject: Value) -> Value:
    return w.call(Known(builtins.isinstance), [subject, Known(dict)], {}, w.b.loc)


@builtin(hir.mapping_rest)
def _mapping_rest(w: Walker, subject: Value, *keys: Value) -> Value:
    rest = w.call(Known(dict), [subject], {}, w.b.loc)
    for key in keys:  # all of them are there
        w.call(get_attribute(w, rest, "pop", w.b.loc), [key], {}, w.b.loc)
    return rest


@builtin(hir.match_class)
def _class(w: Walker, subject: Value, cls: Value, count: Value) -> Value:
    kind = w.b.known(cls, "the class of a pattern")
    positional = w.b.known(count, "the number of patterns", int)
    if not isinstance(kind, type):
        hint = "name a class, or a constant as module.NAME"
        raise PatternMismatch(w.b.loc, detail=f"{describe(cls)} is not a class", hint=hint)
    allowed = 1 if kind in _WHOLE else len(getattr(kind, "__match_args__", ()))
    if positional > allowed:
        plural = "" if allowed == 1 else "s"
        detail = f"{kind.__name__}() accepts {allowed} positional sub-pattern{plural} ({positional} given)"
        raise PatternMismatch(w.b.loc, detail=detail, hint="name the attributes, for example Point(x=0)")
    return w.call(Known(builtins.isinstance), [subject, cls], {}, w.b.loc)


@builtin(hir.match_positional)
def _positional(w: Walker, subject: Value, cls: Value, index: Value) -> Value:
    kind = w.b.known(cls, "the class of a pattern", type)
    if kind in _WHOLE:
        return subject
    return get_attribute(w, subject, kind.__match_args__[w.b.known(index, "the position", int)], w.b.loc)


@builtin(hir.star_items)
def _star_items(w: Walker, value: Value, before: Value, after: Value) -> Value:
    from sapwood.lang.infer.iteration.unpack import unpack

    first, last = w.b.known(before, "a count", int), w.b.known(after, "a count", int)
    return unpack(w, value, first, last, w.b.loc)[first]
