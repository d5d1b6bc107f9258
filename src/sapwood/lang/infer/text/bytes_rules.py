"""`bytes` and `bytearray` in compiled code. The work is done in library/bytes_object.py and, for what bytes have in
common with texts, in library/text_*.py."""

from __future__ import annotations

import builtins
import operator
from collections.abc import Callable
from typing import Any

from sapwood.lang import types as ty
from sapwood.lang.errors import BadOperand
from sapwood.lang.infer.border import demand
from sapwood.lang.infer.builtins import builtin
from sapwood.lang.infer.heap import HeapRules, is_reference
from sapwood.lang.infer.iteration.protocol import Indexed, is_iterable
from sapwood.lang.infer.text import strings as text
from sapwood.lang.infer.text.sizes import sizes_of
from sapwood.lang.infer.text.strings import ALL, as_index, call
from sapwood.lang.ir.ssa import Var
from sapwood.lang.ops import arith, heap, memory
from sapwood.lang.ops.objects import api, is_of_type
from sapwood.lang.ops.operators import COMPARISONS, require_index, truth
from sapwood.lang.ops.text_objects import text_data
from sapwood.lang.types import BOOL, I64
from sapwood.lang.values import Agg, Known, Spec, Value, describe

BYTES, BYTEARRAY = ty.Ref(ty.Bytes()), ty.Ref(ty.ByteArray())
_TEXTS = ty.Ref(ty.List(Spec("leaf", text.TEXT)))
_ITEMS = ty.Ref(ty.List(Spec("leaf", BYTES)))


def library() -> Any:
    from sapwood.lang.library import bytes_object

    return bytes_object


def arrays() -> Any:
    from sapwood.lang.library import bytearray_object

    return bytearray_object


def is_bytes(v: Value) -> bool:
    return isinstance(v, Var) and v.type in (BYTES, BYTEARRAY) or isinstance(v, Known) and isinstance(v.value, bytes)


def _is_view(v: Value) -> bool:
    return isinstance(v, Var) and isinstance(v.type, ty.Ref) and isinstance(v.type.target, ty.MemoryView)


def is_bytes_like(v: Value) -> bool:
    return is_bytes(v) or _is_view(v)


def as_bytes(w: Any, v: Value, function: str) -> Var:
    """A bytes-like value as a bytes object; a bytearray and a memoryview are copied."""
    if _is_view(v):
        from sapwood.lang.infer.text.memory_views import view_bytes

        return view_bytes(w, v)  # type: ignore[arg-type]
    if not is_bytes(v):
        hint = "convert it with bytes(x), or encode a str"
        raise BadOperand(w.b.loc, function=function, detail=f"an argument is {describe(v)}, not bytes", hint=hint)
    x = w.b.materialize(v)
    return w.b.materialize(call(w, arrays().array_bytes, x)) if x.type == BYTEARRAY else x


def bytes_as_text(w: Any, x: Var) -> Var:
    """The same object as a str of as many code points: for the functions that both have in common."""
    return w.b.emit1(heap.reference_as, (x,), text.TEXT)


def from_text(w: Any, x: Value) -> Value:
    """Texts among results as bytes again."""
    if isinstance(x, Agg):
        return Agg(x.type, tuple(from_text(w, i) for i in x.items))
    if isinstance(x, Var) and x.type in (text.TEXT, _TEXTS):
        return w.b.emit1(heap.reference_as, (x,), BYTES if x.type == text.TEXT else _ITEMS)
    return x


# -- methods -------------------------------------------------------------------------------------------

METHODS: dict[str, Callable[..., Value]] = {}
_AS_TEXT = (
    "find", "rfind", "count", "startswith", "endswith", "replace", "partition", "rpartition", "removeprefix",
    "removesuffix", "zfill", "lower", "upper", "title", "capitalize", "swapcase", "expandtabs",
)  # fmt: skip


def method(*names: str) -> Callable[[Callable[..., Value]], Callable[..., Value]]:
    """Enter a rule(w, name, s, *args): s is the receiver as bytes."""

    def enter(rule: Callable[..., Value]) -> Callable[..., Value]:
        for name in names:
            METHODS[name] = _method(name, rule)
        return rule

    return enter


