"""Python's built-in functions inside compiled code, one entry a function. (`math` is in numbers/math_module.py.)"""

from __future__ import annotations

import builtins
import operator
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sapwood.lang import types as ty
from sapwood.lang.api import loops
from sapwood.lang.api.comptime import comptime, simd_width, static_assert, target_has
from sapwood.lang.api.dtypes import scalar_type
from sapwood.lang.api.objects import as_object
from sapwood.lang.errors import BadOperand, NotConstant, StaticAssertFailed
from sapwood.lang.front import hir
from sapwood.lang.infer.iteration.ranges import make_range
from sapwood.lang.ir.ssa import Var
from sapwood.lang.join import default_leaf
from sapwood.lang.ops import arith, control
from sapwood.lang.ops.operators import binary, check_zero, magnitude, require_index, unary
from sapwood.lang.python_texts import python_text
from sapwood.lang.types import F64, Tuple, elem_of
from sapwood.lang.values import Agg, Known, Value, describe

if TYPE_CHECKING:
    from sapwood.lang.infer.walker import FunctionWalker as Walker

BUILTINS: dict[Any, Callable[..., Value]] = {}


def builtin(*names: Any) -> Callable[[Callable[..., Value]], Callable[..., Value]]:
    def enter(rule: Callable[..., Value]) -> Callable[..., Value]:
        for name in names:
            BUILTINS[name] = rule
        return rule

    return enter


@builtin(builtins.range)
def _range(walker: Walker, a: Value, b: Value | None = None, c: Value | None = None) -> Value:
    if b is None:
        a, b = Known(0), a
    items = [require_index(walker.b, v, "an argument of range") for v in (a, b, Known(1) if c is None else c)]
    return make_range(walker, *items)


@builtin(loops.parallel)
def _parallel(walker: Walker, n: Value, **reductions: Value) -> Value:
    allowed = ("add", "min", "max")
    for k in reductions:
        if k not in allowed:
            detail = f"no reduction '{k}'"
            raise BadOperand(walker.b.loc, function="parallel", detail=detail, hint=f"use one of {', '.join(allowed)}")
    return Agg(Tuple(3), (Known(loops.Parallel), n, Known(tuple((k, 1) for k in reductions))))


@builtin(loops.unroll)
def _unroll(walker: Walker, items: Value) -> Value:
    if isinstance(items, Agg) and isinstance(items.type, ty.Range):
        start, stop, step = (walker.b.known(v, "the bounds of unroll", int) for v in items.items)
        return Agg(Tuple(0), (Known(loops.Unroll), *map(Known, range(start, stop, step))))
    if isinstance(items, Agg) and isinstance(items.type, Tuple):
        return Agg(Tuple(0), (Known(loops.Unroll), *items.items))
    if isinstance(items, Known) and isinstance(items.value, tuple | range):
        return Agg(Tuple(0), (Known(loops.Unroll), *map(Known, items.value)))
    raise NotConstant(walker.b.loc, what="what unroll repeats over", found=describe(items))


def _has_object(*values: Value) -> bool:
    return any(isinstance(v, Var) and v.type == ty.Ref(ty.Object()) for v in values)


def _as_python(walker: Walker, function: Any, *args: Value) -> Value:
    """The call of a built-in function of Python's on objects."""
    from sapwood.lang.infer.python_objects import call_object
    from sapwood.lang.ops.objects import constant_object

    return call_object(walker, constant_object(walker.b, function), list(args), {})


@builtin(builtins.len)
def _len(walker: Walker, x: Value) -> Value:
    from sapwood.lang.infer.objects import length

    method = walker.method_of(x, "__len__")
    return walker.call(method, [], {}, walker.b.loc) if method else length(walker, x)


@builtin(builtins.abs)
def _abs(walker: Walker, x: Value) -> Value:
    method = walker.method_of(x, "__abs__")
    if method:
        return walker.call(method, [], {}, walker.b.loc)
    return _as_python(walker, builtins.abs, x) if _has_object(x) else magnitude(walker.b, x)


@builtin(builtins.divmod)
def _divmod(walker: Walker, x: Value, y: Value) -> Value:
    from sapwood.lang.infer.classes.struct_operators import operator_method

    b = walker.b
    if _has_object(x, y):
        return _as_python(walker, builtins.divmod, x, y)
    found = operator_method(walker, builtins.divmod, ("__divmod__", "__rdivmod__"), x, y, b.loc)
    if found is not None:
        return found
    types = [v.type if isinstance(v, Var) else default_leaf(v.value) if isinstance(v, Known) else None for v in (x, y)]
    if F64 in types and all(isinstance(t, ty.Scalar) for t in types):
        check_zero(b, b.convert(b.materialize(y), F64), F64, python_text(divmod, 1.0, 0.0))
    return Agg(Tuple(2), (binary(b, operator.floordiv, x, y), binary(b, operator.mod, x, y)))


@builtin(builtins.pow)
def _pow(walker: Walker, x: Value, y: Value, modulus: Value = Known(None)) -> Value:
    b = walker.b
    if modulus == Known(None):
        return walker.operate(operator.pow, x, y)
    from sapwood.lang.library import integer_math

    values = [b.materialize(require_index(b, v, "an argument of pow with a modulus")) for v in (x, y, modulus)]
    return walker.call_compiled(integer_math.power_modulo, values, {})


