"""`Array`: the host object for memory of every dtype, bf16 included. It does no arithmetic.

An Array owns memory or keeps the object that it came from alive. Its fields lie at fixed offsets, so that
compiled entries read them without calling Python.
"""

from __future__ import annotations

import ctypes
import math
import mmap
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from sapwood.runtime.dtypes import BY_CODE, BY_FORMAT, DTYPES, DType
from sapwood.runtime.dtypes import dtype as as_dtype
from sapwood.runtime.heaptype import make_type

MAX_RANK = 8
DATA_AT, DTYPE_AT, NDIM_AT, FLAGS_AT, SHAPE_AT, STRIDES_AT, OWNER_AT = 16, 24, 32, 40, 48, 112, 176
_READONLY = 1
_ALIGN = 64

WORDS = {"_data": DATA_AT, "_dtype": DTYPE_AT, "_ndim": NDIM_AT, "_flags": FLAGS_AT}
WORDS |= {f"_n{k}": SHAPE_AT + 8 * k for k in range(MAX_RANK)}
WORDS |= {f"_s{k}": STRIDES_AT + 8 * k for k in range(MAX_RANK)}
_N = tuple(f"_n{k}" for k in range(MAX_RANK))
_S = tuple(f"_s{k}" for k in range(MAX_RANK))

_type: Any = make_type(
    "sapwood.Array", OWNER_AT + 16, objects={"owner": OWNER_AT}, words=WORDS, weaklist_at=OWNER_AT + 8
)

if TYPE_CHECKING:

    class Array:
        """The type as a checker sees it; `_graft` below gives it these members."""

        shape: tuple[int, ...]
        strides: tuple[int, ...]
        dtype: DType
        ndim: int
        size: int
        nbytes: int
        readonly: bool
        data_ptr: int
        owner: Any

        @staticmethod
        def empty(shape: int | Iterable[int], dtype: Any = "f32") -> Array: ...
        @staticmethod
        def zeros(shape: int | Iterable[int], dtype: Any = "f32") -> Array: ...
        @staticmethod
        def from_address(
            address: int, shape: Any, dtype: Any, strides: Any = None, owner: Any = None, readonly: bool = False
        ) -> Array: ...
        @staticmethod
        def from_buffer(x: Any) -> Array: ...
        @staticmethod
        def from_numpy(x: Any) -> Array: ...
        @staticmethod
        def from_dlpack(x: Any) -> Array: ...
        def tolist(self) -> Any: ...
        def numpy(self, bits: bool = False) -> Any: ...
        def reshape(self, *shape: Any) -> Array: ...
        def __len__(self) -> int: ...
        def __getitem__(self, key: Any) -> Any: ...
        def __setitem__(self, key: Any, value: Any) -> None: ...
        def __dlpack__(self, **options: Any) -> Any: ...
        def __dlpack_device__(self) -> tuple[int, int]: ...

else:
    Array = _type


# -- construction ----------------------------------------------------------------------------------------


def describe(
    a: Any, data: int, dtype: DType, shape: tuple[int, ...], strides: tuple[int, ...], owner: Any, readonly: bool
) -> None:
    """Set the words of a new array."""
    a._data, a._dtype, a._ndim, a._flags = data, dtype.code, len(shape), _READONLY if readonly else 0
    for name, n in zip(_N, shape, strict=False):
        setattr(a, name, n)
    for name, s in zip(_S, strides, strict=False):
        setattr(a, name, s)
    a.owner = owner


def _make(
    data: int, dtype: DType, shape: tuple[int, ...], strides: tuple[int, ...], owner: Any, readonly: bool
) -> Any:
    a = _type.__new__(_type)
    describe(a, data, dtype, shape, strides, owner, readonly)
    return a


def sizes(shape: Any) -> tuple[int, ...]:
    dims = (shape,) if isinstance(shape, int) else tuple(shape)
    if len(dims) > MAX_RANK:
        raise ValueError(f"shape {dims} has {len(dims)} axes; the limit is {MAX_RANK}")
    for n in dims:
        if isinstance(n, bool) or not isinstance(n, int) or n < 0:
            raise ValueError(f"shape {dims}: {n!r} is not a size")
    return dims


def contiguous_strides(shape: Sequence[int]) -> tuple[int, ...]:
    """Strides, in elements, of a C-contiguous array."""
    out: list[int] = []
    step = 1
    for n in reversed(shape):
        out.append(step)
        step *= max(n, 1)
    return tuple(reversed(out))


