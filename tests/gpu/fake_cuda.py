"""A CUDA driver that is none: devices are memory of this process at addresses that nobody can read by mistake, and
kernels run on simt. What the driver layer passes it is what it would pass libcuda, through the same C prototypes."""

from __future__ import annotations

import ctypes
import json
import mmap
import re
from collections import Counter
from ctypes import POINTER, c_int, c_int64, c_uint64, c_void_p, cast
from typing import Any

from sapwood import config
from sapwood.lang.border.arguments import ConstArg, ScalarArg, StructArg, TensorArg, TupleArg
from sapwood.lang.oracles.boxed import Boxed
from sapwood.runtime.array import Array
from sapwood.targets.nvptx import errors
from sapwood.targets.nvptx.driver.library import FUNCTIONS

FAR = 1 << 60  # no address of this process: whoever reads device memory on the host dies of it

SETTLED = ("cuGetErrorName", "cuGetErrorString", "cuCtxPushCurrent_v2", "cuCtxPopCurrent_v2")  # never fail


class FakeCuda:
    """One or more devices of a compute capability. `calls` counts calls by name, `fails` makes a function fail."""

    def __init__(self, capability: tuple[int, int] = (9, 0), devices: int = 1, pools: bool = True) -> None:
        self.capability, self.devices, self.pools = capability, devices, pools
        self.calls: Counter[str] = Counter()
        self.fails: dict[str, int] = {}
        self.memory: dict[int, mmap.mmap] = {}
        self.loading: Any = None  # the kernel that is being loaded and its arguments
        self.functions: dict[int, Any] = {}
        self.limits: dict[int, int] = {}  # dynamic shared bytes that functions may have
        self.launches: list[dict[str, Any]] = []
        self.contexts: list[int] = []
        self.capturing: dict[int, list[Any]] = {}
        self.graphs: dict[int, list[Any]] = {}
        self.handles = 100
        self.kept: list[Any] = []  # what the driver was given addresses of
        self.max_threads = 1024
        self.sticky = 0
        for name, types in FUNCTIONS.items():
            setattr(self, name, ctypes.CFUNCTYPE(c_int, *types)(self._entry(name)))

    def _entry(self, name: str) -> Any:
        body = getattr(self, f"_{name.removesuffix('_v2')}", None)

        def call(*args: Any) -> int:
            self.calls[name] += 1
            if name in self.fails:
                return self.fails[name]
            if self.sticky and name not in SETTLED:
                return self.sticky
            if body is None:
                return 0
            try:
                return body(*args) or 0
            except Exception:  # an exception in a callback would only be printed
                import traceback

                traceback.print_exc()
                return 999

        return call

    def new(self) -> int:
        self.handles += 1
        return self.handles

    # -- devices ------------------------------------------------------------------------------------

    def _cuDriverGetVersion(self, out: Any) -> None:
        out[0] = 12080

    def _cuGetErrorName(self, code: int, out: Any) -> None:
        out[0] = {2: b"CUDA_ERROR_OUT_OF_MEMORY", 700: b"CUDA_ERROR_ILLEGAL_ADDRESS"}.get(code, b"CUDA_ERROR_SOME")

    def _cuGetErrorString(self, code: int, out: Any) -> None:
        out[0] = {2: b"out of memory", 700: b"an illegal memory access was encountered"}.get(code, b"some error")

    def _cuDeviceGetCount(self, out: Any) -> None:
        out[0] = self.devices

    def _cuDeviceGet(self, out: Any, ordinal: int) -> None:
        out[0] = ordinal

    def _cuDeviceGetName(self, out: Any, size: int, device: int) -> None:
        ctypes.memmove(out, b"Fake GPU\0", 9)

    def _cuDeviceGetAttribute(self, out: Any, number: int, device: int) -> None:
        known = {16: 4, 75: self.capability[0], 76: self.capability[1], 97: 232448, 115: int(self.pools)}
        out[0] = known[number]

    def _cuDevicePrimaryCtxRetain(self, out: Any, device: int) -> None:
        out[0] = 7000 + device

    def _cuDeviceGetDefaultMemPool(self, out: Any, device: int) -> None:
        out[0] = 8000 + device

    def _cuCtxPushCurrent(self, context: int) -> None:
        self.contexts.append(context)

    def _cuCtxPopCurrent(self, out: Any) -> int:
        if not self.contexts:
            return 201
        self.contexts.pop()
        return 0

    # -- memory -------------------------------------------------------------------------------------

    def _cuMemGetInfo(self, free: Any, total: Any) -> None:
        free[0], total[0] = 1 << 30, 1 << 32

    def _new_memory(self, nbytes: int) -> int:
        block = mmap.mmap(-1, max(nbytes, 1))
        block[:] = b"\xff" * len(block)  # undefined: NaN
        address = ctypes.addressof(ctypes.c_char.from_buffer(block))
        self.memory[address + FAR] = block
        return address

    def _cuMemAllocAsync(self, out: Any, nbytes: int, stream: Any) -> int:
        assert self.contexts, "no current context"
        if nbytes > 1 << 32:
            return 2
        out[0] = self._new_memory(nbytes) + FAR
        return 0

    def _cuMemAlloc(self, out: Any, nbytes: int) -> int:
        return self._cuMemAllocAsync(out, nbytes, None)

    def _cuMemFreeAsync(self, address: int, stream: Any) -> None:
        if self.capturing:
            raise AssertionError("memory freed while a graph is captured")
        del self.memory[address]

    def _cuMemFree(self, address: int) -> None:
        del self.memory[address]

    def _cuMemHostAlloc(self, out: Any, nbytes: int, flags: int) -> None:
        out[0] = self._new_memory(nbytes)

    def _cuMemFreeHost(self, address: int) -> None:
        del self.memory[address + FAR]

    def _cuMemHostGetDevicePointer(self, out: Any, address: int, flags: int) -> None:
        out[0] = address + FAR

    def _do(self, stream: Any, work: Any) -> None:
        if stream in self.capturing:
            self.capturing[stream].append(work)
        else:
            work()

    def _cuMemcpyHtoDAsync(self, to: int, host: int, nbytes: int, stream: Any) -> None:
        self._do(stream, lambda: ctypes.memmove(to - FAR, host, nbytes))

    def _cuMemcpyDtoHAsync(self, host: int, address: int, nbytes: int, stream: Any) -> None:
        self._do(stream, lambda: ctypes.memmove(host, address - FAR, nbytes))

    def _cuMemcpyDtoDAsync(self, to: int, address: int, nbytes: int, stream: Any) -> None:
        self._do(stream, lambda: ctypes.memmove(to - FAR, address - FAR, nbytes))

    def _cuMemcpy2DAsync(self, copy: Any, stream: Any) -> int:
        c = type(copy[0]).from_buffer_copy(copy[0])
        if c.srcpitch < c.width or c.dstpitch < c.width or (c.srctype, c.dsttype) != (2, 2):
            return 1

        def work() -> None:
            for k in range(c.height):
                ctypes.memmove(c.dstdevice - FAR + k * c.dstpitch, c.srcdevice - FAR + k * c.srcpitch, c.width)

        self._do(stream, work)
        return 0

    def _cuMemsetD8Async(self, address: int, byte: int, nbytes: int, stream: Any) -> None:
        self._do(stream, lambda: ctypes.memset(address - FAR, byte, nbytes))

    # -- streams ------------------------------------------------------------------------------------

    def _cuStreamCreateWithPriority(self, out: Any, flags: int, priority: int) -> None:
        out[0] = self.new()

    def _cuEventCreate(self, out: Any, flags: int) -> None:
        out[0] = self.new()

    def _cuEventElapsedTime(self, out: Any, first: int, second: int) -> None:
        out[0] = 2.5

    def _cuStreamBeginCapture(self, stream: int, mode: int) -> None:
        self.capturing[stream] = []

    def _cuStreamEndCapture(self, stream: int, out: Any) -> None:
        out[0] = self.new()
        self.graphs[out[0]] = self.capturing.pop(stream)

    def _cuGraphInstantiateWithFlags(self, out: Any, graph: int, flags: int) -> None:
        out[0] = self.new()
        self.graphs[out[0]] = self.graphs[graph]

    def _cuGraphLaunch(self, graph: int, stream: Any) -> None:
        for work in self.graphs[graph]:
            work()

    # -- code ---------------------------------------------------------------------------------------

    def _cuLinkCreate(self, count: int, options: Any, values: Any, out: Any) -> None:
        out[0] = self.new()
        major, minor = self.capability
        assert list(options[:count]) == [5, 6, 9] and values[2] % 0x10000 == 10 * major + minor
        self.log = values[0]

    def _cuLinkAddData(self, state: int, kind: int, data: int, size: int, name: bytes, *rest: Any) -> int:
        text = ctypes.string_at(data, size)
        if not text.endswith(b"\0") or b".version" not in text:
            ctypes.memmove(self.log, b"ptxas fatal: no PTX\0", 20)
            return 218
        self.cubin = ctypes.create_string_buffer(b"CUBIN" + text)
        return 0

    def _cuLinkComplete(self, state: int, out: Any, size: Any) -> None:
        out[0], size[0] = ctypes.addressof(self.cubin), len(self.cubin)

    def _cuModuleLoadData(self, out: Any, image: int) -> int:
        data = ctypes.string_at(image)
        if not data.startswith(b"CUBIN") and b".version" not in data:
            return 200
        out[0] = self.new()
        self.functions[out[0]] = data.decode()
        return 0

    def _cuModuleGetFunction(self, out: Any, module: int, name: bytes) -> int:
        entry = re.search(r"\.visible \.entry (\w+)\(([^)]*)\)", self.functions[module])
        assert entry is not None
        if entry[1] != name.decode():
            return 500
        out[0] = self.new()
        params = re.findall(r"\.param \.(?:align \d+ \.)?(\w+)(?=[^\[]*?(?:,|$))", entry[2])
        maps = re.findall(r"\.param \.align 64 \.b8 \w+\[128\]", entry[2])
        assert len(params) + len(maps) == entry[2].count(".param")
        self.functions[out[0]] = (*self.loading, params, len(maps))
        return 0

    def _cuFuncGetAttribute(self, out: Any, number: int, function: int) -> None:
        out[0] = {0: self.max_threads, 1: 1024, 4: 40}[number]

    def _cuFuncSetAttribute(self, function: int, number: int, value: int) -> None:
        assert number == 8
        self.limits[function] = value

    def _cuTensorMapEncodeTiled(
        self, out: int, kind: int, rank: int, address: int, dims: Any, steps: Any, box: Any, ones: Any, *options: int
    ) -> int:
        assert out % 64 == 0 and list(ones[:rank]) == [1] * rank
        if address % 16 or any(n % 16 for n in steps[: rank - 1]):
            return 1
        text = json.dumps([kind, list(dims[:rank]), list(steps[: rank - 1]), list(box[:rank]), options[1]])
        assert len(text) < 128
        ctypes.memmove(out, text.encode() + b"\0", len(text) + 1)
        return 0

    def _cuLaunchKernelEx(self, settings: int, function: int, arguments: int, extra: Any) -> int:
        assert self.contexts, "no current context"
        words = (ctypes.c_uint32 * 7).from_address(settings)
        stream = c_uint64.from_address(settings + 32).value
        attributes = c_uint64.from_address(settings + 40).value
        count = ctypes.c_uint32.from_address(settings + 48).value
        launch: dict[str, Any] = {"grid": tuple(words[:3]), "block": tuple(words[3:6]), "shared": words[6]}
        launch["stream"] = stream
        for i in range(count):
            at = attributes + 72 * i
            number = c_int.from_address(at).value
            if number == 4:
                launch["cluster"] = tuple((ctypes.c_uint32 * 3).from_address(at + 8))
            elif number == 2:
                launch["cooperative"] = c_int.from_address(at + 8).value
            else:
                return 1
        fn, kinds, params, maps = self.functions[function]
        threads = launch["block"][0] * launch["block"][1] * launch["block"][2]
        if threads > self.max_threads or launch["shared"] > self.limits.get(function, 48 << 10):
            return 1
        places = cast(arguments, POINTER(c_void_p))
        raw = [ctypes.string_at(places[i] or 0, _size(p)) for i, p in enumerate(params)]
        made = (json.loads(ctypes.string_at(places[len(params) + i] or 0).decode()) for i in range(maps))
        self.launches.append(launch | {"kernel": fn.__name__} | ({"maps": list(made)} if maps else {}))
        self._do(stream, lambda: self._run(fn, kinds, params, raw, launch))
        return 0

    def _run(self, fn: Any, kinds: list[Any], params: list[str], raw: list[bytes], launch: dict[str, Any]) -> None:
        leaves = iter([_decode(p, r) for p, r in zip(params, raw, strict=True)])
        values = [_value(k, leaves) for k in kinds]
        record, descriptors = leaves
        options = {k: v for k, v in launch.items() if k not in ("stream", "kernel")}
        options["cooperative"] = bool(options.get("cooperative"))
        try:
            with config.override(SAPWOOD_TARGET="simt"):
                fn.launch(**options)(*values)
        except Exception as e:
            _leave(record - FAR, descriptors, e)