def _method(name: str, rule: Callable[..., Value]) -> Callable[..., Value]:
    def apply(w: Any, s: Value, *args: Value, **kwargs: Value) -> Value:
        folded = text.fold_method(name, s, args, kwargs)
        return rule(w, name, as_bytes(w, s, name), *args, **kwargs) if folded is None else folded

    apply.__name__ = name
    return apply


def _argument(w: Any, v: Value, name: str) -> Value:
    if is_bytes_like(v):
        return bytes_as_text(w, as_bytes(w, v, name))
    if isinstance(v, Agg) and isinstance(v.type, ty.Tuple):
        return Agg(v.type, tuple(_argument(w, i, name) for i in v.items))
    if isinstance(v, Var) and v.type == _ITEMS:
        return w.b.emit1(heap.reference_as, (v,), _TEXTS)
    if isinstance(v, Known) and isinstance(v.value, tuple):
        return Agg(ty.Tuple(len(v.value)), tuple(_argument(w, Known(i), name) for i in v.value))
    if text.is_text(v):
        hint = "encode the str: s.encode()"
        raise BadOperand(w.b.loc, function=name, detail="an argument is str, not bytes", hint=hint)
    return v


@method(*_AS_TEXT)
def _shared(w: Any, name: str, s: Var, *args: Value, **kwargs: Value) -> Value:
    first = args[:1]
    if name in ("find", "rfind", "count") and first and not is_bytes_like(first[0]):
        first = (call(w, library().byte_bytes, w.b.materialize(require_index(w.b, first[0], "a byte"))),)
    values = [_argument(w, a, name) for a in (*first, *args[1:])]
    named = {k: _argument(w, v, name) for k, v in kwargs.items()}
    return from_text(w, text.METHODS[name](w, bytes_as_text(w, s), *values, **named))


@method("translate")
def _translate(w: Any, name: str, s: Var, table: Value, /, delete: Value = Known(b"")) -> Value:
    from sapwood.lang.infer.text.translation import translate_bytes

    return translate_bytes(w, s, table, delete)


@builtin(bytes.maketrans, bytearray.maketrans)
def _maketrans(walker: Any, x: Value, y: Value, /) -> Value:
    from sapwood.lang.infer.text.translation import bytes_table

    return bytes_table(walker, x, y)


@method("join")
def _join(w: Any, name: str, s: Var, items: Value) -> Value:
    if is_iterable(items) and not (isinstance(items, Agg) and isinstance(items.type, ty.Tuple)):
        from sapwood.lang.infer.containers.lists import collect

        found = items if is_reference(items) and isinstance(items.type.target, ty.List) else collect(w, items)  # type: ignore[union-attr]
        elem = found.type.target.elem  # type: ignore[union-attr]
        if elem.kind == "never":
            return Known(b"")
        if isinstance(getattr(elem.data, "target", None), ty.ByteArray | ty.MemoryView):
            from sapwood.lang.library.bytes_iterable import bytes_of_each

            found = call(w, bytes_of_each, found)
        items = found
    return _shared(w, name, s, items)


@method("index", "rindex")
def _index(w: Any, name: str, s: Var, *args: Value) -> Value:
    at = _shared(w, name.replace("index", "find"), s, *args)
    missing = w.b.emit1(arith.compare, (at, w.b.const(0, I64)), BOOL, test="lt")
    w.b.raise_if(missing, ValueError, "subsection not found")
    return at


@method("ljust", "rjust", "center")
def _justify(w: Any, name: str, s: Var, width: Value, fill: Value = Known(b" ")) -> Value:
    return _shared(w, name, s, width, fill)


@method("split", "rsplit")
def _split(w: Any, name: str, s: Var, sep: Value = Known(None), maxsplit: Value = Known(-1)) -> Value:
    if sep == Known(None):
        if name == "rsplit":
            hint = "give the separator"
            raise BadOperand(w.b.loc, function=name, detail="bytes.rsplit needs a separator here", hint=hint)
        return call(w, library().bytes_words, s, as_index(w, maxsplit, -1))
    return _shared(w, name, s, sep, maxsplit)


