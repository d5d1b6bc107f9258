"""What two specs have in common where paths meet, and how empty containers learn what goes into them.

Weak literals take the other side's type, ints widen to floats; all else is a mistake, reported by the caller, who knows
both places. infer/adapt.py emits what brings a value to the spec of the meeting point.
"""

from __future__ import annotations

import dataclasses
import enum

from sapwood.lang import types as ty
from sapwood.lang.enum_members import has_layout, spec_of_class
from sapwood.lang.values import Known, Site, Spec


class Clash(Exception):
    """Two values have no meeting point."""

    def __init__(self, reason: str = "") -> None:
        self.reason = reason


def default_leaf(v: object) -> ty.Scalar | ty.Ref | None:
    """The run-time type of a literal."""
    match v:
        case bool():
            return ty.BOOL
        case int():
            return ty.I64
        case float():
            return ty.F64
        case str():
            return ty.Ref(ty.Str())
        case bytes():
            return ty.Ref(ty.Bytes())
    return None


def storable(s: Spec) -> Spec:
    """The spec of a value once it lies in memory: literals take their run-time types."""
    if s.kind == "known" and isinstance(s.data.value, enum.Enum):
        return _member_spec(s) or s
    if s.kind == "known" and isinstance(s.data.value, complex):
        return complex_spec(ty.F64)
    if s.kind == "known" and not isinstance(s.data.value, tuple):
        leaf = default_leaf(s.data.value)
        return s if leaf is None else Spec("leaf", leaf)
    if s.kind == "known":
        s = _tuple_spec(s)
    if is_character_spec(s):
        return TEXT
    if s.kind == "agg" and isinstance(s.data, ty.Struct) and not s.data.frozen:
        from sapwood.lang.memory_layout import NeedsHeap

        raise NeedsHeap(s.data.cls)
    return Spec(s.kind, s.data, tuple(map(storable, s.items)), s.site)

UNBOUND = Spec("unbound", None)

TEXT = Spec("leaf", ty.Ref(ty.Str()))


def is_character_spec(s: Spec) -> bool:
    return s.kind == "agg" and isinstance(s.data, ty.Character)


def _row_items(s: Spec) -> list[Spec] | None:
    """The elements of a tuple, of either kind, each once; None of what is none."""
    if s.kind == "agg" and isinstance(s.data, ty.Tuple):
        marked = s.items[:1] and s.items[0].kind == "known" and isinstance(s.items[0].data.value, type)
        return None if marked else list(s.items)
    if s.kind == "leaf" and isinstance(s.data, ty.Ref) and isinstance(s.data.target, ty.TupleOf):
        return [s.data.target.elem]
    return None


def _join_rows(a: Spec, b: Spec) -> Spec | None:
    """Tuples of different lengths meet as one whose length is not known, if all their items have one type."""
    p, q = _row_items(a), _row_items(b)
    if p is None or q is None or a.kind == b.kind == "agg" and len(p) == len(q) or a.kind == b.kind == "leaf":
        return None
    items = [storable(i) for i in (*p, *q)]
    elem = items[0]
    for other in items[1:]:
        elem = join(elem, other)
    for s, own in ((a, p), (b, q)):
        if s.kind == "leaf" and own[0] != elem:
            raise Clash
    if not list(elem.leaves()):
        raise Clash
    return Spec("leaf", ty.Ref(ty.TupleOf(elem)))


def _member_spec(s: Spec) -> Spec | None:
    """The spec of a member of an Enum that is not known; None: it is none, or cannot be held at run time."""
    if s.kind == "agg" and isinstance(s.data, ty.Enum):
        return s
    if s.kind != "known" or not isinstance(s.data.value, enum.Enum):
        return None
    cls = type(s.data.value)
    return spec_of_class(cls) if has_layout(cls) else None


def _join_members(a: Spec, b: Spec) -> Spec | None:
    """Members of one class meet as one that is not known, others as the numbers or texts that they are."""
    p, q = _member_spec(a), _member_spec(b)
    if p is None and q is None:
        return None
    if p == q:
        return p
    c, d = _plain_member(a, p), _plain_member(b, q)
    if c is a and d is b:
        raise Clash
    return join(c, d)


