"""Descriptions of heap objects in memory: JSON text made from specs, so that the cache can hold it.

heap_border.py reads and writes objects by it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from sapwood.lang import memory_layout
from sapwood.lang import types as ty
from sapwood.lang.border.heap_border import HEADER, class_name
from sapwood.lang.values import Spec


class CannotCross(Exception):
    """A kind of value that has no form in Python, or cannot be made of one here."""


class _Describe:
    """Specs as lists that JSON can hold; heap types go into a table, because they may lead to themselves."""

    def __init__(self) -> None:
        self.kinds: dict[ty.HeapType, int] = {}
        self.table: list[Any] = []

    def spec(self, s: Spec) -> Any:
        if s.kind == "leaf":
            if isinstance(s.data, ty.Scalar):
                return ["scalar", s.data.name]
            if isinstance(s.data, ty.Ref):
                return ["ref", self.kind(s.data.target), s.data.nullable]
            if isinstance(s.data, ty.Ptr) and isinstance(s.data.elem, ty.Struct):  # held by an object on the heap
                raise memory_layout.NeedsHeap(s.data.elem.cls)
        if s.kind == "known" and (s.data.value is None or isinstance(s.data.value, bool | int | float | str)):
            return ["known", s.data.value]
        if s.kind == "agg":
            items = [self.spec(i) for i in s.items]
            if isinstance(s.data, ty.Tuple):
                return ["tuple", items]
            if isinstance(s.data, ty.Optional):
                return ["optional", items]
            if isinstance(s.data, ty.Enum):
                from sapwood.lang.enum_members import by_value

                return ["enum", class_name(s.data.cls), by_value(s.data.cls), items]
            if isinstance(s.data, ty.Struct) and s.data.frozen:
                return ["struct", class_name(s.data.cls), items]
        raise CannotCross(s)

    def kind(self, target: ty.HeapType) -> int:
        if target not in self.kinds:
            at = self.kinds[target] = len(self.table)
            self.table.append(None)
            self.table[at] = self._entry(target)
        return self.kinds[target]

    def _entry(self, target: ty.HeapType) -> Any:
        if isinstance(target, ty.HeapStruct):
            from sapwood.lang.memory_layout import contents, object_fields

            names = [n for n, _ in object_fields(target.struct)]
            whole = contents(target.struct)
            offsets = [at for _, at in memory_layout.stored_leaves(whole)]
            size = HEADER + memory_layout.size(ty.Stored(whole))
            return ["struct", class_name(target.struct.cls), names, self.spec(whole), offsets, size]
        if isinstance(target, ty.List | ty.TupleOf):
            return ["list" if isinstance(target, ty.List) else "tuple", *self._elements(target.elem)]
        if isinstance(target, ty.Str | ty.Bytes):
            return ["str" if isinstance(target, ty.Str) else "bytes", ["known", None], [], 1]
        if isinstance(target, ty.Dict):
            self._demand_hash(target.key)
            items = Spec("agg", ty.Tuple(2), (target.key, target.value))
            return ["counter" if isinstance(target, ty.Counter) else "dict", *self._elements(items)]
        if isinstance(target, ty.Set):
            self._demand_hash(target.elem)
            slot = Spec("agg", ty.Tuple(2), (Spec("leaf", ty.I64), target.elem))
            return ["frozenset" if target.frozen else "set", *self._elements(slot)]
        raise CannotCross(target)

    def _elements(self, spec: Spec) -> list[Any]:
        """What lies in the memory of a container, how far apart."""
        if spec.kind == "never" or any(s.kind == "never" for s in spec.items):  # there are none
            return [["known", None], [], 1]
        offsets = [at for _, at in memory_layout.stored_leaves(spec)]
        return [self.spec(spec), offsets, memory_layout.size(ty.Stored(spec))]

    def _demand_hash(self, key: Spec) -> None:
        """Python hashes a key as soon as it is in a container: before the fields of objects are set."""
        if holds(key, lambda t: isinstance(t, ty.HeapStruct)):
            raise CannotCross(key)


class Table(_Describe):
    """The heap types of the arguments of an entry; `roots` are the places of the arguments' own types."""

    def __init__(self) -> None:
        super().__init__()
        self.roots: list[int] = []

    def add(self, target: ty.HeapType) -> None:
        self.roots.append(self.kind(target))

    def _entry(self, target: ty.HeapType) -> Any:
        if isinstance(target, ty.Dict | ty.Set):  # their tables go by hashes that only compiled code computes
            raise CannotCross(target)
        return super()._entry(target)

    @property
    def text(self) -> str:
        return json.dumps(self.table)


def describe_target(target: ty.HeapType) -> str:
    """The description of a heap type for `Reader.read`."""
    d = _Describe()
    d.kind(target)
    return json.dumps(d.table)


def holds_structs(target: ty.HeapType) -> bool:
    """Whether a heap type is a struct, or a container of what holds some, all of which this module can read."""
    if not holds(Spec("leaf", ty.Ref(target)), lambda t: isinstance(t, ty.HeapStruct)):
        return False
    try:
        describe_target(target)
    except CannotCross:
        return False
    return True


def holds(spec: Spec, test: Callable[[ty.HeapType], bool]) -> bool:
    """Whether a test holds of a heap type that a value leads to through containers."""
    if spec.kind != "leaf":
        return any(holds(s, test) for s in spec.items)
    if not isinstance(spec.data, ty.Ref):
        return False
    target = spec.data.target
    inside = [getattr(target, n) for n in ("elem", "key", "value") if isinstance(getattr(target, n, None), Spec)]
    return test(target) or any(holds(s, test) for s in inside)