@method("splitlines")
def _splitlines(w: Any, name: str, s: Var, keepends: Value = Known(False)) -> Value:
    return call(w, library().bytes_splitlines, s, w.b.materialize(truth(w.b, keepends)))


@method("strip", "lstrip", "rstrip")
def _strip(w: Any, name: str, s: Var, chars: Value = Known(None)) -> Value:
    if chars == Known(None):
        return call(w, getattr(library(), f"bytes_{name}"), s)
    return call(w, getattr(library(), f"bytes_{name}_chars"), s, as_bytes(w, chars, name))


@method("hex")
def _hex(w: Any, name: str, s: Var, sep: Value | None = None, bytes_per_sep: Value = Known(1)) -> Value:
    return hexadecimal(w, s, sep, bytes_per_sep)


def hexadecimal(w: Any, s: Var, sep: Value | None, every: Value) -> Value:
    """bytes.hex(sep, bytes_per_sep)"""
    if sep is None:
        return call(w, library().bytes_hex, s)
    mark = bytes_as_text(w, as_bytes(w, sep, "hex")) if is_bytes(sep) else text.as_text(w, sep, "hex", "the separator")
    count = require_index(w.b, every, "the number of bytes between separators")
    return call(w, library().bytes_hex_apart, s, mark, w.b.materialize(count))


@method("isalnum", "isalpha", "isascii", "isdigit", "islower", "isspace", "istitle", "isupper")
def _is(w: Any, name: str, s: Var) -> Value:
    from sapwood.lang.library import bytes_classes

    return call(w, getattr(bytes_classes, f"bytes_{name}"), s)


def encoding_of(w: Any, encoding: Value) -> str:
    """The canonical name of a constant encoding."""
    name = w.b.known(encoding, "the encoding", str).lower().replace("_", "-")
    known = {"utf8": "utf-8", "utf-8": "utf-8", "ascii": "ascii", "us-ascii": "ascii", "latin-1": "latin-1"}
    known |= {"latin1": "latin-1", "iso-8859-1": "latin-1"}
    if name not in known:
        hint = "utf-8, ascii and latin-1 are compiled; convert other encodings outside"
        raise BadOperand(w.b.loc, function="encoding", detail=f"unknown encoding '{name}'", hint=hint)
    return known[name]


def _errors(w: Any, errors: Value, allowed: tuple[str, ...]) -> int:
    name = w.b.known(errors, "errors", str)
    if name not in allowed:
        hint = f"use one of {', '.join(allowed)}"
        raise BadOperand(w.b.loc, function="errors", detail=f"errors='{name}' is not compiled", hint=hint)
    return allowed.index(name)


@method("decode")
def _decode(
    w: Any, name: str, s: Var, encoding: Value = Known("utf-8"), errors: Value = Known("strict")
) -> Value:
    found = encoding_of(w, encoding)
    if found == "utf-8":
        how = _errors(w, errors, ("strict", "ignore", "replace"))
        return call(w, library().decode_utf8, s, w.b.index(how))
    _errors(w, errors, ("strict",))
    return call(w, library().decode_narrow, s, w.b.materialize(Known(found == "ascii")))


def encode(w: Any, s: Value, encoding: Value = Known("utf-8"), errors: Value = Known("strict")) -> Value:
    """str.encode"""
    if isinstance(s, Known) and isinstance(encoding, Known) and isinstance(errors, Known):
        try:
            return Known(s.value.encode(encoding.value, errors.value))
        except (UnicodeError, LookupError):
            pass
    found = encoding_of(w, encoding)
    _errors(w, errors, ("strict",))
    x = w.b.materialize(s)
    if found == "utf-8":
        return call(w, library().encode_utf8, x)
    return call(w, library().encode_narrow, x, w.b.materialize(Known(found == "ascii")))


# -- the rules -----------------------------------------------------------------------------------------


class Numbers(Indexed):
    """The bytes of a bytes object or a bytearray, as ints."""

    kind = "bytes_iterator"
    sequence = True

    def __init__(self, s: Var) -> None:
        super().__init__()
        self.s = s
        self.fixed = s.type == BYTES

    def length(self, w: Any) -> Value:
        return _length(w, self.s)

    def at(self, w: Any, i: Value) -> Value:
        p = w.b.apply(text_data, self.s) if self.s.type == BYTES else call(w, arrays().array_data, self.s)
        x = w.b.emit1(memory.load, (memory.offset(w.b, p, i),), ty.U8)
        return w.b.convert(x, I64)