def _plain_member(s: Spec, member: Spec | None) -> Spec:
    """A member of an IntEnum or StrEnum as the number or text that it is; other specs as they are."""
    if member is None:
        return s
    kind = member.data.cls._member_type_
    if s.kind == "known" and kind in (int, str, float, bytes):
        return Spec("known", Known(kind(s.data.value.value)))
    leaf = {int: ty.I64, float: ty.F64, str: ty.Ref(ty.Str()), bytes: ty.Ref(ty.Bytes())}.get(kind)
    return s if leaf is None else Spec("leaf", leaf)


def without_characters(s: Spec) -> Spec:
    """The spec in which each character is a str: what may leave a function."""
    if is_character_spec(s):
        return TEXT
    return Spec(s.kind, s.data, tuple(map(without_characters, s.items))) if s.items else s


def join(a: Spec, b: Spec) -> Spec:
    if a == b:
        return a
    if a.kind == "unbound" or b.kind == "unbound":
        return UNBOUND
    if a.kind == "never" or b.kind == "never":
        return _learn(a, b)
    if NONE in (a, b) or is_optional_spec(a) or is_optional_spec(b):
        return _join_optional(a, b)
    members = _join_members(a, b)
    if members is not None:
        return members
    if a.kind == "known" and isinstance(a.data.value, tuple):
        a = _tuple_spec(a)
    if b.kind == "known" and isinstance(b.data.value, tuple):
        b = _tuple_spec(b)
    rows = _join_rows(a, b)
    if rows is not None:
        return rows
    if is_complex(a) or is_complex(b):
        return _join_complex(a, b)
    if is_character_spec(a) or is_character_spec(b):
        return _join_character(*((a, b) if is_character_spec(a) else (b, a)))
    if a.kind == "agg" and b.kind == "agg":
        return _join_aggregates(a, b)
    pointer = _function_pointer(a, b)
    if pointer is not None:
        return pointer
    if a.kind == "known" and b.kind == "known":
        p, q = default_leaf(a.data.value), default_leaf(b.data.value)
        if p is None or q is None:
            raise Clash("compile-time values must be the same on both paths")
        return Spec("leaf", _meet(p, q))
    if a.kind == "leaf" and b.kind == "leaf":
        return Spec("leaf", _meet(a.data, b.data))
    if a.kind == "known":
        a, b = b, a
    if a.kind != "leaf" or b.kind != "known":
        raise Clash
    weak = default_leaf(b.data.value)
    if isinstance(weak, ty.Ref):
        return Spec("leaf", _meet(a.data, weak))
    if weak is None or not isinstance(a.data, ty.Scalar | ty.Simd):
        raise Clash
    return Spec("leaf", _meet_weak(a.data, weak))

NONE = Spec("known", Known(None))


def complex_spec(elem: ty.Scalar) -> Spec:
    return Spec("agg", ty.Complex(elem), (Spec("leaf", elem), Spec("leaf", elem)))


def is_complex(s: Spec) -> bool:
    return s.kind == "agg" and isinstance(s.data, ty.Complex) or s.kind == "known" and isinstance(s.data.value, complex)


def _join_complex(a: Spec, b: Spec) -> Spec:
    """A complex number with a number: real ones widen."""
    elems = {s.data.elem for s in (a, b) if s.kind == "agg" and isinstance(s.data, ty.Complex)}
    for s in (a, b):
        literal = s.kind == "known" and isinstance(s.data.value, int | float | complex)
        number = s.kind == "leaf" and isinstance(s.data, ty.Scalar)
        if not is_complex(s) and not literal and not number or s == Spec("leaf", ty.BOOL):
            raise Clash
        if number and s.data.is_float:
            elems.add(ty.F64 if s.data == ty.F64 else ty.F32)
    if len(elems) > 1 and ty.COMPLEX not in (a.data, b.data):
        raise Clash
    return complex_spec(ty.F64 if not elems or ty.F64 in elems else ty.F32)


