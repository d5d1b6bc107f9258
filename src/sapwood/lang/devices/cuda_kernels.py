"""A kernel compiled and loaded for a CUDA device: from the cache, or now.

Three things are kept: the PTX and the object code of the launcher (a CPU function, targets/nvptx/launcher.py) under
what was asked for, and the cubin that the driver made of the PTX under the PTX, the compute capability and the driver.
"""

from __future__ import annotations

import ctypes
import json
import threading
from typing import Any

from sapwood import config
from sapwood.lang.border.arguments import SIMPLE, arrays_of
from sapwood.lang.errors import ArgumentMistake
from sapwood.lang.loading.current_target import current_target
from sapwood.lang.loading.fingerprint import compiler_key, digest, fingerprint, symbol_name
from sapwood.lang.loading.load import kind_of, unchanged
from sapwood.lang.loading.specialisation import check_written
from sapwood.lang.recursion import deeply
from sapwood.runtime.cache import default_store
from sapwood.runtime.callable import NativeFunction, push_entry
from sapwood.runtime.jit import LoadedObject, load_object
from sapwood.runtime.support import register_python_symbols
from sapwood.targets.base import Target
from sapwood.targets.nvptx.driver import modules
from sapwood.targets.nvptx.driver.library import CudaError
from sapwood.targets.nvptx.launcher import FUNCTIONS, LAUNCH


class KernelOnDevice:
    """A kernel on a device for one combination of argument kinds."""

    def __init__(self, fn: Any, arguments: list[Any], code: dict[str, Any], loaded: LoadedObject, found: Any) -> None:
        self.fn, self.arguments = fn, arguments
        self.symbol: str = code["symbol"]
        self.written: list[bool] = code["written"]  # of each argument that is a tensor
        self.loaded, self.function = loaded, found
        simple = all(isinstance(a, SIMPLE) and getattr(a, "comparable", True) for a in arguments)
        by_keyword = any(p.kind is p.KEYWORD_ONLY for p in fn.state.signature.parameters.values())
        self.direct = simple and not by_keyword  # whether its entry can tell that arguments fit


class Launcher:
    """Launches a kernel on a device: `native` is called with the numbers of a launch and the arguments, and gives the
    driver's code. Its entries take what they know; the rest is classified here, and compiled."""

    def __init__(self, fn: Any, device: Any) -> None:
        self.fn, self.device = fn, device
        self.native = NativeFunction(self._slow)
        self.known: dict[Any, tuple[KernelOnDevice, Any]] = {}  # kinds and target -> kernel, what takes flat arguments
        self.lock = threading.RLock()
        self.busy = threading.local()

    def kernel(self, values: list[Any]) -> tuple[KernelOnDevice, Any]:
        """The kernel for these arguments, and the function that takes them flat. Raises CompileError, CudaError."""
        with arrays_of(self.device):
            arguments = self.fn.state.classify(values)
        key = (tuple(arguments), self.device.target_now.key)
        with self.lock:
            if key not in self.known:
                kernel = _load(self.fn, arguments, self.device)
                native = self.native if kernel.direct else NativeFunction(self._misfit)
                push_entry(native, kernel.loaded, f"{kernel.symbol}.entry")
                self.known[key] = kernel, native
            return self.known[key]

    def _slow(self, *passed: Any) -> int:
        values = list(passed[len(LAUNCH) :])
        if getattr(self.busy, "calling", False):
            self._misfit()
        kernel, native = self.kernel(values)
        with arrays_of(self.device):
            flat = [x for a, v in zip(kernel.arguments, values, strict=True) for x in a.flatten(v)]
        check_written(self.fn, kernel.arguments, kernel.written, flat)
        self.busy.calling = True
        try:
            return native(*passed[: len(LAUNCH)], *flat)
        finally:
            self.busy.calling = False

    def _misfit(self, *passed: Any) -> int:
        raise TypeError(f"{self.fn.__name__}(): the arguments changed while the launch was being prepared")


class TooManyBytes(ArgumentMistake):
    code = "A015"
    message = "'{name}' takes {found} bytes of arguments, but a kernel of {target} has at most {limit}"
    help = "pass arrays instead of tuples and structs of many numbers"


MAX_ARGUMENTS = 4096 - 16  # bytes (CUDA C++ Programming Guide, "Function Parameters"), without the two that we add


