"""Native support code of the runtime, and the symbols of CPython that compiled code calls."""

from __future__ import annotations

import ctypes
from functools import lru_cache

from sapwood.runtime.heap import register_heap
from sapwood.runtime.jit import register_provider, register_symbol
from sapwood.runtime.python_api import register_python_api


@lru_cache(maxsize=1)
def register_python_symbols() -> None:
    """Register CPython's functions, types and singletons, and our own callbacks."""
    from sapwood.runtime import errors
    from sapwood.runtime.array import Array

    register_python_api()
    objects = {
        "sapwood_array_type": Array,
        "sapwood_none": None,
        "sapwood_true": True,
        "sapwood_false": False,
        "sapwood_raise_function": errors.raise_from_record,
    }
    for name, value in objects.items():
        register_symbol(name, id(value))
    register_provider("sapwood_device_array_type", _device_array_type)
    register_heap()
    callbacks = {
        "sapwood_print": errors.PRINT,
        "sapwood_print_text": errors.PRINT_TEXT,
        "sapwood_exception_matches": errors.EXCEPTION_MATCHES,
        "sapwood_make_exception": errors.MAKE_EXCEPTION,
        "sapwood_release_exception": errors.RELEASE_EXCEPTION,
        "sapwood_set_exception_context": errors.SET_EXCEPTION_CONTEXT,
    }
    for name, callback in callbacks.items():
        register_symbol(name, ctypes.cast(callback, ctypes.c_void_p).value or 0)


def _device_array_type() -> int:
    from sapwood.runtime.device_array import DeviceArray

    return id(DeviceArray)


def compile_support(text: str) -> bytes:
    """Object code of fixed runtime text, for the plain host; kept in the compile cache."""
    import hashlib

    import llvmlite

    from sapwood.runtime.cache import default_store

    register_python_symbols()
    store = default_store()
    key = hashlib.blake2b(f"support {llvmlite.__version__} {text}".encode(), digest_size=20).hexdigest()
    obj = store.get_object(key) if store is not None else None
    if obj is None:
        import llvmlite.binding as llvm

        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        module = llvm.parse_assembly(text)
        module.verify()
        triple = llvm.get_process_triple()
        machine = llvm.Target.from_triple(triple).create_target_machine(reloc="pic", codemodel="default", opt=2)
        obj = machine.emit_object(module)
        if store is not None:
            store.put_object(key, obj)
    return obj
