"""Launching kernels: `k[grid, block](...)`, `k.launch(grid=, block=, ...)(...)`, and `k.reference` of both."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

from sapwood import config as settings
from sapwood.lang.errors import BadLaunchShape, CompileError, LaunchTooLarge, NotAKernel
from sapwood.lang.errors.launches import BadCluster, BadLaunchOption, SharedTooLargeToLaunch
from sapwood.lang.immutable import immutable
from sapwood.runtime.array import Array

MAX_THREADS = 1024  # of a block; CUDA C++ Programming Guide, "Compute Capabilities", and so the next two
MAX_BLOCK = (1024, 1024, 64)
MAX_GRID = (2**31 - 1, 65535, 65535)
MAX_CLUSTER = 8  # blocks; what all devices with clusters have ("Thread Block Clusters")

Shape = tuple[int, int, int]


class Deadlock(RuntimeError):
    """Threads wait for something that no other thread can give them any more."""


@immutable
class LaunchConfig:
    """What a launch says: sizes along x, y and z, and what each block and the whole grid get."""

    grid: Shape
    block: Shape
    cluster: Shape = (1, 1, 1)
    shared: int = 0  # bytes, beyond what the kernel declares
    cooperative: bool = False
    stream: Any = None

    @property
    def group(self) -> int:
        """Blocks that must run at the same time."""
        return math.prod(self.grid if self.cooperative else self.cluster)


KEPT = 256  # launches of a kernel that `k[grid, block]` gives again (function.py looks them up)


def launcher(fn: Any, configuration: Any) -> Launch:
    """What `fn[configuration]` is. Raises LaunchMistake."""
    launch = Launch(fn, _pair(fn, configuration))
    launches = fn.state.launches
    if len(launches) >= KEPT:
        launches.clear()
    launches[configuration, type(configuration[0]), type(configuration[1])] = launch
    return launch


def _pair(fn: Any, configuration: Any) -> LaunchConfig:
    """That of `fn[grid, block]`."""
    where = f"{fn.__name__}[...]"
    if not fn.options.kernel:
        raise NotAKernel(None, name=fn.__name__)
    if not isinstance(configuration, tuple) or len(configuration) != 2:
        raise BadLaunchShape(None, where=where, name=fn.__name__, what="[grid, block]", found=repr(configuration))
    return LaunchConfig(*_shapes(where, fn.__name__, *configuration))


def config(
    fn: Any, grid: Any, block: Any, cluster: Any = None, shared: Any = 0, cooperative: Any = False, stream: Any = None
) -> LaunchConfig:
    """That of `fn.launch(...)`. Raises LaunchMistake."""
    name = fn.__name__
    where = f"{name}.launch()"
    if not fn.options.kernel:
        raise NotAKernel(None, name=name)
    sizes = _shapes(where, name, grid, block)
    together = (1, 1, 1) if cluster is None else _shape(where, name, "cluster", cluster)
    if math.prod(together) > MAX_CLUSTER:
        detail = f"that are {math.prod(together)} blocks"
        raise BadCluster(None, where=where, found=_product(together), detail=detail)
    if any(g % c for g, c in zip(sizes[0], together, strict=True)):
        detail = f"the grid has {_product(sizes[0])}"
        raise BadCluster(None, where=where, found=_product(together), detail=detail)
    if not _is_int(shared) or shared < 0:
        hint = "for example shared=stages * tile_bytes"
        raise BadLaunchOption(
            None, where=where, what="shared", expected="a number of bytes", found=repr(shared), hint=hint
        )
    if not isinstance(cooperative, bool):
        hint = "with True, all blocks run at the same time and can wait for each other"
        raise BadLaunchOption(
            None, where=where, what="cooperative", expected="a bool", found=repr(cooperative), hint=hint
        )
    if stream is not None and not any(hasattr(stream, name) for name in STREAMS):
        hint = "leave it out for the default stream"
        raise BadLaunchOption(
            None, where=where, what="stream", expected="a stream of the device", found=repr(stream), hint=hint
        )
    return LaunchConfig(*sizes, together, shared.__index__(), cooperative, stream)


STREAMS = ("__cuda_stream__", "cuda_stream", "ptr", "handle")  # of CUDA's protocol, PyTorch, CuPy, simt's


def _product(shape: Shape) -> str:
    return " x ".join(map(str, shape))


def _shapes(where: str, name: str, grid: Any, block: Any) -> tuple[Shape, Shape]:
    """Grid and block, each with three axes."""
    grid, block = _shape(where, name, "grid", grid), _shape(where, name, "block", block)
    threads = math.prod(block)
    if threads > MAX_THREADS:
        hint = "use smaller blocks and more of them"
        raise LaunchTooLarge(None, where=where, what="the number of threads of a block", found=threads,
                             limit=MAX_THREADS, hint=hint)
    for what, shape, limits in (("grid", grid, MAX_GRID), ("block", block, MAX_BLOCK)):
        for axis, n, limit in zip("xyz", shape, limits, strict=True):
            if n > limit:
                hint = "let each thread or block do more than one piece"
                raise LaunchTooLarge(None, where=where, what=f"{what}.{axis}", found=n, limit=limit, hint=hint)
    return grid, block


def _is_int(x: Any) -> bool:
    return not isinstance(x, bool) and hasattr(type(x), "__index__")


def _shape(where: str, name: str, what: str, x: Any) -> Shape:
    items = x if isinstance(x, tuple) else (x,)
    if not 1 <= len(items) <= 3 or not all(_is_int(n) and n.__index__() >= 1 for n in items):
        raise BadLaunchShape(None, where=where, name=name, what=what, found=repr(x))
    gx, gy, gz = (*(n.__index__() for n in items), 1, 1)[:3]
    return gx, gy, gz


def check_shared(name: str, static: int, config: LaunchConfig, target: Any) -> None:
    """Raise SharedTooLargeToLaunch where a block cannot have so much shared memory."""
    total, limit = static + config.shared, target.max_shared_bytes
    if config.shared and total > limit:
        raise SharedTooLargeToLaunch(None, name=name, bytes=total, static=static, dynamic=config.shared,
                                     target=target.name, limit=limit)


@contextmanager
def checked(seed: int | None = None) -> Iterator[None]:
    """Launches in this block run on the target `simt:checked`, which reports races and other bugs of kernels.

    seed: of the order in which blocks, warps and threads run; None takes another for each launch. A report says which
    one it was. Not for use from several threads at once. Raises KernelError where a launch finds a bug.
    """
    values = {"SAPWOOD_TARGET": "simt:checked"}
    if seed is not None:
        values["SAPWOOD_SCHEDULE_SEED"] = str(seed)
    with settings.override(**values):
        yield


@lru_cache(maxsize=1)
def _device_of() -> Any:
    from sapwood.lang.devices import device_of

    return device_of


class Launch:
    """A kernel with a grid: calling it runs the kernel on the device of its arrays. On a CUDA device it has begun when
    the call returns, on the CPU it has ended."""

    def __init__(self, fn: Any, config: LaunchConfig) -> None:
        self.fn, self.config = fn, config
        self.numbers = (*config.grid, *config.block, *config.cluster, config.shared, int(config.cooperative))

    def __call__(self, *args: Any, **kwargs: Any) -> None:
        state = self.fn.state
        # as state.bind, whose call and copy are a tenth of what a launch costs
        values = args if len(args) == state.positional and not kwargs else state.bind(args, kwargs)
        try:
            _device_of()(self, values).launch(self, values)
        except CompileError as e:
            e.__traceback__ = None  # the compiler's frames tell the user nothing
            raise e from None

    def __repr__(self) -> str:
        return f"<launch of {self.fn.__name__}[{self.config.grid}, {self.config.block}]>"


def given_tensor(address: int, shape: tuple[int, ...], dtype: str, strides: tuple[int, ...]) -> Array:
    """A tensor of host code as what Python passes; the memory lives until the launch has ended (infer/launches.py)."""
    return Array.from_address(address, shape, dtype, strides)


class ReferenceLauncher:
    """`k.reference`: subscripted with a grid and a block, or with `launch`, it runs the kernel in the evaluator."""

    def __init__(self, fn: Any) -> None:
        self.fn = fn

    def __getitem__(self, configuration: Any) -> Any:
        return self._run(_pair(self.fn, configuration))

    def launch(self, **options: Any) -> Any:
        """As `k.launch(...)`."""
        return self._run(config(self.fn, **options))

    def _run(self, config: LaunchConfig) -> Any:
        def run(*args: Any, on_line: Any = None, **kwargs: Any) -> None:
            from sapwood.lang.oracles.kernel_reference import run_kernel

            run_kernel(self.fn, config, self.fn.state.bind(args, kwargs), on_line)

        return run

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        from sapwood.lang.errors import NoGrid

        raise NoGrid(None, name=f"{self.fn.__name__}.reference")
