"""`hash()` and the hashes of keys, by the type of the value."""

from __future__ import annotations

import builtins
import enum
from typing import Any

from sapwood.lang import types as ty
from sapwood.lang.errors.containers import NotHashable
from sapwood.lang.infer.builtins import builtin
from sapwood.lang.infer.classes.enums import is_member
from sapwood.lang.infer.narrow import is_none, is_optional, some
from sapwood.lang.ops.operators import tuple_items
from sapwood.lang.types import F64, I64, U64
from sapwood.lang.values import Agg, Known, Spec, Value, Var, describe

HASH_OF_NONE = 0xFCA86420
FIRST = 2870177450012600261


def python_hash(w: Any, x: Value) -> Value:
    """Python's hash(x); of texts our own."""
    if is_optional(x):
        what = "hash()"
        return w.choose(is_none(w.b, x), lambda: Known(HASH_OF_NONE), lambda: python_hash(w, some(w.b, x)), what)
    return _hash(w, x, exact=True)


def table_hash(w: Any, x: Value) -> Value:
    """A hash for tables whose order nobody sees: numbers are their own."""
    b = w.b
    if is_optional(x):
        what = "hash()"
        return w.choose(is_none(b, x), lambda: w.b.index(1), lambda: table_hash(w, some(b, x)), what)
    if is_member(x):
        return x.items[0]
    if isinstance(x, Var) and isinstance(x.type, ty.Scalar):
        if x.type.is_float:
            from sapwood.lang.ops import arith
            from sapwood.lang.ops.convert import bitcast

            wide = b.emit1(arith.add, (b.convert(x, F64), b.const(0.0, F64)), F64)  # -0.0 becomes 0.0
            return b.emit1(bitcast, (wide,), I64)
        return b.convert(x, I64)
    return _hash(w, x, exact=False)


def _hash(w: Any, x: Value, exact: bool) -> Value:
    from sapwood.lang.library import hashing

    def part(v: Value) -> Value:
        return python_hash(w, v) if exact else table_hash(w, v)

    match x:
        case Agg(type=ty.Enum(cls=cls)):
            own = w.method_of(x, "__hash__")
            if own is not None:
                return w.call(own, [], {}, w.b.loc)
            from sapwood.lang.enum_members import members
            from sapwood.lang.infer.classes.enums import constant_of, data_type, underlying

            if data_type(cls) is not None:
                return part(underlying(w.b, x))
            return part(constant_of(w, x, tuple(m.name for m in members(cls))))
        case Known(value=enum.Enum() as member) if type(member)._member_type_ is object:
            return part(Known(member.name))
        case Agg(type=ty.Character()):
            return part(w.b.materialize(x))
        case Known(value=None):
            return Known(HASH_OF_NONE)
        case Known(value=bool() | int() | float() | str() | bytes()):
            return part(w.b.materialize(x))
        case Var(type=ty.Scalar() as t):
            if t.is_float:
                return w.call_compiled(hashing.hash_float, [w.b.convert(x, F64)], {})
            if t == U64:
                return w.call_compiled(hashing.hash_unsigned, [x], {})
            return w.call_compiled(hashing.hash_int, [w.b.convert(x, I64)], {})
        case Var(type=ty.Ref(target=ty.Str() | ty.Bytes() as target)):
            from sapwood.lang.library.text_object import text_hash
            from sapwood.lang.ops.heap import reference_as

            if isinstance(target, ty.Bytes):  # laid out as a str
                x = w.b.emit1(reference_as, (x,), ty.Ref(ty.Str()))
            return w.call_compiled(text_hash, [x], {})
        case Var(type=ty.Ref()):
            from sapwood.lang.infer.heap import rules_of

            found = rules_of(x).hash(w, x)
            if found is not None:
                return found
        case Agg(type=ty.Tuple()) | Known(value=tuple()):
            return _of_items(w, [part(i) for i in tuple_items(x)])
        case Known(value=complex() as c):
            parts = [w.b.materialize(part(Known(v))) for v in (c.real, c.imag)]
            return w.call_compiled(hashing.hash_complex, parts, {})
        case Agg(type=ty.Complex(), items=(real, imag)):
            return w.call_compiled(hashing.hash_complex, [part(real), part(imag)], {})
        case Agg(type=ty.Struct()):
            method = w.method_of(x, "__hash__")
            if method is not None:
                return w.call(method, [], {}, w.b.loc)
            from sapwood.lang.infer.classes.struct_operators import hashed_fields

            return _of_items(w, [part(i) for i in hashed_fields(w, x)])
    raise NotHashable(w.b.loc, type=describe(x), hint=hashable_hint(x))


def _of_items(w: Any, hashes: list[Value]) -> Value:
    from sapwood.lang.library import hashing

    total: Value = w.b.const(FIRST, U64)
    for h in hashes:
        total = w.call_compiled(hashing.hash_item, [total, w.b.materialize(h)], {})
    return w.call_compiled(hashing.hash_end, [total, Known(len(hashes))], {})


def require_hash(w: Any, x: Value) -> None:
    """Say here, and not in the library, what cannot be a key."""
    from sapwood.lang.infer.heap import rules_of

    match x:
        case Var(type=ty.Ref() as t):
            if not isinstance(t.target, ty.Str | ty.Bytes) and not rules_of(x).hashable(x):
                raise NotHashable(w.b.loc, type=describe(x), hint=hashable_hint(x))
        case Agg(type=ty.Tuple() | ty.Optional(), items=items):
            for item in items:
                require_hash(w, item)
        case Agg(type=ty.Struct()):
            if w.method_of(x, "__hash__") is None:
                from sapwood.lang.infer.classes.struct_operators import hashed_fields

                for item in hashed_fields(w, x):
                    require_hash(w, item)
        case Agg(type=ty.Complex() | ty.Character() | ty.Enum()):
            return
        case Agg():
            raise NotHashable(w.b.loc, type=describe(x), hint=hashable_hint(x))


def hashable_hint(x: Value | Spec) -> str:
    text = describe(x)
    if text.startswith("list"):
        return "use a tuple of the items, tuple(xs); or a str, or an int"
    if text.startswith(("set", "dict")):
        return "use a frozenset of the elements, or a tuple"
    return "keys are ints, floats, bools, texts, None, tuples and frozen structs of these"


@builtin(builtins.hash)
def _hash_function(walker: Any, x: Value) -> Value:
    return python_hash(walker, x)
