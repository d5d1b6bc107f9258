"""How values lie in memory: sizes and offsets, and which structs lie on the heap.

A mutable struct lies on the stack until something shows that it cannot: it is returned from a function, goes into a
container, meets None. Then `NeedsHeap` begins the walk anew with its class on the heap, for the whole compilation.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

from sapwood.lang import types as ty
from sapwood.lang.declared import Declared, concrete_type, fields_of, spec_of_declared, struct_type
from sapwood.lang.errors import CompileError, Loc
from sapwood.lang.errors.generic import FieldLayout
from sapwood.lang.values import Spec


def alignment(t: ty.Type) -> int:
    match t:
        case ty.Scalar() | ty.Ptr():
            return ty.sizeof(t)
        case ty.Simd():
            return t.elem.itemsize
        case ty.Struct():
            return max((alignment(f) for _, f, _ in struct_layout(t)), default=1)
        case ty.StackArray():
            return alignment(t.elem)
        case ty.Record():
            return 1
        case ty.Ref():
            return 8
        case ty.Complex():
            return t.elem.itemsize
        case ty.Stored():
            return max((alignment(leaf) for leaf in t.spec.leaves()), default=1)
    raise TypeError(t)


def size(t: ty.Type) -> int:
    """Bytes of one element in an array of `t`."""
    match t:
        case ty.Scalar() | ty.Ptr() | ty.Simd() | ty.Ref():
            return ty.sizeof(t)
        case ty.Complex():
            return t.itemsize
        case ty.Stored():
            end = max((at + size(leaf) for leaf, at in stored_leaves(t.spec)), default=0)
            align = alignment(t)
            return -(-end // align) * align
        case ty.Struct():
            fields = struct_layout(t)
            end = max((at + size(f) for _, f, at in fields), default=0)
            align = alignment(t)
            return -(-end // align) * align
        case ty.StackArray():
            return size(t.elem) * t.size
        case ty.Record():
            return t.size
    raise TypeError(t)


def stored_leaves(spec: Spec) -> list[tuple[ty.Leaf, int]]:
    """(leaf, byte offset) of a value in memory, in order."""
    out, at = [], 0
    for leaf in spec.leaves():
        align = alignment(leaf)
        at = -(-at // align) * align
        out.append((leaf, at))
        at += size(leaf)
    return out


def struct_layout(t: ty.Struct) -> list[tuple[str, ty.Type, int]]:
    """(field, type, byte offset), laid out as C does."""
    out, at = [], 0
    for name, declared in fields_of(t):
        field = concrete_type(declared)
        if field is None or isinstance(field, ty.Tuple):
            spec = spec_of_declared(declared)
            if spec is None:
                raise TypeError(field)
            field = ty.Stored(spec)
        align = alignment(field)
        at = -(-at // align) * align
        out.append((name, field, at))
        at += size(field)
    return out

_state = threading.local()


class NeedsHeap(CompileError):
    """An object of a mutable struct outlives the frame that made it: its class goes to the heap, all is walked anew."""

    message = "an object of {cls} outlives the function that made it"
    help = "in a kernel there is no heap: pass it in as a parameter"

    def __init__(self, cls: type, loc: Loc | None = None) -> None:
        super().__init__(loc, cls=cls.__name__)
        self.cls = cls


@contextmanager
def compiling(interpreter: Any) -> Iterator[None]:
    """Inside, `is_heap` answers for the unit that the interpreter compiles."""
    saved = getattr(_state, "interpreter", None)
    _state.interpreter = interpreter
    try:
        yield
    finally:
        _state.interpreter = saved


def is_heap(t: ty.Struct) -> bool:
    """Whether objects of a struct lie on the heap in the unit that is compiled now."""
    interpreter = getattr(_state, "interpreter", None)
    if interpreter is not None and interpreter.kernel is not None:
        return False
    if interpreter is not None and t.cls in interpreter.heap_classes:
        return True
    return holds_references(t.cls)


@lru_cache(maxsize=4096)
def holds_references(cls: type) -> bool:
    """Whether a class cannot lie on the stack: a mutable one with references in it, or any that refers to itself."""
    if refers_to_itself(cls):
        return True
    info = cls.__sapwood_struct__  # type: ignore[attr-defined]
    return not info.frozen and any(map(_counted, _fields(cls)))


@lru_cache(maxsize=4096)
def refers_to_itself(cls: type) -> bool:
    """Whether fields of a class lead back to the class."""
    return cls in _reached(cls)


def _fields(cls: type) -> list[Declared]:
    return [d for _, d in fields_of(struct_type(cls))]


def _counted(d: Declared) -> bool:
    """Whether values of a declared type hold references to heap objects."""
    if d.kind in ("heap", "list", "dict", "set", "frozenset"):
        return True
    if d.kind == "struct":
        cls = d.args[0]
        if not cls.__sapwood_struct__.frozen or holds_references(cls):
            return True
        return any(map(_counted, _fields(cls))) or any(map(_counted, _parts(d)))
    return any(map(_counted, _parts(d)))


def _parts(d: Declared) -> list[Declared]:
    return [a for a in d.args if isinstance(a, Declared)] if d.kind not in ("const", "function") else []


def _reached(cls: type) -> set[type]:
    """Struct classes that objects of a class lead to, through any number of fields."""
    seen: set[type] = set()
    pending = list(_fields(cls))
    while pending:
        d = pending.pop()
        pending += _parts(d)
        if d.kind == "struct" and d.args[0] not in seen:
            seen.add(d.args[0])
            pending += _fields(d.args[0])
    return seen


@lru_cache(maxsize=4096)
def leads_to_structs(cls: type) -> bool:
    """Whether ending an object may end others of its kind, so that a chain of them must not recurse."""
    return bool(_reached(cls)) or any(d.kind in ("any", "protocol", "typevar", "spec") for d in _fields(cls))


def reference_type(t: ty.Struct) -> ty.Ref:
    return ty.Ref(ty.HeapStruct(t))


def field_spec(t: ty.Struct, name: str, d: Declared) -> Spec:
    """How a field lies in the object."""
    if d.kind == "struct":
        inner = struct_type(d.args[0], d.args[1:])
        if not inner.frozen and not is_heap(inner):
            raise NeedsHeap(inner.cls)
    spec = spec_of_declared(d)
    if spec is None:
        problem = f"is declared {d}, which leaves its layout in memory open"
        hint = "give it a concrete type, or write @struct(frozen=True): then the struct is a value"
        raise FieldLayout(None, field=name, type=t, problem=problem, hint=hint)
    return spec


def object_fields(t: ty.Struct) -> list[tuple[str, Spec]]:
    return [(n, field_spec(t, n, d)) for n, d in fields_of(t)]


def contents(t: ty.Struct) -> Spec:
    """All fields as one spec, for the layout."""
    items = tuple(s for _, s in object_fields(t))
    return Spec("agg", ty.Tuple(len(items)), items)