def _join_character(a: Spec, other: Spec) -> Spec:
    """A character with a text: only constants of one character are such, too."""
    if other.kind == "known" and isinstance(other.data.value, str) and len(other.data.value) == 1:
        return a
    return join(TEXT, other)


def _learn(a: Spec, b: Spec) -> Spec:
    """The element of an empty container and another: the empty one learns from it."""
    if a.kind == "never" and b.kind == "never":
        for x, y in ((a, b), (b, a)):
            if x.data.spec is None and y.data.spec is not None:
                x.data.learn(y.data.spec)
        return a
    return a.data.learn(b) if a.kind == "never" else b.data.learn(a)


def is_optional_spec(s: Spec) -> bool:
    return s.kind == "agg" and isinstance(s.data, ty.Optional)


def _join_optional(a: Spec, b: Spec) -> Spec:
    """None and a value: a null reference, or a flag and the value."""
    some = [s.items[1] if is_optional_spec(s) else s for s in (a, b) if s != NONE]
    inner = storable(some[0] if len(some) == 1 else join(some[0], some[1]))
    if inner.kind == "leaf" and isinstance(inner.data, ty.Ref):
        return Spec("leaf", ty.Ref(inner.data.target, True))
    if not list(inner.leaves()):
        raise Clash("compile-time values must be the same on both paths")
    return Spec("agg", ty.Optional(), (Spec("leaf", ty.BOOL), nullable(inner)))


def nullable(s: Spec) -> Spec:
    """A spec whose references may be null: where a missing value lies."""
    if s.kind == "leaf" and isinstance(s.data, ty.Ref):
        return Spec("leaf", ty.Ref(s.data.target, True))
    return Spec(s.kind, s.data, tuple(map(nullable, s.items)))


def present(s: Spec) -> Spec:
    """A spec whose own references are there (not those that an optional inside may lack)."""
    if s.kind == "leaf" and isinstance(s.data, ty.Ref):
        return Spec("leaf", ty.Ref(s.data.target))
    if is_optional_spec(s):
        return s
    return Spec(s.kind, s.data, tuple(map(present, s.items)))


def _function_pointer(a: Spec, b: Spec) -> Spec | None:
    """Different compiled functions of one signature meet as an address."""
    if not all(
        s.kind == "known" and getattr(type(s.data.value), "__sapwood_function__", False)
        or s.kind == "leaf" and isinstance(s.data, ty.FunctionPointer)
        for s in (a, b)
    ):  # fmt: skip
        return None
    from sapwood.lang.infer.pointers import signature_of

    p, q = (s.data if s.kind == "leaf" else signature_of(s.data.value) for s in (a, b))
    if p is None or p != q:
        raise Clash("functions of different signatures")
    return Spec("leaf", p)


def _tuple_spec(s: Spec) -> Spec:
    items = tuple(Spec("known", Known(v)) for v in s.data.value)
    return Spec("agg", ty.Tuple(len(items)), items)


def _join_aggregates(a: Spec, b: Spec) -> Spec:
    p, q = a.data, b.data
    if isinstance(p, ty.Tensor) and isinstance(q, ty.Tensor) and p.elem == q.elem and p.rank == q.rank:
        order = ("contiguous", "inner", "strided")
        layout = max(p.layout, q.layout, key=order.index)
        p = q = ty.Tensor(p.elem, p.rank, layout)
    if p != q or len(a.items) != len(b.items):
        raise Clash
    return Spec("agg", p, tuple(join(x, y) for x, y in zip(a.items, b.items, strict=True)))


def _meet(p: ty.Leaf, q: ty.Leaf) -> ty.Leaf:
    if p == q:
        return p
    if isinstance(p, ty.Ref) and isinstance(q, ty.Ref):
        return ty.Ref(_meet_heap(p.target, q.target), p.nullable or q.nullable)
    if isinstance(p, ty.Scalar) and isinstance(q, ty.Scalar):
        if p == ty.I64 and q == ty.F64 or p == ty.F64 and q == ty.I64:
            return ty.F64
        if p.is_int and q.is_float:
            return q
        if p.is_float and q.is_int:
            return p
    raise Clash


