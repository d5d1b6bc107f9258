"""CPython's C API for compiled code: the functions it may call, types, and constants made when first needed."""

from __future__ import annotations

import builtins
import ctypes
import importlib
import json
import sys
from collections import Counter, deque
from enum import Enum
from functools import lru_cache, partial
from types import ModuleType
from typing import Any

from sapwood.runtime.jit import load_object, register_provider, register_symbol

FUNCTIONS = (
    "PyBool_FromLong", "PyBuffer_Release", "PyByteArray_AsString", "PyByteArray_FromStringAndSize",
    "PyByteArray_Size", "PyBytes_AsString", "PyBytes_FromStringAndSize", "PyBytes_Size", "PyComplex_FromDoubles",
    "PyComplex_ImagAsDouble", "PyComplex_RealAsDouble", "PyDict_Items", "PyDict_New", "PyDict_Next",
    "PyDict_SetItem", "PyDict_Size", "PyErr_Clear", "PyErr_ExceptionMatches", "PyErr_Format",
    "PyErr_GivenExceptionMatches", "PyErr_Occurred", "PyErr_SetString", "PyEval_RestoreThread", "PyEval_SaveThread",
    "PyFloat_AsDouble", "PyFloat_FromDouble", "PyFrozenSet_New", "PyGILState_Check", "PyIter_Next", "PyList_Append",
    "PyList_AsTuple",
    "PyList_GetItem", "PyList_New", "PyList_SetItem", "PyList_Size", "PyLong_AsLong",
    "PyLong_AsLongLongAndOverflow", "PyLong_AsUnsignedLongLong", "PyLong_FromLongLong",
    "PyLong_FromUnsignedLongLong", "PyLong_FromVoidPtr", "PyMem_Free", "PyMemoryView_FromObject",
    "PyNumber_Absolute", "PyNumber_Add", "PyNumber_And", "PyNumber_Divmod", "PyNumber_Float",
    "PyNumber_FloorDivide", "PyNumber_InPlaceAdd", "PyNumber_InPlaceAnd", "PyNumber_InPlaceFloorDivide",
    "PyNumber_InPlaceLshift", "PyNumber_InPlaceMatrixMultiply", "PyNumber_InPlaceMultiply", "PyNumber_InPlaceOr",
    "PyNumber_InPlaceRemainder", "PyNumber_InPlaceRshift", "PyNumber_InPlaceSubtract", "PyNumber_InPlaceTrueDivide",
    "PyNumber_InPlaceXor", "PyNumber_Index", "PyNumber_Invert", "PyNumber_Long", "PyNumber_Lshift",
    "PyNumber_MatrixMultiply", "PyNumber_Multiply", "PyNumber_Negative", "PyNumber_Or", "PyNumber_Positive",
    "PyNumber_Remainder", "PyNumber_Rshift", "PyNumber_Subtract", "PyNumber_TrueDivide", "PyNumber_Xor",
    "PyOS_double_to_string", "PyOS_string_to_double", "PyObject_ASCII", "PyObject_CallNoArgs",
    "PyObject_CallOneArg", "PyObject_DelItem", "PyObject_Format", "PyObject_GetAttr", "PyObject_GetBuffer",
    "PyObject_GetItem", "PyObject_GetIter", "PyObject_Hash", "PyObject_IsInstance", "PyObject_IsSubclass",
    "PyObject_IsTrue", "PyObject_Repr", "PyObject_RichCompare", "PyObject_SetAttr", "PyObject_SetItem",
    "PyObject_Size", "PyObject_Str", "PyObject_Vectorcall", "PySequence_Contains", "PySequence_List", "PySet_Add",
    "PySet_New", "PySet_Size", "PySlice_New", "PyTuple_GetItem", "PyTuple_New", "PyTuple_SetItem", "PyTuple_Size",
    "PyType_IsSubtype", "PyUnicode_AsUTF8AndSize", "PyUnicode_DecodeUTF8", "Py_DecRef", "Py_IncRef",
)  # fmt: skip
TYPES: dict[str, type] = {
    "PyBool_Type": bool, "PyBytes_Type": bytes, "PyByteArray_Type": bytearray, "PyComplex_Type": complex,
    "PyDict_Type": dict, "PyFloat_Type": float, "PyFrozenSet_Type": frozenset, "PyList_Type": list,
    "PyLong_Type": int, "PySet_Type": set, "PyTuple_Type": tuple, "PyUnicode_Type": str,
}  # fmt: skip


def register_python_api() -> None:
    """Let compiled code refer to all that; the address of a function is looked up when something first calls it."""
    for name in FUNCTIONS:
        register_provider(name, partial(address_of, name))
    for name, kind in TYPES.items():
        register_symbol(name, id(kind))
    register_symbol("sapwood_TypeError", id(TypeError))
    register_symbol("sapwood_constant_function", id(make_constant))
    for name in ("sapwood_python_constant", "sapwood_take_error"):
        register_provider(name, partial(_support_address, name))


def address_of(name: str) -> int:
    """Where a function of the C API is."""
    return ctypes.cast(getattr(ctypes.pythonapi, name), ctypes.c_void_p).value or 0


