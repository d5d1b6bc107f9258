"""Kernels that must give what NumPy gives, on every way that a kernel can run.

A module in gpu/ holds kernels, and programs that launch them:

    @program(1, 33, 10_000)
    def test_of_saxpy(run, rng, n):
        x, out = normal(rng, n), poison(n)
        run(saxpy, cdiv(n, 128), 128, out, x, 2.0)
        yield out, 2.0 * x.astype(np.float64)

`run` launches on the target of the day, or only notes the kernels whose PTX is to be made. A program yields pairs of an
array and what it should be: floats in float64, compared within `rtol` of the largest value; ints exactly.

    python gpu_conformance.py ARCHITECTURE    PTX of all kernels as JSON: {kernel: text, or null if it needs more}
"""

from __future__ import annotations

import importlib.util
import json
import sys
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sapwood import Array
from sapwood.runtime import device_array

FOLDER = Path(__file__).parent / "gpu"
NDArray = npt.NDArray[Any]
Results = Iterator[tuple[NDArray, NDArray]]


@dataclass
class Program:
    """A host function that launches kernels. `since`: the first NVIDIA architecture that can run them; `only`: the one
    that can, if it is one."""

    name: str
    body: Callable[..., Results]
    sizes: tuple[int, ...]
    rtol: float
    since: int
    only: str = ""

    def can_run(self, architecture: str) -> bool:
        """Whether an NVIDIA architecture has what its kernels use."""
        number = int(architecture.removeprefix("sm_").rstrip("a"))
        return number >= self.since and self.only in ("", architecture)

    def check(self, run: Callable[..., None], size: int) -> None:
        """Run it and compare. Raises AssertionError."""
        rng = np.random.default_rng(zlib.crc32(f"{self.name} {size}".encode()))
        count = 0
        for got, expected in self.body(run, rng, size):
            count += 1
            assert got.shape == expected.shape, (self.name, got.shape, expected.shape)
            if got.dtype.kind != "f":
                np.testing.assert_array_equal(got, expected)
                continue
            scale = float(np.max(np.abs(expected), initial=1e-30, where=np.isfinite(expected)))
            np.testing.assert_allclose(got.astype(np.float64), expected, rtol=0, atol=self.rtol * scale)
        assert count, f"{self.name} yields nothing"


def program(*sizes: int, rtol: float = 1e-5, since: int = 75, only: str = "") -> Callable[..., Program]:
    def register(body: Callable[..., Results]) -> Program:
        return Program(body.__name__, body, sizes, rtol, since, only)

    return register


def load() -> dict[str, Program]:
    """All programs, by module and name."""
    found: dict[str, Program] = {}
    for path in sorted(FOLDER.glob("*.py")):
        name = f"gpu_programs_{path.stem}"
        if name not in sys.modules:
            spec = importlib.util.spec_from_file_location(name, path)
            assert spec is not None and spec.loader is not None
            module = sys.modules[name] = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
        for p in vars(sys.modules[name]).values():
            if isinstance(p, Program):
                found[f"{path.stem}.{p.name}"] = p
    return found


def launch(kernel: Any, grid: Any, block: Any, *args: Any, **options: Any) -> None:
    """Launch on the target that is set now."""
    configured = kernel.launch(grid=grid, block=block, **options) if options else kernel[grid, block]
    configured(*args)


def _copy(device: Any, x: Any) -> Any:
    """A copy on a device with the same strides."""
    if isinstance(x, Array) or any(s < 0 for s in x.strides) or not x.size:
        return device.array(x)
    strides = [s // x.itemsize for s in x.strides]
    count = 1 + sum((n - 1) * s for n, s in zip(x.shape, strides, strict=True))
    whole = device.array(np.full(count, -1).astype(x.dtype))
    view = device_array.at(device, whole.data_ptr, x.shape, whole.dtype, strides, whole.owner)
    return view.copy_from(x)


def launch_on(device: Any) -> Callable[..., None]:
    """What launches on a device: copies of the arrays go there and back."""

    def run(kernel: Any, grid: Any, block: Any, *args: Any, **options: Any) -> None:
        copies: dict[int, tuple[Any, Any]] = {}

        def there(x: Any) -> Any:
            if isinstance(x, tuple):
                return tuple(map(there, x))
            if not isinstance(x, np.ndarray | Array):
                return x
            if id(x) not in copies:
                copies[id(x)] = x, _copy(device, x)
            return copies[id(x)][1]

        launch(kernel, grid, block, *map(there, args), **options)
        device.synchronize()
        for x, copy in copies.values():
            if isinstance(x, Array):
                x[...] = copy.array()
            elif x.flags.writeable:
                x[...] = copy.numpy()

    return run


def kernels_of(programs: dict[str, Program]) -> dict[str, tuple[Any, tuple[Any, ...], Program]]:
    """Every kernel that the programs launch: name -> kernel, arguments of a launch, program."""
    found: dict[str, tuple[Any, tuple[Any, ...], Program]] = {}
    for name, p in programs.items():

        def note(kernel: Any, grid: Any, block: Any, *args: Any, at: str = name, of: Program = p, **_: Any):
            found[f"{at}.{kernel.__name__}"] = (kernel, args, of)

        for _ in p.body(note, np.random.default_rng(0), p.sizes[0]):
            pass
    return found


# -- for programs ------------------------------------------------------------------------------------


def cdiv(n: int, m: int) -> int:
    """Blocks of m that cover n; at least one."""
    return max(1, -(-n // m))


def poison(*shape: int, dtype: Any = np.float32) -> NDArray:
    """Memory for results: NaN, or -77."""
    return np.full(shape, np.nan if np.dtype(dtype).kind == "f" else -77, dtype)


def normal(rng: np.random.Generator, *shape: int) -> NDArray:
    return rng.standard_normal(shape).astype(np.float32)


def wide(x: NDArray) -> NDArray:
    return x.astype(np.float64)


def main(architecture: str) -> None:
    out: dict[str, str | None] = {}
    for name, (kernel, args, program) in kernels_of(load()).items():
        if not program.can_run(architecture):
            out[name] = None
        else:
            out[name] = kernel.inspect(*args, kind="ptx", target=f"nvptx:{architecture}")
    json.dump(out, sys.stdout)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    import gpu_conformance  # programs import it by this name

    gpu_conformance.main(sys.argv[1])
