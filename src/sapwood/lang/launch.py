"""Launching kernels: `k[grid, block](...)` and `k.reference[grid, block](...)`."""

from __future__ import annotations

import math
from typing import Any

from sapwood.lang.errors import BadLaunchShape, CompileError, LaunchTooLarge, NotAKernel

MAX_THREADS = 1024  # of a block; CUDA C++ Programming Guide, "Compute Capabilities", and so the next two
MAX_BLOCK = (1024, 1024, 64)
MAX_GRID = (2**31 - 1, 65535, 65535)

Shape = tuple[int, int, int]


class Deadlock(RuntimeError):
    """Threads of a block wait for something that no other thread can give them any more."""


def launcher(fn: Any, configuration: Any) -> Launch:
    """What `fn[configuration]` is. Raises LaunchMistake."""
    grid, block = shapes(fn, configuration)
    return Launch(fn, grid, block)


def shapes(fn: Any, configuration: Any) -> tuple[Shape, Shape]:
    """(grid, block) of `fn[configuration]`, each with three axes."""
    name = fn.__name__
    if not fn.options.kernel:
        raise NotAKernel(None, name=name)
    if not isinstance(configuration, tuple) or len(configuration) != 2:
        raise BadLaunchShape(None, name=name, what="[grid, block]", found=repr(configuration))
    grid, block = (_shape(name, w, x) for w, x in zip(("grid", "block"), configuration, strict=True))
    threads = math.prod(block)
    if threads > MAX_THREADS:
        hint = "use smaller blocks and more of them"
        raise LaunchTooLarge(None, name=name, what="the number of threads of a block", found=threads,
                             limit=MAX_THREADS, hint=hint)
    for what, shape, limits in (("grid", grid, MAX_GRID), ("block", block, MAX_BLOCK)):
        for axis, n, limit in zip("xyz", shape, limits, strict=True):
            if n > limit:
                hint = "let each thread or block do more than one piece"
                raise LaunchTooLarge(None, name=name, what=f"{what}.{axis}", found=n, limit=limit, hint=hint)
    return grid, block


def _shape(name: str, what: str, x: Any) -> Shape:
    items = x if isinstance(x, tuple) else (x,)
    sizes = []
    for n in items:
        if isinstance(n, bool) or not hasattr(type(n), "__index__"):
            raise BadLaunchShape(None, name=name, what=what, found=repr(x))
        sizes.append(n.__index__())
    if not 1 <= len(sizes) <= 3 or min(sizes) < 1:
        raise BadLaunchShape(None, name=name, what=what, found=repr(x))
    gx, gy, gz = (*sizes, 1, 1)[:3]
    return gx, gy, gz


class Launch:
    """A kernel with a grid: calling it runs the kernel and waits for its end."""

    def __init__(self, fn: Any, grid: Shape, block: Shape) -> None:
        self.fn, self.grid, self.block = fn, grid, block

    def __call__(self, *args: Any, **kwargs: Any) -> None:
        from sapwood.lang.simt_runtime import run

        state = self.fn.state
        values = state.bind(args, kwargs)
        try:
            specialisation = state.specialise(state.classify(values))
        except CompileError as e:
            e.__traceback__ = None  # the compiler's frames tell the user nothing
            raise e from None
        run(specialisation, specialisation.entry.removesuffix(".entry"), self.grid, self.block, values)

    def __repr__(self) -> str:
        return f"<launch of {self.fn.__name__}[{self.grid}, {self.block}]>"


class ReferenceLauncher:
    """`k.reference`: subscripted with a grid and a block it runs the kernel in the evaluator."""

    def __init__(self, fn: Any) -> None:
        self.fn = fn

    def __getitem__(self, configuration: Any) -> Any:
        grid, block = shapes(self.fn, configuration)

        def run(*args: Any, on_line: Any = None, **kwargs: Any) -> None:
            from sapwood.lang.oracles.kernel_reference import run_kernel

            run_kernel(self.fn, grid, block, self.fn.state.bind(args, kwargs), on_line)

        return run

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        from sapwood.lang.errors import NoGrid

        raise NoGrid(None, name=f"{self.fn.__name__}.reference")
