"""`collections.defaultdict`, and what makes the values of keys that it lacks.

The type of such a dict says which function that is. If it is a nested one that reads values of run time, the dict holds
them: in a list with one tuple, whose address is a word behind those of other dicts (library/dict.py).
"""

from __future__ import annotations

import builtins
import collections
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sapwood.lang import types as ty
from sapwood.lang.errors import BadOperand
from sapwood.lang.infer.adapt import adapt
from sapwood.lang.infer.builtins import BUILTINS, builtin
from sapwood.lang.infer.containers.dicts import dict_here, is_empty, pairs_of, put, stored_of, target_of
from sapwood.lang.infer.containers.lists import LENGTH, element, made, new_list, set_word
from sapwood.lang.infer.layout import write_leaves
from sapwood.lang.ir.ssa import Var
from sapwood.lang.join import storable, without_sites
from sapwood.lang.ops import heap
from sapwood.lang.values import Agg, Known, Spec, Value, describe, make_tuple, spec_of

NONE = Known(None)


@dataclass(frozen=True)
class Environment:
    """A nested function, and what it has of the function around it; None is for a value of run time. `kept` is the type
    of the tuple of those."""

    function: ty.Closure
    items: tuple[Known | None, ...]
    kept: Spec

    def __str__(self) -> str:
        return str(self.function)

    @property
    def stored(self) -> Known:
        """The type of the word that leads to them."""
        return Known(ty.Stored(Spec("leaf", ty.Ref(ty.List(self.kept)))))


def factory_of(w: Any, d: Var) -> Value:
    """What makes the values of a dict."""
    from sapwood.lang.library.dict import dict_kept

    default = target_of(d).default
    if not isinstance(default, Environment):
        return default
    kept = element(w, w.call_compiled(dict_kept, [d, default.stored], {}), Known(0))
    assert isinstance(kept, Agg)
    rest = iter(kept.items)
    return Agg(default.function, tuple(next(rest) if v is None else v for v in default.items))


def copy_with_factory(w: Any, d: Var, kind: ty.Dict) -> Var:
    """A copy of a dict that holds what its factory reads."""
    from sapwood.lang.library.dict import dict_kept, dict_new_with, dict_update

    stored = kind.default.stored
    kept = w.call_compiled(dict_kept, [d, stored], {})
    out = made(w.call_compiled(dict_new_with, [Known(kind), kept, stored], {}), kind)
    if not is_empty(d):
        w.call_compiled(dict_update, [out, stored_of(d), d], {})
    return out


def _environment(w: Any, factory: Agg) -> tuple[Environment, Var]:
    """A nested function as the factory of a dict, and the list of what it reads at run time."""
    assert isinstance(factory.type, ty.Closure)
    changing = [n for n, _ in factory.type.shared] + [n for n in factory.type.names if n in factory.type.code.moving]
    if changing:
        hint = f"give it the value that the name has now: lambda {changing[0]}={changing[0]}: ..."
        detail = f"its factory reads '{changing[0]}', which changes"
        raise BadOperand(w.b.loc, function="defaultdict", detail=detail, hint=hint)
    values = [v for v in factory.items if not isinstance(v, Known)]
    whole = make_tuple(values)
    kept = without_sites(storable(spec_of(whole)))
    for v, spec in zip(values, kept.items, strict=True):
        if not _can_be_kept(spec):
            hint = "numbers, text, containers and objects can be kept; write `if key not in d: d[key] = ...`"
            raise BadOperand(w.b.loc, function="defaultdict", detail=f"its factory reads {describe(v)}", hint=hint)
    xs = new_list(w, kept, Known(1))
    write_leaves(w.b, w.b.apply(heap.elements, xs), kept, adapt(w.b, whole, kept))
    set_word(w.b, xs, LENGTH, w.b.index(1))
    items = tuple(v if isinstance(v, Known) else None for v in factory.items)
    return Environment(factory.type, items, kept), xs


def _can_be_kept(s: Spec) -> bool:
    if s.kind == "agg":
        kinds = ty.Tuple | ty.Optional | ty.Enum | ty.Complex | ty.Struct
        return isinstance(s.data, kinds) and all(map(_can_be_kept, s.items))
    return s.kind == "known" or s.kind == "leaf" and isinstance(s.data, ty.Scalar | ty.Ref)


@builtin(collections.defaultdict)
def _defaultdict(walker: Any, factory: Value = NONE, source: Value | None = None, /) -> Value:
    from sapwood.lang.library.dict import dict_new_with

    w = walker
    if factory == NONE:
        return BUILTINS[builtins.dict](w, source)

    def every(use: Callable[[Value, Value], None]) -> None:
        if source is not None:
            pairs_of(w, source, use)

    nested = isinstance(factory, Agg) and isinstance(factory.type, ty.Closure)
    if nested and (factory.type.shared or not all(isinstance(v, Known) for v in factory.items)):  # type: ignore[union-attr]
        environment, kept = _environment(w, factory)  # type: ignore[arg-type]

        def make(kind: ty.Dict) -> Var:
            return w.call_compiled(dict_new_with, [Known(kind), kept, environment.stored], {})

        d = dict_here(w, every if source is not None else None, environment, make)
    else:
        if not nested:
            w.b.known(factory, "the factory of a defaultdict")
        d = dict_here(w, every if source is not None else None, factory)
    every(lambda k, v: put(w, d, k, v))
    return d
