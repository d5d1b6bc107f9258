"""`memoryview` in compiled code: views of bytes, of bytearrays and of the memory of Python objects. The work is done in
library/memory_view.py."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from sapwood.lang import types as ty
from sapwood.lang.bits import int_range
from sapwood.lang.border.object_types import FORMATS
from sapwood.lang.errors import BadOperand
from sapwood.lang.infer.border import demand
from sapwood.lang.infer.containers.lists import word
from sapwood.lang.infer.containers.slices import is_slice, slice_bounds
from sapwood.lang.infer.heap import HeapRules
from sapwood.lang.infer.iteration.protocol import Indexed
from sapwood.lang.infer.text import bytes_rules
from sapwood.lang.infer.text.strings import as_index, call
from sapwood.lang.ir.ssa import Var
from sapwood.lang.ops import arith, heap, memory
from sapwood.lang.ops.memory_views import load_item, place_as
from sapwood.lang.ops.operators import logical_not, require_index, truth
from sapwood.lang.types import BOOL, F64, I64, U8, U64
from sapwood.lang.values import Agg, Known, Value, describe, make_tuple

BYTE_VIEW = ty.MemoryView(U8)


def library() -> Any:
    from sapwood.lang.library import memory_view

    return memory_view


def is_view(v: Value) -> bool:
    return isinstance(v, Var) and isinstance(v.type, ty.Ref) and isinstance(v.type.target, ty.MemoryView)


def elem_of(x: Var) -> ty.Scalar:
    return x.type.target.elem  # type: ignore[union-attr]


def view_bytes(w: Any, x: Var) -> Var:
    """The items of a view as bytes."""
    found = call(w, library().view_bytes, x, Known(elem_of(x).itemsize))
    assert isinstance(found, Var)
    return found


def view_of(w: Any, x: Value, function: str) -> Var:
    """memoryview(x) of what has bytes; a view itself stays."""
    if is_view(x):
        assert isinstance(x, Var)
        return x
    if isinstance(x, Var) and x.type == ty.Ref(ty.Object()):
        return MemoryViewRules().from_object(w, x, BYTE_VIEW)
    if not bytes_rules.is_bytes(x):
        hint = "bytes and bytearrays have memory to look at; an array as a memoryview is a parameter: x: memoryview"
        raise BadOperand(w.b.loc, function=function, detail=f"{describe(x)} is not bytes-like", hint=hint)
    s = w.b.materialize(x)
    make = library().view_of_array if s.type == bytes_rules.BYTEARRAY else library().view_of_bytes
    found = call(w, make, s, Known(BYTE_VIEW))
    assert isinstance(found, Var)
    return found


# -- methods -------------------------------------------------------------------------------------------

METHODS: dict[str, Callable[..., Value]] = {}
ATTRIBUTES: dict[str, Callable[[Any, Var], Value]] = {}


def _method(rule: Callable[..., Value]) -> Callable[..., Value]:
    METHODS[rule.__name__.strip("_")] = rule
    return rule


@_method
def _tobytes(w: Any, x: Var) -> Value:
    return view_bytes(w, x)


@_method
def _hex(w: Any, x: Var, sep: Value | None = None, bytes_per_sep: Value = Known(1)) -> Value:
    return bytes_rules.hexadecimal(w, view_bytes(w, x), sep, bytes_per_sep)


@_method
def _tolist(w: Any, x: Var) -> Value:
    from sapwood.lang.infer.containers.lists import collect

    return collect(w, x)


@_method
def _release(w: Any, x: Var) -> Value:
    call(w, library().view_release, x)
    return Known(None)


@_method
def _toreadonly(w: Any, x: Var) -> Value:
    n = call(w, library().view_length, x)
    return call(w, library().view_slice, x, Known(x.type.target), w.b.index(0), w.b.index(1), n, w.b.index(1))  # type: ignore[union-attr]


def _attribute(rule: Callable[[Any, Var], Value]) -> Callable[[Any, Var], Value]:
    ATTRIBUTES[rule.__name__.strip("_")] = rule
    return rule


@_attribute
def _nbytes(w: Any, x: Var) -> Value:
    n = w.b.materialize(call(w, library().view_length, x))
    return w.b.emit1(arith.mul, (n, w.b.index(elem_of(x).itemsize)), I64)


@_attribute
def _itemsize(w: Any, x: Var) -> Value:
    call(w, library().view_check, x)
    return w.b.index(elem_of(x).itemsize)


@_attribute
def _ndim(w: Any, x: Var) -> Value:
    call(w, library().view_check, x)
    return w.b.index(1)


@_attribute
def _format(w: Any, x: Var) -> Value:
    return call(w, library().view_format, x)


@_attribute
def _shape(w: Any, x: Var) -> Value:
    return make_tuple([call(w, library().view_length, x)])


@_attribute
def _strides(w: Any, x: Var) -> Value:
    call(w, library().view_check, x)
    return make_tuple([word(w.b, x, 3)])


@_attribute
def _readonly(w: Any, x: Var) -> Value:
    call(w, library().view_check, x)
    low = w.b.emit1(arith.band, (word(w.b, x, 5), w.b.index(1)), I64)
    return w.b.emit1(arith.compare, (low, w.b.index(0)), BOOL, test="ne")


# -- the rules -----------------------------------------------------------------------------------------


class ViewItems(Indexed):
    """The items of a view, which may be released meanwhile."""

    kind = "memory_iterator"
    sequence = True
    fixed = False

    def __init__(self, x: Var) -> None:
        super().__init__()
        self.x = x

    def length(self, w: Any) -> Value:
        return call(w, library().view_length, self.x)

    def at(self, w: Any, i: Value) -> Value:
        from sapwood.lang.ops.memory_views import view_item

        return w.b.apply(view_item, self.x, i)


class MemoryViewRules(HeapRules):
    methods = METHODS

    def drop(self, target: Any) -> tuple[Any, tuple[Value, ...]]:
        return library().view_drop, (Var(heap.WORDS),)

    def attribute(self, w: Any, x: Var, name: str) -> Value | None:
        if name in ATTRIBUTES:
            return ATTRIBUTES[name](w, x)
        return super().attribute(w, x, name)

    def context_method(self, x: Var, name: str) -> Value | None:
        method = library().view_enter if name == "__enter__" else library().view_exit
        return Agg(ty.BoundMethod(method), (x,))

    def length(self, w: Any, x: Var) -> Value:
        return call(w, library().view_length, x)

    def get_item(self, w: Any, x: Var, index: Value) -> Value:
        if is_slice(index):
            first, step, count = _bounds(w, x, index)
            return call(w, library().view_slice, x, Known(x.type.target), first, step, count, w.b.index(0))  # type: ignore[union-attr]
        p = call(w, library().view_place, x, as_index(w, index, 0))
        return load_item(w.b, p, elem_of(x))  # type: ignore[arg-type]

    def set_item(self, w: Any, x: Var, index: Value, value: Value) -> None:
        lib, elem = library(), elem_of(x)
        call(w, lib.view_writable, x)
        if is_slice(index):
            first, step, count = _bounds(w, x, index)
            n, s = _source(w, value, elem)
            call(w, lib.view_write, x, first, step, count, s, n, Known(elem.itemsize))
            return
        p = call(w, lib.view_place, x, as_index(w, index, 0))
        w.b.emit(memory.store, (place_as(w.b, p, elem), _number(w, x, elem, value)))  # type: ignore[arg-type]

    def del_item(self, w: Any, x: Var, index: Value) -> None:
        raise BadOperand(w.b.loc, function="del", detail="cannot delete memory", hint="make a slice without it")

    def binary(self, w: Any, fn: Any, x: Value, y: Value) -> Value | None:
        if fn in (operator.eq, operator.ne):
            if not all(is_view(v) or bytes_rules.is_bytes(v) for v in (x, y)):
                return Known(fn is operator.ne)
            same = call(w, library().view_equal, view_of(w, x, "=="), view_of(w, y, "=="))
            return logical_not(w.b, same) if fn is operator.ne else same
        if fn is operator.add and bytes_rules.is_bytes(x):
            return bytes_rules.BytesRules().binary(w, fn, x, view_bytes(w, y))  # type: ignore[arg-type]
        return None

    def to_object(self, w: Any, x: Var) -> Var:
        return call(w, library().view_to_python, x)  # type: ignore[return-value]

    def from_object(self, w: Any, x: Var, target: Any) -> Var:
        lib = library()
        holder = call(w, lib.buffer_of, x)
        formats = Known(FORMATS[target.elem.name])
        good = call(w, lib.buffer_fits, holder, formats, Known(target.elem.itemsize))
        demand(w, good, x, str(target))  # type: ignore[arg-type]
        return call(w, lib.view_of_buffer, holder, Known(target))  # type: ignore[return-value]


class PythonBufferRules(HeapRules):
    def drop(self, target: Any) -> tuple[Any, tuple[Value, ...]]:
        return library().buffer_drop, (Var(heap.WORDS),)


def _bounds(w: Any, x: Var, index: Value) -> tuple[Value, Value, Value]:
    n = w.b.materialize(call(w, library().view_length, x))
    assert isinstance(index, Agg)
    first, step, count = (w.b.materialize(v) for v in slice_bounds(w, index, n))
    return first, step, count


def _source(w: Any, value: Value, elem: ty.Scalar) -> tuple[Value, Value]:
    """What is assigned to a slice: the number of items and their bytes."""
    if bytes_rules.is_bytes(value) and elem.itemsize == 1:
        s = bytes_rules.as_bytes(w, value, "assignment")
        return word(w.b, s, 2), s
    x = view_of(w, value, "assignment")
    s = view_bytes(w, x)
    n = call(w, library().view_length, x)
    if elem_of(x) != elem:
        n = w.b.index(-1)  # as many items as there can never be: ValueError
    return n, s


def _number(w: Any, x: Var, elem: ty.Scalar, value: Value) -> Var:
    """What is assigned to an item; ValueError of a number that is no such item."""
    if elem == BOOL:
        return w.b.materialize(truth(w.b, value))
    if elem.is_float:
        if not (isinstance(value, Known) and isinstance(value.value, int | float)) and not (
            isinstance(value, Var) and isinstance(value.type, ty.Scalar)
        ):
            hint = "convert it with float(x)"
            detail = f"{describe(value)} is no number"
            raise BadOperand(w.b.loc, function="assignment", detail=detail, hint=hint)
        return w.b.convert(w.b.convert(w.b.materialize(value), F64), elem)
    number = w.b.materialize(require_index(w.b, value, f"an item of {describe(x)}"))
    if elem == U64 and number.type == U64:
        return number
    low, high = int_range(elem)
    limits = [Known(max(low, -(2**63))), Known(min(high, 2**63 - 1))]
    number = w.b.convert(number, I64)
    if elem.name != "i64":
        call(w, library().view_range, x, number, *(w.b.materialize(v) for v in limits))
    return w.b.convert(number, elem)


# -- construction and Python's objects -----------------------------------------------------------------


def new_view(w: Any, x: Value) -> Value:
    """memoryview(x)"""
    if is_view(x):
        n = call(w, library().view_length, x)
        return call(w, library().view_slice, x, Known(x.type.target), w.b.index(0), w.b.index(1), n, w.b.index(0))  # type: ignore[union-attr]
    return view_of(w, x, "memoryview")
