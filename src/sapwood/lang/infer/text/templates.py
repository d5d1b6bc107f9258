"""`template % values`, also of bytes, and `template.format(...)` of constant templates: taken apart at compile time."""

from __future__ import annotations

import re
import string
from collections.abc import Callable
from typing import Any

from sapwood.lang import types as ty
from sapwood.lang.errors import BadOperand
from sapwood.lang.errors.text import BadFormat
from sapwood.lang.infer.text.formatting import Pieces, format_pieces, join_pieces, text_of
from sapwood.lang.infer.text.strings import is_text
from sapwood.lang.ir.ssa import Var
from sapwood.lang.ops.operators import require_index
from sapwood.lang.values import Agg, Known, Value, describe

_PERCENT = re.compile(r"%(?P<flags>[-#0 +]*)(?P<width>\d+)?(?:\.(?P<precision>\d+))?[hlL]?(?P<type>.)", re.DOTALL)
_CONVERSIONS = {"s": "str", "r": "repr", "a": "ascii"}


def percent(w: Any, template: Value, values: Value) -> Value:
    """template % values"""
    return join_pieces(w, _percent(w, w.b.known(template, "the template of %", str), values, _conversion))


def percent_bytes(w: Any, template: Value, values: Value) -> Value:
    """template % values, of bytes: made as a text of as many code points as bytes."""
    from sapwood.lang.infer.text.bytes_rules import as_bytes, from_text

    text = w.b.known(template, "the template of %", bytes).decode("latin-1")
    pieces = _percent(w, text, values, _bytes_conversion)
    found = join_pieces(w, [_as_points(w, p) for p in pieces])
    return from_text(w, found) if isinstance(found, Var) else as_bytes(w, Known(found.value.encode("latin-1")), "%")  # type: ignore[union-attr]


def _percent(w: Any, text: str, values: Value, conversion: Callable[..., Pieces]) -> Pieces:
    from sapwood.lang.ops.operators import tuple_items

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
        pieces += conversion(w, text, m, queue.pop(0))
    if "%" in text[at:]:
        raise _wrong(w, text, "incomplete format")
    if queue:
        raise _wrong(w, text, "not all arguments converted during string formatting")
    return [*pieces, Known(text[at:])]


def _as_points(w: Any, p: Value) -> Value:
    """Constant bytes above 127 are a code point each, and no UTF-8."""
    from sapwood.lang.infer.text.bytes_rules import bytes_as_text

    if isinstance(p, Known) and not p.value.isascii():
        return bytes_as_text(w, w.b.materialize(Known(p.value.encode("latin-1"))))
    return p


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


def _bytes_conversion(w: Any, template: str, m: re.Match[str], x: Value) -> Pieces:
    from sapwood.lang.infer.text import bytes_rules

    letter = m["type"]
    if letter in "ra":
        m = _PERCENT.match(m[0][:-1] + "a") or m
    elif letter in "sb" or letter == "c" and bytes_rules.is_bytes_like(x):
        if not bytes_rules.is_bytes_like(x):
            detail = f"%b requires a bytes-like object, not {describe(x)}"
            raise BadFormat(w.b.loc, spec=template, type="the arguments", detail=detail)
        data = bytes_rules.as_bytes(w, x, "%")
        if letter == "c":
            single = bytes_rules.call(w, bytes_rules.library().single_byte, data)
            data = w.b.materialize(single)
        x, m = bytes_rules.bytes_as_text(w, data), _PERCENT.match(m[0][:-1] + "s") or m
    elif letter == "c":
        code = w.b.materialize(require_index(w.b, x, "the argument of %c"))
        made = bytes_rules.call(w, bytes_rules.library().format_byte, code)
        x, m = bytes_rules.bytes_as_text(w, w.b.materialize(made)), _PERCENT.match(m[0][:-1] + "s") or m
    return _conversion(w, template, m, x)


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


