"""`template % values` and `template.format(...)` of constant templates: taken apart at compile time."""

from __future__ import annotations

import re
import string
from typing import Any

from sapwood.lang import types as ty
from sapwood.lang.errors import BadOperand
from sapwood.lang.errors_text import BadFormat
from sapwood.lang.infer.text import is_text
from sapwood.lang.infer.text_format import Pieces, format_pieces, join_pieces, text_of
from sapwood.lang.ir.ssa import Var
from sapwood.lang.values import Agg, Known, Value

_PERCENT = re.compile(r"%(?P<flags>[-#0 +]*)(?P<width>\d+)?(?:\.(?P<precision>\d+))?[hlL]?(?P<type>.)", re.DOTALL)
_CONVERSIONS = {"s": "str", "r": "repr", "a": "ascii"}


def percent(w: Any, template: Value, values: Value) -> Value:
    """template % values"""
    from sapwood.lang.ops.operators import tuple_items

    text = w.b.known(template, "the template of %", str)
    many = isinstance(values, Agg) and isinstance(values.type, ty.Tuple)
    many = many or isinstance(values, Known) and isinstance(values.value, tuple)
    queue = list(tuple_items(values)) if many else [values]
    pieces: Pieces = []
    at = 0
    for m in _PERCENT.finditer(text):
        pieces.append(Known(text[at : m.start()]))
        at = m.end()
        if m["type"] == "%":
            pieces.append(Known("%"))
            continue
        if not queue:
            raise _wrong(w, text, "not enough arguments for format string")
        pieces += _conversion(w, text, m, queue.pop(0))
    if "%" in text[at:]:
        raise _wrong(w, text, "incomplete format")
    if queue:
        raise _wrong(w, text, "not all arguments converted during string formatting")
    return join_pieces(w, [*pieces, Known(text[at:])])


def _wrong(w: Any, template: str, detail: str) -> BadFormat:
    return BadFormat(w.b.loc, spec=template, type="the arguments", detail=detail)


def _conversion(w: Any, template: str, m: re.Match[str], x: Value) -> Pieces:
    flags, width, precision, letter = m["flags"], m["width"] or "", m["precision"], m["type"]
    exact = "" if precision is None else f".{precision}"
    if letter in _CONVERSIONS:
        side = "<" if "-" in flags else ">"
        shown = text_of(w, x, _CONVERSIONS[letter])
        return format_pieces(w, shown, Known(f"{side}{width}{exact}" if width or exact else ""))
    if letter == "c" and is_text(x):
        return format_pieces(w, x, Known(f"{'<' if '-' in flags else '>'}{width}" if width else ""))
    if letter not in "diuoxXeEfFgGc":
        raise _wrong(w, template, f"unsupported format character '{letter}'")
    if letter in "diuoxXc":
        if precision is not None:
            raise _wrong(w, template, "a precision of ints; write the digits with a width and 0")
        if letter in "diu" and _is_float(x):
            from sapwood.lang.infer.builtins import BUILTINS

            x = BUILTINS[int](w, x)
        letter = "d" if letter in "iu" else letter
    sign = "+" if "+" in flags else " " if " " in flags else ""
    side = "<" if "-" in flags else ">" if "0" not in flags else "="
    fill = "0" if side == "=" else ""
    alt = "#" if "#" in flags and letter not in "dc" else ""
    return format_pieces(w, x, Known(f"{fill}{side}{sign}{alt}{width}{exact}{letter}"))


def _is_float(x: Value) -> bool:
    if isinstance(x, Known):
        return isinstance(x.value, float)
    return isinstance(x, Var) and isinstance(x.type, ty.Scalar) and x.type.is_float


def format_template(w: Any, template: Value, args: tuple[Value, ...], kwargs: dict[str, Value]) -> Value:
    """template.format(*args, **kwargs)"""
    from sapwood.lang.infer.objects import get_attribute, get_item

    text = w.b.known(template, "the template of format", str)
    counter = 0

    def field(name: str) -> Value:
        nonlocal counter
        m = re.match(r"[^.\[]*", name)
        assert m is not None
        first, rest = m[0], name[m.end() :]
        if first == "":
            first, counter = str(counter), counter + 1
        if first.isdigit():
            if int(first) >= len(args):
                raise _wrong(w, text, f"Replacement index {first} out of range for positional args tuple")
            x = args[int(first)]
        elif first in kwargs:
            x = kwargs[first]
        else:
            raise _wrong(w, text, f"there is no argument '{first}'")
        for attribute, index in re.findall(r"\.(\w+)|\[([^\]]*)\]", rest):
            if attribute:
                x = get_attribute(w, x, attribute, w.b.loc)
            else:
                x = get_item(w, x, Known(int(index) if index.isdigit() else index))
        return x

    def parts(source: str) -> Pieces:
        out: Pieces = []
        for literal, name, spec, conversion in string.Formatter().parse(source):
            out.append(Known(literal))
            if name is not None:
                x = field(name)
                if conversion:
                    x = text_of(w, x, _CONVERSIONS[conversion])
                out += format_pieces(w, x, join_pieces(w, parts(spec)) if spec else Known(""))
        return out

    try:
        return join_pieces(w, parts(text))
    except ValueError as e:
        raise _wrong(w, text, str(e)) from None
    except KeyError as e:
        hint = "conversions are !s, !r and !a"
        raise BadOperand(w.b.loc, function="format", detail=f"unknown conversion {e}", hint=hint) from None