def _length(w: Any, x: Var) -> Var:
    from sapwood.lang.infer.containers.lists import word

    return sizes_of(w, x)[0] if x.type == BYTES else word(w.b, x, 2)


class _BytesLike(HeapRules):
    def length(self, w: Any, x: Var) -> Value:
        return _length(w, x)

    def contains(self, w: Any, x: Var, item: Value) -> Value | None:
        s = as_bytes(w, x, "in")
        if not is_bytes_like(item):
            item = call(w, library().byte_bytes, w.b.materialize(require_index(w.b, item, "a byte")))
        from sapwood.lang.library.text_search import text_contains

        return call(w, text_contains, bytes_as_text(w, s), bytes_as_text(w, as_bytes(w, item, "in")))

    def binary(self, w: Any, fn: Any, x: Value, y: Value) -> Value | None:
        if _is_view(y) and fn in (operator.eq, operator.ne):
            from sapwood.lang.infer.text.memory_views import MemoryViewRules

            return MemoryViewRules().binary(w, fn, x, y)
        if fn in COMPARISONS:
            if not (is_bytes(x) and is_bytes(y)):
                return Known(fn is operator.ne) if fn in (operator.eq, operator.ne) else None
            p, q = (bytes_as_text(w, as_bytes(w, v, "comparison")) for v in (x, y))
            return text.compare_texts(w, fn, p, q)
        array = isinstance(x, Var) and x.type == BYTEARRAY
        if fn is operator.add and is_bytes(x) and is_bytes_like(y):
            p, q = (bytes_as_text(w, as_bytes(w, v, "+")) for v in (x, y))
            return _made(w, from_text(w, text.add_texts(w, p, q)), array)
        if fn is operator.mod and is_bytes(x):
            from sapwood.lang.infer.text.templates import percent_bytes

            return percent_bytes(w, x, y)
        if fn is operator.mul:
            s, n = (x, y) if is_bytes(x) else (y, x)
            if isinstance(n, Var | Known) and not is_bytes(n):
                array = isinstance(s, Var) and s.type == BYTEARRAY
                found = call(w, text.objects().text_repeat, bytes_as_text(w, as_bytes(w, s, "*")), as_index(w, n, 0))
                return _made(w, from_text(w, found), array)
        return None


def _made(w: Any, s: Value, array: bool) -> Value:
    """Bytes as a bytearray, where one is asked for."""
    if not array:
        return s
    return call(w, arrays().array_new, w.b.apply(text_data, s), _length(w, s))  # type: ignore[arg-type]


def _as_arrays(w: Any, x: Value) -> Value:
    """What a method of bytes gives, as the method of a bytearray gives it."""
    from sapwood.lang.library.bytes_iterable import arrays_of_each

    if isinstance(x, Agg):
        return Agg(x.type, tuple(_as_arrays(w, i) for i in x.items))
    if isinstance(x, Var) and x.type == _ITEMS:
        return call(w, arrays_of_each, x)
    return _made(w, w.b.materialize(x), True) if is_bytes(x) else x


class BytesRules(_BytesLike):
    methods = METHODS

    def drop(self, target: Any) -> tuple[Any, tuple[Value, ...]]:
        return text.objects().text_drop, (Var(heap.WORDS),)

    def get_item(self, w: Any, x: Var, index: Value) -> Value:
        if isinstance(index, Agg) and index.items[:1] == (Known(slice),):
            return from_text(w, text.slice_text(w, bytes_as_text(w, x), index.items[1:]))
        return call(w, library().bytes_item, x, _length(w, x), as_index(w, index, 0))

    def text(self, w: Any, x: Var, how: str) -> list[Value] | None:
        return [call(w, library().bytes_repr, x, Known(False))]

    def to_object(self, w: Any, x: Var) -> Var:
        return api(w.b, "PyBytes_FromStringAndSize", (w.b.apply(text_data, x), _length(w, x)))

    def from_object(self, w: Any, x: Var, target: Any) -> Var:
        demand(w, is_of_type(w.b, x, "PyBytes_Type", exact=False), x, "bytes")
        p = api(w.b, "PyBytes_AsString", (x,), ty.Ptr(ty.U8))
        return w.b.materialize(call(w, library().bytes_from, p, api(w.b, "PyBytes_Size", (x,), I64, "negative")))


