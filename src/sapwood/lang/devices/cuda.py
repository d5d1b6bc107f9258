"""CUDA devices as arrays and launches see them; the driver itself is in targets/nvptx/driver."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Sequence
from typing import Any

from sapwood import config
from sapwood.lang.devices.base import ArrayMaking, arrays_in
from sapwood.lang.devices.cuda_kernels import KernelOnDevice, Launcher
from sapwood.lang.errors.launches import BlockTooLargeForRegisters, NoSuchHardware
from sapwood.lang.launch import LaunchConfig, check_shared
from sapwood.lang.loading.current_target import kernel_target
from sapwood.runtime import device_array
from sapwood.runtime.array import Array, sizes
from sapwood.runtime.device_array import DeviceArray
from sapwood.runtime.dlpack import CUDA, import_tensor
from sapwood.runtime.dtypes import dtype as as_dtype
from sapwood.runtime.errors import raise_from_record
from sapwood.targets.base import Target
from sapwood.targets.nvptx.driver import library as driver
from sapwood.targets.nvptx.driver.device import CudaDevice, DeviceMemory, PinnedMemory, count
from sapwood.targets.nvptx.driver.library import NoCuda
from sapwood.targets.nvptx.driver.streams import Stream, handle_of
from sapwood.targets.nvptx.errors import BLOCK, DESCRIPTORS, RECORD, THREAD, WORDS
from sapwood.targets.nvptx.launcher import MAP_REFUSED

_LEGACY = 1  # the default stream in the DLPack protocol and in __cuda_array_interface__


class Cuda(ArrayMaking, CudaDevice):
    """A CUDA device: `gpu.device("cuda:0")`.

    `array`, `empty`, `zeros`, `from_dlpack` make arrays; `stream` and `event` what their names say; `synchronize` waits
    and raises what kernels have raised. Raises CudaError where the driver refuses.
    """

    def __init__(self, library: Any, ordinal: int) -> None:
        super().__init__(library, ordinal)
        self.dlpack = (2, ordinal)
        self.decode = self._raise_record

    @property
    def target_now(self) -> Target:
        """What kernels are compiled for: the device's own architecture, or the older one that SAPWOOD_TARGET says."""
        if not config.target().startswith("nvptx:"):
            return self.target
        asked = kernel_target()
        number = asked.generation  # type: ignore[attr-defined]
        exact = asked.cpu[-1:].isdigit()  # code for sm_90a runs on 9.0 alone
        own = 10 * self.capability[0] + self.capability[1]
        if number == own or exact and number < own:
            return asked
        raise NoCuda(f"SAPWOOD_TARGET={config.target()}: its code does not run on {self!r}")

    def host_array(self, shape: Any, dtype: Any = "f32") -> Array:
        dims, d = sizes(shape), as_dtype(dtype)
        memory = PinnedMemory(self, math.prod(dims) * d.itemsize)
        return Array.from_address(memory.address, dims, d, None, memory)

    def from_dlpack(self, x: Any) -> DeviceArray:
        """A view of an array of PyTorch, CuPy or any that speaks DLPack and is in this device's memory."""
        number = int(x.__dlpack_device__()[1])
        if number != self.ordinal:
            raise TypeError(f"the memory is on cuda:{number}, not on {self.name}")
        address, d, shape, strides, owner, readonly = import_tensor(x, CUDA, stream=_LEGACY)
        return device_array.at(self, address, shape, d, strides, owner, readonly)

    def export_to(self, stream: Any) -> tuple[int, int]:
        """Let the stream of one who takes an array wait for what is done here. Gives the device, as DLPack says it."""
        if stream not in (None, -1, 0, _LEGACY):
            event = self.event(timing=False)
            event.record()
            with self.current():
                doing = "handing an array over"
                self.library.call("cuStreamWaitEvent", int(stream), event.handle, 0, doing=doing)
        return self.dlpack

    # -- launches -----------------------------------------------------------------------------------

    def launch(self, launch: Any, values: Sequence[Any]) -> None:
        """Begin a kernel. Raises LaunchMistake, CompileError, and CudaError where the driver refuses."""
        fn, stream = launch.fn, launch.config.stream
        launchers = fn.state.launchers
        launcher = launchers.get(self)
        if launcher is None:
            launcher = launchers[self] = Launcher(fn, self)
        handle = 0 if stream is None else handle_of(stream)
        self.launched.append(fn.__name__)
        code = launcher.native(*launch.numbers, handle, *values)
        if code:
            raise self._refused(code, launcher.kernel(list(values))[0], launch.config)
        if stream is not None:
            self.used_on(stream, values)

    def used_on(self, stream: Any, values: Sequence[Any]) -> None:
        """Note what arrays of ours a stream uses that does not wait for the default one, as ours do."""
        if stream is None or isinstance(stream, Stream) and stream.device is self:
            return
        for x in (x for value in values for x in arrays_in(value)):
            if isinstance(x, DeviceArray) and isinstance(x.owner, DeviceMemory):
                x.owner.streams.add(handle_of(stream))

    def _refused(self, code: int, kernel: KernelOnDevice, launch: LaunchConfig) -> Exception:
        """Why the driver did not launch a kernel."""
        name, found = kernel.fn.__name__, kernel.function
        if code & MAP_REFUSED:
            hint = "it is not empty, its address and its strides are multiples of 16 bytes, and the last stride is 1"
            detail = "a tensor of tensor_copy or tensor_store cannot be copied so"
            return NoSuchHardware(None, name=name, device=self.name, detail=detail, hint=hint)
        threads = math.prod(launch.block)
        check_shared(name, found.shared_bytes, launch, self.target_now)
        if threads > found.max_threads:
            return BlockTooLargeForRegisters(None, name=name, registers=found.registers, device=self.name,
                                             limit=found.max_threads, found=threads)  # fmt: skip
        if math.prod(launch.cluster) > 1 and self.capability[0] < 9:
            hint = "leave cluster= out; compute capability 9.0 has clusters"
            return NoSuchHardware(None, name=name, device=self.name, detail="it has no clusters", hint=hint)
        if code == driver.COOPERATIVE_TOO_LARGE:
            detail = f"{math.prod(launch.grid)} blocks of {threads} threads cannot run at one time"
            hint = f"a cooperative launch has to; {self.name} has {self.processors} multiprocessors"
            return NoSuchHardware(None, name=name, device=self.name, detail=detail, hint=hint)
        where = f"launching kernel '{name}' with grid {launch.grid} and block {launch.block} on {self.name}"
        return self.failure(code, where)

    def _raise_record(self, address: int) -> None:
        """Raise what a kernel has raised; `address` is that of the device's record, or a copy."""
        words = (ctypes.c_int64 * WORDS).from_address(address)
        record = (ctypes.c_int64 * (WORDS - RECORD))(*words[RECORD:])
        table = ctypes.c_uint64.from_address(words[DESCRIPTORS] + 8 * words[RECORD])
        record[0] = table.value
        try:
            raise_from_record(ctypes.addressof(record))
        except Exception as e:
            thread, block = tuple(words[THREAD : THREAD + 3]), tuple(words[BLOCK : BLOCK + 3])
            e.add_note(f"raised on {self.name} by thread {thread} of block {block}")
            raise


_devices: dict[tuple[int, int], Cuda] = {}


def cuda_device(ordinal: int) -> Cuda:
    """The device of that number, always the same object. Raises NoCuda."""
    library = driver.load()
    there = count()
    if not 0 <= ordinal < there:
        raise NoCuda(f"there is no device cuda:{ordinal}; the driver knows {there}")
    key = (id(library), ordinal)
    if key not in _devices:
        _devices[key] = Cuda(library, ordinal)
    return _devices[key]
