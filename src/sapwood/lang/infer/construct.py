"""Construction and conversion: `f32(x)`, `int(x)`, `SIMD[f32, 4](...)`, `StackArray[...]()`, structs."""

from __future__ import annotations

from typing import Any

from sapwood.lang import types as ty
from sapwood.lang.api.annotations import SIMD, Const, Parameterised, Ptr, StackArray
from sapwood.lang.api.dtypes import scalar_type
from sapwood.lang.errors import BadConversion, Loc, NotCallable, WrongArgumentCount
from sapwood.lang.infer import layout
from sapwood.lang.infer.classes.heap_structs import struct_of
from sapwood.lang.ir.ssa import Var
from sapwood.lang.ops import arith, convert, memory, simd
from sapwood.lang.ops.operators import truth
from sapwood.lang.types import BOOL, F64, I64, elem_of
from sapwood.lang.values import Agg, Known, Value, describe


def convert_number(w: Any, f: type, args: list[Value], loc: Loc) -> Value | None:
    """`f` as a dtype, int, float or bool called on one number; None when `f` is no dtype."""
    scalar = scalar_type(f)
    if scalar is None:
        return None
    name = f.__name__
    if len(args) > 1:
        raise WrongArgumentCount(loc, function=name, problem="takes one number", signature=f"{name}(x)")
    x: Value = args[0] if args else Known(0)
    if isinstance(x, Known) and isinstance(x.value, int | float) and f in (int, float, bool):
        from sapwood.lang.ops.operators import fold

        return fold(w.b, f, x)
    if f is bool:
        return truth(w.b, x)
    if isinstance(x, Var) and isinstance(x.type, ty.Ref) and isinstance(x.type.target, ty.Object):
        return _number_of_object(w, x, scalar)
    if isinstance(x, Known) and isinstance(x.value, int | float):
        return w.b.const(convert.convert_value(F64 if isinstance(x.value, float) else I64, scalar, x.value), scalar)
    own = _number_of_struct(w, f, x, loc)
    if own is not None:
        return own
    if not isinstance(x, Var) or not isinstance(x.type, ty.Scalar | ty.Simd):
        hint = f"{name} takes a number"
        if struct_of(x) is not None and f in (int, float):
            hint = f"{hint}, or a struct with a method __{name}__"
        if isinstance(x, Agg) and isinstance(x.type, ty.Complex):
            hint = "take its .real or .imag, or abs()"
        raise BadConversion(loc, found=describe(x), expected=scalar, hint=hint)
    if f is int and isinstance(x.type, ty.Scalar) and x.type.is_float and not w.b.unchecked:
        _check_int(w, x)
    return w.b.convert(x, ty.like(x.type, scalar))


def _number_of_struct(w: Any, f: type, x: Value, loc: Loc) -> Value | None:
    """int(x) or float(x) of a struct, by its own `__int__`, `__float__` or `__index__`."""
    if f not in (int, float) or struct_of(x) is None:
        return None
    for name in (f"__{f.__name__}__", "__index__"):
        method = w.method_of(x, name)
        if method is None:
            continue
        own, expected = (float, F64) if name == "__float__" else (int, I64)
        found = w.b.materialize(w.call(method, [], {}, loc))
        if found.type != expected:
            hint = f"{name} has to return {own.__name__}: {own.__name__}(...) of what it returns"
            raise BadConversion(loc, found=f"{describe(found)}, which {name} returned,", expected=expected, hint=hint)
        return w.b.convert(found, F64 if f is float else I64)
    return None


def _number_of_object(w: Any, x: Var, scalar: ty.Scalar) -> Value:
    """int(x) or float(x) of a Python object, by its own methods."""
    from sapwood.lang.infer.border import unbox
    from sapwood.lang.ops.objects import api
    from sapwood.lang.values import Spec

    number = api(w.b, "PyNumber_Float" if scalar.is_float else "PyNumber_Long", (x,))
    return unbox(w, number, Spec("leaf", scalar))


def _check_int(w: Any, x: Var) -> None:
    """int(x) of nan and infinity raises as Python does; beyond i64 too."""
    b = w.b
    assert isinstance(x.type, ty.Scalar)
    wide = b.convert(x, F64)
    nan = b.emit1(arith.compare, (wide, wide), BOOL, test="ne")
    b.raise_if(nan, ValueError, "cannot convert float NaN to integer")
    size = b.emit1(arith.absolute, (wide,), F64)
    infinite = b.emit1(arith.compare, (size, b.const(float("inf"), F64)), BOOL, test="eq")
    b.raise_if(infinite, OverflowError, "cannot convert float infinity to integer")
    big = b.emit1(arith.compare, (size, b.const(2.0**63, F64)), BOOL, test="ge")
    b.raise_if(big, OverflowError, "float too large to convert to a 64-bit int")