class ByteArrayRules(_BytesLike):
    def attribute(self, w: Any, x: Var, name: str) -> Value | None:
        from sapwood.lang.infer.objects import bound

        found = bound(ARRAY_METHODS, name, x)
        if found is not None or name not in METHODS:
            return found
        rule = METHODS[name]
        return bound({name: lambda w, s, *args, **kwargs: _as_arrays(w, rule(w, s, *args, **kwargs))}, name, x)

    def drop(self, target: Any) -> tuple[Any, tuple[Value, ...]]:
        return arrays().array_drop, (Var(heap.WORDS),)

    def get_item(self, w: Any, x: Var, index: Value) -> Value:
        if isinstance(index, Agg) and index.items[:1] == (Known(slice),):
            s = bytes_as_text(w, call(w, arrays().array_bytes, x))
            return _made(w, from_text(w, text.slice_text(w, s, index.items[1:])), True)
        return call(w, arrays().array_item, x, as_index(w, index, 0))

    def set_item(self, w: Any, x: Var, index: Value, value: Value) -> None:
        if isinstance(index, Agg) and index.items[:1] == (Known(slice),):
            start, stop, step = index.items[1:]
            new = as_bytes(w, value, "assignment")
            if step not in (Known(None), Known(1)):
                from sapwood.lang.infer.containers.slices import slice_bounds

                bounds = (w.b.materialize(v) for v in slice_bounds(w, index, _length(w, x)))
                call(w, arrays().array_replace_stepped, x, *bounds, new)
                return
            call(w, arrays().array_replace, x, as_index(w, start, 0), as_index(w, stop, ALL), new)
            return
        number = w.b.materialize(require_index(w.b, value, "a byte"))
        call(w, arrays().array_set, x, as_index(w, index, 0), number)

    def del_item(self, w: Any, x: Var, index: Value) -> None:
        if isinstance(index, Agg) and index.items[:1] == (Known(slice),):
            self.set_item(w, x, index, Known(b""))
            return
        call(w, arrays().array_item, x, as_index(w, index, 0))  # IndexError
        call(w, arrays().array_pop, x, as_index(w, index, 0))

    def inplace(self, w: Any, fn: Any, x: Var, y: Value) -> Value | None:
        if fn is not operator.iadd:
            return None
        if isinstance(y, Known) and isinstance(y.value, bytes) and len(y.value) == 1:
            call(w, arrays().array_append, x, w.b.index(y.value[0]))
        else:
            call(w, arrays().array_extend, x, as_bytes(w, y, "+="))
        return x

    def text(self, w: Any, x: Var, how: str) -> list[Value] | None:
        shown = call(w, library().bytes_repr, call(w, arrays().array_bytes, x), Known(True))
        return [Known("bytearray("), shown, Known(")")]

    def to_object(self, w: Any, x: Var) -> Var:
        p = call(w, arrays().array_data, x)
        return api(w.b, "PyByteArray_FromStringAndSize", (p, _length(w, x)))

    def from_object(self, w: Any, x: Var, target: Any) -> Var:
        demand(w, is_of_type(w.b, x, "PyByteArray_Type", exact=False), x, "bytearray")
        p = api(w.b, "PyByteArray_AsString", (x,), ty.Ptr(ty.U8))
        return w.b.materialize(call(w, arrays().array_new, p, api(w.b, "PyByteArray_Size", (x,), I64, "negative")))


ARRAY_METHODS: dict[str, Callable[..., Value]] = {}


def _array(name: str) -> Callable[[Callable[..., Value]], Callable[..., Value]]:
    def enter(rule: Callable[..., Value]) -> Callable[..., Value]:
        ARRAY_METHODS[name] = rule
        return rule

    return enter


