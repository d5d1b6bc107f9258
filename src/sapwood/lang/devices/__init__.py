"""Devices that kernels run on: `device("cuda:0")`, `device("simt")`, and which of them a launch is for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from sapwood import config
from sapwood.lang.devices.base import ArrayMaking, arrays_in
from sapwood.lang.devices.simt import SimtDevice, simt_device
from sapwood.runtime.device_array import DeviceArray
from sapwood.runtime.dlpack import CUDA

_PLAIN = (int, float, bool, str)  # types of arguments that hold no array


def device(name: str = "") -> Any:
    """A device by name: "cuda:1", "cuda" for the first of them, "simt" for the CPU; a name always gives the same one.

    Without a name it is the one that SAPWOOD_TARGET says (`nvptx` is CUDA's first); where that is not set, the first
    CUDA device, or the CPU if there is none. Raises ValueError for a name that is none, NoCuda where the driver or
    the device is not there.
    """
    name = name or _default()
    kind, colon, number = name.partition(":")
    if kind == "simt" and not colon:
        return simt_device()
    if kind == "cuda" and (number.isdigit() if colon else True):
        from sapwood.lang.devices.cuda import cuda_device

        return cuda_device(int(number or 0))
    raise ValueError(f"{name!r} is no device; devices are 'simt', 'cuda' and 'cuda:1'")


def _default() -> str:
    from sapwood.targets.nvptx.driver.device import count

    target = config.target()
    if target:
        return "cuda" if target.startswith("nvptx") else "simt"
    return "cuda" if count() else "simt"


def devices() -> list[Any]:
    """All devices of this machine, the CPU last."""
    from sapwood.targets.nvptx.driver.device import count

    return [*(device(f"cuda:{n}") for n in range(count())), simt_device()]


def device_of(launch: Any, values: Sequence[Any]) -> Any:
    """The device that a launch is for: that of its arrays, of its stream, the one that SAPWOOD_TARGET says, or the CPU.

    Raises ArraysApart where arrays are on several devices.
    """
    found: Any = None
    for value in values:
        kind = type(value)
        if kind is DeviceArray:
            if value.device is not found:
                found = _one_device(launch, found, value.device)
        elif kind not in _PLAIN:
            for here in _devices_in(value):
                found = _one_device(launch, found, here)
    if found is not None:
        return found
    stream_device = getattr(launch.config.stream, "device", None)
    if isinstance(stream_device, ArrayMaking):
        return stream_device
    return device() if config.target().startswith("nvptx") else simt_device()


def _one_device(launch: Any, found: Any, here: Any) -> Any:
    """`here`; raises ArraysApart where another device was found before."""
    if found is not None and here is not found:
        from sapwood.lang.errors.launches import ArraysApart

        raise ArraysApart(None, name=launch.fn.__name__, first=found.name, second=here.name)
    return here


def _devices_in(value: Any) -> Iterator[Any]:
    """The devices of the arrays in an argument; the host is none."""
    for x in arrays_in(value):
        if type(x) is DeviceArray:
            yield x.device
        else:
            kind, number = x.__dlpack_device__()
            if int(kind) in CUDA:
                yield device(f"cuda:{number}")


__all__ = ["SimtDevice", "device", "device_of", "devices", "simt_device"]