def _meet_heap(p: ty.HeapType, q: ty.HeapType) -> ty.HeapType:
    """Containers meet only if their elements are the same, or if one is still empty."""
    if p == q:
        return p
    if type(p) is type(q):
        names = [f.name for f in dataclasses.fields(p)]  # type: ignore[arg-type]
        pairs = [(getattr(p, n), getattr(q, n)) for n in names]
        if all(x == y or isinstance(x, Spec) and unify(x, y) for x, y in pairs):
            return p if all(x == y or y.kind == "never" for x, y in pairs) else q
    raise Clash


def known_element(site: Site) -> Spec:
    """What goes into the container of a site, as far as it is known."""
    return Spec("never", site) if site.spec is None else dataclasses.replace(resolve(site.spec), site=site)


def resolve(s: Spec) -> Spec:
    """A spec in which every empty container that has learned its elements has them."""
    if s.kind == "never":
        return known_element(s.data)
    if s.kind == "leaf" and isinstance(s.data, ty.Ref):
        target = s.data.target
        names = [f.name for f in dataclasses.fields(target)]  # type: ignore[arg-type]
        new = {n: resolve(v) for n in names if isinstance(v := getattr(target, n), Spec)}
        return Spec("leaf", ty.Ref(dataclasses.replace(target, **new), s.data.nullable), (), s.site) if new else s
    return Spec(s.kind, s.data, tuple(map(resolve, s.items)), s.site)


def unify(a: Spec, b: Spec) -> bool:
    """Whether two elements are the same once what is still empty has learned from the other."""
    if a == b:
        return True
    if a.kind == "never" or b.kind == "never":
        _learn(a, b)
        return True
    _meet_optional(a, b)
    if a.kind == "leaf" and b.kind == "leaf" and isinstance(a.data, ty.Ref) and isinstance(b.data, ty.Ref):
        return a.data.nullable == b.data.nullable and _heap_unify(a.data.target, b.data.target)
    return a.kind == b.kind == "agg" and a.data == b.data and all(map(unify, a.items, b.items))


def _meet_optional(a: Spec, b: Spec) -> None:
    """Of two elements, one of which may be None: the containers learn it that know where they were made."""
    if a != NONE and b != NONE and _is_optional(a) == _is_optional(b):
        return
    try:
        both = join(a, b)
    except Clash:
        return
    for s in (a, b):
        if s.site is not None and s != both:
            widen(s.site, both)


def _is_optional(s: Spec) -> bool:
    return is_optional_spec(s) or s.kind == "leaf" and isinstance(s.data, ty.Ref) and s.data.nullable


def widen(site: Site, spec: Spec) -> None:
    """Note that a container must hold elements of `spec`, too, if it can."""
    before = storable(spec) if site.spec is None else site.spec
    both = common(before, storable(spec))
    if both is None:
        return
    if both != before and _becomes(before, both, site):
        _note(site, both)
    teach(before, both)
    teach(spec, both)


def common(a: Spec, b: Spec) -> Spec | None:
    """What two elements could both be, had their containers been made so."""
    try:
        return join(a, b)
    except Clash:
        pass
    if a.kind == "leaf" == b.kind and isinstance(a.data, ty.Ref) and isinstance(b.data, ty.Ref):
        p, q = a.data.target, b.data.target
        names = [f.name for f in dataclasses.fields(p)] if type(p) is type(q) else []  # type: ignore[arg-type]
        new = {}
        for n in names:
            x, y = getattr(p, n), getattr(q, n)
            new[n] = common(x, y) if isinstance(x, Spec) and isinstance(y, Spec) else x if x == y else None
        if not new or any(v is None and getattr(p, n) is not None for n, v in new.items()):
            return None
        return Spec("leaf", ty.Ref(dataclasses.replace(p, **new), a.data.nullable or b.data.nullable))
    if a.kind == "agg" == b.kind and a.data == b.data and len(a.items) == len(b.items):
        items = tuple(common(x, y) for x, y in zip(a.items, b.items, strict=True))
        return None if None in items else Spec("agg", a.data, items)  # type: ignore[arg-type]
    return None


