"""Structs on the heap: classes that hold references, that refer to themselves, or whose objects escape.

Which ones do, and how they lie there, says lang/memory_layout.py."""

from __future__ import annotations

from typing import Any

from sapwood.lang import memory_layout
from sapwood.lang import types as ty
from sapwood.lang.errors import BadOperand
from sapwood.lang.infer import layout
from sapwood.lang.infer.adapt import adapt, zero
from sapwood.lang.infer.heap import HeapRules
from sapwood.lang.ir.ssa import Var
from sapwood.lang.join import nullable
from sapwood.lang.memory_layout import contents, leads_to_structs, object_fields
from sapwood.lang.ops import heap
from sapwood.lang.values import Agg, Known, Spec, Value, describe, rebuild

# -- memory ------------------------------------------------------------------------------------------


def new_object(w: Any, t: ty.Struct, values: list[Value] | None) -> Var:
    """An object with these fields; all zero when `values` is None."""
    b = w.b
    spec = contents(t)
    fields = object_fields(t)
    leaves: list[Var] = []
    if values is not None:
        for (n, s), v in zip(fields, values, strict=True):
            leaves += _field_value(b, v, s, t, n)
    nbytes = heap.HEADER + memory_layout.size(ty.Stored(spec))
    x = b.apply(heap.new_object, Known(ty.HeapStruct(t)), Known(nbytes))
    words = b.emit1(heap.words, (x,), heap.WORDS)
    at = layout.at_offset(b, words, heap.HEADER, ty.Stored(spec))
    if values is None:
        empty = nullable(spec)
        leaves = [zero(b, leaf) for leaf in empty.leaves()]
        layout.write_leaves(b, at, empty, leaves)
    else:
        layout.write_leaves(b, at, spec, leaves)
    return x


def _offset_leaves(b: Any, x: Var, name: str) -> tuple[list[tuple[Var, Any]], Spec] | None:
    """(address, leaf) of each leaf of a field, and the field's spec."""
    assert isinstance(x.type, ty.Ref) and isinstance(x.type.target, ty.HeapStruct)
    t = x.type.target.struct
    whole, at = memory_layout.stored_leaves(contents(t)), 0
    for n, spec in object_fields(t):
        count = len(list(spec.leaves()))
        if n == name:
            words = b.emit1(heap.words, (x,), heap.WORDS)
            places = [
                (layout.at_offset(b, words, heap.HEADER + start, leaf), leaf) for leaf, start in whole[at : at + count]
            ]
            return places, spec
        at += count
    return None


def read_field(w: Any, x: Var, name: str) -> Value | None:
    from sapwood.lang.ops import memory

    found = _offset_leaves(w.b, x, name)
    if found is None:
        return None
    places, spec = found
    t = x.type.target.struct  # type: ignore[union-attr]
    if "__init__" in t.cls.__sapwood_struct__.methods:  # which may read a field before it has written it
        return _read_unset(w, places, spec, t, name)
    return rebuild(spec, iter([w.b.emit1(memory.load, (p,), leaf) for p, leaf in places]))


def _read_unset(w: Any, places: list[tuple[Var, Any]], spec: Spec, t: ty.Struct, name: str) -> Value:
    from sapwood.lang.ops import memory

    out: list[Var] = []
    for p, leaf in places:
        if isinstance(leaf, ty.Ref) and not leaf.nullable:
            p = layout.at_offset(w.b, p, 0, ty.Ref(leaf.target, True))
            x = w.b.emit1(memory.load, (p,), ty.Ref(leaf.target, True))
            missing = w.b.emit1(heap.is_null, (x,), ty.BOOL)
            text = f"'{t.cls.__name__}' object has no attribute '{name}'"
            w.b.raise_if(missing, AttributeError, text)
            out.append(w.b.emit1(heap.reference_as, (x,), leaf))
        else:
            out.append(w.b.emit1(memory.load, (p,), leaf))
    return rebuild(spec, iter(out))