@builtin(builtins.round)
def _round(walker: Walker, x: Value, ndigits: Value = Known(None)) -> Value:
    from sapwood.lang.infer.construct import convert_number

    b = walker.b
    digits = [] if ndigits == Known(None) else [ndigits]
    method = walker.method_of(x, "__round__")
    if method:
        return walker.call(method, digits, {}, b.loc)
    if _has_object(x):
        return _as_python(walker, builtins.round, x, *digits)
    if isinstance(x, Known) and isinstance(ndigits, Known):
        return Known(round(x.value, ndigits.value))
    v = b.materialize(x)
    is_float = elem_of(v.type).is_float
    if ndigits != Known(None):
        return _round_digits(walker, v, b.materialize(require_index(b, ndigits, "the digits of round")))
    if not is_float:
        return v
    result = convert_number(walker, int, [b.apply(arith.round_even, v)], b.loc)
    assert result is not None
    return result


def _round_digits(walker: Walker, v: Var, n: Var) -> Value:
    from sapwood.lang.library import float_parts, integer_math

    b = walker.b
    if not isinstance(v.type, ty.Scalar):
        hint = "round its lanes one by one"
        raise BadOperand(b.loc, function="round", detail=f"cannot round {v.type} to digits", hint=hint)
    if not v.type.is_float:
        return walker.call_compiled(integer_math.round_int, [b.convert(v, ty.I64), n], {})
    y = walker.call_compiled(float_parts.round_digits, [b.convert(v, ty.F64), n], {})
    assert isinstance(y, Var)
    return b.convert(y, v.type)


@builtin(as_object)
def _as_object(walker: Walker, x: Value) -> Value:
    from sapwood.lang.infer.border import box

    return box(walker, x)


@builtin(builtins.print)
def _print(
    walker: Walker, *args: Value, sep: Value = Known(" "), end: Value = Known("\n"), file: Value = Known(None),
    flush: Value = Known(False),
) -> Value:  # fmt: skip
    """Numbers and constants go to Python's print as they are, which needs no GIL here; others become one text."""
    b = walker.b
    if file not in (Known(None), Known(sys.stdout)):
        hint = "print writes to sys.stdout only; write to other files outside"
        raise BadOperand(b.loc, function="print", detail=f"cannot print to {describe(file)}", hint=hint)
    from sapwood.lang.infer.text.formatting import print_values

    known = isinstance(sep, Known) and isinstance(end, Known) and flush == Known(False)
    if known and any(isinstance(a, Agg) and isinstance(a.type, ty.Line) for a in args):
        between = Known(" ") if sep == Known(None) else sep
        lines = [a.items if isinstance(a, Agg) and isinstance(a.type, ty.Line) else (a,) for a in args]
        args, sep = tuple(x for i, line in enumerate(lines) for x in ((between,) if i else ()) + line), Known("")
    formats = {i: a.type.spec for i, a in enumerate(args) if isinstance(a, Agg) and isinstance(a.type, ty.Shown)}
    shown = [a.items[0] if i in formats and isinstance(a, Agg) else a for i, a in enumerate(args)]
    plain = all(isinstance(a, Known) or isinstance(a, Var) and isinstance(a.type, ty.Scalar) for a in shown)
    if not known or not plain:
        return print_values(walker, args, sep, end, flush)
    parts: list[Any] = [str(a.value) if isinstance(a, Known) else None for a in shown]
    for i, spec in formats.items():
        parts[i] = {"spec": spec}
    attrs = {"parts": parts, "sep": " " if sep == Known(None) else b.known(sep, "sep", str)}
    attrs["end"] = "\n" if end == Known(None) else b.known(end, "end", str)
    b.emit(control.print_, tuple(a for a in shown if isinstance(a, Var)), (), attrs)
    return Known(None)


# -- compile time ------------------------------------------------------------------------------------


@builtin(comptime)
def _comptime(walker: Walker, x: Value) -> Value:
    """Of a value that is known already; expressions of any other kind are evaluated by infer/comptime.py."""
    return Known(walker.b.known(x, "the value of comptime"))


@builtin(hir.import_module)
def _import(walker: Walker, module: Value, name: Value) -> Value:
    """`import module`, or `from module import name`, in a function: done when it is compiled."""
    import importlib

    from sapwood.lang.infer.classes.structs import lift

    path, what = walker.b.known(module, "the module"), walker.b.known(name, "the name")
    try:
        found = importlib.import_module(path)
        if what is not None:
            if not hasattr(found, what) and not hasattr(found, "__path__"):
                raise ImportError(f"cannot import name {what!r} from {path!r}")
            found = getattr(found, what) if hasattr(found, what) else importlib.import_module(f"{path}.{what}")
    except Exception as e:
        hint = f"Python says: {type(e).__name__}: {e}"
        raise BadOperand(walker.b.loc, function="import", detail=f"cannot import {what or path}", hint=hint) from None
    if what is not None:
        walker.interp.depend_on_constant(path, what, found)
    return lift(walker.b, Known(found))


@builtin(static_assert)
def _static_assert(walker: Walker, test: Value, text: Value = Known("")) -> Value:
    if not walker.b.known(test, "the condition of static_assert"):
        detail = str(walker.b.known(text, "the text")) or "the condition is false"
        raise StaticAssertFailed(walker.b.loc, detail=detail)
    return Known(None)


@builtin(simd_width)
def _simd_width(walker: Walker, dtype: Value) -> Value:
    scalar = scalar_type(walker.b.known(dtype, "the dtype of simd_width"))
    if scalar is None:
        raise NotConstant(walker.b.loc, what="the dtype of simd_width", found=describe(dtype))
    return Known(max(1, walker.b.target.vector_bytes // scalar.itemsize))


@builtin(target_has)
def _target_has(walker: Walker, feature: Value) -> Value:
    return Known(walker.b.target.has(walker.b.known(feature, "the feature", str)))


@builtin(operator.neg)
def _neg(walker: Walker, x: Value) -> Value:
    return unary(walker.b, operator.neg, x)
