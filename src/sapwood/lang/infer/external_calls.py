"""Calls of external C functions: arguments are fitted to C's types, functions become addresses that C can call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sapwood.lang import types as ty
from sapwood.lang.declared import Declared
from sapwood.lang.errors import WrongArgumentCount, WrongArgumentType
from sapwood.lang.external import Callback, External
from sapwood.lang.infer.fit import fit_argument
from sapwood.lang.ir.ssa import Var
from sapwood.lang.ops import convert, foreign, memory
from sapwood.lang.types import I64
from sapwood.lang.values import Known, Spec, Value, describe, rebuild

if TYPE_CHECKING:
    from sapwood.lang.infer.walker import FunctionWalker as Walker


def call_external(w: Walker, f: External, args: list[Value], kwargs: dict[str, Value]) -> Value:
    b = w.b
    names = [n for n, _ in f.parameters]
    signature = f"{f.symbol}({', '.join(f'{n}: {p}' for n, p in f.parameters)})"
    given = dict(zip(names, args, strict=False)) | kwargs
    if len(args) + len(kwargs) != len(names) or given.keys() != set(names):
        problem = f"takes {len(names)} arguments, but {len(args) + len(kwargs)} were given"
        raise WrongArgumentCount(b.loc, function=f.symbol, problem=problem, signature=signature)
    values = [_argument(w, f, n, p, given[n]) for n, p in f.parameters]
    w.interp.depend_on_constant(f.__module__, f.__qualname__, f)
    if f.result is None:
        b.emit(foreign.call_external, tuple(values), (), {"external": f})
        return Known(None)
    return b.emit1(foreign.call_external, tuple(values), f.result, external=f)


def _argument(w: Walker, f: External, name: str, wanted: Any, value: Value) -> Var:
    b = w.b
    if isinstance(wanted, Callback):
        return _callback(w, f, name, wanted, value)
    if isinstance(wanted, ty.Ptr):
        if isinstance(value, Var) and isinstance(value.type, ty.Ptr):
            same = value.type.elem == wanted.elem or ty.U8 in (wanted.elem, value.type.elem)  # void* and char*
            if same and value.type.space != "shared":
                return value if value.type == wanted else b.emit1(convert.bitcast, (value,), wanted)
        if isinstance(value, Known) and value.value is None:
            return b.emit1(memory.pointer_at, (b.index(0),), wanted)
        hint = "x.ptr of a tensor or stack array; .cast(...) changes what it points to; None is a null pointer"
        raise WrongArgumentType(
            b.loc, (), name=name, function=f.symbol, found=describe(value), expected=wanted, hint=hint
        )
    fitted = fit_argument(b, Declared("scalar", (wanted,)), value, {}, name, f.symbol, None)
    assert isinstance(fitted, Var)
    return fitted


def _callback(w: Walker, f: External, name: str, wanted: Callback, value: Value) -> Var:
    from sapwood.lang.function import is_compiled
    from sapwood.lang.join import Clash, join, storable

    b = w.b
    fn: Any = value.value if isinstance(value, Known) else None
    if not is_compiled(fn):
        hint = "pass a function with @fn; C keeps its address, so it cannot capture anything"
        raise WrongArgumentType(
            b.loc, (), name=name, function=f.symbol, found=describe(value), expected=wanted, hint=hint
        )
    arguments = tuple(rebuild(Spec("leaf", k), iter([Var(k)])) for k in wanted.parameters)
    instance = w.interp.instance(fn, arguments)
    result = instance.result
    expected = Spec("known", Known(None)) if wanted.result is None else Spec("leaf", wanted.result)
    try:
        fits = result is None or join(expected, storable(result)) == expected and list(result.leaves()) == list(
            expected.leaves()
        )
    except Clash:
        fits = False
    if not fits:
        found = f"{getattr(fn, '__name__', '?')}(...) -> {describe(result)}"  # type: ignore[arg-type]
        hint = f"it must return {wanted.result}"
        raise WrongArgumentType(b.loc, (), name=name, function=f.symbol, found=found, expected=wanted, hint=hint)
    attrs = {"function": instance.function, "callback": wanted, "name": fn.__name__}
    return b.emit1(foreign.callback_address, (), I64, **attrs)
