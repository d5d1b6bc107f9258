"""DLPack in both directions, through capsules (https://dmlc.github.io/dlpack/latest/)."""

from __future__ import annotations

import ctypes
from typing import Any

from sapwood.runtime.dtypes import DTYPES, DType


class _Device(ctypes.Structure):
    _fields_ = [("type", ctypes.c_int32), ("id", ctypes.c_int32)]


class _DataType(ctypes.Structure):
    _fields_ = [("code", ctypes.c_uint8), ("bits", ctypes.c_uint8), ("lanes", ctypes.c_uint16)]


class _Tensor(ctypes.Structure):
    _fields_ = [
        ("data", ctypes.c_void_p),
        ("device", _Device),
        ("ndim", ctypes.c_int32),
        ("dtype", _DataType),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    ]


class _Managed(ctypes.Structure):
    pass


_DELETER = ctypes.CFUNCTYPE(None, ctypes.POINTER(_Managed))
_Managed._fields_ = [("tensor", _Tensor), ("context", ctypes.c_void_p), ("deleter", _DELETER)]

CPU = (1, 3, 11)  # kinds of devices (DLDeviceType): host memory, plain, pinned by CUDA, pinned by ROCm
CUDA = (2, 13)  # device memory, managed memory
_CODES = {"int": 0, "uint": 1, "float": 2, "complex": 5, "bool": 6}
_NAME = b"dltensor"

_api = ctypes.pythonapi
_api.PyCapsule_GetPointer.restype = ctypes.c_void_p
_api.PyCapsule_GetPointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
_api.PyCapsule_IsValid.argtypes = [ctypes.py_object, ctypes.c_char_p]
_api.PyCapsule_SetName.argtypes = [ctypes.py_object, ctypes.c_char_p]
_api.PyCapsule_New.restype = ctypes.py_object
_api.PyCapsule_New.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]

_USED = b"used_dltensor"


class _Owner:
    """Calls the producer's deleter when the last view is gone."""

    def __init__(self, managed: Any) -> None:
        self.managed = managed

    def __del__(self) -> None:
        deleter = self.managed.contents.deleter
        if deleter:
            deleter(self.managed)


def import_tensor(
    x: Any, kinds: tuple[int, ...] = CPU, **options: Any
) -> tuple[int, DType, tuple[int, ...], tuple[int, ...], Any, bool]:
    """(address, dtype, shape, strides, owner, read-only) of an object with `__dlpack__`, on a device of these kinds;
    `options` are for its `__dlpack__`."""
    device = x.__dlpack_device__()
    if int(device[0]) not in kinds:
        where = "in host memory" if int(device[0]) in CPU else f"on device {tuple(map(int, device))}"
        hint = "; copy it to the host first" if kinds == CPU else ""
        raise TypeError(f"the memory is {where}{hint}")
    if getattr(x, "requires_grad", False):
        raise TypeError("the tensor requires grad; pass x.detach()")
    capsule = x.__dlpack__(**options)
    if not _api.PyCapsule_IsValid(capsule, _NAME):
        raise TypeError("the object gave no fresh DLPack capsule")
    managed = ctypes.cast(_api.PyCapsule_GetPointer(capsule, _NAME), ctypes.POINTER(_Managed))
    _api.PyCapsule_SetName(capsule, _USED)
    owner = _Owner(managed)
    t = managed.contents.tensor
    d = _dtype(t.dtype)
    shape = tuple(t.shape[k] for k in range(t.ndim))
    if t.strides:
        strides = tuple(t.strides[k] for k in range(t.ndim))
    else:
        from sapwood.runtime.array import contiguous_strides

        strides = contiguous_strides(shape)
    return (t.data or 0) + t.byte_offset, d, shape, strides, owner, False


def _dtype(t: Any) -> DType:
    if t.lanes == 1:
        if t.code == 4 and t.bits == 16:
            return DTYPES["bf16"]
        for d in DTYPES.values():
            if d.name != "bf16" and _CODES[d.kind] == t.code and max(d.bits, 8) == t.bits:
                return d
    raise TypeError(f"DLPack type code {t.code} with {t.bits} bits and {t.lanes} lanes has no dtype here")


_exports: dict[int, Any] = {}


@_DELETER
def _release(managed: Any) -> None:
    _exports.pop(ctypes.addressof(managed.contents), None)


@ctypes.CFUNCTYPE(None, ctypes.c_void_p)
def _drop_capsule(capsule: int) -> None:
    """An unused capsule gives the array back when it dies."""
    get = ctypes.PyDLL(None).PyCapsule_GetPointer
    valid = ctypes.PyDLL(None).PyCapsule_IsValid
    get.restype, get.argtypes = ctypes.c_void_p, [ctypes.c_void_p, ctypes.c_char_p]
    valid.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
    if valid(capsule, _NAME):
        _exports.pop(get(capsule, _NAME), None)


def export_tensor(a: Any, max_version: Any, device: tuple[int, int] = (1, 0)) -> Any:
    """A capsule that describes an array; the array lives until the consumer is done."""
    if a.readonly:
        raise BufferError("a read-only array cannot be exported through unversioned DLPack; pass a copy")
    shape = (ctypes.c_int64 * max(a.ndim, 1))(*a.shape)
    strides = (ctypes.c_int64 * max(a.ndim, 1))(*a.strides)
    code = 4 if a.dtype.name == "bf16" else _CODES[a.dtype.kind]
    kind = _DataType(code, max(a.dtype.bits, 8), 1)
    tensor = _Tensor(a.data_ptr, _Device(*device), a.ndim, kind, shape, strides, 0)
    managed = _Managed(tensor, None, _release)
    address = ctypes.addressof(managed)
    _exports[address] = (managed, shape, strides, a)
    destructor = ctypes.cast(_drop_capsule, ctypes.c_void_p).value
    return _api.PyCapsule_New(address, _NAME, destructor)
