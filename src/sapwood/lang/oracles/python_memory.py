"""Tensors and pointers in plain Python: memory whose elements are boxed numbers."""

from __future__ import annotations

import operator
from collections.abc import Iterator
from typing import Any

from sapwood.lang import types as ty
from sapwood.lang.api.dtypes import dtype_of, scalar_type
from sapwood.lang.ops.pointer import Pointer
from sapwood.lang.oracles.boxed import Boxed, box
from sapwood.runtime.array import Array


class PythonTensor:
    """A Tensor in plain Python: a view of an Array that reads boxed numbers and converts what is written."""

    def __init__(self, array: Array) -> None:
        self.array = array
        self.elem = ty.ELEMENTS[array.dtype.name]

    shape = property(lambda self: self.array.shape)
    strides = property(lambda self: self.array.strides)
    size = property(lambda self: self.array.size)
    ndim = property(lambda self: self.array.ndim)
    dtype = property(lambda self: dtype_of(self.elem))

    @property
    def ptr(self) -> PythonPointer:
        from sapwood.lang.oracles.python_mode import memory_of

        return PythonPointer(memory_of(self.array, self.elem))

    def __len__(self) -> int:
        return len(self.array)

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in range(len(self)))

    def __getitem__(self, index: Any) -> Any:
        found = self.array[_plain_index(index)]
        if isinstance(self.elem, ty.Complex) and not isinstance(found, Array):
            return dtype_of(self.elem)(found)
        return PythonTensor(found) if isinstance(found, Array) else box(self.elem, found)

    def __setitem__(self, index: Any, x: Any) -> None:
        key = _plain_index(index)
        if isinstance(self.array[key], Array):
            raise TypeError("cannot assign to a slice; assign element by element")
        if isinstance(self.elem, ty.Complex):
            self.array[key] = complex(x)
            return
        self.array[key] = Boxed(self.elem, x).value

    def _lane(self, index: tuple[Any, ...], lane: int) -> tuple[Any, ...]:
        *head, last = map(operator.index, index)
        if last < 0:
            last += self.shape[-1]
        if last + lane >= self.shape[-1]:
            raise IndexError(f"index {last + lane} is out of bounds for axis {self.ndim - 1}")
        return (*head, last + lane)

    def load(self, *index: Any, width: int | None = None, mask: Any = None) -> Any:
        """x.load(i, j, width=8): elements from x[i, j] on along the last axis, as SIMD."""
        if width is None:
            return self[index]
        on = (True,) * width if mask is None else mask.value
        zero = False if self.elem.kind == "bool" else 0.0 if self.elem.is_float else 0
        values = (self.array[self._lane(index, k)] if on[k] else zero for k in range(width))
        return box(ty.Simd(self.elem, width), tuple(values))

    def store(self, *args: Any, mask: Any = None) -> None:
        """x.store(i, j, v): write the lanes of v from x[i, j] on along the last axis."""
        *index, x = args
        if not isinstance(x, Boxed) or not isinstance(x.type, ty.Simd):
            self[tuple(index)] = x
            return
        values = Boxed(ty.Simd(self.elem, x.type.lanes), x).value
        for k, v in enumerate(values):
            if mask is None or mask.value[k]:
                self.array[self._lane(tuple(index), k)] = v


def _plain_index(index: Any) -> Any:
    if isinstance(index, tuple):
        return tuple(map(_plain_index, index))
    return index.value if isinstance(index, Boxed) else index


class PythonPointer:
    """A Ptr in plain Python: an address, checked where the memory behind it is known."""

    def __init__(self, pointer: Pointer) -> None:
        self.pointer = pointer

    def _at(self, n: Any) -> Pointer:
        return self.pointer.add(operator.index(n), ty.sizeof(self.pointer.elem))

    def __add__(self, n: Any) -> PythonPointer:
        return PythonPointer(self._at(n))

    def __sub__(self, other: Any) -> Any:
        if isinstance(other, PythonPointer):
            return (self.pointer.address - other.pointer.address) // ty.sizeof(self.pointer.elem)
        return PythonPointer(self._at(-operator.index(other)))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PythonPointer) and self.pointer.address == other.pointer.address

    def __hash__(self) -> int:
        return hash(self.pointer.address)

    def __index__(self) -> int:
        return self.pointer.address

    def __getitem__(self, i: Any) -> Any:
        return self.load(i)

    def __setitem__(self, i: Any, x: Any) -> None:
        self.store(i, x)

    def load(
        self, i: Any = 0, width: int | None = None, mask: Any = None, align: int | None = None, stream: bool = False,
        volatile: bool = False,
    ) -> Any:
        elem: Any = self.pointer.elem
        if mask is not None:
            zero = 0.0 if elem.is_float else elem.kind != "bool" and 0
            lanes = (self._at(i + k).load(elem) if on else zero for k, on in enumerate(mask.value))
            return box(ty.Simd(elem, len(mask.value)), tuple(lanes))
        kind = elem if width is None else ty.Simd(elem, width)
        found = self._at(i).load(kind)
        return PythonPointer(found) if isinstance(found, Pointer) else box(kind, found)

    def store(
        self, i: Any, x: Any, mask: Any = None, stream: bool = False, align: int | None = None, volatile: bool = False
    ) -> None:
        elem: Any = self.pointer.elem
        if isinstance(x, PythonPointer):
            self._at(i).store(elem, x.pointer)
            return
        if not isinstance(x, Boxed) or not isinstance(x.type, ty.Simd):
            self._at(i).store(elem, Boxed(elem, x).value)
            return
        for k, v in enumerate(Boxed(ty.Simd(elem, x.type.lanes), x).value):
            if mask is None or mask.value[k]:
                self._at(i + k).store(elem, v)

    def cast(self, dtype: Any) -> PythonPointer:
        elem = scalar_type(dtype)
        if elem is None:
            raise TypeError(f"{dtype!r} is not a dtype")
        return PythonPointer(self.pointer.cast(elem))