@deeply
def _load(fn: Any, arguments: list[Any], device: Any) -> KernelOnDevice:
    register_python_symbols()
    target, host = device.target_now, current_target()
    python = fn.__wrapped__
    key = digest("cuda", python.__module__, python.__qualname__, fingerprint(fn), [kind_of(a) for a in arguments],
                 target.key, host.key, compiler_key())  # fmt: skip
    store = default_store()
    code = _cached(store, key) or _build(fn, arguments, target, host, key, store)
    with device.current():
        found = _load_code(store, code, fn.__name__, device)
        spare = device.max_shared_bytes - found.shared_bytes
        if spare > 0:
            modules.allow_shared(device.library, found, fn.__name__, spare)
    loaded = load_object(code["launcher"], {name: device.library.address[name] for name in FUNCTIONS})
    _set(loaded, f"{code['symbol']}.function", found.handle)
    _set(loaded, f"{code['symbol']}.context", device.context)
    _set(loaded, f"{code['symbol']}.record", device.record[1])
    return KernelOnDevice(fn, arguments, code, loaded, found)


def _set(loaded: LoadedObject, name: str, value: int) -> None:
    ctypes.c_uint64.from_address(loaded.address(name)).value = value


def _cached(store: Any, key: str) -> dict[str, Any] | None:
    if store is None or config.debug():
        return None
    raw = store.get_manifest(key)
    try:
        code = json.loads(raw or b"null")
        if code is None or not unchanged(code):
            return None
        code["text"], code["launcher"] = store.get_object(code["ptx"]), store.get_object(code["object"])
        return code if code["text"] and code["launcher"] else None
    except (KeyError, ValueError, TypeError):
        return None  # an entry of another shape than ours is no entry


def _build(fn: Any, arguments: list[Any], target: Target, host: Target, key: str, store: Any) -> dict[str, Any]:
    from sapwood.lang.loading.build import made_of, named
    from sapwood.lang.lower.emitter import llvm_type
    from sapwood.lang.pipeline import compile_entry
    from sapwood.lang.types import sizeof
    from sapwood.runtime.entry import TensorParam, emit_entry
    from sapwood.targets.codegen import emit_assembly, emit_object
    from sapwood.targets.nvptx.launcher import launcher_text

    symbol = f"{symbol_name(fn.__wrapped__)}_{key[:12]}"
    compiled = compile_entry(fn, arguments, target, symbol)
    types = [p.type for p in compiled.program.entry.params]
    maps = compiled.program.entry.attrs.get("tensor_maps", ())
    size = sum(-(-sizeof(t) // 8) * 8 for t in types) + 128 * len(maps)
    if size > MAX_ARGUMENTS:
        raise TooManyBytes(None, name=fn.__name__, found=size, target=target.name, limit=MAX_ARGUMENTS)
    assert compiled.signature is not None
    text = launcher_text(symbol, [llvm_type(t) for t in types], maps, compiled.text)
    text += emit_entry(compiled.signature, symbol, f"{symbol}.entry", text)
    ptx, launcher = emit_assembly(compiled.text, target).encode(), emit_object(text, host)
    code = {
        "symbol": symbol,
        "written": [p.writable for p in compiled.signature.params if isinstance(p, TensorParam)],
        "ptx": digest("ptx", ptx),
        "object": digest("launcher", text, host.key, compiler_key()),
        **made_of(compiled, fn),
    }
    if store is not None and compiled.dependencies.cacheable and named(code):
        store.put_object(code["ptx"], ptx)
        store.put_object(code["object"], launcher)
        store.put_manifest(key, json.dumps(code).encode())
    return {**code, "text": ptx, "launcher": launcher}


def _load_code(store: Any, code: dict[str, Any], name: str, device: Any) -> Any:
    """The kernel in the current context, from the cubin in the store or from a new one.

    Where the driver does not link PTX that it loads (some do not, for architectures that they have learnt late), it
    loads the PTX, and keeps what it makes of it in a cache of its own.
    """
    ptx, library = code["text"], device.library
    key = digest("cubin", ptx, device.capability, device.driver_version)
    cubin = store.get_object(key) if store is not None else None
    if cubin is None:
        try:
            cubin = modules.link(library, name, ptx, device.capability)
        except CudaError as refused:
            try:
                return modules.load(library, code["symbol"], ptx + b"\0")
            except CudaError:
                raise refused from None
        if store is not None:
            store.put_object(key, cubin)
    return modules.load(library, code["symbol"], cubin)