def _size(kind: str) -> int:
    return int(re.sub(r"\D", "", kind)) // 8


def _decode(kind: str, raw: bytes) -> Any:
    if kind[0] == "f":
        return (ctypes.c_float if kind == "f32" else ctypes.c_double).from_buffer_copy(raw).value
    return int.from_bytes(raw, "little")


def _value(kind: Any, leaves: Any) -> Any:
    match kind:
        case TensorArg():
            address = next(leaves)
            shape = tuple(next(leaves) for _ in range(kind.rank))
            strides = tuple(c_int64(next(leaves)).value for _ in range(kind.rank))
            assert address >= FAR or not address, "a kernel was given an address of the host"
            return Array.from_address(max(address - FAR, 0), shape, kind.elem.name, strides)
        case ScalarArg():
            x = next(leaves)
            if kind.scalar.kind == "bool":
                return bool(x)
            if kind.scalar.kind == "int":
                x -= (x >> kind.scalar.bits - 1) << kind.scalar.bits
            return Boxed(x, kind.scalar) if kind.exact and kind.scalar.name not in ("i64", "f64") else x
        case ConstArg():
            return getattr(kind.known.value, "__wrapped__", kind.known.value)  # a lambda, of what it was made
        case TupleArg():
            return tuple(_value(k, leaves) for k in kind.items)
        case StructArg():
            return kind.cls(*(_value(k, leaves) for _, k in kind.fields))
    raise AssertionError(kind)


