"""Whether a function fits `Callable[[int, float], float]`."""

from __future__ import annotations

from sapwood.lang import types as ty
from sapwood.lang.declared import Declared
from sapwood.lang.infer.fit import Misfit
from sapwood.lang.values import Agg, Known, Value, Var


def check_signature(declared: Declared, value: Value) -> None:
    """A function whose own parameters show that it cannot be called as declared does not fit."""
    if not declared.args:
        return
    wanted, result = declared.args
    if isinstance(value, Agg) and isinstance(value.type, ty.Closure):
        params = value.type.code.params
        least = sum(p.default is None and not p.star and not p.keyword_only for p in params)
        most = len(wanted) if any(p.star for p in params) else sum(not p.keyword_only for p in params)
        if not least <= len(wanted) <= most:
            raise Misfit(f"it takes {least if least == most else f'{least} to {most}'} arguments, not {len(wanted)}")
    elif isinstance(value, Known) and getattr(type(value.value), "__sapwood_function__", False):
        from sapwood.lang.infer.pointers import signature_of

        own = signature_of(value.value)
        if own is not None and len(own.params) != len(wanted):
            raise Misfit(f"it is a {own}")
        pairs = () if own is None else zip((*own.params, own.result), (*wanted, result), strict=True)
        if any(p.kind == q.kind == "scalar" and p != q and ty.BOOL in (*p.args, *q.args) for p, q in pairs):
            raise Misfit(f"it is a {own}")
    elif isinstance(value, Var) and isinstance(value.type, ty.FunctionPointer):
        if len(value.type.params) != len(wanted):
            raise Misfit(f"it is a {value.type}")
