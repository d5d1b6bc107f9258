"""`Module` and `Parameter`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, overload

from sapwood.runtime.dtypes import dtype as as_dtype


class StateError(ValueError):
    """Weights that do not fit a module; the text names the parameter, what it needs and what was given."""


class Parameter:
    """A tensor that belongs to a module: a weight, a table, a cache.

    shape: sizes. dtype: a name ("f32", "bf16", "f16"). `array` is its memory (C-contiguous), None until it is
    given. The name is set by the module that it belongs to.
    """

    graph_data = True

    def __init__(self, shape: Iterable[int], dtype: str = "f32", array: Any = None) -> None:
        self.shape = tuple(shape)
        self.dtype = as_dtype(dtype)
        self.name = "parameter"
        self.array: Any = None
        if array is not None:
            self.assign(array)

    def assign(self, array: Any) -> None:
        """Use this memory. Raises StateError if shape, dtype or layout differ."""
        from sapwood.runtime.array import Array, contiguous_strides

        if not isinstance(array, Array):
            array = Array.from_buffer(array)
        if array.shape != self.shape or array.dtype != self.dtype:
            given = f"{array.dtype}{list(array.shape)}"
            raise StateError(f"'{self.name}' is {self.dtype}{list(self.shape)}; it was given {given}")
        if array.size > 1 and array.strides != contiguous_strides(array.shape):
            raise StateError(f"'{self.name}' needs C-contiguous memory")
        self.array = array

    def __repr__(self) -> str:
        empty = "" if self.array is not None else ", no data"
        return f"<Parameter {self.name} {self.dtype}{list(self.shape)}{empty}>"


class Buffer(Parameter):
    """Memory that belongs to a module and is no weight: a cache, a table. Checkpoints do not hold it."""


class Module:
    """A part of a model. Parameters and modules that are attributes belong to it; `forward` says what it does.

    Called with arrays (NumPy, sapwood.Array) it runs at once, operation by operation, on the kernels that
    compiled programs use, and gives `sapwood.graph.Tensor`s; inside `graph.compile` the same code makes a graph.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, Parameter) and value.name == "parameter":
            value.name = name
        super().__setattr__(name, value)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__} needs a forward method")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        from sapwood.graph.eager import as_operand

        wrapped = {k: as_operand(v) for k, v in kwargs.items()}
        return self.forward(*(as_operand(a) for a in args), **wrapped)

    def named_children(self) -> Iterator[tuple[str, Module]]:
        for name, value in vars(self).items():
            if isinstance(value, Module):
                yield name, value

    def named_data(self, prefix: str = "") -> Iterator[tuple[str, Parameter]]:
        """(dotted name, parameter or buffer) of this module and those inside it; a shared one under each name."""
        for name, value in vars(self).items():
            if isinstance(value, Parameter):
                yield prefix + name, value
        for name, child in self.named_children():
            yield from child.named_data(f"{prefix}{name}.")

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """(dotted name, parameter), without buffers."""
        return ((n, p) for n, p in self.named_data() if not isinstance(p, Buffer))

    def parameters(self) -> Iterator[Parameter]:
        """Each parameter once."""
        yield from {id(p): p for _, p in self.named_parameters()}.values()

    def load(self, weights: Mapping[str, Any]) -> None:
        """Give every parameter without data its memory, by dotted name.

        Raises StateError for missing names, names that the module does not have, and what does not fit.
        """
        own = dict(self.named_parameters())
        for name, p in own.items():
            p.name = name
        shared = {id(p) for n, p in own.items() if n in weights}
        missing = [n for n, p in own.items() if n not in weights and p.array is None and id(p) not in shared]
        if missing:
            raise StateError(f"no weights for {_some(missing)}")
        unknown = [n for n in weights if n not in own]
        if unknown:
            raise StateError(f"{type(self).__name__} has no parameter {_some(unknown)}")
        for name, array in weights.items():
            own[name].name = name
            own[name].assign(array)

    def __repr__(self) -> str:
        inner = "".join(f"\n  {n}: " + repr(c).replace("\n", "\n  ") for n, c in self.named_children())
        return f"{type(self).__name__}({inner}\n)" if inner else f"{type(self).__name__}()"


def _some(names: list[str]) -> str:
    shown = ", ".join(f"'{n}'" for n in names[:3])
    return shown if len(names) <= 3 else f"{shown} and {len(names) - 3} more"


class ModuleList(Module):
    """Modules in order; `graph.repeat` runs them as one loop."""

    def __init__(self, modules: Iterable[Module]) -> None:
        self._items = list(modules)

    def named_children(self) -> Iterator[tuple[str, Module]]:
        for i, m in enumerate(self._items):
            yield str(i), m

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[Module]:
        return iter(self._items)

    @overload
    def __getitem__(self, i: int) -> Module: ...
    @overload
    def __getitem__(self, i: slice) -> list[Module]: ...
    def __getitem__(self, i: Any) -> Any:
        return self._items[i]
