"""Reading and writing values in memory: fields of mutable structs, elements of stack arrays and behind pointers.

lang/memory_layout.py says where they lie."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sapwood.lang import types as ty
from sapwood.lang.errors import BadConversion, BadOperand
from sapwood.lang.errors.hints import RELATED
from sapwood.lang.infer.adapt import adapt
from sapwood.lang.ir.ssa import Var
from sapwood.lang.join import Clash, complex_spec, join, storable
from sapwood.lang.memory_layout import size, stored_leaves, struct_layout
from sapwood.lang.ops import memory
from sapwood.lang.values import Agg, Spec, Value, describe, rebuild, spec_of

STACK_LIMIT = 256 * 1024  # bytes of one stack array or struct


def size_of(b: Any, t: ty.Type) -> int:
    try:
        return size(t)
    except TypeError:
        hint = "use a scalar, a SIMD vector, a pointer, or a @struct of these"
        if "Callable" in str(t):
            hint = "keep functions that are chosen at run time in a tuple: (f, g)[i](x)"
        raise BadOperand(b.loc, function="memory", detail=f"{t} has no layout in memory", hint=hint) from None


def field(b: Any, t: ty.Struct, name: str) -> tuple[ty.Type, int] | None:
    for n, f, at in struct_layout(t):
        if n == name:
            return f, at
    return None


def read(b: Any, p: Var, t: ty.Type, **attrs: Any) -> Value:
    """The value of type `t` at `p`: a load, or a reference for mutable structs and arrays.

    `take=True` moves references out instead of sharing them.
    """
    assert isinstance(p.type, ty.Ptr)
    match t:
        case ty.Record():
            from sapwood.lang.infer.classes.records import record_at

            return record_at(b, p)
        case ty.Scalar() | ty.Simd() | ty.Ptr() | ty.Ref():
            return b.emit1(memory.load, (p,), t, **attrs)
        case ty.Complex():
            return read(b, p, ty.Stored(complex_spec(t.elem)), **attrs)
        case ty.Stored(spec=spec):
            leaves = (b.emit1(memory.load, (at_offset(b, p, at, f),), f, **attrs) for f, at in stored_leaves(spec))
            return rebuild(spec, leaves)
        case ty.Struct(frozen=True):
            items = (read(b, at_offset(b, p, off, f), f, **attrs) for _, f, off in struct_layout(t))
            return Agg(t, tuple(items))
        case ty.Struct() | ty.StackArray():
            return Agg(t, (b.emit1(_cast(), (p,), replace(p.type, elem=t)) if p.type.elem != t else p,))
    raise TypeError(t)


def write(b: Any, p: Var, t: ty.Type, value: Value) -> None:
    """Store `value`, converted to `t`, at `p`; mutable structs are copied. What was there is not released."""
    match t:
        case ty.Record():
            from sapwood.lang.infer.classes.records import write_record

            write_record(b, p, value)
            return
        case ty.Ref():
            b.emit(memory.store, (p, adapt(b, fit_spec(b, value, Spec("leaf", t)), Spec("leaf", t))[0]))
            return
        case ty.Complex():
            write(b, p, ty.Stored(complex_spec(t.elem)), value)
            return
        case ty.Stored(spec=spec):
            write_leaves(b, p, spec, adapt(b, fit_spec(b, value, spec), spec))
            return
        case ty.Scalar() | ty.Simd():
            b.emit(memory.store, (p, b.coerce(value, t)))
            return
        case ty.Ptr() if isinstance(value, Var) and isinstance(value.type, ty.Ptr):
            if (value.type.space == "shared") != (t.space == "shared"):
                hint = "shared memory has addresses of its own; Ptr[...](address(p)) points there from anywhere"
                raise BadOperand(b.loc, function="assignment", detail=f"a {t} cannot be a {value.type}", hint=hint)
            b.emit(memory.store, (p, value))
            return
        case ty.StackArray() if isinstance(value, Agg) and isinstance(value.type, ty.StackArray):
            if (value.type.elem, value.type.size) == (t.elem, t.size):
                from sapwood.lang.library.memory import copy

                places = [at_offset(b, q, 0, ty.U8) for q in (p, value.items[0])]  # type: ignore[arg-type]
                b.interpreter.call_function(copy, (*places, b.index(size_of(b, t))))
                return
        case ty.Struct() if isinstance(value, Agg) and isinstance(value.type, ty.Struct):
            if value.type.cls is t.cls:
                for i, (_, f, off) in enumerate(struct_layout(t)):
                    if t.frozen:
                        item = value.items[i]
                    else:
                        source = value.items[0]
                        assert isinstance(source, Var)
                        item = read(b, at_offset(b, source, off, f), f)
                    write(b, at_offset(b, p, off, f), f, item)
                return
    hint = f"the place holds {t}"
    raise BadOperand(b.loc, function="assignment", detail=f"cannot store {describe(value)}", hint=hint)


def write_leaves(b: Any, p: Var, spec: Spec, leaves: list[Var]) -> None:
    for leaf, (f, at) in zip(leaves, stored_leaves(spec), strict=True):
        b.emit(memory.store, (at_offset(b, p, at, f), leaf))


def fit_spec(b: Any, value: Value, spec: Spec) -> Value:
    """The value, if it is of the spec or becomes so by itself (ints to floats, None to optional)."""
    try:
        if join(spec, storable(spec_of(value))) == spec:
            return value
    except Clash:
        pass
    from sapwood.lang.infer.containers.lists import are_objects

    hint = f"convert it, or keep values of one type: the place holds {describe(spec)}"
    hint = RELATED if are_objects(spec_of(value), spec) else hint
    raise BadConversion(b.loc, found=describe(value), expected=describe(spec), hint=hint)


def _cast() -> Any:
    from sapwood.lang.ops.convert import bitcast

    return bitcast


def at_offset(b: Any, p: Var, nbytes: int, t: ty.Type) -> Var:
    """`p` moved by bytes and pointing to `t`."""
    assert isinstance(p.type, ty.Ptr)
    target = replace(p.type, elem=t)
    if nbytes:
        p = b.emit1(memory.pointer_add, (p, b.index(nbytes)), p.type, stride=1)
    return p if p.type == target else b.emit1(_cast(), (p,), target)


def known_bytes(b: Any, count: Value, t: ty.Type) -> int:
    from sapwood.lang.errors import StackTooLarge

    n = b.known(count, "the size of a StackArray", int)
    total = n * size_of(b, t)
    if n < 0 or total > STACK_LIMIT:
        raise StackTooLarge(b.loc, bytes=total, limit=STACK_LIMIT)
    return total


