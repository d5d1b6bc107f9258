"""Devices that kernels run on: `device("cuda:0")`, `device("simt")`, and which of them a launch is for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sapwood import config
from sapwood.lang.devices.base import ArrayMaking
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
            here = value.device
        elif kind in _PLAIN:
            continue
        else:
            here = _device_in(launch, value)
        if here is not found and here is not None:
            if found is not None:
                raise _apart(launch, found, here)
            found = here
    if found is not None:
        return found
    stream_device = getattr(launch.config.stream, "device", None)
    if isinstance(stream_device, ArrayMaking):
        return stream_device
    return device() if config.target().startswith("nvptx") else simt_device()


def _apart(launch: Any, first: Any, second: Any) -> Exception:
    from sapwood.lang.errors.launches import ArraysApart

    return ArraysApart(None, name=launch.fn.__name__, first=first.name, second=second.name)


def _device_in(launch: Any, value: Any) -> Any:
    """The device of the arrays in an argument; None where there are none, or the host's."""
    found: Any = None
    for here in _devices_in(value):
        if found is not None and here is not found:
            raise _apart(launch, found, here)
        found = here
    return found


def _devices_in(value: Any) -> list[Any]:
    """The devices of the arrays in an argument."""
    if type(value) is DeviceArray:
        return [value.device]
    if isinstance(value, tuple):
        return [d for item in value for d in _devices_in(item)]
    if hasattr(type(value), "__sapwood_struct__"):
        return [d for n in type(value).__sapwood_struct__.fields for d in _devices_in(getattr(value, n))]
    if hasattr(value, "__dlpack_device__"):
        kind, number = value.__dlpack_device__()
        return [device(f"cuda:{number}")] if int(kind) in CUDA else []
    return []


__all__ = ["SimtDevice", "device", "device_of", "devices", "simt_device"]