# the exception that is set, taken away from Python, with its traceback
_TAKE_311 = """
define ptr @sapwood_take_error() {
  %t = alloca [3 x ptr]
  %v = getelementptr ptr, ptr %t, i64 1
  %b = getelementptr ptr, ptr %t, i64 2
  call void @PyErr_Fetch(ptr %t, ptr %v, ptr %b)
  call void @PyErr_NormalizeException(ptr %t, ptr %v, ptr %b)
  %kind = load ptr, ptr %t
  %error = load ptr, ptr %v
  %back = load ptr, ptr %b
  %bare = icmp eq ptr %back, null
  br i1 %bare, label %done, label %traced
traced:
  %r = call i32 @PyException_SetTraceback(ptr %error, ptr %back)
  call void @Py_DecRef(ptr %back)
  br label %done
done:
  call void @Py_DecRef(ptr %kind)
  ret ptr %error
}
declare void @PyErr_Fetch(ptr, ptr, ptr)
declare void @PyErr_NormalizeException(ptr, ptr, ptr)
declare i32 @PyException_SetTraceback(ptr, ptr)
"""
_TAKE_312 = """
define ptr @sapwood_take_error() {
  %error = tail call ptr @PyErr_GetRaisedException()
  ret ptr %error
}
declare ptr @PyErr_GetRaisedException()
"""
_SUPPORT = """
define ptr @sapwood_python_constant(ptr %text) {
  %s = call ptr @PyUnicode_FromString(ptr %text)
  %none = icmp eq ptr %s, null
  br i1 %none, label %failed, label %made
made:
  %r = call ptr @PyObject_CallOneArg(ptr @sapwood_constant_function, ptr %s)
  call void @Py_DecRef(ptr %s)
  ret ptr %r
failed:
  ret ptr null
}
@sapwood_constant_function = external global i8
declare ptr @PyUnicode_FromString(ptr)
declare ptr @PyObject_CallOneArg(ptr, ptr)
declare void @Py_DecRef(ptr)
"""


@lru_cache(maxsize=1)
def _support() -> Any:
    from sapwood.runtime.support import compile_support

    newer = sys.version_info >= (3, 12)
    names = ["PyUnicode_FromString"]
    names += ["PyErr_GetRaisedException"] if newer else ["PyErr_Fetch", "PyErr_NormalizeException"]
    for name in (*names, "PyException_SetTraceback"):
        register_symbol(name, address_of(name))
    return load_object(compile_support(_SUPPORT + (_TAKE_312 if newer else _TAKE_311)))


def _support_address(name: str) -> int:
    return _support().address(name)


# -- constants ------------------------------------------------------------------------------------------


class NoConstant(Exception):
    """An object that compiled code cannot find by its module and name."""


def constant_text(value: Any) -> str:
    """A constant as text that survives in the compile cache; raises NoConstant."""
    return json.dumps(_encode(value), ensure_ascii=True)


_PARTS: dict[type, Any] = {
    tuple: tuple, list: list, dict: lambda d: list(d.items()), Counter: lambda d: [dict(d)],
    deque: lambda d: [list(d), d.maxlen],
    set: lambda s: sorted(s, key=repr) if any(isinstance(x, str) for x in s) else list(s),
    frozenset: lambda s: sorted(s, key=repr) if any(isinstance(x, str) for x in s) else list(s),
}  # fmt: skip


def _encode(value: Any) -> Any:
    kind = type(value)
    if value is None or kind in (bool, int, str):
        return value
    if kind is float:
        return {"float": value.hex()}
    if kind is complex:
        return {"complex": [value.real.hex(), value.imag.hex()]}
    if kind is bytes:
        return {"bytes": value.hex()}
    if kind in _PARTS:
        return {kind.__name__: [_encode(v) for v in _PARTS[kind](value)]}
    if isinstance(value, Enum):
        cls = type(value)
        if value.name in cls.__members__ and _find(cls.__module__, cls.__qualname__) is cls:
            return {"name": [cls.__module__, f"{cls.__qualname__}.{value.name}"]}
    if value is ...:
        return {"name": ["builtins", "Ellipsis"]}
    if isinstance(value, ModuleType):
        if sys.modules.get(value.__name__) is value:
            return {"module": value.__name__}
    else:
        module, name = getattr(value, "__module__", None), getattr(value, "__qualname__", None)
        owner = getattr(value, "__self__", None)  # a function of a C module
        if module is None and isinstance(owner, ModuleType):
            module = owner.__name__
        if module and name and _find(module, name) is value:
            return {"name": [module, name]}
        kind = getattr(type(owner), "__module__", "")
        if name and _find(kind, name.rpartition(".")[2]) == value:  # random.random: a method of an object of its module
            return {"name": [kind, name.rpartition(".")[2]]}
    raise NoConstant("cannot be found by a module and a name")


def _find(module: str, name: str) -> Any:
    found: Any = sys.modules.get(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    return found


def _decode(data: Any) -> Any:
    if not isinstance(data, dict):
        return sys.intern(data) if isinstance(data, str) else data
    ((kind, x),) = data.items()
    match kind:
        case "float":
            return float.fromhex(x)
        case "complex":
            return complex(*map(float.fromhex, x))
        case "bytes":
            return bytes.fromhex(x)
        case "tuple" | "list" | "set" | "frozenset" | "dict":
            return getattr(builtins, kind)(map(_decode, x))
        case "Counter" | "deque":
            return (Counter if kind == "Counter" else deque)(*map(_decode, x))
        case "module":
            return importlib.import_module(x)
    found: Any = importlib.import_module(x[0])
    for part in x[1].split("."):
        found = getattr(found, part)
    return found


def make_constant(text: str) -> Any:
    """The object that `constant_text` described. Raises ImportError or AttributeError when it is gone."""
    return _decode(json.loads(text))
