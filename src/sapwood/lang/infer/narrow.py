"""What a test tells about names: `x is None`, `x is not None`, `not`, `and`, `or`."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

from sapwood.lang import types as ty
from sapwood.lang.front import hir
from sapwood.lang.infer.adapt import adapt, fresh
from sapwood.lang.join import present
from sapwood.lang.values import Agg, Known, Value, Var, rebuild, spec_of

if TYPE_CHECKING:
    from sapwood.lang.errors import Loc
    from sapwood.lang.infer.builder import Builder

Facts = dict[str, bool]  # name -> whether it is None


class NarrowMixin:
    """Narrowing of a FunctionWalker: inside a branch a name that was tested has the type that is left."""

    if TYPE_CHECKING:
        b: Builder
        vars: dict[str, Value]
        conditions: dict[str, hir.Expr]

        def expr(self, e: hir.Expr) -> Value: ...

        def lookup(self, name: str, loc: Loc) -> Value: ...

    def narrowings(self, test: hir.Expr) -> tuple[Facts, Facts]:
        """What holds where the test was true, and where it was false."""
        match test:
            case hir.Call(callee=hir.Literal(value=fn), args=(place, hir.Literal(value=None))):
                name = place_name(place)
                if name is None:
                    return {}, {}
                if fn in (operator.is_, operator.eq, hir.match_singleton):
                    return {name: True}, {name: False}
                if fn is operator.is_not or fn is operator.ne:
                    return {name: False}, {name: True}
            case hir.Call(callee=hir.Name(name="isinstance" as f), args=(hir.Name(name=name), kind)):
                value = self.vars.get(name)
                if value is not None and is_optional(value) and self.lookup(f, test.loc) == Known(isinstance):
                    return self._instance_facts(name, value, self.expr(kind))
            case hir.Call(callee=hir.Literal(value=operator.not_), args=(inner,)):
                yes, no = self.narrowings(inner)
                return no, yes
            case hir.Bind(name=n, value=a, body=hir.IfExp(test=hir.Name(name=t), then=b, other=c)) if t == n:
                if isinstance(c, hir.Name) and c.name == n:  # a and b
                    return self.narrowings(a)[0] | self.narrowings(b)[0], {}
                return {}, self.narrowings(a)[1] | self.narrowings(c)[1]  # a or c
            case hir.Name(name=name) if name in self.conditions:
                yes, no = self.narrowings(self.conditions[name])
                return {name: False} | yes, no  # the name of the condition is true, too: `s or "none"` is a str
            case _ if (name := place_name(test)) is not None:  # a true value is not None
                return {name: False}, {}
        return {}, {}

    def _instance_facts(self, name: str, value: Value, kind: Value) -> tuple[Facts, Facts]:
        """What `isinstance(name, kind)` tells about an optional value."""
        from sapwood.lang.infer.reflection import is_instance

        if not isinstance(kind, Known):
            return {}, {}
        there, missing = is_instance(held(value), kind.value), is_instance(Known(None), kind.value)
        if there == missing:
            return {}, {}
        return {name: missing}, {name: there}

    def narrow(self, facts: Facts) -> None:
        for name, is_none in facts.items():
            if name.startswith(HELD):
                if not is_none:
                    self.vars[name] = Known(True)
                continue
            value = self.vars.get(name)
            if value is not None and is_optional(value):
                known = Known(None) if is_none else some(self.b, value)
                for other in [n for n, v in self.vars.items() if v is value]:  # `y = x`, and the subject of `match x`
                    self.vars[other] = known


HELD = "$held "  # and the text of an item or attribute: a name while it is known not to be None


def place_name(e: hir.Expr) -> str | None:
    """The name of what a test looks at: a name, or the mark of `name[index]` and `name.attribute`."""
    match e:
        case hir.Name(name=name) | hir.NamedExpr(name=name):  # `(name := value)` has been assigned when it is tested
            return name
        case hir.Call(callee=hir.Literal(value=operator.getitem), args=(hir.Name(name=name), hir.Name(name=index))):
            return f"{HELD}{name} [ {index}"
        case hir.Call(callee=hir.Literal(value=f), args=(hir.Name(name=name), hir.Literal(value=what))):
            if f is operator.getitem:
                return f"{HELD}{name} [] {what!r}"
            if f is getattr:
                return f"{HELD}{name} . {what}"
    return None


def forget_places(names: dict[str, Value], *changed: str) -> None:
    """Items and attributes of names that are assigned to may be None again; without any, all of them."""
    for mark in [n for n in names if n[0] == "$" and n.startswith(HELD)]:
        if not changed or any(n in mark.split(" ") for n in changed):
            del names[mark]


def is_optional(value: Value) -> bool:
    """Whether a value may be None or something."""
    if isinstance(value, Var):
        return isinstance(value.type, ty.Ref) and value.type.nullable
    return isinstance(value, Agg) and isinstance(value.type, ty.Optional)


def some(b: Any, value: Value) -> Value:
    """What an optional value holds, where it is known not to be None."""
    inner = value.items[1] if isinstance(value, Agg) else value
    spec = present(spec_of(inner))
    return rebuild(spec, iter(adapt(b, inner, spec)))


def held(value: Value) -> Value:
    """A stand-in for what an optional value holds: of its type, and made nowhere."""
    return fresh(present(spec_of(value.items[1] if isinstance(value, Agg) else value)))[0]


def is_none(b: Any, value: Value) -> Value:
    """Whether an optional value is None."""
    from sapwood.lang.ops.heap import is_null
    from sapwood.lang.ops.operators import logical_not

    if isinstance(value, Agg):
        return logical_not(b, value.items[0])
    return b.emit1(is_null, (value,), ty.BOOL)
