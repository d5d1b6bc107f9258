"""Native values as Python objects, and back: at the border to Python and wherever `object` is used.

`box` makes an object of a value; `unbox` makes a value of a spec, and raises TypeError (or OverflowError) of an object
that is no such value. Both run in compiled code; containers do it in library/border.py.
"""

from __future__ import annotations

from typing import Any

from sapwood.lang import types as ty
from sapwood.lang.errors import BadConversion
from sapwood.lang.infer.heap import rules_of
from sapwood.lang.infer.narrow import is_none, is_optional, some
from sapwood.lang.infer.text.characters import is_character
from sapwood.lang.ir.ssa import Var
from sapwood.lang.join import present
from sapwood.lang.ops import arith, heap, objects
from sapwood.lang.ops.objects import OBJECT, api
from sapwood.lang.types import BOOL, F64, I64, U64
from sapwood.lang.values import Agg, Known, Spec, Value, describe

# -- to Python ---------------------------------------------------------------------------------------


def box(w: Any, value: Value) -> Var:
    """A Python object of a value."""
    b = w.b
    if is_optional(value):
        missing = b.materialize(is_none(b, value))
        found = w.choose(
            missing, lambda: objects.constant_object(b, None), lambda: box(w, some(b, value))
        )
        assert isinstance(found, Var)
        return found
    if is_character(value):
        value = b.materialize(value)
    match value:
        case Var(type=ty.Ref(target=ty.Object())):
            return value
        case Var(type=ty.Ref()):
            return rules_of(value).to_object(w, value)
        case Var(type=ty.Scalar()) | Known():
            return objects.as_object(b, value)
        case Agg(type=ty.Complex()):
            return api(b, "PyComplex_FromDoubles", tuple(b.convert(v, F64) for v in value.items))
        case Agg(type=ty.Enum()):
            from sapwood.lang.infer.classes.enums import box_member

            return box_member(w, value)
        case Agg(type=ty.Tuple()):
            return pack(w, [box(w, i) for i in value.items])
        case Agg(type=ty.Struct(cls=cls, frozen=True)):
            made = objects.constant_object(b, cls)
            fields = [box(w, i) for i in value.items]
            return b.emit(objects.python_call, (made, *fields), (OBJECT,), {"names": ()})[0]
    hint = "numbers, text, tuples, lists, dicts, sets, frozen structs and None can be"
    raise BadConversion(b.loc, found=describe(value), expected="a Python object", hint=hint)


def pack(w: Any, items: list[Var]) -> Var:
    """A Python tuple of objects."""
    out = api(w.b, "PyTuple_New", (w.b.index(len(items)),))
    for i, item in enumerate(items):
        api(w.b, "PyTuple_SetItem", (out, w.b.index(i), item), None, "negative", steals=(2,))
    return out


# -- from Python -------------------------------------------------------------------------------------


def unbox(w: Any, x: Var, spec: Spec) -> Value:
    """The value of a spec that an object is; raises of one that is none."""
    b = w.b
    match spec:
        case Spec(kind="known", data=Known(value=None)):
            demand(w, is_none_object(w, x), x, "None")
            return Known(None)
        case Spec(kind="leaf", data=ty.Ref(target=target, nullable=True)):
            inner = Spec("leaf", ty.Ref(target))
            return w.choose(is_none_object(w, x), lambda: Known(None), lambda: unbox(w, x, inner))
        case Spec(kind="leaf", data=ty.Ref(target=ty.Object())):
            return x
        case Spec(kind="leaf", data=ty.Ref(target=target)):
            return rules_of(target).from_object(w, x, target)
        case Spec(kind="leaf", data=ty.Scalar() as t):
            return _scalar(w, x, t)
        case Spec(kind="agg", data=ty.Complex() as t):
            return _complex(w, x, t)
        case Spec(kind="agg", data=ty.Enum(cls=cls)):
            from sapwood.lang.infer.classes.enums import unbox_member

            return unbox_member(w, x, cls)
        case Spec(kind="agg", data=ty.Optional(), items=(_, inner)):
            return w.choose(is_none_object(w, x), lambda: Known(None), lambda: unbox(w, x, present(inner)))
        case Spec(kind="agg", data=ty.Tuple() as t, items=items):
            return Agg(t, tuple(unbox(w, i, s) for i, s in zip(unpack(w, x, len(items)), items, strict=True)))
        case Spec(kind="agg", data=ty.Struct(cls=cls, frozen=True) as t, items=items):
            made = objects.constant_object(b, cls)
            yes = api(b, "PyObject_IsInstance", (x, made), BOOL, "negative")
            demand(w, yes, x, cls.__name__)
            names = cls.__sapwood_struct__.annotations()  # type: ignore[attr-defined]
            fields = (get_attr(w, x, n) for n in names)
            return Agg(t, tuple(unbox(w, f, s) for f, s in zip(fields, items, strict=True)))
    hint = "write the type that the object has, for example x: list[int] = value"
    raise BadConversion(b.loc, found="object", expected=describe(spec), hint=hint)


