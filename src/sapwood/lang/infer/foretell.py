"""What empty displays will hold, where that is written beside them: `xs: list[int] = []`, `d[k] = []`, `return {}`.

Without it an empty container learns its elements from what is put into it later, and the whole function is walked
again from its beginning (Interpreter.settle).
"""

from __future__ import annotations

import builtins
import dataclasses
import operator
from typing import Any

from sapwood.lang import types as ty
from sapwood.lang.front import hir
from sapwood.lang.join import storable
from sapwood.lang.values import Known, Spec, spec_of

_MAKES = {"list": hir.make_list, "dict": hir.make_dict, "set": hir.make_set}


def foretell(w: Any, e: hir.Expr, spec: Spec | None) -> None:
    """Tell the empty displays in an expression what they hold if the expression is to be a value of `spec`."""
    if isinstance(e, hir.IfExp):
        foretell(w, e.then, spec)
        foretell(w, e.other, spec)
    elif isinstance(e, hir.Comprehension) and e.kind in ("list", "dict"):
        foretell(w, e.elements[-1], _held(spec))
    elif isinstance(e, hir.Call) and isinstance(e.callee, hir.Literal) and not e.kwargs:
        _display(w, e, e.callee.value, spec)
    elif isinstance(e, hir.Call) and not (e.args or e.kwargs) and isinstance(e.callee, hir.Name):
        made = _MAKES.get(e.callee.name)
        if made is not None and w.expr(e.callee) == Known(getattr(builtins, e.callee.name)):
            _display(w, e, made, spec)


def foretell_stored(w: Any, e: hir.Expr) -> None:
    """`d[k] = []`, `xs.append({})`: an empty display is told what the container holds."""
    value: hir.Expr | None = None
    index: hir.Expr | None = None
    if isinstance(e, hir.Bind):  # the value comes before the place
        value, e = e.value, e.body
    match e:
        case hir.Call(
            callee=hir.Call(
                callee=hir.Literal(value=builtins.getattr), args=(hir.Name(name=name), hir.Literal(value="append"))
            ),
            args=(stored,),
        ):
            pass
        case hir.Call(callee=hir.Literal(value=operator.setitem), args=(hir.Name(name=name), index, stored)):
            pass
        case _:
            return
    container = w.vars.get(w.keys.get(name, name))
    spec = None if container is None else spec_of(container)
    match index:
        case hir.Call(callee=hir.Literal(value=builtins.slice)):  # xs[i:j] = []
            foretell(w, value or stored, spec)
        case _:
            foretell(w, value or stored, _held(spec))


def _held(container: Spec | None) -> Spec | None:
    """What a list holds, or the values of a dict."""
    kind = _container(container)
    if isinstance(kind, ty.Dict):
        return kind.value
    return kind.elem if isinstance(kind, ty.List) else None


def _container(spec: Spec | None) -> Any:
    return spec.data.target if spec is not None and spec.kind == "leaf" and isinstance(spec.data, ty.Ref) else None


def _display(w: Any, e: hir.Call, callee: Any, spec: Spec | None) -> None:
    kind = _container(spec)
    if isinstance(kind, ty.List) and callee is hir.make_list:
        for item in e.args:
            foretell(w, item, kind.elem)
        if not e.args:
            _tell(w, e, "", kind.elem)
    elif isinstance(kind, ty.Dict) and callee is hir.make_dict:
        for pair in e.args:
            if isinstance(pair, hir.Call):
                foretell(w, pair.args[1], kind.value)
        if not e.args:
            _tell(w, e, "key", kind.key)
            _tell(w, e, "value", kind.value)
    elif isinstance(kind, ty.Set) and callee is hir.make_set and not e.args:
        _tell(w, e, "set", kind.elem)
    elif isinstance(kind, ty.List | ty.Dict) and callee is operator.mul:
        foretell(w, e.args[0], spec)


def _tell(w: Any, e: hir.Expr, what: str, spec: Spec) -> None:
    site = w.interp.site(e.loc, what)
    if site.spec is None and not _is_open(spec):
        site.spec = storable(spec)


def _is_open(spec: Spec) -> bool:
    """Whether something in it is still empty, and learns by itself."""
    kind = _container(spec)
    inside = [] if kind is None else [getattr(kind, f.name) for f in dataclasses.fields(kind)]
    return spec.kind == "never" or any(_is_open(s) for s in (*spec.items, *inside) if isinstance(s, Spec))
