"""`object` in compiled code: what Python does with any object, through CPython's C API."""

from __future__ import annotations

import operator
from typing import Any

from sapwood.lang import types as ty
from sapwood.lang.infer.border import box, get_attr
from sapwood.lang.infer.heap import HeapRules
from sapwood.lang.infer.iteration.protocol import Iteration, Sink, iterates
from sapwood.lang.infer.narrow import is_none, some
from sapwood.lang.ir.ssa import Var
from sapwood.lang.ops import objects
from sapwood.lang.ops.objects import OBJECT, api
from sapwood.lang.ops.operators import logical_not
from sapwood.lang.types import BOOL, I64
from sapwood.lang.values import Agg, Known, Value

_BINARY = {
    operator.add: "Add", operator.sub: "Subtract", operator.mul: "Multiply", operator.truediv: "TrueDivide",
    operator.floordiv: "FloorDivide", operator.mod: "Remainder", operator.matmul: "MatrixMultiply",
    operator.lshift: "Lshift", operator.rshift: "Rshift", operator.and_: "And", operator.or_: "Or",
    operator.xor: "Xor",
}  # fmt: skip
_INPLACE = {
    operator.iadd: "Add", operator.isub: "Subtract", operator.imul: "Multiply", operator.itruediv: "TrueDivide",
    operator.ifloordiv: "FloorDivide", operator.imod: "Remainder", operator.imatmul: "MatrixMultiply",
    operator.ilshift: "Lshift", operator.irshift: "Rshift", operator.iand: "And", operator.ior: "Or",
    operator.ixor: "Xor",
}  # fmt: skip
_COMPARE = {operator.lt: 0, operator.le: 1, operator.eq: 2, operator.ne: 3, operator.gt: 4, operator.ge: 5}
_TEXT = {"str": "PyObject_Str", "repr": "PyObject_Repr", "ascii": "PyObject_ASCII"}
_UNARY = {operator.neg: "PyNumber_Negative", operator.pos: "PyNumber_Positive", operator.invert: "PyNumber_Invert"}


class ObjectRules(HeapRules):
    def attribute(self, w: Any, x: Var, name: str) -> Value | None:
        return get_attr(w, x, name)

    def set_attribute(self, w: Any, x: Var, name: str, value: Value) -> bool:
        args = (x, objects.constant_object(w.b, name), box(w, value))
        api(w.b, "PyObject_SetAttr", args, None, "negative")
        return True

    def length(self, w: Any, x: Var) -> Value:
        return api(w.b, "PyObject_Size", (x,), I64, "negative")

    def truth(self, w: Any, x: Var) -> Known | Var:
        return api(w.b, "PyObject_IsTrue", (x,), BOOL, "negative")

    def get_item(self, w: Any, x: Var, index: Value) -> Value:
        return api(w.b, "PyObject_GetItem", (x, key_object(w, index)))

    def set_item(self, w: Any, x: Var, index: Value, value: Value) -> None:
        api(w.b, "PyObject_SetItem", (x, key_object(w, index), box(w, value)), None, "negative")

    def del_item(self, w: Any, x: Var, index: Value) -> None:
        api(w.b, "PyObject_DelItem", (x, key_object(w, index)), None, "negative")

    def contains(self, w: Any, x: Var, item: Value) -> Value | None:
        return api(w.b, "PySequence_Contains", (x, box(w, item)), BOOL, "negative")

    def binary(self, w: Any, fn: Any, x: Value, y: Value) -> Value | None:
        if fn is operator.pow:
            power = objects.constant_object(w.b, operator.pow)
            return call_object(w, power, [x, y], {})
        args = (box(w, x), box(w, y))
        if fn in _COMPARE:
            return api(w.b, "PyObject_RichCompare", args, last=_COMPARE[fn])
        return api(w.b, f"PyNumber_{_BINARY[fn]}", args) if fn in _BINARY else None

    def inplace(self, w: Any, fn: Any, x: Var, y: Value) -> Value | None:
        return api(w.b, f"PyNumber_InPlace{_INPLACE[fn]}", (x, box(w, y))) if fn in _INPLACE else None

    def unary(self, w: Any, fn: Any, x: Var) -> Value | None:
        return api(w.b, _UNARY[fn], (x,)) if fn in _UNARY else None

    def text(self, w: Any, x: Var, how: str) -> list[Value] | None:
        from sapwood.lang.infer.text.strings import from_str

        return [from_str(w, api(w.b, _TEXT[how], (x,)))]

    def call(self, w: Any, x: Var, args: list[Value], kwargs: dict[str, Value]) -> Value | None:
        return call_object(w, x, args, kwargs)


class ObjectItems(Iteration):
    """What the iterator of a Python object gives."""

    def __init__(self, x: Var) -> None:
        super().__init__()
        self.x = x

    def start(self, w: Any, prefix: str) -> None:
        self.state = [prefix]
        w.vars[prefix] = api(w.b, "PyObject_GetIter", (self.x,))

    def next(self, w: Any, sink: Sink) -> Value:
        (slot,) = self.state
        item = api(w.b, "PyIter_Next", (w.vars[slot],), ty.Ref(ty.Object(), True), "null or nothing")
        there = logical_not(w.b, is_none(w.b, item))
        assert isinstance(there, Var)
        sink.end_unless(there)
        return some(w.b, item)


@iterates(ty.Object)
def _items(w: Any, x: Var) -> Iteration:
    return ObjectItems(x)


def call_object(w: Any, f: Var, args: list[Value], kwargs: dict[str, Value]) -> Value:
    """Call a Python object with values, which become objects."""
    operands = [box(w, a) for a in (*args, *kwargs.values())]
    return w.b.emit(objects.python_call, (f, *operands), (OBJECT,), {"names": tuple(kwargs)})[0]


def key_object(w: Any, index: Value) -> Var:
    """An index, key or slice as an object."""
    if isinstance(index, Agg) and isinstance(index.type, ty.Tuple):
        if index.items[:1] == (Known(slice),):
            return api(w.b, "PySlice_New", tuple(box(w, i) for i in index.items[1:]))
        if any(isinstance(i, Agg) for i in index.items):
            from sapwood.lang.infer.border import pack

            return pack(w, [key_object(w, i) for i in index.items])
    return box(w, index)
