"""Values as text: str(), repr(), format(), f-strings, `%` and print. One dispatch by type, for all of them.

What a value becomes is a list of *pieces*: constant texts, references to a str, ints and floats. `join_pieces` puts
them into one new object, which is allocated once.
"""

from __future__ import annotations

import builtins
import enum
import operator
from typing import Any

from sapwood.lang import types as ty
from sapwood.lang.errors import BadOperand
from sapwood.lang.errors.text import BadFormat
from sapwood.lang.front import hir
from sapwood.lang.immutable import immutable
from sapwood.lang.infer.builtins import builtin
from sapwood.lang.infer.classes import enums
from sapwood.lang.infer.heap import is_reference, require_some, rules_of
from sapwood.lang.infer.text.characters import character, is_character, plain
from sapwood.lang.infer.text.strings import TEXT, as_text, call, from_str, is_text
from sapwood.lang.ir.ssa import Var
from sapwood.lang.ops import arith
from sapwood.lang.types import BOOL, F64, I64, U64
from sapwood.lang.values import Agg, Known, Spec, Value, describe


def fields_text(x: Any) -> str:
    """What the library calls for the repr of a struct's fields."""
    raise NotImplementedError


Pieces = list[Value]  # Known texts, str references, i64 and f64 leaves
_ROOM = {I64: 20, F64: 32}  # bytes that a number takes at most


def join_pieces(w: Any, pieces: Pieces) -> Value:
    """The pieces, one after the other, as one text."""
    from sapwood.lang.library import text_make as make
    from sapwood.lang.library import text_object as objects
    from sapwood.lang.ops.operators import binary

    merged: Pieces = []
    for p in pieces:
        if isinstance(p, Known) and merged and isinstance(merged[-1], Known):
            merged[-1] = Known(merged[-1].value + p.value)
        elif p != Known(""):
            merged.append(p)
    if not merged:
        return Known("")
    if len(merged) == 1:
        return _alone(w, merged[0])
    fixed = sum(len(p.value.encode("utf-8", "surrogatepass")) for p in merged if isinstance(p, Known))
    fixed += sum(_ROOM[p.type] for p in merged if isinstance(p, Var) and p.type != TEXT)
    room: Value = w.b.index(fixed)
    for p in merged:
        if isinstance(p, Var) and p.type == TEXT:
            room = binary(w.b, operator.add, room, call(w, objects.text_size, p))
    out = call(w, make.text_start, room)
    for p in merged:
        if isinstance(p, Known) or p.type == TEXT:  # type: ignore[union-attr]
            call(w, objects.text_put, out, w.b.materialize(p))
        else:
            call(w, make.put_int if p.type == I64 else make.put_float, out, p)  # type: ignore[union-attr]
    return out


def _alone(w: Any, p: Value) -> Value:
    from sapwood.lang.library import text_make as make

    if isinstance(p, Var) and p.type == I64:
        return call(w, make.int_text, p)
    if isinstance(p, Var) and p.type == F64:
        return call(w, make.float_text, p)
    return p


# -- str and repr --------------------------------------------------------------------------------------