def write_field(w: Any, x: Var, name: str, value: Value) -> bool:
    """Assign a field; what was there is released. False if there is no such field."""
    from sapwood.lang.ops import memory

    found = _offset_leaves(w.b, x, name)
    if found is None:
        return False
    places, spec = found
    leaves = _field_value(w.b, value, spec, x.type.target.struct, name)  # type: ignore[union-attr]
    for (p, leaf), new in zip(places, leaves, strict=True):
        if isinstance(leaf, ty.Ref):
            old = ty.Ref(leaf.target, True)  # nobody uses it, so it is released; an unset field holds null
            w.b.emit1(memory.load, (layout.at_offset(w.b, p, 0, old),), old, take=True)
            p = layout.at_offset(w.b, p, 0, leaf)
        w.b.emit(memory.store, (p, new))
    return True


def not_none(b: Any, value: Value, message: str) -> Value:
    """A struct that may be None where None is not declared: TypeError if it is. A type checker has seen the test
    that rules it out, also where the compiler has not (of a field, or of a condition computed before)."""
    from sapwood.lang.infer.narrow import some

    optional = isinstance(value, Var) and isinstance(value.type, ty.Ref) and value.type.nullable
    if not optional or not isinstance(value.type.target, ty.HeapStruct):  # type: ignore[union-attr]
        return value
    b.raise_if(b.emit1(heap.is_null, (value,), ty.BOOL), TypeError, message)
    return some(b, value)


def _field_value(b: Any, value: Value, spec: Spec, t: ty.Struct, name: str) -> list[Var]:
    if spec.kind == "leaf" and isinstance(spec.data, ty.Ref) and not spec.data.nullable:
        value = not_none(b, value, f"None for the field '{name}' of {t.cls.__name__}, which is not declared optional")
    return adapt(b, layout.fit_spec(b, value, spec), spec)


def struct_of(value: Value) -> ty.Struct | None:
    """The struct type of a value on the stack or the heap; None for anything else, and for what may be None."""
    if isinstance(value, Agg):
        return value.type if isinstance(value.type, ty.Struct) else None
    if isinstance(value, Var) and isinstance(value.type, ty.Ref) and not value.type.nullable:
        target = value.type.target
        return target.struct if isinstance(target, ty.HeapStruct) else None
    return None


class HeapStructRules(HeapRules):
    def drop(self, target: ty.HeapStruct) -> tuple[Any, tuple[Value, ...]]:
        from sapwood.lang.library.heap_struct import object_drop, queued_drop

        fn = queued_drop if leads_to_structs(target.struct.cls) else object_drop
        return fn, (Var(heap.WORDS), Known(ty.Stored(nullable(contents(target.struct)))))

    def attribute(self, w: Any, x: Var, name: str) -> Value | None:
        from sapwood.lang.infer.classes.structs import get_struct_attribute

        return get_struct_attribute(w, x, name, w.b.loc)

    def to_object(self, w: Any, x: Var) -> Var:
        hint = "return it, or a list, dict or tuple of such; where an object is expected, pass its fields"
        raise BadOperand(w.b.loc, function="object", detail=f"{describe(x)} cannot become one here", hint=hint)

    def hashable(self, x: Var) -> bool:
        info = x.type.target.struct.cls.__sapwood_struct__  # type: ignore[union-attr]
        return "__hash__" in info.methods or "__hash__" in info.generated

    def hash(self, w: Any, x: Var) -> Value | None:
        from sapwood.lang.infer.classes.struct_operators import hash_struct

        return hash_struct(w, x)

    def truth(self, w: Any, x: Var) -> Any:
        from sapwood.lang.infer.classes.struct_operators import struct_truth

        return struct_truth(w, x)

    def contains(self, w: Any, x: Var, item: Value) -> Value | None:
        method = w.method_of(x, "__contains__")
        return None if method is None else w.call(method, [item], {}, w.b.loc)