def _leave(record: int, descriptors: int, e: Exception) -> None:
    """What the kernel's own code would have written: the descriptor that fits, and the numbers of the text."""
    words = (c_int64 * errors.WORDS).from_address(record)
    if words[errors.STATE] != errors.FREE:
        return
    trace = e.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    name = f"{type(e).__module__}.{type(e).__qualname__}"
    for number in range(1000):
        at = c_uint64.from_address(descriptors + 8 * number).value
        assert at, f"no descriptor of the kernel is about this: {e!r}"
        head = c_int64.from_address(at).value
        said = json.loads(ctypes.string_at(at + 8 * max(1 + head, 2)))
        if said["type"] == name and trace is not None and said["line"] == trace.tb_lineno:
            break
    template = re.sub(r"\\\{(\d)\\\}", r"(?P<v\1>-?\\d+)", re.escape(said["message"] or ""))
    found = re.fullmatch(template, str(e))
    values = [int(found[f"v{i}"]) for i in range(len(said["args"]))] if found else []
    words[errors.DESCRIPTORS] = descriptors
    words[errors.BLOCK : errors.BLOCK + 6] = [1, 2, 3, 4, 5, 6]
    words[errors.RECORD], words[errors.RECORD + 1] = number, len(values)
    words[errors.RECORD + 2 : errors.RECORD + 2 + len(values)] = values
    words[errors.STATE] = errors.FULL