def _is_number(s: Spec) -> bool:
    return s.kind == "leaf" and isinstance(s.data, ty.Scalar) and s.data != ty.BOOL


def teach(have: Spec, want: Spec) -> None:
    """Containers that were made for other elements than is declared learn it, if they know where they were made."""
    if have == want:
        return
    if want.kind == "leaf" == have.kind and isinstance(want.data, ty.Ref) and isinstance(have.data, ty.Ref):
        for x, y in _elements(have.data.target, want.data.target):
            if x != y and x.site is not None and _becomes(x, y, x.site):
                _note(x.site, y)
            teach(x, y)
    elif is_optional_spec(want) and not is_optional_spec(have):
        teach(have, want.items[1])
    elif want.kind == "agg" and have.kind == "agg" and len(want.items) == len(have.items):
        for x, y in zip(have.items, want.items, strict=True):
            teach(x, y)


def bring_together(a: Spec, b: Spec) -> None:
    """Containers that meet, and do not agree: those that know where they were made learn what the others hold."""
    both = common(a, b)
    if both is not None:
        teach(a, both)
        teach(b, both)


def _elements(p: ty.HeapType, q: ty.HeapType) -> list[tuple[Spec, Spec]]:
    """What two containers of one kind hold."""
    names = [f.name for f in dataclasses.fields(p)] if type(p) is type(q) else []  # type: ignore[arg-type]
    pairs = [(getattr(p, n), getattr(q, n)) for n in names]
    return [(x, y) for x, y in pairs if isinstance(x, Spec) and isinstance(y, Spec)]


def _becomes(have: Spec, want: Spec, site: Site | None) -> bool:
    """Whether elements that are made at `site` can be made as `want`."""
    if have == want or have.kind == "never":
        return True
    if site is None:
        return False
    try:
        if join(want, storable(have)) == want:
            return True
    except Clash:
        pass
    if _is_number(want) and _is_number(have):
        return site.display
    if is_optional_spec(want):
        return _becomes(have, want.items[1], site)
    if want.kind == "leaf" == have.kind and isinstance(want.data, ty.Ref) and isinstance(have.data, ty.Ref):
        pairs = _elements(have.data.target, want.data.target)
        return bool(pairs) and all(_becomes(x, y, x.site) for x, y in pairs)
    if want.kind == "agg" and have.kind == "agg" and want.data == have.data:
        return all(_becomes(x, y, site) for x, y in zip(have.items, want.items, strict=True))
    return False


def _note(site: Site, spec: Spec) -> None:
    """All is walked again with containers of `spec` at `site`; not for ever, where that does not help."""
    site.spec = spec
    site.asked[spec] = site.asked.get(spec, 0) + 1
    if site.asked[spec] < 8:
        site.changes.append(site)


def without_sites(s: Spec) -> Spec:
    """A spec that does not say where its containers were made: it may stand for others that were made elsewhere."""
    if s.kind == "leaf" and isinstance(s.data, ty.Ref):
        target = s.data.target
        names = [f.name for f in dataclasses.fields(target)]  # type: ignore[arg-type]
        new = {n: without_sites(v) for n in names if isinstance(v := getattr(target, n), Spec)}
        return Spec("leaf", ty.Ref(dataclasses.replace(target, **new), s.data.nullable)) if new else s
    if s.site is None and not s.items:
        return s
    return Spec(s.kind, s.data, tuple(map(without_sites, s.items)))


def _heap_unify(p: ty.HeapType, q: ty.HeapType) -> bool:
    try:
        _meet_heap(p, q)
    except Clash:
        return False
    return True


def _meet_weak(strong: ty.Scalar | ty.Simd, weak: ty.Scalar) -> ty.Leaf:
    elem = ty.elem_of(strong)
    if weak == ty.BOOL or elem == ty.BOOL:
        if weak == elem and isinstance(strong, ty.Scalar):
            return strong
        raise Clash
    if weak == ty.F64 and elem.is_int:
        if elem == ty.I64:
            return ty.like(strong, ty.F64)
        raise Clash
    return strong