def pieces_of(w: Any, x: Value, how: str) -> Pieces:
    """What str(x), repr(x) or ascii(x) is made of; `how` is "str", "repr" or "ascii"."""
    x = plain(w.b, x)
    match x:
        case Agg(type=ty.Enum()):
            return enums.text(w, x, how)
        case Known(value=tuple()):
            from sapwood.lang.ops.operators import tuple_items

            return _tuple_pieces(w, tuple_items(x), how)
        case Known(value=v):
            if isinstance(v, enum.Enum):
                return [Known({"str": str, "repr": repr, "ascii": ascii}[how](v))]
            if isinstance(v, str | int | float | complex | bytes | None):
                return [Known({"str": str, "repr": repr, "ascii": ascii}[how](v))]
            name = getattr(v, "__name__", None)
            return [Known(str(v) if name is None or not isinstance(v, type) else repr(v))]
        case Var(type=ty.Scalar() as t):
            return [_number_piece(w, x, t)]
        case Var(type=ty.Ref(nullable=True)):
            from sapwood.lang.library import text_values

            return [call(w, getattr(text_values, f"optional_{how}"), x)]
        case Var(type=ty.Ref(target=ty.Str())):
            if how == "str":
                return [x]
            from sapwood.lang.library.text_make import text_repr

            return [call(w, text_repr, x, Known(how == "ascii"))]
        case Var(type=ty.Ref(target=ty.HeapStruct(struct=struct))):
            from sapwood.lang.library.text_values import object_repr

            own = _own_text(w, x, struct.cls, how)
            return [call(w, object_repr, x)] if own is None else own
        case Var(type=ty.Ref()):
            found = rules_of(x).text(w, x, how)
            if found is not None:
                return found
        case Agg(type=ty.Tuple()) if x.items[:1] != (Known(slice),):
            return _tuple_pieces(w, x.items, how)
        case Agg(type=ty.Optional()):
            from sapwood.lang.library import text_values

            return [call(w, getattr(text_values, f"optional_{how}"), x)]
        case Agg(type=ty.Struct()):
            own = _own_text(w, x, x.type.cls, how)
            return field_pieces(w, x, x.type.cls) if own is None else own
        case Agg(type=ty.Complex()):
            from sapwood.lang.library.text_complex import complex_text

            return [call(w, complex_text, *(w.b.convert(v, F64) for v in x.items))]
    hint = "numbers, texts, tuples, containers and structs can be shown"
    raise BadOperand(w.b.loc, function=how, detail=f"cannot show {describe(x)}", hint=hint)


def _number_piece(w: Any, x: Var, t: ty.Scalar) -> Value:
    from sapwood.lang.library import text_make as make

    if t == BOOL:
        return w.b.emit1(arith.select, (x, w.b.materialize(Known("True")), w.b.materialize(Known("False"))), TEXT)
    if t.is_float:
        return w.b.convert(x, F64)
    if t == U64:
        return call(w, make.unsigned_text, w.b.convert(x, I64))
    return w.b.convert(x, I64)


def _tuple_pieces(w: Any, items: tuple[Value, ...], how: str) -> Pieces:
    inner = "ascii" if how == "ascii" else "repr"
    out: Pieces = [Known("(")]
    for i, item in enumerate(items):
        if i:
            out.append(Known(", "))
        out += pieces_of(w, item, inner)
    out.append(Known(",)" if len(items) == 1 else ")"))
    return out


def _own_text(w: Any, x: Value, cls: type, how: str) -> Pieces | None:
    """What a class's own __str__ or __repr__ gives; None if it has only what `dataclass` made."""
    for name in ("__str__", "__repr__") if how == "str" else ("__repr__",):
        method = getattr(cls, name)
        code = getattr(getattr(method, "__wrapped__", method), "__code__", None)
        if code is not None and (not code.co_filename.startswith("<") or code.co_filename.startswith("<ipython")):
            found = w.method_of(x, name)
            if found is not None:
                return [as_text(w, w.call(found, [], {}, w.b.loc), name, "the result")]
    return None


def field_pieces(w: Any, x: Value, cls: type) -> Pieces:
    """A dataclass's repr."""
    from sapwood.lang.infer.objects import get_attribute

    out: Pieces = [Known(f"{cls.__qualname__}(")]
    for i, (name, field) in enumerate(cls.__sapwood_struct__.fields.items()):  # type: ignore[attr-defined]
        if field.repr:
            out.append(Known(f"{', ' if i else ''}{name}="))
            out += pieces_of(w, get_attribute(w, x, name, w.b.loc), "repr")
    out.append(Known(")"))
    return out


@builtin(fields_text)
def _fields_text(w: Any, x: Value) -> Value:
    assert isinstance(x, Var) and isinstance(x.type, ty.Ref) and isinstance(x.type.target, ty.HeapStruct)
    return join_pieces(w, field_pieces(w, x, x.type.target.struct.cls))


def text_of(w: Any, x: Value, how: str) -> Value:
    return join_pieces(w, pieces_of(w, x, how))


@builtin(builtins.str)
def _str(w: Any, x: Value = Known("")) -> Value:
    return text_of(w, x, "str")


@builtin(builtins.repr)
def _repr(w: Any, x: Value) -> Value:
    return text_of(w, x, "repr")


