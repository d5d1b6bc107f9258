"""`DeviceArray`: an array in the memory of a device. It does no arithmetic, and host functions cannot read it.

It has the words of an `Array` at the same offsets, and is a type of its own: the entries of host functions do not take
it, those that launch kernels on its device do. A device is any object with `name`, `kind`, `allocate`, `upload`,
`download`, `move`, `move_rows`, `fill` and `used_on` (lang/devices).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from sapwood.runtime.array import (
    OWNER_AT,
    WORDS,
    Array,
    contiguous_strides,
    describe,
    extent,
    index,
    is_contiguous,
    laid_out,
    other_shape,
    show,
    sizes,
)
from sapwood.runtime.array import empty as host_empty
from sapwood.runtime.dtypes import DType
from sapwood.runtime.dtypes import dtype as as_dtype
from sapwood.runtime.heaptype import make_type

_type: Any = make_type(
    "sapwood.DeviceArray", OWNER_AT + 24, objects={"owner": OWNER_AT, "device": OWNER_AT + 16}, words=WORDS,
    weaklist_at=OWNER_AT + 8,
)  # fmt: skip

if TYPE_CHECKING:

    class DeviceArray:
        """The type as a checker sees it; `_graft` below gives it these members."""

        device: Any
        shape: tuple[int, ...]
        strides: tuple[int, ...]
        dtype: DType
        ndim: int
        size: int
        nbytes: int
        readonly: bool
        data_ptr: int
        owner: Any

        def array(self) -> Array: ...
        def numpy(self, bits: bool = False) -> Any: ...
        def tolist(self) -> Any: ...
        def copy(self) -> DeviceArray: ...
        def copy_from(self, source: Any, stream: Any = None) -> DeviceArray: ...
        def fill(self, value: Any) -> DeviceArray: ...
        def reshape(self, *shape: Any) -> DeviceArray: ...
        def __len__(self) -> int: ...
        def __getitem__(self, key: Any) -> Any: ...
        def __setitem__(self, key: Any, value: Any) -> None: ...
        def __dlpack__(self, **options: Any) -> Any: ...
        def __dlpack_device__(self) -> tuple[int, int]: ...

else:
    DeviceArray = _type


def at(
    device: Any, address: int, shape: Any, dtype: Any, strides: Any = None, owner: Any = None, readonly: bool = False
) -> Any:
    """A view of memory of a device, which `owner` keeps alive. Strides are in elements."""
    dims, steps = laid_out(shape, strides)
    a = _type.__new__(_type)
    describe(a, address, as_dtype(dtype), dims, steps, owner, readonly)
    a.device = device
    return a


def empty(device: Any, shape: Any, dtype: Any = "f32") -> Any:
    """A new array on a device, its contents undefined."""
    dims, d = sizes(shape), as_dtype(dtype)
    owner = device.allocate(math.prod(dims) * d.itemsize)
    return at(device, owner.address, dims, d, None, owner)


def from_host(device: Any, x: Any) -> Any:
    """A copy on a device of an array of any kind, or of nested lists of numbers that NumPy takes."""
    source = host_array(x)
    return empty(device, source.shape, source.dtype).copy_from(source)


def host_array(x: Any) -> Array:
    """An array of the host as one of ours; lists go through NumPy. Raises TypeError."""
    if isinstance(x, Array):
        return x
    if hasattr(x, "__dlpack__") and not hasattr(x, "__array_interface__"):
        return Array.from_dlpack(x)
    try:
        return Array.from_buffer(x)
    except (TypeError, BufferError, ValueError):
        import numpy as np

        return Array.from_buffer(np.ascontiguousarray(x))


# -- members ---------------------------------------------------------------------------------------------


def _view(self: Any, address: int, shape: tuple[int, ...], strides: tuple[int, ...]) -> Any:
    return at(self.device, address, shape, self.dtype, strides, self.owner, self.readonly)


def _array(self: Any) -> Any:
    """A copy on the host, an Array of the same shape, when the work before it is done. Raises what kernels raised."""
    low, high = extent(self)
    whole = host_empty(high - low + 1, self.dtype)
    self.device.download(whole.data_ptr, self.data_ptr + low * self.dtype.itemsize, whole.nbytes)
    first = whole.data_ptr - low * self.dtype.itemsize
    return Array.from_address(first, self.shape, self.dtype, self.strides, whole)


def _numpy(self: Any, bits: bool = False) -> Any:
    """A copy on the host as a NumPy array. NumPy has no bf16: with bits=True the 16 bits of each element, as uint16."""
    return _array(self).numpy(bits)


def _getitem(self: Any, key: Any) -> Any:
    """A view; where no axis is left, the number, which is copied to the host."""
    address, shape, strides = index(self, key)
    view = _view(self, address, shape, strides)
    return view if shape or isinstance(key, tuple) and ... in key else _array(view).tolist()


def _setitem(self: Any, key: Any, value: Any) -> None:
    address, shape, strides = index(self, key)
    view = _view(self, address, shape, strides)
    if isinstance(value, int | float | complex):
        view.fill(value)
    else:
        view.copy_from(value)


def _copy_from(self: Any, source: Any, stream: Any = None) -> Any:
    """Copy from an array of the same shape and dtype, of the host or of the device; gives itself.

    stream: after what is in it; None is the default stream. A copy from page-locked memory (`device.host_array`) or on
    the device may still run when this returns. Raises ValueError where shape or dtype are others.
    """
    if self.readonly:
        raise ValueError("the array is read-only")
    on_device = isinstance(source, _type) and source.device is self.device
    if isinstance(source, _type) and not on_device:
        source = source.array()
    source = source if on_device else host_array(source)
    if source.shape != self.shape or source.dtype is not self.dtype:
        raise ValueError(f"cannot copy {source.dtype}{list(source.shape)} into {self.dtype}{list(self.shape)}")
    if not on_device:
        source = _dense(source)
        if is_contiguous(self):
            self.device.upload(self.data_ptr, source.data_ptr, self.nbytes, stream)
            self.device.used_on(stream, (self,))
            return self
        whole = empty(self.device, self.shape, self.dtype)  # in one piece, then to where its rows belong
        source = whole.copy_from(source, stream)
    if is_contiguous(self) and is_contiguous(source):
        self.device.move(self.data_ptr, source.data_ptr, self.nbytes, stream)
    else:
        if _overlap(self, source):
            source = source.copy()
        for to, to_step, address, step, width, rows in _rows(self, source):
            self.device.move_rows(to, to_step, address, step, width, rows, stream)
    self.device.used_on(stream, (self, source))
    return self


def _dense(x: Array) -> Array:
    """The same numbers in C order."""
    if is_contiguous(x):
        return x
    dense = Array.empty(x.shape, x.dtype)
    dense[...] = x
    return dense


def _overlap(a: Any, b: Any) -> bool:
    ends = []
    for x in (a, b):
        low, high = extent(x)
        ends.append((x.data_ptr + low * x.dtype.itemsize, x.data_ptr + (high + 1) * x.dtype.itemsize))
    return ends[0][0] < ends[1][1] and ends[1][0] < ends[0][1]


def _rows(to: Any, source: Any) -> Iterator[tuple[int, int, int, int, int, int]]:
    """Two arrays of one shape as pairs of rows of bytes: (to, its step, address, its step, width, rows).

    The copies that a device has know one step between rows, not negative; axes beyond it are walked.
    """
    if not to.size:
        return
    size = to.dtype.itemsize
    axes = list(zip(to.shape, to.strides, source.strides, strict=True))
    first, second = to.data_ptr, source.data_ptr
    width = size
    if axes and axes[-1][1:] == (1, 1):
        width *= axes.pop()[0]
    rows, step, other = axes.pop() if axes else (1, width, width)
    places = [(first, second)]
    for n, s, t in axes:
        places = [(p + k * s * size, q + k * t * size) for p, q in places for k in range(n)]
    step, other = (step * size, other * size) if rows > 1 else (width, width)
    for p, q in places:
        if rows == 1 or step >= width and other >= width:
            yield p, step, q, other, width, rows
        else:  # backwards, or the same place again
            yield from ((p + k * step, width, q + k * other, width, width, 1) for k in range(rows))


def _copy(self: Any) -> Any:
    """A new array on the device, in C order."""
    return empty(self.device, self.shape, self.dtype).copy_from(self)


def _fill(self: Any, value: Any) -> Any:
    """Set all elements to a number; gives itself."""
    one = Array.empty(1, self.dtype)
    one[0] = value
    bits = self.dtype.numpy is None
    raw = one.numpy(bits).tobytes()
    if len(set(raw)) == 1 and is_contiguous(self) and not self.readonly:
        self.device.fill(self.data_ptr, raw[0], self.nbytes)
        return self
    whole = Array.empty(self.shape, self.dtype)
    whole.numpy(bits)[...] = one.numpy(bits)[0]
    return self.copy_from(whole)


def _reshape(self: Any, *shape: Any) -> Any:
    """A view of another shape; the array must be C-contiguous."""
    dims = other_shape(self, shape)
    return _view(self, self.data_ptr, dims, contiguous_strides(dims))


def _no_numpy(self: Any, *args: Any, **options: Any) -> Any:
    raise TypeError(f"the array is in the memory of {self.device.name}; x.numpy() copies it to the host")


def _dlpack(self: Any, **options: Any) -> Any:
    from sapwood.runtime.dlpack import export_tensor

    return export_tensor(self, options.get("max_version"), self.device.export_to(options.get("stream")))


def _interface(self: Any) -> dict[str, Any]:
    """`__cuda_array_interface__`, version 3 (Numba, "CUDA Array Interface")."""
    if self.device.kind != "cuda":
        raise AttributeError("__cuda_array_interface__")
    whole = Array.from_address(self.data_ptr, self.shape, self.dtype, self.strides, self.owner, self.readonly)
    return {**whole.__array_interface__, "stream": 1}  # type: ignore[attr-defined]


def _repr(self: Any) -> str:
    return f"<DeviceArray {self.dtype}{list(self.shape)} on {self.device.name}{', read-only' if self.readonly else ''}>"


def _no_init(self: Any, *args: Any, **kwargs: Any) -> None:
    if args or kwargs:
        raise TypeError("make arrays of a device with device.array, device.empty, device.zeros or device.from_dlpack")


def _graft() -> None:
    show(_type)
    _type.__getitem__, _type.__setitem__ = _getitem, _setitem
    _type.__repr__, _type.__init__ = _repr, _no_init
    _type.array, _type.numpy, _type.tolist = _array, _numpy, lambda self: _array(self).tolist()
    _type.copy, _type.copy_from, _type.fill, _type.reshape = _copy, _copy_from, _fill, _reshape
    _type.__array__ = _no_numpy
    _type.__dlpack__ = _dlpack
    _type.__dlpack_device__ = lambda self: self.device.dlpack
    _type.__cuda_array_interface__ = property(_interface)
    _type.__doc__ = __doc__


_graft()
