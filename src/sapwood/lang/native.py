"""`sapwood.List`, `Dict` and `Set`: containers of compiled code that Python holds, too.

Both sides see the same object: what one changes, the other finds. Elements are kept as compiled code has them, and
become Python objects when Python asks. Each has one type of elements: `List[int]()`, `Dict[str, float]({"a": 1.0})`.
An object lives until neither side refers to it. Like all containers of compiled code they belong to the thread that
holds the GIL: compiled code never runs two at once on one of them.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping, MutableSequence, MutableSet
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakValueDictionary

from sapwood.lang import types as ty
from sapwood.lang.api.annotations import Parameterised
from sapwood.lang.values import Spec, describe
from sapwood.runtime import heap

T = TypeVar("T")
K = TypeVar("K")
V = TypeVar("V")

_objects: WeakValueDictionary[int, Any] = WeakValueDictionary()  # by address: one Python object for each


def spec_of_annotation(annotation: Any) -> Spec:
    """The spec of values with an annotation; TypeError when it leaves something open."""
    from sapwood.lang.declared import declare, spec_of_declared

    spec = spec_of_declared(declare(annotation, "element", None))
    if spec is None:
        raise TypeError(f"{annotation!r} does not say what is in the container; for example List[int]")
    return spec


def plain_annotation(text: str) -> Any:
    """The annotation that a description of a type stands for: `list[tuple[int, str]]`."""
    from sapwood.lang.api import dtypes

    names = {n: getattr(dtypes, n) for n in ty.SCALARS if hasattr(dtypes, n)}
    kinds = {k.__name__: k for k in (int, float, bool, str, complex, list, dict, set, frozenset, tuple, bytes)}
    return eval(text, {"__builtins__": {}}, {**names, **kinds, "None": None})


def adopt(text: str, address: int) -> Any:
    """The Python object of a native one, whose count it takes over."""
    from sapwood.lang.ops.heap import made_by_evaluator

    if made_by_evaluator(address):
        raise TypeError("the evaluator cannot give a native container to Python")
    known = _objects.get(address)
    if known is not None:
        heap.release(address)
        return known
    spec = spec_of_annotation(plain_annotation(text))
    cls = {ty.List: List, ty.Dict: Dict, ty.Set: Set}[type(spec.data.target)]
    return cls._of(spec, address)  # type: ignore[attr-defined]


class NativeContainer:
    """What the three have in common: `address` of the object, of which this holds one count, and its spec."""

    address: int
    spec: Spec
    __sapwood_native__ = True

    if not TYPE_CHECKING:

        def __class_getitem__(cls, parameters: Any) -> Any:
            items = parameters if isinstance(parameters, tuple) else (parameters,)
            return Parameterised(cls, items)

    @classmethod
    def construct(cls, parameters: tuple[Any, ...], *args: Any) -> Any:
        """`List[int](...)`"""
        kind: Any = {List: list, Dict: dict, Set: set}[cls]  # type: ignore[index]
        if any(isinstance(p, TypeVar) for p in parameters):
            raise TypeError(f"{cls.__name__} needs to know what it holds; for example {cls.__name__}[int]()")
        return cls._make(spec_of_annotation(kind.__class_getitem__(parameters)), *args)

    @classmethod
    def _make(cls, spec: Spec, *args: Any) -> Any:
        from sapwood.lang import native_operations as operations
        from sapwood.lang.border.object_types import object_misfit

        if len(args) > 1:
            raise TypeError(f"{cls.__name__} takes at most 1 argument ({len(args)} given)")
        values = operations.KINDS[cls.__name__](*args)
        misfit = object_misfit(spec, values)
        if misfit is not None:
            raise TypeError(f"{describe(spec)}: {misfit}")
        return operations.make(spec, values)

    @classmethod
    def _of(cls, spec: Spec, address: int) -> Any:
        out = object.__new__(cls)
        out.spec, out.address = spec, address
        _objects[address] = out
        return out

    def __del__(self) -> None:
        address = getattr(self, "address", 0)
        if address:
            self.address = 0
            heap.release(address)

    def _call(self, name: str, *args: Any) -> Any:
        from sapwood.lang import native_operations as operations
        from sapwood.lang.errors import CompileError

        try:
            return getattr(operations, name)(self, *args)
        except CompileError as e:
            raise TypeError(f"{describe(self.spec)}: {e.text}") from None

    def _has(self, value: object) -> bool:
        try:
            return self._call("has", value)
        except TypeError:  # of another type, so it is not there
            hash(value)
            return False

    def __len__(self) -> int:
        return ctypes.c_int64.from_address(self.address + 16).value

    def clear(self) -> None:
        self._call("clear")

    def copy(self) -> Any:
        return type(self)._make(self.spec, self)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._call('to_python')!r})"

    def __reduce__(self) -> Any:
        return (_restore, (describe(self.spec), self._call("to_python")))


def _restore(text: str, values: Any) -> Any:
    spec = spec_of_annotation(plain_annotation(text))
    cls = {ty.List: List, ty.Dict: Dict, ty.Set: Set}[type(spec.data.target)]
    return cls._make(spec, values)  # type: ignore[attr-defined]


def _inferred(cls: Any, values: Any) -> Any:
    from sapwood.lang.border.object_types import spec_of_object

    spec = spec_of_object(values)
    if spec is None:
        raise TypeError(f"the values do not tell one type of elements; write {cls.__name__}[...](values)")
    return cls._make(spec, values)


class List(NativeContainer, MutableSequence[T]):
    """A list that Python and compiled code share: `List[int]()`, `List[float]([1.0, 2.0])`, `List([1, 2])`.

    It has the methods of Python's list. Slices are new Python lists. Elements that are containers are given to
    Python as copies. Raises TypeError for an element of another type, OverflowError for an int beyond 64 bits.
    """

    if TYPE_CHECKING:

        def __init__(self, values: Iterable[T] = ...) -> None: ...

    else:

        def __new__(cls, values=()):
            return _inferred(cls, list(values))

    def __getitem__(self, index: Any) -> Any:
        return self._call("get_slice" if isinstance(index, slice) else "get", *_index(index))

    def __setitem__(self, index: Any, value: Any) -> None:
        if not isinstance(index, slice):
            self._call("put", index, value)
            return
        values = list(value)
        if values:
            self._call("set_slice", *_index(index), values)
            return
        n = len(range(*index.indices(len(self))))
        if index.step not in (None, 1) and n:
            raise ValueError(f"attempt to assign sequence of size 0 to extended slice of size {n}")
        del self[index]

    def __delitem__(self, index: Any) -> None:
        self._call("delete_slice" if isinstance(index, slice) else "delete", *_index(index))

    def insert(self, index: int, value: T) -> None:
        self._call("insert", index, value)

    def append(self, value: T) -> None:
        self._call("append", value)

    def extend(self, values: Iterable[T]) -> None:
        new = list(values)
        if new:
            self._call("extend", new)

    def pop(self, index: int = -1) -> T:
        return self._call("pop", index)

    def sort(self, *, key: Callable[[T], Any] | None = None, reverse: bool = False) -> None:
        if key is None:
            self._call("sort", bool(reverse))
        else:
            self[:] = sorted(self, key=key, reverse=reverse)

    def reverse(self) -> None:
        self._call("reverse")

    def __eq__(self, other: object) -> Any:
        if not isinstance(other, List | list):
            return NotImplemented
        return list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]


def _index(index: Any) -> tuple[Any, ...]:
    return (index.start, index.stop, index.step) if isinstance(index, slice) else (index,)


class Dict(NativeContainer, MutableMapping[K, V]):
    """A dict that Python and compiled code share: `Dict[str, int]()`, `Dict({"a": 1})`. See List."""

    if TYPE_CHECKING:

        def __init__(self, values: Mapping[K, V] | Iterable[tuple[K, V]] = ...) -> None: ...

    else:

        def __new__(cls, values=()):
            return _inferred(cls, dict(values))

    def __getitem__(self, key: Any) -> Any:
        return self._call("get", key)

    def __setitem__(self, key: Any, value: Any) -> None:
        self._call("put", key, value)

    def __delitem__(self, key: Any) -> None:
        self._call("delete", key)

    def __contains__(self, key: object) -> bool:
        return self._has(key)

    def __iter__(self) -> Iterator[K]:
        n = len(self)
        for key in self._call("keys"):
            if len(self) != n:
                raise RuntimeError("dictionary changed size during iteration")
            yield key

    def popitem(self) -> tuple[K, V]:
        return self._call("popitem")

    def __eq__(self, other: object) -> Any:
        if not isinstance(other, Dict | dict):
            return NotImplemented
        return dict(self) == dict(other)

    __hash__ = None  # type: ignore[assignment]


class Set(NativeContainer, MutableSet[T]):
    """A set that Python and compiled code share: `Set[int]()`, `Set({1, 2})`. See List."""

    if TYPE_CHECKING:

        def __init__(self, values: Iterable[T] = ...) -> None: ...

    else:

        def __new__(cls, values=()):
            return _inferred(cls, set(values))

    def __contains__(self, value: object) -> bool:
        return self._has(value)

    def __iter__(self) -> Iterator[T]:
        n = len(self)
        for value in self._call("elements"):
            if len(self) != n:
                raise RuntimeError("Set changed size during iteration")
            yield value

    def add(self, value: T) -> None:
        self._call("add", value)

    def discard(self, value: T) -> None:
        self._call("discard", value)

    @classmethod
    def _from_iterable(cls, it: Iterable[Any]) -> Any:
        return set(it)

    def update(self, *others: Iterable[T]) -> None:
        for values in others:
            for value in values:
                self.add(value)