@builtin(builtins.ascii)
def _ascii(w: Any, x: Value) -> Value:
    return text_of(w, x, "ascii")


# -- format --------------------------------------------------------------------------------------------

_INTEGER, _FLOAT = "bcdoxXn", "eEfFgG%"


def format_pieces(w: Any, x: Value, spec: Value) -> Pieces:
    """What format(x, spec) is made of."""
    x, spec = plain(w.b, x), plain(w.b, spec)
    if isinstance(x, Agg) and isinstance(x.type, ty.Struct) or isinstance(x, Var) and isinstance(x.type, ty.Ref):
        found = w.method_of(x, "__format__")
        if found is not None:
            return [as_text(w, w.call(found, [spec], {}, w.b.loc), "__format__", "the result")]
        if isinstance(x, Var) and x.type.target == ty.Object():
            from sapwood.lang.infer.border import box
            from sapwood.lang.ops.heap import null
            from sapwood.lang.ops.objects import api

            form = w.b.emit1(null, (), ty.Ptr(I64)) if spec == Known("") else box(w, spec)
            return [from_str(w, api(w.b, "PyObject_Format", (x, form)))]
    if spec == Known(""):
        return pieces_of(w, x, "str")
    x = require_some(w, x, TypeError, "unsupported format string passed to NoneType.__format__")
    if enums.class_of(x) is not None:
        x = enums.formatted(w.b, x)
    if isinstance(x, Known) and isinstance(spec, Known) and isinstance(x.value, str | int | float | complex):
        try:
            return [Known(format(x.value, spec.value))]
        except ValueError as e:
            raise BadFormat(w.b.loc, spec=spec.value, type=describe(x), detail=str(e)) from None
    value = w.b.materialize(x) if isinstance(x, Known) and isinstance(x.value, str | int | float) else x
    if isinstance(value, Var):
        if value.type == TEXT:
            return [_format_text(w, value, spec)]
        if isinstance(value.type, ty.Scalar):
            return [_format_number(w, value, spec)]
    if isinstance(value, Agg) and isinstance(value.type, ty.Complex):
        if isinstance(spec, Known):
            try:
                format(1j, spec.value)
            except ValueError as e:
                raise BadFormat(w.b.loc, spec=spec.value, type="complex", detail=str(e)) from None
        return [by_python(w, format, value, spec)]
    detail = f"unsupported format string passed to {describe(x)}.__format__"
    raise BadFormat(w.b.loc, spec=getattr(spec, "value", "..."), type=describe(x), detail=detail)


def by_python(w: Any, function: Any, *args: Value) -> Value:
    """The text that a built-in function of Python gives; for what few programs do often."""
    from sapwood.lang.infer.border import box, unbox
    from sapwood.lang.infer.python_objects import call_object

    return unbox(w, call_object(w, box(w, Known(function)), list(args), {}), Spec("leaf", TEXT))


def _parsed(w: Any, spec: Value, sample: Any, found: str) -> Any:
    """A constant format specifier, or None for one that is computed. `sample` is a value of the type to ask Python."""
    from sapwood.lang.library.text_spec import parse_spec

    if not isinstance(spec, Known):
        return None
    try:
        format(sample, spec.value)
        parsed = parse_spec(spec.value, not isinstance(sample, str))
    except (ValueError, OverflowError) as e:
        raise BadFormat(w.b.loc, spec=spec.value, type=found, detail=str(e)) from None
    assert parsed is not None, spec.value
    return parsed


def _numbers(w: Any, *numbers: int) -> tuple[Value, ...]:
    return tuple(w.b.index(n) for n in numbers)


def _format_text(w: Any, x: Var, spec: Value) -> Value:
    from sapwood.lang.library import text_make as make
    from sapwood.lang.library import text_specs

    parsed = _parsed(w, spec, "a", "str")
    if parsed is None:
        return call(w, text_specs.format_text_with, x, as_text(w, spec, "format", "the format specifier"))
    return call(w, make.format_text, x, *_numbers(w, *parsed.numbers))