def _scalar(w: Any, x: Var, t: ty.Scalar) -> Value:
    b = w.b
    if t == BOOL:
        demand(w, objects.is_of_type(b, x, "PyBool_Type"), x, "bool")
        return api(b, "PyObject_IsTrue", (x,), BOOL, "negative")
    if t.is_float:
        exact = objects.is_of_type(b, x, "PyFloat_Type", exact=False)

        def from_int() -> Value:
            is_int = b.const(False, BOOL) if w.interp.exact else objects.is_of_type(b, x, "PyLong_Type")
            demand(w, is_int, x, "float")
            return api(b, "PyFloat_AsDouble", (x,), F64, "minus one")

        found = w.choose(exact, lambda: api(b, "PyFloat_AsDouble", (x,), F64, "minus one"), from_int)
        assert isinstance(found, Var)
        return b.convert(found, t)
    demand(w, objects.is_of_type(b, x, "PyLong_Type"), x, "int")
    if t == U64:
        return api(b, "PyLong_AsUnsignedLongLong", (x,), U64, "minus one")
    n = b.emit(objects.python_long, (x,), (I64,))[0]
    return n if t == I64 else _in_range(w, n, t)


def _complex(w: Any, x: Var, t: ty.Complex) -> Value:
    """A complex number, or a float or int as one."""
    b = w.b
    good = objects.is_of_type(b, x, "PyComplex_Type", exact=False)
    if not w.interp.exact:
        for name in ("PyFloat_Type", "PyLong_Type"):
            good = b.emit1(arith.bor, (good, objects.is_of_type(b, x, name, exact=name == "PyLong_Type")), BOOL)
    demand(w, good, x, "complex")
    names = ("PyComplex_RealAsDouble", "PyComplex_ImagAsDouble")
    return Agg(t, tuple(b.convert(api(b, name, (x,), F64, "minus one"), t.elem) for name in names))


def _in_range(w: Any, n: Var, t: ty.Scalar) -> Value:
    import operator

    from sapwood.lang.bits import int_range
    from sapwood.lang.ops.operators import binary

    low, high = int_range(t)
    for test, bound in ((operator.lt, low), (operator.gt, high)):
        bad = w.b.materialize(binary(w.b, test, n, Known(bound)))
        w.b.raise_if(bad, OverflowError, f"{{0}} does not fit into {t}", n)
    return w.b.convert(n, t)


def demand(w: Any, good: Var, x: Var, expected: str) -> None:
    """TypeError about an object unless the test holds."""
    from sapwood.lang.ops.operators import logical_not

    def wrong() -> Value:
        w.b.emit(objects.wrong_type, (x,), (), {"expected": expected})
        return Known(None)

    w.choose(w.b.materialize(logical_not(w.b, good)), wrong, lambda: Known(None))


def is_none_object(w: Any, x: Var) -> Var:
    return w.b.emit1(heap.same_object, (x, objects.constant_object(w.b, None)), BOOL)


def unpack(w: Any, x: Var, count: int) -> list[Var]:
    """The items of a Python tuple of known length."""
    b = w.b
    demand(w, objects.is_of_type(b, x, "PyTuple_Type", exact=False), x, "tuple")
    n = api(b, "PyTuple_Size", (x,), I64, "negative")

    wrong = b.emit1(arith.compare, (n, b.index(count)), BOOL, test="ne")
    b.raise_if(wrong, ValueError, f"expected a tuple of {count}, not of {{0}}", n)
    return [api(b, "PyTuple_GetItem", (x, b.index(i)), borrowed=True) for i in range(count)]


def get_attr(w: Any, x: Var, name: str) -> Var:
    return api(w.b, "PyObject_GetAttr", (x, objects.constant_object(w.b, name)))