def laid_out(shape: Any, strides: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Sizes and strides of a view; strides None are those of a C-contiguous one. Raises ValueError."""
    dims = sizes(shape)
    steps = contiguous_strides(dims) if strides is None else tuple(strides)
    if len(steps) != len(dims):
        raise ValueError(f"{len(steps)} strides for {len(dims)} axes")
    return dims, steps


def empty(shape: Any, dtype: Any = "f32") -> Any:
    """A new array, 64-byte aligned, its contents zero pages of the system or undefined."""
    dims, d = sizes(shape), as_dtype(dtype)
    size = math.prod(dims) * d.itemsize
    if size >= 1 << 47:
        raise MemoryError(f"an array of shape {dims} and dtype {d} needs {size} bytes")
    if size >= 1 << 20:  # whole pages, aligned and zeroed by the system
        owner: Any = mmap.mmap(-1, size)
        address = ctypes.addressof(ctypes.c_char.from_buffer(owner))
    else:
        owner = ctypes.create_string_buffer(max(size, 1) + _ALIGN)
        address = -(-ctypes.addressof(owner) // _ALIGN) * _ALIGN
    return _make(address, d, dims, contiguous_strides(dims), owner, False)


def zeros(shape: Any, dtype: Any = "f32") -> Any:
    """A new array of zeros."""
    return empty(shape, dtype)  # both sources of memory are zeroed


def from_address(
    address: int,
    shape: Any,
    dtype: Any,
    strides: tuple[int, ...] | None = None,
    owner: Any = None,
    readonly: bool = False,
) -> Any:
    """A view of memory at an address, which `owner` keeps alive. Strides are in elements."""
    dims, steps = laid_out(shape, strides)
    return _make(address, as_dtype(dtype), dims, steps, owner, readonly)


class _PyBuffer(ctypes.Structure):
    _fields_ = [
        ("buf", ctypes.c_void_p),
        ("obj", ctypes.py_object),
        ("len", ctypes.c_ssize_t),
        ("itemsize", ctypes.c_ssize_t),
        ("readonly", ctypes.c_int),
        ("ndim", ctypes.c_int),
        ("format", ctypes.c_char_p),
        ("shape", ctypes.POINTER(ctypes.c_ssize_t)),
        ("strides", ctypes.POINTER(ctypes.c_ssize_t)),
        ("suboffsets", ctypes.POINTER(ctypes.c_ssize_t)),
        ("internal", ctypes.c_void_p),
    ]


_get_buffer = ctypes.pythonapi.PyObject_GetBuffer
_get_buffer.argtypes, _get_buffer.restype = [ctypes.py_object, ctypes.c_void_p, ctypes.c_int], ctypes.c_int
_release_buffer = ctypes.pythonapi.PyBuffer_Release
_release_buffer.argtypes, _release_buffer.restype = [ctypes.c_void_p], None


class _Export:
    """Holds an exporter's buffer until no view of it is left."""

    def __init__(self, x: Any) -> None:
        self.view = _PyBuffer()
        self.held = False
        try:
            _get_buffer(x, ctypes.addressof(self.view), 0x1D)
        except (BufferError, ValueError):
            _get_buffer(x, ctypes.addressof(self.view), 0x1C)
        self.held = True

    def __del__(self) -> None:
        if self.held:
            self.held = False
            _release_buffer(ctypes.addressof(self.view))


def from_buffer(x: Any) -> Any:
    """A view of an object with the buffer protocol (NumPy array, bytes, memoryview, array.array).

    Raises TypeError for dtypes that the language does not have, ValueError for misaligned memory.
    """
    export = _Export(x)
    view = export.view
    text = (view.format or b"B").decode()
    d = BY_FORMAT.get(text.lstrip("@="))
    if d is None or d.itemsize != view.itemsize:
        raise TypeError(f"elements of format {text!r} have no dtype here (big-endian or structured?)")
    if view.ndim > MAX_RANK:
        raise ValueError(f"{view.ndim} axes; the limit is {MAX_RANK}")
    shape = tuple(view.shape[k] for k in range(view.ndim))
    strides = tuple(view.strides[k] for k in range(view.ndim)) if view.ndim else ()
    data = view.buf or 0
    if data % d.alignment or any(s % d.itemsize for s in strides):
        raise ValueError(f"the memory is not aligned to its elements ({d.alignment} bytes); pass a copy")
    return _make(data, d, shape, tuple(s // d.itemsize for s in strides), export, bool(view.readonly))


def from_dlpack(x: Any) -> Any:
    """A view of an object that speaks DLPack: torch CPU tensors of every dtype, bf16 included."""
    from sapwood.runtime.dlpack import import_tensor

    data, d, shape, strides, owner, readonly = import_tensor(x)
    if len(shape) > MAX_RANK:
        raise ValueError(f"{len(shape)} axes; the limit is {MAX_RANK}")
    return _make(data, d, shape, strides, owner, readonly)


# -- what an array shows ---------------------------------------------------------------------------------


def _get_shape(self: Any) -> tuple[int, ...]:
    return tuple(getattr(self, n) for n in _N[: self._ndim])


def _get_strides(self: Any) -> tuple[int, ...]:
    return tuple(getattr(self, s) for s in _S[: self._ndim])


def _get_dtype(self: Any) -> DType:
    return BY_CODE[self._dtype]


def _length(self: Any) -> int:
    if not self._ndim:
        raise TypeError("an array of rank 0 has no len()")
    return self._n0


def show(cls: Any) -> None:
    """Give a type with the words of an array the members that only read them."""
    cls.shape = property(_get_shape)
    cls.strides = property(_get_strides)
    cls.dtype = property(_get_dtype)
    cls.ndim = property(lambda self: self._ndim)
    cls.size = property(lambda self: math.prod(self.shape))
    cls.nbytes = property(lambda self: math.prod(self.shape) * self.dtype.itemsize)
    cls.readonly = property(lambda self: bool(self._flags & _READONLY))
    cls.data_ptr = property(lambda self: self._data)
    cls.__len__ = _length


def is_contiguous(a: Any) -> bool:
    """Whether the elements follow each other in C order."""
    return a.strides == contiguous_strides(a.shape) or a.size <= 1


def other_shape(a: Any, shape: tuple[Any, ...]) -> tuple[int, ...]:
    """The sizes of `a.reshape(*shape)`. Raises ValueError where a is not C-contiguous or has another size."""
    dims = sizes(shape[0] if len(shape) == 1 else shape)
    if a.strides != contiguous_strides(a.shape) or math.prod(dims) != a.size:
        raise ValueError(f"cannot view shape {a.shape} as {dims}")
    return dims


def extent(a: Any) -> tuple[int, int]:
    """Lowest and highest element offset that the array reaches; (0, -1) if it is empty."""
    if not a.size:
        return 0, -1
    low = sum(min(0, (n - 1) * s) for n, s in zip(a.shape, a.strides, strict=True))
    high = sum(max(0, (n - 1) * s) for n, s in zip(a.shape, a.strides, strict=True))
    return low, high


def index(self: Any, key: Any) -> tuple[int, tuple[int, ...], tuple[int, ...]]:
    """(address, shape, strides) of self[key]."""
    items = key if isinstance(key, tuple) else (key,)
    if items.count(...) > 1:
        raise IndexError("an index can have one ellipsis")
    if ... in items:
        at = items.index(...)
        items = items[:at] + (slice(None),) * (self._ndim - len(items) + 1) + items[at + 1 :]
    if len(items) > self._ndim:
        raise IndexError(f"{len(items)} indices for an array of rank {self._ndim}")
    items += (slice(None),) * (self._ndim - len(items))
    offset, shape, strides = 0, [], []
    for axis, (item, n, s) in enumerate(zip(items, self.shape, self.strides, strict=True)):
        if isinstance(item, slice):
            first, last, step = item.indices(n)
            count = len(range(first, last, step))
            offset += first * s if count else 0
            shape.append(count)
            strides.append(s * step)
            continue
        try:
            i = item.__index__()
        except AttributeError:
            raise TypeError(f"arrays are indexed by ints and slices, not {type(item).__name__}") from None
        if not -n <= i < n:
            raise IndexError(f"index {i} is out of bounds for axis {axis} with size {n}")
        offset += (i % n) * s
    return self._data + offset * self.dtype.itemsize, tuple(shape), tuple(strides)


def _getitem(self: Any, key: Any) -> Any:
    address, shape, strides = index(self, key)
    if not shape and not (isinstance(key, tuple) and ... in key):
        return _read(address, self.dtype)
    return _make(address, self.dtype, shape, strides, self, self.readonly)


def _setitem(self: Any, key: Any, value: Any) -> None:
    if self.readonly:
        raise ValueError("the array is read-only")
    address, shape, strides = index(self, key)
    if not shape:
        _write(address, self.dtype, value)
        return
    target = _make(address, self.dtype, shape, strides, self, False)
    if isinstance(value, int | float | complex):
        for at in _addresses(target):
            _write(at, self.dtype, value)
        return
    source = value if isinstance(value, Array) else from_buffer(value)
    if source.shape != shape or source.dtype is not self.dtype:
        raise ValueError(f"cannot copy {source.dtype}{list(source.shape)} into {self.dtype}{list(shape)}")
    size = self.dtype.itemsize
    moves = [(to, ctypes.string_at(at, size)) for to, at in zip(_addresses(target), _addresses(source), strict=True)]
    for to, raw in moves:
        ctypes.memmove(to, raw, size)


def _addresses(a: Any) -> Iterator[int]:
    size = a.dtype.itemsize

    def walk(at: int, axis: int) -> Iterator[int]:
        if axis == a.ndim:
            yield at
            return
        for _ in range(a.shape[axis]):
            yield from walk(at, axis + 1)
            at += a.strides[axis] * size

    if a.size:
        yield from walk(a._data, 0)


def _c_type(d: DType) -> Any:
    names = {"bool": "c_bool", "f32": "c_float", "f64": "c_double", "f16": "c_uint16", "bf16": "c_uint16"}
    return getattr(ctypes, names.get(d.name) or f"c_{'u' if d.kind == 'uint' else ''}int{d.bits}")


def _complex_parts(d: DType) -> Any:
    return (ctypes.c_float if d.name == "c64" else ctypes.c_double) * 2


def _read(address: int, d: DType) -> Any:
    import struct

    if d.kind == "complex":
        return complex(*_complex_parts(d).from_address(address))
    raw = _c_type(d).from_address(address).value
    if d.name == "bf16":
        return struct.unpack("<f", struct.pack("<I", raw << 16))[0]
    if d.name == "f16":
        return struct.unpack("<e", struct.pack("<H", raw))[0]
    return raw


def _write(address: int, d: DType, value: Any) -> None:
    import struct

    if d.kind == "complex":
        whole = complex(value)
        _complex_parts(d).from_address(address)[:] = (whole.real, whole.imag)
        return
    if d.name == "bf16":
        bits = struct.unpack("<I", struct.pack("<f", value))[0]
        value = 0x7FC0 if value != value else (bits + 0x7FFF + (bits >> 16 & 1)) >> 16
    elif d.name == "f16":
        value = struct.unpack("<H", struct.pack("<e", value))[0]
    elif d.kind in ("int", "uint"):
        low, high = (-(1 << d.bits - 1), (1 << d.bits - 1) - 1) if d.kind == "int" else (0, (1 << d.bits) - 1)
        if not low <= value <= high:
            raise OverflowError(f"{value} does not fit into {d}")
    _c_type(d).from_address(address).value = value


def _tolist(self: Any) -> Any:
    """Nested lists of Python numbers."""
    if not self._ndim:
        return _read(self._data, self.dtype)
    if self._ndim == 1:
        step, size = self._s0, self.dtype.itemsize
        return [_read(self._data + k * step * size, self.dtype) for k in range(self._n0)]
    return [self[k].tolist() for k in range(self._n0)]


def _interface(self: Any) -> dict[str, Any]:
    d = self.dtype
    if d.numpy is None:
        raise AttributeError(f"NumPy has no dtype for {d}; use array.numpy(bits=True) for its bits")
    letter = {"bool": "b", "int": "i", "uint": "u", "float": "f", "complex": "c"}[d.kind]
    return {
        "version": 3,
        "shape": self.shape,
        "typestr": f"{'|' if d.itemsize == 1 else '<'}{letter}{d.itemsize}",
        "data": (self._data, self.readonly),
        "strides": tuple(s * d.itemsize for s in self.strides),
    }


def _numpy(self: Any, bits: bool = False) -> Any:
    """A NumPy view. NumPy has no bf16: with bits=True the 16 bits of each element, as uint16."""
    import numpy as np

    if bits:
        raw = DTYPES[f"u{8 * self.dtype.itemsize}"]
        return np.asarray(_make(self._data, raw, self.shape, self.strides, self, self.readonly))
    if self.dtype.numpy is None:
        raise TypeError(f"NumPy has no dtype for {self.dtype}; use numpy(bits=True) for its bits")
    return np.asarray(self)


def _reshape(self: Any, *shape: Any) -> Any:
    """A view of another shape; the array must be C-contiguous."""
    dims = other_shape(self, shape)
    return _make(self._data, self.dtype, dims, contiguous_strides(dims), self, self.readonly)


def _dlpack(self: Any, **options: Any) -> Any:
    from sapwood.runtime.dlpack import export_tensor

    return export_tensor(self, options.get("max_version"))


def _repr(self: Any) -> str:
    flags = ", read-only" if self.readonly else ""
    text = f" {self.tolist()}" if self.size <= 16 else ""
    return f"<Array {self.dtype}{list(self.shape)}{flags}{text}>"


def _no_init(self: Any, *args: Any, **kwargs: Any) -> None:
    if args or kwargs:
        raise TypeError("make arrays with Array.empty, zeros, from_buffer, from_dlpack or from_address")


def _graft(statics: Iterable[Any]) -> None:
    for f in statics:
        setattr(_type, f.__name__, staticmethod(f))
    _type.from_numpy = staticmethod(from_buffer)
    show(_type)
    _type.__array_interface__ = property(_interface)
    _type.__getitem__, _type.__setitem__ = _getitem, _setitem
    _type.__repr__, _type.__init__ = _repr, _no_init
    _type.tolist, _type.numpy, _type.reshape = _tolist, _numpy, _reshape
    _type.__dlpack__ = _dlpack
    _type.__dlpack_device__ = lambda self: (1, 0)
    _type.__doc__ = __doc__


_graft((empty, zeros, from_address, from_buffer, from_dlpack))