def _format_number(w: Any, x: Var, spec: Value) -> Value:
    from sapwood.lang.library import text_make as make
    from sapwood.lang.library import text_specs
    from sapwood.lang.library.text_spec import UNSIGNED

    t = x.type
    assert isinstance(t, ty.Scalar)
    sample = 1.0 if t.is_float else 1
    parsed = _parsed(w, spec, sample, "float" if t.is_float else "int")
    if parsed is None:
        fn = text_specs.format_float_with if t.is_float else text_specs.format_int_with
        return call(w, fn, w.b.convert(x, F64 if t.is_float else I64), as_text(w, spec, "format", "the specifier"))
    if t.is_float or parsed.type and parsed.type in _FLOAT:
        return call(w, make.format_float, w.b.convert(x, F64), *_numbers(w, *parsed.numbers))
    packed, fill, width, _ = parsed.numbers
    if t == U64:
        packed |= UNSIGNED
    return call(w, make.format_int, w.b.convert(x, I64), *_numbers(w, packed, fill, width))


@builtin(builtins.format)
def _format(w: Any, x: Value, spec: Value = Known("")) -> Value:
    return join_pieces(w, format_pieces(w, x, spec))


@immutable
class Formatted(ty.Type):
    """The pieces of a replacement field, on their way to the text that they become part of."""


@builtin(hir.format_value)
def _format_value(w: Any, x: Value, conversion: Value, spec: Value) -> Value:
    """A replacement field of an f-string: {x!conversion:spec}."""
    how = {"": "", "s": "str", "r": "repr", "a": "ascii"}[w.b.known(conversion, "the conversion", str)]
    if w.b.interpreter.kernel is not None and not how and isinstance(spec, Known) and _is_number(x):
        return Agg(Formatted(), (_shown(w, x, spec),))  # type: ignore[arg-type]
    if how and spec == Known(""):
        return Agg(Formatted(), tuple(pieces_of(w, x, how)))
    return Agg(Formatted(), tuple(format_pieces(w, text_of(w, x, how) if how else x, spec)))


@builtin(hir.join_string)
def _join_string(w: Any, *parts: Value) -> Value:
    pieces: Pieces = []
    for p in parts:
        pieces += p.items if isinstance(p, Agg) else [p]
    if w.b.interpreter.kernel is not None and any(_is_number(p) for p in pieces):
        return Agg(ty.Line(), tuple(pieces))
    return join_pieces(w, pieces)


def _is_number(x: Value) -> bool:
    return isinstance(x, Var) and isinstance(x.type, ty.Scalar) or isinstance(x, Agg) and isinstance(x.type, ty.Shown)


def _shown(w: Any, x: Var, spec: Known) -> Value:
    """A number on its way into the line of a kernel."""
    if spec == Known(""):
        return x
    t = x.type
    assert isinstance(t, ty.Scalar)
    _parsed(w, spec, 1.0 if t.is_float else 1, "float" if t.is_float else "int")
    return Agg(ty.Shown(spec.value), (x,))


def print_values(w: Any, args: tuple[Value, ...], sep: Value, end: Value, flush: Value) -> Value:
    """print() of anything: one text, written at once."""
    from sapwood.lang.ops.operators import truth
    from sapwood.lang.ops.text_objects import print_text

    between, last = _given(w, sep, " "), _given(w, end, "\n")
    pieces: Pieces = []
    for i, a in enumerate(args):
        if i:
            pieces += [between if isinstance(between, Known) else as_text(w, between, "print", "sep")]
        pieces += pieces_of(w, a, "str")
    pieces += [last if isinstance(last, Known) else as_text(w, last, "print", "end")]
    w.b.apply(print_text, join_pieces(w, pieces), truth(w.b, flush))
    return Known(None)


def _given(w: Any, x: Value, default: str) -> Value:
    """A text that may be None, which stands for the default."""
    from sapwood.lang.infer.narrow import is_none, is_optional, some

    if x == Known(None):
        return Known(default)
    if is_optional(x):
        return w.choose(is_none(w.b, x), lambda: Known(default), lambda: some(w.b, x), "this text")
    return x


