"""What every device can do with arrays; where their memory is and how kernels run there is a device's own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from sapwood.runtime import device_array
from sapwood.runtime.array import Array
from sapwood.runtime.device_array import DeviceArray


class ArrayMaking:
    """Makes arrays in the memory of the device."""

    name: str
    kind: str  # "cuda" or "simt"

    def empty(self, shape: Any, dtype: Any = "f32") -> DeviceArray:
        """A new array of a shape (an int or a tuple) and a dtype, its contents undefined. Raises MemoryError."""
        return device_array.empty(self, shape, dtype)

    def zeros(self, shape: Any, dtype: Any = "f32") -> DeviceArray:
        """A new array of zeros."""
        return device_array.empty(self, shape, dtype).fill(0)

    def array(self, x: Any) -> DeviceArray:
        """A copy of an array of the host (NumPy, sapwood.Array, torch CPU tensor, nested lists) or of any device."""
        return device_array.from_host(self, x.array() if isinstance(x, DeviceArray) else x)

    def host_array(self, shape: Any, dtype: Any = "f32") -> Array:
        """A new array of the host, its contents undefined, that copies from and to the device go fastest with: where
        there is such a thing, in page-locked memory."""
        return Array.empty(shape, dtype)

    def used_on(self, stream: Any, values: Sequence[Any]) -> None:
        """Arrays are used by work on a stream that may go on when the caller forgets them."""


def arrays_in(value: Any) -> Iterator[Any]:
    """The arrays in an argument of a launch, also in its tuples and structs: those of devices, and others that speak
    DLPack."""
    if type(value) is DeviceArray:
        yield value
    elif isinstance(value, tuple):
        for item in value:
            yield from arrays_in(item)
    elif hasattr(type(value), "__sapwood_struct__"):
        for name in type(value).__sapwood_struct__.fields:
            yield from arrays_in(getattr(value, name))
    elif hasattr(value, "__dlpack_device__"):
        yield value