def _byte(w: Any, x: Value) -> Var:
    return w.b.materialize(require_index(w.b, x, "a byte"))


@_array("append")
def _append(w: Any, x: Var, value: Value) -> Value:
    call(w, arrays().array_append, x, _byte(w, value))
    return Known(None)


@_array("extend")
def _extend(w: Any, x: Var, values: Value) -> Value:
    new = values if is_bytes_like(values) else _from_iterable(w, values)
    call(w, arrays().array_extend, x, as_bytes(w, new, "extend"))
    return Known(None)


@_array("insert")
def _insert(w: Any, x: Var, index: Value, value: Value) -> Value:
    call(w, arrays().array_insert, x, as_index(w, index, 0), _byte(w, value))
    return Known(None)


@_array("pop")
def _pop(w: Any, x: Var, index: Value = Known(-1)) -> Value:
    return call(w, arrays().array_pop, x, as_index(w, index, -1))


@_array("clear")
def _clear(w: Any, x: Var) -> Value:
    ByteArrayRules().set_item(w, x, Agg(ty.Tuple(4), (Known(slice), *(Known(None),) * 3)), Known(b""))
    return Known(None)


@_array("reverse")
def _reverse(w: Any, x: Var) -> Value:
    call(w, arrays().array_reverse, x)
    return Known(None)


@_array("copy")
def _copy(w: Any, x: Var) -> Value:
    return _made(w, call(w, arrays().array_bytes, x), True)


# -- construction ---------------------------------------------------------------------------------------


def _from_iterable(w: Any, values: Value) -> Value:
    from sapwood.lang.library.bytes_iterable import bytes_of

    return call(w, bytes_of, values)


@builtin(builtins.bytes)
def _bytes(w: Any, x: Value = Known(b""), encoding: Value | None = None, errors: Value = Known("strict")) -> Value:
    if text.is_text(x):
        if encoding is None:
            hint = 'write bytes(s, "utf-8") or s.encode()'
            raise BadOperand(w.b.loc, function="bytes", detail="string argument without an encoding", hint=hint)
        return encode(w, x, encoding, errors)
    if is_bytes_like(x):
        return x if isinstance(x, Known) else as_bytes(w, x, "bytes")
    if isinstance(x, Known) and isinstance(x.value, int) or isinstance(x, Var) and isinstance(x.type, ty.Scalar):
        return call(w, library().bytes_zeros, w.b.materialize(require_index(w.b, x, "a number of bytes")))
    return _from_iterable(w, x)


@builtin(builtins.bytearray)
def _bytearray(w: Any, *args: Value) -> Value:
    return _made(w, w.b.materialize(_bytes(w, *args)), True)


@builtin(builtins.memoryview)
def _memoryview(w: Any, object: Value) -> Value:
    from sapwood.lang.infer.text.memory_views import new_view

    return new_view(w, object)


def _order(w: Any, byteorder: Value) -> Value:
    order = w.b.known(byteorder, "the byte order", str)
    if order not in ("little", "big"):
        hint = 'write "little" or "big"'
        raise BadOperand(w.b.loc, function="byteorder", detail=f"'{order}' is no byte order", hint=hint)
    return w.b.materialize(Known(order == "big"))


@builtin(int.from_bytes)
def _int_from_bytes(w: Any, x: Value, byteorder: Value = Known("big"), *, signed: Value = Known(False)) -> Value:
    s = as_bytes(w, x, "from_bytes")
    return call(w, library().int_from_bytes, s, _order(w, byteorder), w.b.materialize(truth(w.b, signed)))


def int_to_bytes(
    w: Any, x: Value, length: Value = Known(1), byteorder: Value = Known("big"), *, signed: Value = Known(False)
) -> Value:
    n = w.b.materialize(require_index(w.b, length, "a number of bytes"))
    sign = w.b.materialize(truth(w.b, signed))
    return call(w, library().int_to_bytes, w.b.convert(w.b.materialize(x), I64), n, _order(w, byteorder), sign)


@builtin(bytes.fromhex)
def _fromhex(w: Any, s: Value) -> Value:
    return call(w, library().bytes_fromhex, text.as_text(w, s, "fromhex"))