def print_spread(w: Any, args: list[Value], **kwargs: Value) -> Value:
    """`print(a, *xs)`: the items of an iterable of any length are arguments of their own."""
    from sapwood.lang.infer.containers.lists import is_starred
    from sapwood.lang.infer.objects import get_attribute

    loc = w.b.loc
    texts: list[Value] = []
    for a in args:
        if is_starred(a):
            texts.append(Agg(a.type, (a.items[0], w.call(Known(map), [Known(str), a.items[1]], {}, loc))))  # type: ignore[union-attr]
        else:
            texts.append(w.call(Known(str), [a], {}, loc))
        w.b.loc = loc
    every = w.call(Known(hir.make_list), texts, {}, loc)
    between = w.b.materialize(_given(w, kwargs.pop("sep", Known(None)), " "))
    joined = w.call(get_attribute(w, between, "join", loc), [every], {}, loc)
    return w.call(Known(print), [joined], kwargs, loc)


# -- other built-in functions ---------------------------------------------------------------------------


@builtin(builtins.ord)
def _ord(w: Any, x: Value) -> Value:
    from sapwood.lang.library.text_object import text_code

    if isinstance(x, Known) and isinstance(x.value, str) and len(x.value) == 1:
        return Known(ord(x.value))
    if is_character(x):
        return x.items[0]
    return call(w, text_code, as_text(w, x, "ord"))


@builtin(builtins.chr)
def _chr(w: Any, x: Value) -> Value:
    from sapwood.lang.library.text_object import text_chr
    from sapwood.lang.ops.operators import require_index

    code = require_index(w.b, x, "a code point")
    if isinstance(code, Known) and 0 <= code.value < 0x110000:
        return Known(chr(code.value))
    return character(call(w, text_chr, w.b.materialize(code)))


def _with_prefix(function: Any, spec: str) -> None:
    @builtin(function)
    def rule(w: Any, x: Value) -> Value:
        from sapwood.lang.ops.operators import require_index

        number = require_index(w.b, x, f"an argument of {function.__name__}")
        return join_pieces(w, format_pieces(w, number, Known(spec)))


for _function, _spec in ((builtins.hex, "#x"), (builtins.oct, "#o"), (builtins.bin, "#b")):
    _with_prefix(_function, _spec)


_NO_INT = "int() argument must be a string, a bytes-like object or a real number, not 'NoneType'"
_NO_FLOAT = "float() argument must be a string or a real number, not 'NoneType'"


@builtin(builtins.int)
def _int(w: Any, x: Value = Known(0), base: Value | None = None) -> Value:
    from sapwood.lang.infer.construct import convert_number
    from sapwood.lang.ops.operators import require_index

    if base is None:
        x = require_some(w, x, TypeError, _NO_INT)
    if is_text(x):
        from sapwood.lang.library.text_parse import int_of_text

        if isinstance(x, Known) and (base is None or isinstance(base, Known)):
            try:
                return Known(int(x.value, 10 if base is None else base.value))  # type: ignore[union-attr]
            except ValueError:
                pass
        number = Known(10) if base is None else require_index(w.b, base, "a base")
        return call(w, int_of_text, w.b.materialize(x), w.b.materialize(number))
    if isinstance(x, Known) and isinstance(x.value, bytes) or (
        is_reference(x) and isinstance(x.type.target, ty.Bytes | ty.ByteArray)  # type: ignore[union-attr]
    ):
        from sapwood.lang.infer.text.bytes_rules import as_bytes
        from sapwood.lang.library.text_parse import int_of_bytes

        number = Known(10) if base is None else require_index(w.b, base, "a base")
        return call(w, int_of_bytes, as_bytes(w, x, "int"), w.b.materialize(number))
    if base is not None:
        hint = "int(x, base) takes a str or bytes"
        raise BadOperand(w.b.loc, function="int", detail="can't convert non-string with explicit base", hint=hint)
    result = convert_number(w, int, [x], w.b.loc)
    assert result is not None
    return result


@builtin(builtins.float)
def _float(w: Any, x: Value = Known(0.0)) -> Value:
    from sapwood.lang.infer.construct import convert_number

    x = require_some(w, x, TypeError, _NO_FLOAT)
    if is_text(x):
        from sapwood.lang.library.text_parse import float_of_text

        if isinstance(x, Known):
            try:
                return Known(float(x.value))
            except ValueError:
                pass
        return call(w, float_of_text, w.b.materialize(x))
    result = convert_number(w, float, [x], w.b.loc)
    assert result is not None
    return result
