"""Abstract values: what inference knows about each value.

- `Known(x)`: a compile-time value: weak int and float literals, functions, types, strings, modules, None.
- `Var`: a leaf that exists at run time.
- `Agg(type, items)`: an aggregate of abstract values: tuple, tensor, struct, stack array, closure.
- `Unbound(loc)`: a name that some path leaves without a value.

`spec_of` splits a value into a hashable *spec* (everything known at compile time) and leaves stay outside of
it; two values of equal spec differ in their leaves only. Calls, captures, joins and caches all use specs.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Sequence
from dataclasses import field, fields
from typing import Any

from sapwood.lang.errors import CompileError, Loc
from sapwood.lang.immutable import immutable
from sapwood.lang.ir.ssa import Var
from sapwood.lang.types import Closure, Leaf, Optional, Ref, Tuple, Type


class Known:
    """A value known at compile time. Equality is by type and value; unhashable objects go by identity."""

    __slots__ = ("_key", "value")

    def __init__(self, value: Any) -> None:
        self.value = value
        self._key: Any = None

    @property
    def key(self) -> Any:
        if self._key is None:  # of a long tuple it takes long, and few ask
            self._key = _known_key(self.value)
        return self._key

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Known) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)

    def __repr__(self) -> str:
        return f"Known({self.value!r})"


def _known_key(value: Any) -> Any:
    kind = type(value)
    if kind is int or kind is str or kind is bool:
        return (kind, value)
    if isinstance(value, complex):
        return (complex, value.real.hex(), value.imag.hex())
    if isinstance(value, float):  # 0.0 and -0.0 differ; nan equals itself
        return (float, value.hex())
    if isinstance(value, tuple):
        return (tuple, *map(_known_key, value))
    if isinstance(value, bool | int | str | bytes | type(None)):
        return (type(value), value)
    fields = getattr(kind, "__dataclass_fields__", None)
    if fields is not None:  # 1, 1.0 and True are equal, but not the same constant
        return (kind, *(_known_key(getattr(value, n, None)) for n, f in fields.items() if f.compare))
    try:
        hash(value)
    except TypeError:
        return (type(value), id(value))
    return (type(value), value)


@immutable
class Agg:
    """An aggregate of abstract values."""

    type: Type
    items: tuple[Value, ...]


@immutable
class Unbound:
    """A name that may have no value; reading it raises `error` (MaybeUnbound when there is none)."""

    loc: Loc | None = None
    error: CompileError | None = None


Value = Known | Var | Agg | Unbound


@immutable
class Spec:
    """The compile-time part of a value: a leaf type, a `Known`, or an aggregate of specs.

    "never" is the element of a container that is still empty; `data` is its Site, which learns what goes in.
    `site` is that of the place which made the container, if other elements may yet go in.
    """

    kind: str  # "leaf" | "known" | "agg" | "unbound" | "never"
    data: Any
    items: tuple[Spec, ...] = ()
    site: Site | None = field(default=None, compare=False, repr=False)

    def leaves(self) -> Iterator[Leaf]:
        if self.kind == "leaf":
            yield self.data
        for item in self.items:
            yield from item.leaves()


class Site:
    """A place in the source, in one context of calls, that makes a container: what goes into it, as far as is known.

    Inference learns it on the way and walks again: see Interpreter.settle.
    """

    __slots__ = ("asked", "changes", "display", "spec")

    def __init__(self, changes: list[Any]) -> None:
        self.spec: Spec | None = None
        self.display = False  # whether its first items are written out: numbers among them may take any dtype
        self.asked: dict[Spec, int] = {}  # how often it was to become what it is already
        self.changes = changes  # of the whole compilation: not empty if it must be walked again

    def learn(self, spec: Spec) -> Spec:
        """Note that a value of `spec` goes in; gives what all that goes in has in common. Raises join.Clash."""
        from sapwood.lang.join import Clash, join, storable

        spec = storable(spec)
        if spec.kind == "never" and spec.data.last() is self.last():  # `xs[1:] = sorted(xs)`
            return spec
        if _goes_into(self, spec):
            raise Clash  # a list cannot hold itself
        new = spec if self.spec is None else join(self.spec, spec)
        if new != self.spec:
            self.spec = new
            self.changes.append(self)
        return new


    def last(self) -> Site:
        """Of empty containers whose items go into each other, the one that the others learn from."""
        found = self
        while found.spec is not None and found.spec.kind == "never":
            found = found.spec.data
        return found


def _parts_of(spec: Spec) -> Iterator[Spec]:
    """The items of an aggregate, or what a container holds."""
    yield from spec.items
    if spec.kind == "leaf" and isinstance(spec.data, Ref):
        for f in fields(spec.data.target):  # type: ignore[arg-type]
            part = getattr(spec.data.target, f.name)
            if isinstance(part, Spec):
                yield part


def _goes_into(site: Site, spec: Spec) -> bool:
    """Whether elements of a spec are, inside, containers of the site."""
    return any((p.kind == "never" and p.data.last() is site.last()) or _goes_into(site, p) for p in _parts_of(spec))


def sites_of(spec: Spec) -> Iterator[Site]:
    """The places that make the containers which a spec is about."""
    if spec.site is not None:
        yield spec.site
    if spec.kind == "never":
        yield spec.data
    for part in _parts_of(spec):
        yield from sites_of(part)


def make_tuple(items: Sequence[Value]) -> Value:
    """A tuple of abstract values: known when all of them are."""
    if all(isinstance(i, Known) for i in items):
        return Known(tuple(i.value for i in items))  # type: ignore[union-attr]
    return Agg(Tuple(len(items)), tuple(items))


def spec_of(value: Value) -> Spec:
    match value:
        case Var():
            return Spec("leaf", value.type)
        case Known():
            return Spec("known", value)
        case Agg():
            return Spec("agg", value.type, tuple(spec_of(v) for v in value.items))
        case Unbound():
            return Spec("unbound", None)


def leaves_of(value: Value) -> list[Var]:
    match value:
        case Var():
            return [value]
        case Agg():
            return [leaf for item in value.items for leaf in leaves_of(item)]
        case _:
            return []


def rebuild(spec: Spec, leaves: Iterator[Var]) -> Value:
    """The inverse of (`spec_of`, `leaves_of`)."""
    match spec.kind:
        case "leaf":
            return next(leaves)
        case "known":
            return spec.data
        case "unbound":
            return Unbound()
        case _:
            return Agg(spec.data, tuple(rebuild(s, leaves) for s in spec.items))


def type_name(ty: Type) -> str:
    """A type as an annotation names it."""
    return {"i64": "int", "f64": "float"}.get(str(ty), str(ty))


def describe(value: Value | Spec) -> str:
    """The type of a value as an error message names it."""
    if isinstance(value, Spec):
        if value.kind == "never":
            return "nothing yet"
        return describe(rebuild(value, iter([Var(t) for t in value.leaves()])))
    match value:
        case Var():
            return type_name(value.type)
        case Known(value=v):
            return describe_known(v)
        case Agg(type=ty):
            if type(ty).__name__ == "Tuple":
                return f"tuple[{', '.join(describe(i) for i in value.items)}]"
            if isinstance(ty, Optional):
                return f"{describe(value.items[1])} | None"
            return str(ty)
        case Unbound():
            return "no value"


def describe_known(v: Any) -> str:
    if isinstance(v, enum.Enum):
        return f"{type(v).__name__}.{v.name}"
    match v:
        case bool():
            return "bool"
        case int():
            return "int"
        case float():
            return "float"
        case complex():
            return "complex"
        case str():
            return "str"
        case bytes():
            return "bytes"
        case None:
            return "None"
        case tuple():
            return f"tuple[{', '.join(describe_known(i) for i in v)}]"
        case type():
            return f"the type {v.__name__}"
    name = getattr(v, "__name__", None)
    if isinstance(name, str):
        return f"'{name}'"
    return type(v).__name__


def is_closure(value: Value) -> bool:
    return isinstance(value, Agg) and isinstance(value.type, Closure)
