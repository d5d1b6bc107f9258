"""Eager execution: each operation is a program of its own, on the kernels that compiled programs use."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sapwood.graph.dims import Dim, symbol
from sapwood.graph.ir import GraphError, Operators
from sapwood.graph.ops import GraphOp
from sapwood.graph.program import Program, bound
from sapwood.runtime.array import Array

_programs: dict[Any, Program] = {}


class Tensor(Operators):
    """An array that operations of the graph apply to: what modules compute with when they run eagerly."""

    __slots__ = ("array",)

    def __init__(self, array: Any) -> None:
        self.array = array

    @property
    def shape(self) -> tuple[int, ...]:
        return self.array.shape

    @property
    def dtype(self) -> Any:
        return self.array.dtype

    def numpy(self) -> Any:
        """A NumPy view of the memory."""
        return self.array.numpy()

    def __repr__(self) -> str:
        return f"<Tensor {self.array!r}>"


def as_operand(x: Any) -> Any:
    """Arrays as Tensors; everything else as it is."""
    if isinstance(x, Array):
        return Tensor(x)
    if type(x).__module__ == "numpy" and hasattr(x, "__array_interface__"):
        return Tensor(Array.from_buffer(x))
    return x


def run(op: GraphOp, args: tuple[Any, ...], attrs: dict[str, Any]) -> Any:
    """Apply one operation to arrays; a Tensor of new memory, or the cache that was written to."""
    from sapwood.graph.pipeline import compile

    held = [_array(op, a) for a in args]
    inputs: dict[str, tuple[Any, str]] = {}
    known: dict[int, Dim] = {}  # a run-time size -> its symbol
    numbers: list[Any] = []
    for i, a in enumerate(held):
        if not isinstance(a, Array):
            numbers.append(a)
            continue
        numbers.append(None)
        inputs[f"x{i}"] = (list(_shape(a, i in op.static, known)), a.dtype.name)
    key = (op.name, repr(inputs), tuple(numbers), repr(attrs))
    program = _programs.get(key)
    if program is None:

        def model(**values: Any) -> Any:
            operands = [values[f"x{i}"] if n is None else n for i, n in enumerate(numbers)]
            result = op(*operands, **attrs)
            return () if op.updates is not None else result

        program = _programs[key] = compile(model, inputs, name=op.name)
    out = program(*(a for a in held if isinstance(a, Array)))
    return args[op.updates] if op.updates is not None else Tensor(out)


def _array(op: GraphOp, a: Any) -> Any:
    if isinstance(a, Tensor):
        return a.array
    if hasattr(a, "graph_data"):
        return bound(a)
    if isinstance(a, Array):
        return a
    if isinstance(a, int | float) and not isinstance(a, bool):
        return float(a)
    if hasattr(a, "__array_interface__"):
        return Array.from_buffer(a)
    raise GraphError(f"{op.name} takes arrays, parameters and numbers, not {type(a).__name__}")


def _shape(a: Any, static: bool, known: dict[int, Dim]) -> Iterator[Dim | int]:
    """Sizes of the step are symbols, so that other sizes run the same program."""
    for axis, n in enumerate(a.shape):
        last = axis == a.ndim - 1
        if static or last and a.dtype.name != "i32":
            yield n
        else:
            yield known.setdefault(n, symbol(f"n{len(known)}"))
