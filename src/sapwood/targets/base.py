"""What a target is, and the registry of them.

A target knows nothing of the language: it gets operations by name and types by their text, and answers
whether it can select them. An outside package adds one through the entry point group `sapwood.targets`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Target:
    """A machine to compile for, at one feature level."""

    name: str
    triple: str
    cpu: str
    features: frozenset[str]
    vector_bytes: int
    data_layout: str = ""
    kernel: bool = False  # whether it runs @kernel functions
    gpu: bool = False
    options: dict[str, Any] = field(default_factory=dict, compare=False)

    def has(self, feature: str) -> bool:
        return feature in self.features

    @property
    def key(self) -> str:
        """What distinguishes the code that is made for it; part of every cache key."""
        return f"{self.name}:{self.triple}:{self.cpu}:{','.join(sorted(self.features))}"

    @property
    def feature_string(self) -> str:
        """Features as LLVM's attribute wants them; subclasses choose the spelling."""
        return ",".join(f"+{f}" for f in sorted(self.features))

    def function_attributes(self, function: Any) -> str:
        return f'nounwind "target-cpu"="{self.cpu}" "target-features"="{self.feature_string}"'

    def illegal(self, op: Any) -> str | None:
        """Why an operation cannot be selected, or None. Called for every operation before LLVM sees any."""
        return None

    def lower_kernel(self, emitter: Any, function: Any, params: list[str]) -> None:
        raise NotImplementedError(f"target {self.name} has no kernels")


_REGISTRY: dict[str, Callable[[], Target]] = {}


def register_target(name: str, make: Callable[[], Target]) -> None:
    _REGISTRY[name] = make


def get_target(name: str) -> Target:
    """A target by name: built in, or from the entry points of installed packages."""
    if name not in _REGISTRY:
        _load_builtin(name)
    if name not in _REGISTRY:
        from importlib.metadata import entry_points

        for point in entry_points(group="sapwood.targets"):
            register_target(point.name, point.load())
    if name not in _REGISTRY:
        known = ", ".join(sorted({*_REGISTRY, *BUILTIN}))
        raise ValueError(f"unknown target {name!r}; known are {known}")
    return _REGISTRY[name]()


BUILTIN = {"x86": "sapwood.targets.x86", "simt": "sapwood.targets.simt", "nvptx": "sapwood.targets.nvptx"}


def _load_builtin(name: str) -> None:
    import importlib

    module = BUILTIN.get(name)
    if module is not None:
        try:
            importlib.import_module(module)
        except ModuleNotFoundError as e:
            if e.name != module:
                raise


def host_target() -> Target:
    """The target of the processor that this process runs on."""
    import platform

    machine = platform.machine().lower()
    if machine in ("x86_64", "amd64"):
        return get_target("x86")
    from sapwood.targets.errors import UnsupportedPlatform

    raise UnsupportedPlatform(
        f"native code for {platform.system()} on {machine} is not made yet; Linux on x86-64 is. "
        "f.reference(...) and f.python(...) run everywhere"
    )
