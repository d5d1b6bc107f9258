"""Calls with `*xs`, where only run time knows how many items there are."""

from __future__ import annotations

import heapq
import itertools
import operator
from dataclasses import dataclass
from functools import partial
from itertools import takewhile
from typing import Any

from sapwood.lang import types as ty
from sapwood.lang.errors import BranchTypes, Loc, StarArguments
from sapwood.lang.front import hir
from sapwood.lang.infer.containers.lists import element, element_spec, is_empty, is_starred, make_list, raise_now, word
from sapwood.lang.infer.containers.tuple_rows import as_row, columns
from sapwood.lang.infer.objects import get_item
from sapwood.lang.ir.ssa import Var
from sapwood.lang.ops.operators import binary
from sapwood.lang.values import Agg, Known, Value, describe

LENGTH = 2


def starred(value: Value) -> Agg:
    """A value whose items are arguments."""
    return Agg(ty.Tuple(2), (Known(hir.Starred), value))


def call_spread(w: Any, target: Value, args: list[Value], kwargs: dict[str, Value], loc: Loc, unpacked: bool) -> Value:
    """The call of a function with the items of an iterable as arguments. `unpacked`: what it gives is unpacked."""
    w.b.loc = loc
    if target == Known(print):
        from sapwood.lang.infer.text.formatting import print_spread

        return print_spread(w, args, **kwargs)
    if target == Known(zip) and len(args) == 1 and not kwargs:
        found = columns(w, args[0].items[1], unpacked)  # type: ignore[union-attr]
        if found is not None:
            return found
    if target == Known(itertools.chain) and not kwargs:
        rows = args[0].items[1] if len(args) == 1 else make_list(w, *args)  # type: ignore[union-attr]
        return w.call(Known(itertools.chain.from_iterable), [rows], {}, loc)
    if target == Known(heapq.merge):
        from sapwood.lang.infer.containers.algorithms import merge_lists
        from sapwood.lang.infer.containers.lists import collect

        rows = w.call(Known(map), [Known(list), make_list(w, *args)], {}, loc)
        return merge_lists(w, collect(w, rows), kwargs.get("key", Known(None)), kwargs.get("reverse", Known(False)))
    if target in (Known(max), Known(min)):
        return _extreme(w, target, args, kwargs, loc)
    definition = _definition_of(w, target)
    if definition is not None:
        found = _bound(w, definition, args, kwargs, loc)
        if found is not None:
            return w.call(target, found, kwargs, loc)
    item = next(a for a in args if is_starred(a))
    what = f"* of {describe(item.items[1])}, whose length is not known before it runs,"  # type: ignore[union-attr]
    raise StarArguments(loc, what=what, where="call", hint=_instead(target))


def _instead(target: Value) -> str:
    if target == Known(zip):
        return "the columns differ in type: unpack them, a, b = zip(*pairs), or loop over the rows"
    if getattr(getattr(getattr(target, "type", None), "function", None), "__name__", "") in ("union", "intersection"):
        return "take one after the other in a loop: found.update(xs), or found &= set(xs)"
    return "name the items, f(xs[0], xs[1]), pass the list itself, or take them in a parameter *args"


def _extreme(w: Any, target: Value, args: list[Value], kwargs: dict[str, Value], loc: Loc) -> Value:
    """`max(*xs)`: of the items, of which there have to be two."""
    assert isinstance(target, Known)
    name = target.value.__name__
    xs = make_list(w, *args)
    assert isinstance(xs, Var)
    if is_empty(xs):
        raise_now(w, TypeError, f"{name} expected at least 1 argument, got 0")
    n = word(w.b, xs, LENGTH)
    none = binary(w.b, operator.eq, n, Known(0))
    w.b.raise_if(w.b.materialize(none), TypeError, f"{name} expected at least 1 argument, got 0")
    if element_spec(xs).kind != "leaf" or not isinstance(element_spec(xs).data, ty.Scalar):
        hint = f"{name}() takes the list itself: {name}(xs)"
        raise StarArguments(loc, what=f"* of {describe(xs)}", where=f"call of {name}()", hint=hint)
    if len(args) - sum(map(is_starred, args)) < 2:
        single = binary(w.b, operator.eq, n, Known(1))
        kind = describe(element_spec(xs))
        w.b.raise_if(w.b.materialize(single), TypeError, f"'{kind}' object is not iterable")
    return w.call(target, [xs], kwargs, loc)


@dataclass(frozen=True)
class _Definition:
    """A function of the program: what it is called, its defaults, and how many arguments it has already."""

    code: hir.FunctionDef
    name: str
    defaults: dict[str, Value]
    before: int = 0


