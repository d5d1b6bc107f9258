"""Classes of immutable values: frozen dataclasses with slots, made in a third of the time.

The compiler has a hundred such classes, and `dataclass` compiles six functions for each, one after the other: a third
of what a call cost whose code is in the cache. Here it is one piece of text for three; all classes share the others.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, FrozenInstanceError, dataclass, field, fields
from typing import Any, TypeVar, dataclass_transform, overload

T = TypeVar("T")


@overload
def immutable(cls: type[T]) -> type[T]: ...
@overload
def immutable(*, eq: bool = ...) -> Callable[[type[T]], type[T]]: ...
@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def immutable(cls: Any = None, *, eq: bool = True) -> Any:
    """Make a class of annotated fields what `dataclass(frozen=True, slots=True, eq=eq)` makes of it.

    Fields may have a default and say `compare=False` or `repr=False`; there are no default factories.
    """

    def make(c: Any) -> Any:
        own = vars(c)
        made: Any = dataclass(init=False, repr=False, eq=False, slots=True)(c)
        functions = _functions(made)
        if not eq:
            del functions["__eq__"], functions["__hash__"]
        for name, f in {**functions, "__repr__": _repr, "__reduce__": _reduce}.items():
            if name not in own:
                setattr(made, name, f)
        made.__setattr__, made.__delattr__ = _set, _delete
        return made

    return make if cls is None else make(cls)


def _functions(cls: Any) -> dict[str, Any]:
    """The functions that know the fields of a class by name."""
    scope: dict[str, Any] = {}
    parameters, body, mine, others = [], [], [], []
    for f in fields(cls):
        name = f.name
        scope[f"_set_{name}"] = getattr(cls, name).__set__
        scope[f"_default_{name}"] = f.default
        parameters.append(name if f.default is MISSING else f"{name}=_default_{name}")
        body.append(f"_set_{name}(self, {name})")
        if f.compare:
            mine.append(f"self.{name},")
            others.append(f"other.{name},")
    text = f"""
def __init__(self, {", ".join(parameters)}):
    {"; ".join(body) or "pass"}
def __eq__(self, other):
    return ({"".join(mine)}) == ({"".join(others)}) if other.__class__ is self.__class__ else NotImplemented
def __hash__(self):
    return hash(({"".join(mine)}))
"""
    made: dict[str, Any] = {}
    exec(text, scope, made)
    return made


def _repr(self: Any) -> str:
    shown = ", ".join(f"{f.name}={getattr(self, f.name)!r}" for f in fields(self) if f.repr)
    return f"{type(self).__qualname__}({shown})"


def _reduce(self: Any) -> Any:
    return type(self), tuple(getattr(self, f.name) for f in fields(self))


def _set(self: Any, name: str, value: object) -> None:
    raise FrozenInstanceError(f"cannot assign to field {name!r}")


def _delete(self: Any, name: str) -> None:
    raise FrozenInstanceError(f"cannot delete field {name!r}")
