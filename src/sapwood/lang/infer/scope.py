"""What a name stands for: a variable, a captured or shared name, a global, a builtin, a type variable."""

from __future__ import annotations

import builtins
from types import CodeType, FunctionType
from typing import TYPE_CHECKING, Any, TypeVar

from sapwood.lang import types as ty
from sapwood.lang.api.dtypes import dtype_of
from sapwood.lang.declared import Bindings
from sapwood.lang.errors import DeletedName, ForeignObject, HidesOuterName, Loc, MaybeUnbound, UndefinedName
from sapwood.lang.errors.hints import close_name, name_hint, object_hint
from sapwood.lang.front import hir
from sapwood.lang.infer.classes.heap_structs import struct_of
from sapwood.lang.infer.classes.structs import lift
from sapwood.lang.infer.containers.constant_containers import KINDS, constant_container, declared_spec
from sapwood.lang.values import Agg, Known, Spec, Unbound, Value

if TYPE_CHECKING:
    from sapwood.lang.infer.builder import Builder
    from sapwood.lang.infer.interpreter import Interpreter
    from sapwood.lang.infer.walker import FunctionWalker

_MISSING = object()


class ScopeMixin:
    """Names of a FunctionWalker."""

    if TYPE_CHECKING:
        b: Builder
        interp: Interpreter
        code: hir.FunctionDef
        python: FunctionType | None
        typevars: Bindings
        vars: dict[str, Value]
        where: dict[str, Loc]
        keys: dict[str, str]
        captured: dict[str, Value]
        itself: Value | None
        suspended: dict[str, Value] | None
        callee: FunctionWalker | None
        lent: frozenset[str]
        lending: dict[str, str]

        def caught_object(self, x: Any) -> Value: ...

    def visible(self) -> dict[str, Value]:
        """The function's names now, also from inside a body that is walked in place."""
        names = self.vars if self.suspended is None else self.suspended
        if self.callee is not None and self.callee.lent:
            inside = self.callee.visible()
            lending = self.callee.lending
            names = {**names, **{lending.get(n, n): inside[n] for n in self.callee.lent if n in inside}}
        return names

    def lookup(self, name: str, loc: Loc) -> Value:
        """The value of a name here; a diagnostic if it may have none."""
        value = self.vars.get(self.keys.get(name, name))
        if value is not None:
            if isinstance(value, Unbound):
                if isinstance(value.error, DeletedName):
                    raise DeletedName(loc, (("deleted here", value.loc),), name=name)
                if value.error is not None:
                    raise value.error
                notes = (("assigned on some paths only", value.loc),) if value.loc else ()
                raise MaybeUnbound(loc, notes, name=name)
            if isinstance(value, Agg) and isinstance(value.type, ty.Caught):
                return self.caught_object(value)
            return value
        if name in self.code.locals or name in self.keys:
            place = self.where.get(name)
            close = None if place is not None else close_name(name, [n for n in self.vars if n != name])
            if close is not None:
                raise UndefinedName(loc, name=name, hint=f"did you mean '{close}'? Or give '{name}' a value before")
            notes = () if place is None else (("it is assigned here, which may never run", place),)
            if _is_name_around(self.python, self.code.name, name):
                raise HidesOuterName(loc, notes, name=name, function=self.code.name)
            raise MaybeUnbound(loc, notes, name=name)
        if name in self.captured:
            found = self.captured[name]
            if isinstance(found, Agg) and isinstance(found.type, ty.Caught):
                return self.caught_object(found)
            return found
        if self.itself is not None and name == self.code.name:
            return self.itself
        if self.python is None:
            raise UndefinedName(loc, name=name, hint="")
        return self._global(name, loc)

    def _global(self, name: str, loc: Loc) -> Value:
        python = self.python
        assert python is not None
        value: Any = _MISSING
        if name in python.__code__.co_freevars:
            cell = (python.__closure__ or ())[python.__code__.co_freevars.index(name)]
            try:
                value = cell.cell_contents
            except ValueError:
                value = _MISSING
        if value is _MISSING:
            value = python.__globals__.get(name, _MISSING)
        if value is _MISSING:
            value = getattr(builtins, name, _MISSING)
            if value is _MISSING:
                receiver = self.vars.get("self")
                if receiver is not None and (t := struct_of(receiver)) and name in t.cls.__sapwood_struct__.fields:
                    raise UndefinedName(loc, name=name, hint=f"did you mean self.{name}?")
                pool = [*self.vars, *python.__globals__, *dir(builtins)]
                raise UndefinedName(loc, name=name, hint=name_hint(name, pool))
        if isinstance(value, TypeVar):
            return self._typevar(value, loc)
        if isinstance(value, KINDS):
            self.b.loc = loc
            if name not in python.__code__.co_freevars:
                self.interp.depend_on_constant(python.__module__, name, value)
            return constant_container(self, value, name, declared_spec(python, name))
        if isinstance(value, bytearray):
            raise ForeignObject(loc, name=name, kind=type(value).__name__, hint=object_hint(name, value))
        if hasattr(type(value), "__sapwood_struct__") and not type(value).__sapwood_struct__.frozen:
            kind = f"object of the mutable struct {type(value).__name__}"
            raise ForeignObject(loc, name=name, kind=kind, hint=object_hint(name, value))
        if name not in python.__code__.co_freevars:  # captured cells are part of the fingerprint
            self.interp.depend_on_constant(python.__module__, name, value)
        return lift(self.b, Known(value))

    def _typevar(self, var: TypeVar, loc: Loc) -> Value:
        bound = self.typevars.get(var)
        match bound.value if isinstance(bound, Known) else None:
            case ty.Scalar() as scalar:
                return Known(dtype_of(scalar))
            case ty.Simd() | int() as known:
                return Known(known)
            case Spec(kind="agg", data=ty.Struct() as t):
                return Known(t.cls)
            case Spec(kind="agg", data=ty.Tuple()):
                return Known(tuple)
            case Spec() as spec:
                return Known(spec)
        raise UndefinedName(loc, name=var.__name__, hint="no parameter mentions this type variable")


def _is_name_around(python: Any, function: str, name: str) -> bool:
    """Whether a function around the nested `function` has a variable of that name."""

    def around(code: CodeType, seen: frozenset[str]) -> bool:
        names = seen.union(code.co_varnames, code.co_cellvars)
        inside = [c for c in code.co_consts if isinstance(c, CodeType)]
        return any(c.co_name == function and name in names or around(c, names) for c in inside)

    code = getattr(python, "__code__", None)
    return isinstance(code, CodeType) and around(code, frozenset())