def _definition_of(w: Any, target: Value) -> _Definition | None:
    from sapwood.lang.function import is_compiled
    from sapwood.lang.infer.calls import defaults_of

    match target:
        case Known(value=f) if is_compiled(f):
            return _Definition(w.interp.hir(f), f.__wrapped__.__qualname__, defaults_of(f))
        case Agg(type=ty.BoundMethod(function=f)) if is_compiled(f):
            return _Definition(w.interp.hir(f), f.__wrapped__.__qualname__, defaults_of(f), 1)  # type: ignore[union-attr]
        case Agg(type=ty.Closure(code=code, names=names), items=items):
            python, _ = w.interp.closure_scopes[code]
            defaults = {n[1:]: v for n, v in zip(names, items, strict=True) if n[0] == "="}
            return _Definition(code, f"{python.__qualname__}.<locals>.{code.name}", defaults)
    return None


def _bound(w: Any, f: _Definition, args: list[Value], kwargs: dict[str, Value], loc: Loc) -> list[Value] | None:
    """The arguments one by one, or with a row for `*args`; None where that is not known."""
    positional = [p for p in f.code.params if not p.keyword_only and not p.star][f.before :]
    first = next(i for i, a in enumerate(args) if is_starred(a))
    if any(p.star for p in f.code.params) and first >= len(positional):
        rest = as_row(w, make_list(w, *args[len(positional) :]))  # type: ignore[arg-type]
        return [*args[: len(positional)], starred(rest)]
    wanted = list(takewhile(lambda p: p.name not in kwargs, positional[first:]))
    given = [f.defaults[p.name] for p in wanted if p.name in f.defaults]
    containers = any(isinstance(v, Known) and isinstance(v.value, list | dict | set) for v in given)
    if first != len(args) - 1 or containers or any(p.star for p in f.code.params):
        return None
    xs = make_list(w, args[first])
    assert isinstance(xs, Var)
    w.b.loc = loc
    n = Known(0) if is_empty(xs) else word(w.b, xs, LENGTH)
    required = [p.name for p in wanted if p.name not in f.defaults]
    _require_all(w, f, n, required)
    if first + len(wanted) < len(positional):  # the next one has a value already
        taken = f"{f.name}() got multiple values for argument '{positional[first + len(wanted)].name}'"
        _raise_when(w, binary(w.b, operator.gt, n, Known(len(wanted))), taken)
    else:
        named = sum(p.keyword_only and p.name in kwargs for p in f.code.params)
        _require_no_more(w, f, n, f.before + first, len(required), len(wanted), named)
    out = args[:first]
    for i, p in enumerate(wanted):
        if p.name not in f.defaults:
            out.append(get_item(w, xs, Known(i)))
        elif n == Known(0):
            out.append(f.defaults[p.name])
        else:
            there = binary(w.b, operator.gt, n, Known(i))
            item, default = partial(element, w, xs, Known(i)), partial(f.defaults.__getitem__, p.name)
            try:
                out.append(w.choose(there, item, default, p.name))
            except BranchTypes:
                shown = describe(f.defaults[p.name])
                what = f"* of {describe(xs)} to '{p.name}', whose default is {shown},"
                hint = "name the items, f(xs[0], xs[1]), or give the default the type of the items"
                raise StarArguments(loc, what=what, where="call", hint=hint) from None
    return out


def _require_all(w: Any, f: _Definition, n: Value, names: list[str]) -> None:
    """TypeError if there are fewer items than parameters without defaults."""
    for k in range(len(names)):
        lacking = [f"'{x}'" for x in names[k:]]
        text = " and ".join(lacking) if len(lacking) < 3 else ", ".join(lacking[:-1]) + f", and {lacking[-1]}"
        some = "" if len(lacking) == 1 else "s"
        message = f"{f.name}() missing {len(lacking)} required positional argument{some}: {text}"
        _raise_when(w, binary(w.b, operator.eq, n, Known(k)), message)


def _require_no_more(w: Any, f: _Definition, n: Value, before: int, least: int, most: int, named: int) -> None:
    """TypeError if there are more items than parameters; `named` parameters are given by keyword only."""
    if not isinstance(n, Var):
        return
    low, high = before + least, before + most
    takes = f"{high} positional argument{'' if high == 1 else 's'}"
    takes = takes if low == high else f"from {low} to {takes}"
    count = w.b.materialize(binary(w.b, operator.add, n, Known(before)))
    also = f" (and {named} keyword-only argument{'' if named == 1 else 's'})" if named else ""
    for single in (True, False) if high == 0 else (False,):
        noun = f" positional argument{'' if single else 's'}" if named else ""
        end = f"{noun}{also} {'was' if single and not named else 'were'} given"
        test, limit = (operator.eq, 1) if single else (operator.gt, high)
        found = w.b.materialize(binary(w.b, test, count, Known(limit)))
        w.b.raise_if(found, TypeError, f"{f.name}() takes {takes} but {{0}}{end}", count)


def _raise_when(w: Any, test: Value, message: str) -> None:
    if test != Known(False):
        w.b.raise_if(w.b.materialize(test), TypeError, message)
