"""Makes heap types through CPython's C API, with ctypes alone.

The types are garbage-collected, weakly referencable and mutable; their slots are borrowed from CPython's own
types (`subtype_traverse`, `func_descr_get`, ...), so no native code is needed to define them, and importing
Sapwood does not load LLVM.
"""

from __future__ import annotations

import ctypes
import gc
import platform
from ctypes import c_char_p, c_int, c_ssize_t, c_uint, c_void_p
from typing import Any

T_OBJECT_EX, T_PYSSIZET, READONLY = 16, 19, 1
TP_CALL, TP_CLEAR, TP_DESCR_GET, TP_TRAVERSE, TP_MEMBERS, TP_GETSET = 50, 51, 54, 71, 72, 73
HAVE_GC, HAVE_VECTORCALL, METHOD_DESCRIPTOR = 1 << 14, 1 << 11, 1 << 17
HEADER = 16  # PyObject_HEAD


class _Slot(ctypes.Structure):
    _fields_ = [("slot", c_int), ("pfunc", c_void_p)]


class _Spec(ctypes.Structure):
    _fields_ = [
        ("name", c_char_p),
        ("basicsize", c_int),
        ("itemsize", c_int),
        ("flags", c_uint),
        ("slots", ctypes.POINTER(_Slot)),
    ]


class _Member(ctypes.Structure):
    _fields_ = [
        ("name", c_char_p),
        ("type", c_int),
        ("offset", c_ssize_t),
        ("flags", c_int),
        ("doc", c_char_p),
    ]


class _GetSet(ctypes.Structure):
    _fields_ = [
        ("name", c_char_p),
        ("get", c_void_p),
        ("set", c_void_p),
        ("doc", c_char_p),
        ("closure", c_void_p),
    ]


class _Model:
    """A Python class whose slots the made types borrow."""

    def __call__(self, *args: Any, **kwargs: Any) -> None: ...


def supported() -> bool:
    return platform.python_implementation() == "CPython" and ctypes.sizeof(c_void_p) == 8


def _slot_of(cls: type, slot: int) -> int:
    get = ctypes.pythonapi.PyType_GetSlot
    get.restype, get.argtypes = c_void_p, [ctypes.py_object, c_int]
    return get(cls, slot)


def _address(name: str) -> int:
    return ctypes.cast(getattr(ctypes.pythonapi, name), c_void_p).value or 0


_kept: list[Any] = []  # specs and member tables live as long as their types


def make_type(
    name: str,
    size: int,
    objects: dict[str, int],
    words: dict[str, int],
    vectorcall: int | None = None,
    dict_at: int | None = None,
    weaklist_at: int | None = None,
) -> Any:
    """A heap type of `size` bytes with members at the given offsets.

    objects: Python references; words: signed 64-bit ints. `vectorcall` makes instances callable natively:
    while that pointer is null, calls go to the class's `__call__`.
    """
    members: list[_Member] = []
    members += [_Member(n.encode(), T_OBJECT_EX, at, 0, None) for n, at in objects.items()]
    members += [_Member(n.encode(), T_PYSSIZET, at, 0, None) for n, at in words.items()]
    special = {"__vectorcalloffset__": vectorcall, "__dictoffset__": dict_at, "__weaklistoffset__": weaklist_at}
    members += [_Member(n.encode(), T_PYSSIZET, at, READONLY, None) for n, at in special.items() if at]
    table = (_Member * (len(members) + 1))(*members)
    slots = [
        (TP_MEMBERS, ctypes.addressof(table)),
        (TP_TRAVERSE, _slot_of(_Model, TP_TRAVERSE)),
        (TP_CLEAR, _slot_of(_Model, TP_CLEAR)),
    ]
    flags = HAVE_GC
    keep: list[Any] = [table]
    if dict_at is not None:
        entry = _GetSet(b"__dict__", _address("PyObject_GenericGetDict"), _address("PyObject_GenericSetDict"))
        getset = (_GetSet * 2)(entry)
        slots.append((TP_GETSET, ctypes.addressof(getset)))
        keep.append(getset)
    if vectorcall is not None:
        import types

        flags |= HAVE_VECTORCALL | METHOD_DESCRIPTOR
        slots.append((TP_CALL, _slot_of(_Model, TP_CALL)))
        slots.append((TP_DESCR_GET, _slot_of(types.FunctionType, TP_DESCR_GET)))
    slot_table = (_Slot * (len(slots) + 1))(*(_Slot(*s) for s in slots))
    spec = _Spec(name.encode(), size, 0, flags, slot_table)
    make = ctypes.pythonapi.PyType_FromSpec
    make.restype, make.argtypes = ctypes.py_object, [c_void_p]
    cls = make(ctypes.addressof(spec))
    _kept.extend([*keep, slot_table, spec, cls])
    return cls


def set_call(cls: Any, method: Any) -> None:
    """Make `method` the class's `__call__`, in its dict only: assigning the attribute would replace the type's
    call slot and drop the vectorcall flag."""
    namespace = next(d for d in gc.get_referents(cls.__dict__) if isinstance(d, dict))
    namespace["__call__"] = method
    modified = ctypes.pythonapi.PyType_Modified
    modified.restype, modified.argtypes = None, [ctypes.py_object]
    modified(cls)


