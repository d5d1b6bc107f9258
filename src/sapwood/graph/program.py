"""A compiled program: the step's native function, its tables, and calling it."""

from __future__ import annotations

import linecache
import sys
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import Any

from sapwood.graph.fuse import FusedGraph
from sapwood.graph.generate import StepSource
from sapwood.graph.ir import Graph, GraphError, Repeat
from sapwood.graph.plan import Plan
from sapwood.lang.loading.fingerprint import digest, fingerprint
from sapwood.runtime.array import Array, contiguous_strides


def load_source(name: str, text: str, extra: Mapping[str, object]) -> ModuleType:
    """The module of a generated text. Equal texts give one module; tracebacks and diagnostics show its lines."""
    # by what functions are and not by where they lie: another process finds the compiled code by this name
    short = digest(text, sorted((n, fingerprint(f)) for n, f in extra.items()))[:16]
    full = f"sapwood_generated.{name}_{short}"
    if full in sys.modules:
        return sys.modules[full]
    module = ModuleType(full)
    filename = f"<sapwood {name} {short}>"
    linecache.cache[filename] = (len(text), None, text.splitlines(keepends=True), filename)
    module.__dict__.update(extra)
    sys.modules[full] = module
    try:
        exec(compile(text, filename, "exec"), module.__dict__)
    except BaseException:
        del sys.modules[full]
        raise
    return module


class Program:
    """A graph as one native step. Not for use from several threads at once: the arena is shared by its calls."""

    def __init__(self, name: str, graph: Graph, fused: FusedGraph, plan: Plan, step: StepSource) -> None:
        self.name = name
        self.graph = graph
        self.fused = fused
        self.plan = plan
        self.source = step.text
        self.symbols = step.symbols
        self._step = load_source(name, step.text, step.custom).step
        self._weights = _table([bound(v.data) for v in step.weights])
        loops = [item for item in graph.body if isinstance(item, Repeat)]
        self._layers = [(_table([bound(d) for row in r.bindings for d in row]), r.count) for r in loops]
        self._buffers = Array.zeros(max(len(plan.arena), 1), "i64")
        self._arena: Any = None
        self._limits: dict[str, int] = {}
        self._keep = [v.data for v in step.weights], [r.bindings for r in loops]

    # -- memory -----------------------------------------------------------------------------------

    def reserve(self, **limits: int) -> int:
        """Make the arena large enough for steps of up to these sizes; its bytes."""
        missing = set(self.symbols) - set(limits)
        if missing:
            raise GraphError(f"{self.name}.reserve needs a limit for {', '.join(sorted(missing))}")
        self._limits = dict(limits)
        total = self.plan.layout(limits)
        self._arena = Array.empty(max(total, 1), "u8")
        base = self._arena.data_ptr
        for i, b in enumerate(self.plan.arena):
            self._buffers[i] = base + b.offset
        return total

    @property
    def arena_bytes(self) -> int:
        return 0 if self._arena is None else self._arena.nbytes

    # -- running ----------------------------------------------------------------------------------

    def __call__(self, *arrays: Any) -> Any:
        """Run a step on arrays in the order of the inputs; new arrays for the results (one, or a tuple)."""
        held = [x if isinstance(x, Array) else Array.from_buffer(x) for x in arrays]
        symbols = self.bind(held)
        if any(symbols[s] > self._limits.get(s, -1) for s in symbols):
            self.reserve(**{s: max(n, self._limits.get(s, 0)) for s, n in symbols.items()})
        results = [
            Array.empty([d.value(symbols) for d in v.shape], v.dtype) for v in self.graph.outputs
        ]
        self.run(held, results, symbols)
        return results[0] if len(results) == 1 else tuple(results)

    def bind(self, arrays: Sequence[Any]) -> dict[str, int]:
        """The symbols' values for inputs. Raises GraphError where dtype, rank or a size does not fit."""
        if len(arrays) != len(self.graph.inputs):
            raise GraphError(f"{self.name} takes {len(self.graph.inputs)} inputs, not {len(arrays)}")
        symbols: dict[str, int] = {}
        for v, x in zip(self.graph.inputs, arrays, strict=True):
            if x.dtype.name != v.dtype or x.ndim != len(v.shape):
                raise GraphError(f"input '{v.name}' is {x.dtype}{list(x.shape)}; it must be {v.type}")
            if not _dense(x):
                raise GraphError(f"input '{v.name}' must be C-contiguous")
            for d, n in zip(v.shape, x.shape, strict=True):
                name = d.source()
                if name in self.symbols:
                    if symbols.setdefault(name, n) != n:
                        raise GraphError(f"input '{v.name}' is {list(x.shape)}, but {name} is {symbols[name]}")
        for v, x in zip(self.graph.inputs, arrays, strict=True):
            for d, n in zip(v.shape, x.shape, strict=True):
                if d.value(symbols) != n:
                    raise GraphError(f"input '{v.name}' is {x.dtype}{list(x.shape)}; it must be {v.type}")
        return symbols

    def run(self, inputs: Sequence[Any], outputs: Sequence[Any], symbols: Mapping[str, int]) -> None:
        """One step into the caller's memory, unchecked: sizes within what `reserve` was told, C-contiguous."""
        self.prepare(inputs, outputs)(symbols)

    def prepare(
        self, inputs: Sequence[Any], outputs: Sequence[Any]
    ) -> Callable[[Mapping[str, int]], None]:
        """`run` on memory that stays the same from step to step: a function of the symbols' values."""
        tables = (self._buffers, _table(outputs), self._weights, _table(inputs))
        fixed = [t.data_ptr for t in tables]
        for table, count in self._layers:
            fixed += (table.data_ptr, count)
        held = (tables, tuple(inputs), tuple(outputs), self._layers)
        step, names = self._step, self.symbols

        def call(symbols: Mapping[str, int], held: object = held) -> None:
            step(*fixed, *[symbols[s] for s in names])

        return call


def _dense(x: Any) -> bool:
    return x.strides == contiguous_strides(x.shape) or x.size <= 1


def bound(data: Any) -> Any:
    """The memory of a parameter. Raises GraphError if it has none yet."""
    if data.array is None:
        raise GraphError(f"parameter '{data.name}' has no data; load weights first")
    return data.array


def _table(arrays: Sequence[Any]) -> Any:
    table = Array.zeros(max(len(arrays), 1), "i64")
    for i, a in enumerate(arrays):
        table[i] = a.data_ptr
    return table
