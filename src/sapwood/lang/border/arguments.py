"""What arguments from Python become for compiled code, and what is passed of each.

Numbers and arrays pass as they are, so that the entry takes them directly; tuples and structs are flattened by the slow
path into numbers and arrays. classify.py chooses for a value; boundary.py says what the entry makes of what is passed.
"""

from __future__ import annotations

import operator
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sapwood.lang import types as ty
from sapwood.lang.immutable import immutable
from sapwood.lang.oracles.boxed import Boxed
from sapwood.lang.values import Known, Spec
from sapwood.runtime.array import Array
from sapwood.runtime.device_array import DeviceArray
from sapwood.runtime.dlpack import CPU


@immutable
class ScalarArg:
    """A number. `exact`: its type decided what was compiled, so only that type may reach the entry."""

    scalar: ty.Scalar
    exact: bool = False

    @property
    def comparable(self) -> bool:
        """Whether an entry can tell that an argument fits."""
        return not self.exact or self.scalar in (ty.I64, ty.F64, ty.BOOL)

    @property
    def carrier(self) -> ty.Scalar:
        """What crosses the boundary: 16-bit floats travel as f64, which holds them all."""
        return ty.F64 if self.scalar.narrow else self.scalar

    def flatten(self, x: Any) -> list[Any]:
        """Exactly the type that an entry tests for; ints beyond i64 become floats here."""
        if isinstance(x, Boxed):
            return [x.value]
        if self.scalar.kind == "bool":
            return [x]
        return [float(x) if self.scalar.is_float else int(operator.index(x))]


@immutable
class ComplexArg:
    """A complex number: two leaves. `exact`: only a complex may reach the entry."""

    type: ty.Complex
    exact: bool = False

    comparable = True

    def flatten(self, x: Any) -> list[Any]:
        return [complex(x)]


@immutable
class PointerArg:
    """A Ptr parameter: from Python an address, as an int."""

    elem: ty.Type

    def flatten(self, x: Any) -> list[Any]:
        return [int(x)]


@immutable
class TensorArg:
    """An array of numbers: the address, sizes and strides."""

    elem: ty.Scalar
    rank: int
    layout: ty.Layout

    def flatten(self, x: Any) -> list[Any]:
        return [as_array(x, TypeError)]


@immutable
class ConstArg:
    """A value that is known when the function is compiled."""

    known: Known

    @property
    def comparable(self) -> bool:
        """Whether an entry can tell that an argument is this value; else only the slow path can."""
        v = self.known.value
        return v is None or isinstance(v, int) and -(2**63) <= v < 2**63

    def flatten(self, x: Any) -> list[Any]:
        return [self.known.value] if self.comparable else []


@immutable
class TupleArg:
    """A tuple, item by item."""

    items: tuple[Any, ...]

    def flatten(self, x: Any) -> list[Any]:
        return [f for a, v in zip(self.items, x, strict=True) for f in a.flatten(v)]

    @property
    def mutable(self) -> bool:
        return any(getattr(a, "mutable", False) for a in self.items)


@immutable
class StructArg:
    """A struct, field by field."""

    cls: type
    fields: tuple[tuple[str, Any], ...]

    def flatten(self, x: Any) -> list[Any]:
        return [f for n, a in self.fields for f in a.flatten(getattr(x, n))]

    @property
    def mutable(self) -> bool:
        """Whether a call may change it: the struct itself, or one inside it."""
        own = not self.cls.__sapwood_struct__.frozen  # type: ignore[attr-defined]
        return own or any(getattr(a, "mutable", False) for _, a in self.fields)


@immutable
class ObjectArg:
    """A value that compiled code makes of the Python object: containers, text, optional values, any object."""

    spec: Spec
    exact: bool = False  # its type decided what was compiled: an int is no float
    comparable: bool = True  # what does not fit is found out while it is made, and goes to the next entry

    def flatten(self, x: Any) -> list[Any]:
        return [x]


@immutable
class HeapArg:
    """An object of a struct class that lies on the heap: its whole graph is copied in, and written back."""

    cls: type
    mutable = True

    def flatten(self, x: Any) -> list[Any]:
        raise TypeError("objects on the heap cannot be inside a tuple or a frozen struct that is an argument")


@immutable
class RecordArg:
    """An array of a structured dtype: the address, sizes and strides in records."""

    record: ty.Record
    rank: int
    layout: ty.Layout

    def flatten(self, x: Any) -> list[Any]:
        data, _ = x.__array_interface__["data"]
        return [data, *x.shape, *(s // self.record.size for s in x.strides)]


@immutable
class NativeArg:
    """A sapwood.List, Dict or Set: the object itself, by its address."""

    spec: Spec

    def flatten(self, x: Any) -> list[Any]:
        return [x.address]


SIMPLE = ScalarArg | ComplexArg | TensorArg | PointerArg
Fail = Callable[[str], Exception]  # makes the mistake of an argument that does not fit


class _Place(threading.local):
    """Whose memory the arrays of a call must be in; None is the host. (A thread's: arguments are nested in tuples and
    structs of any depth, and all of them ask.)"""

    device: Any = None


_place = _Place()


@contextmanager
def arrays_of(device: Any) -> Iterator[None]:
    """In the block, arrays that are classified and flattened must be those of a device."""
    _place.device = device
    try:
        yield
    finally:
        _place.device = None


def as_array(x: Any, fail: Fail) -> Array:
    """An array of any kind as one of ours, which looks at the same memory; raises what `fail` makes."""
    if _place.device is not None:
        return _of_device(x, _place.device, fail)
    if isinstance(x, Array):
        return x
    if isinstance(x, DeviceArray):
        if x.device.kind != "simt":
            raise fail(f"it is in the memory of {x.device.name}; x.numpy() copies it to the host")
        return Array.from_address(x.data_ptr, x.shape, x.dtype, x.strides, x.owner, x.readonly)
    try:
        if hasattr(x, "__dlpack__") and not hasattr(x, "__array_interface__"):
            return Array.from_dlpack(x)
        return Array.from_buffer(x)
    except (TypeError, ValueError, BufferError) as e:
        raise fail(str(e)) from None


def _of_device(x: Any, device: Any, fail: Fail) -> Any:
    """A DeviceArray of a device, of one or of what others have there: PyTorch's and CuPy's arrays."""
    if isinstance(x, DeviceArray) and x.device is device:
        return x
    host = isinstance(x, Array) or not hasattr(x, "__dlpack_device__") or int(x.__dlpack_device__()[0]) in CPU
    if host and not isinstance(x, DeviceArray):
        raise fail(f"it is in the memory of the host; gpu.device({device.name!r}).array(x) copies it")
    try:
        return device.from_dlpack(x)
    except (TypeError, ValueError, BufferError) as e:
        raise fail(str(e)) from None