def construct_parameterised(
    w: Any, f: Parameterised, args: list[Value], kwargs: dict[str, Value]
) -> Value:
    b = w.b
    name = repr(f)
    if getattr(f.origin, "__sapwood_native__", False):
        return _native(w, f, args)
    if kwargs:
        raise WrongArgumentCount(b.loc, function=name, problem="takes no keywords", signature=f"{name}(...)")
    if f.origin is SIMD:
        return _simd(w, f, args)
    if f.origin is StackArray:
        return _stack_array(w, f, args)
    if f.origin is Ptr:
        from sapwood.lang.declared import concrete_type, declare

        target = concrete_type(declare(f, "Ptr", b.loc))
        assert isinstance(target, ty.Ptr)
        if len(args) == 1 and isinstance(args[0], Var) and args[0].type == I64:
            return b.emit1(memory.pointer_at, (args[0],), target)
        if len(args) == 1 and isinstance(args[0], Known) and isinstance(args[0].value, int):
            return b.emit1(memory.pointer_at, (b.index(args[0].value),), target)
    if f.origin is Const:
        return args[0]
    raise NotCallable(b.loc, type=name)


def _native(w: Any, f: Parameterised, args: list[Value]) -> Value:
    """`List[int](iterable)` in compiled code: a list with declared elements."""
    from sapwood.lang.declared import declare, spec_of_declared
    from sapwood.lang.infer.containers.lists import collect, new_list

    spec = spec_of_declared(declare(f, f.origin.__name__, w.b.loc), w.typevars)
    if spec is None or len(args) > 1:
        raise BadConversion(w.b.loc, found=repr(f), expected="a container", hint="for example List[int]()")
    target = spec.data.target
    if isinstance(target, ty.List):
        return collect(w, args[0], target.elem) if args else new_list(w, target.elem, Known(0))
    if isinstance(target, ty.Dict):
        from sapwood.lang.infer.containers.dicts import new_dict, update

        d = new_dict(w, target.key, target.value)
        if args:
            update(w, d, args[0])
        return d
    from sapwood.lang.infer.containers.sets import new_set
    from sapwood.lang.infer.containers.sets import update as update_set

    s = new_set(w, target.elem)
    if args:
        update_set(w, s, args[0])
    return s


def _number(x: Any) -> Any:
    return x.value if isinstance(x, Known) else x


def _simd(w: Any, f: Parameterised, args: list[Value]) -> Value:
    b = w.b
    elem = scalar_type(f.args[0])
    lanes = f.args[1]
    if elem is None:
        raise BadConversion(b.loc, found=repr(f.args[0]), expected="a dtype", hint="for example SIMD[f32, 8]")
    vector = simd.vector_type(b, elem, lanes)
    if not args:
        return b.const(0, vector)
    if len(args) == 1:
        x = args[0]
        if isinstance(x, Var) and isinstance(x.type, ty.Simd):
            if x.type.lanes != lanes:
                hint = "use join or shuffle to change the number of lanes"
                raise BadConversion(b.loc, found=x.type, expected=vector, hint=hint)
            return b.convert(x, vector)
        if isinstance(x, Var):
            return b.convert(x, vector)
        return b.convert(b.coerce(x, elem), vector)
    if len(args) != lanes:
        problem = f"takes 1 or {lanes} numbers, but {len(args)} were given"
        raise WrongArgumentCount(b.loc, function=repr(f), problem=problem, signature=f"{f!r}(...)")
    out = b.const(0, vector)
    for i, a in enumerate(args):
        x = b.convert(a, elem) if isinstance(a, Var) else b.coerce(a, elem)
        out = b.emit1(simd.insert, (out, b.index(i), x), vector)
    return out


def _stack_array(w: Any, f: Parameterised, args: list[Value]) -> Value:
    from sapwood.lang.declared import concrete_type, declare

    b = w.b
    elem = concrete_type(declare(f.args[0], "StackArray", b.loc), w.typevars)
    if elem is None:
        raise BadConversion(b.loc, found=repr(f.args[0]), expected="a type with a layout", hint="use a dtype")
    nbytes = layout.known_bytes(b, Known(f.args[1]), elem)
    pointer = memory.allocate_stack(b, elem, nbytes)
    value = Agg(ty.StackArray(elem, f.args[1]), (pointer,))
    if len(args) > 1:
        raise WrongArgumentCount(
            b.loc, function=repr(f), problem="takes nothing, or one number to fill with", signature=f"{f!r}(x)"
        )
    fill: Value | None = args[0] if args else Known(0) if not b.unchecked and isinstance(elem, ty.Scalar) else None
    if fill is not None:
        from sapwood.lang.library.memory import fill as fill_memory

        assert isinstance(elem, ty.Scalar | ty.Simd)
        x = b.convert(fill, elem) if isinstance(fill, Var) else b.coerce(_as_float(fill, elem), elem)
        b.interpreter.call_function(fill_memory, (pointer, b.index(f.args[1]), x))
    return value


def _as_float(v: Value, elem: ty.Scalar | ty.Simd) -> Value:
    if isinstance(v, Known) and isinstance(v.value, int) and elem_of(elem).kind == "bool":
        return Known(bool(v.value))
    return v
