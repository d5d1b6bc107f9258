"""`immutable` against `dataclass(frozen=True, slots=True)`."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from typing import Any

import pytest

from sapwood.lang.immutable import immutable
from sapwood.lang.types import F64, I64, Counter, Ptr


def classes(decorator: Any) -> tuple[Any, Any, Any]:
    @decorator
    class Empty:
        """No fields."""

    @decorator
    class Point:
        """Two fields, a default, one that does not count, and what is no field."""

        x: int
        y: Any = 2
        note: str = dataclasses.field(default="", compare=False, repr=False)

        kind = "point"

        @property
        def total(self) -> int:
            return self.x + self.y

    @decorator
    class Place(Point):
        """With a repr of its own."""

        name: str = "here"

        def __repr__(self) -> str:
            return f"<{self.name}>"

    return Empty, Point, Place


def same(ask: Any) -> Any:
    own, reference = (ask(*classes(d)) for d in (immutable, dataclasses.dataclass(frozen=True, slots=True)))
    assert own == reference
    return own


def test_values():
    same(lambda e, p, q: [p(1) == p(1, 2), p(1) == p(2), p(1) == q(1), q(1) == q(1, 2, "x", "here"), e() == e()])
    same(lambda e, p, q: [p(1) == p(1, 2, "x"), hash(p(1)) == hash(p(1, 2, "x")), p(1) != p(1.5), p(1) == (1, 2)])
    same(lambda e, p, q: [repr(v).split("<locals>.")[-1] for v in (e(), p(1), p(1, note="n"), q(3), q(3, name="n"))])
    same(lambda e, p, q: [hash(p(1)) == hash((1, 2)), hash(e()) == hash(())])
    same(lambda e, p, q: [p(1, y=5).total, p.kind, q(x=1, name="z").name, p.__match_args__, q.__match_args__])


def test_fields():
    same(lambda e, p, q: [[(f.name, f.compare, f.repr) for f in dataclasses.fields(c)] for c in (e, p, q)])
    same(lambda e, p, q: [dataclasses.replace(p(1), y=3).y, dataclasses.is_dataclass(p), hasattr(p(1), "__dict__")])


@pytest.mark.parametrize("make", [lambda p: p(), lambda p: p(1, 2, "", 4), lambda p: p(z=1), lambda p: hash(p([]))])
def test_mistakes(make):
    for decorator in (immutable, dataclasses.dataclass(frozen=True, slots=True)):
        with pytest.raises(TypeError):
            make(classes(decorator)[1])


def test_nothing_can_be_changed():
    p = classes(immutable)[1](1)
    for change in (lambda: setattr(p, "x", 2), lambda: setattr(p, "z", 2), lambda: delattr(p, "x")):
        with pytest.raises(dataclasses.FrozenInstanceError, match="cannot"):
            change()
    assert p.x == 1


def test_identity_alone():
    @immutable(eq=False)
    class Mark:
        """Two that look the same are two."""

        n: int

    a, b = Mark(1), Mark(1)
    assert a != b and a == a and len({a, b, a}) == 2


@pytest.mark.parametrize("value", [I64, Ptr(F64, alias="header"), Counter(I64, F64)])
def test_copies(value):
    assert pickle.loads(pickle.dumps(value)) == copy.copy(value) == copy.deepcopy(value) == value
