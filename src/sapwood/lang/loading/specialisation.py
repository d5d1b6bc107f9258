"""A function compiled and loaded for one combination of argument kinds: how calls reach its entry."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Iterator, Sequence
from typing import Any

from sapwood.lang.border.arguments import SIMPLE, HeapArg, RecordArg, TensorArg
from sapwood.lang.border.heap_border import Reader, Writer
from sapwood.lang.border.parameters import spread_names
from sapwood.lang.border.results import ResultShape, restore
from sapwood.lang.errors import ArgumentMistake
from sapwood.lang.loading.current_target import attached
from sapwood.runtime import heap
from sapwood.runtime.array import Array
from sapwood.runtime.callable import NativeFunction, push_entry
from sapwood.runtime.device_array import DeviceArray
from sapwood.runtime.jit import LoadedObject
from sapwood.targets.simt.layout import LAUNCH


class ReadOnlyArgument(ArgumentMistake, ValueError):
    code = "A002"
    message = "{function}(): argument '{name}' is written to, but the array is read-only"
    help = "pass a writable array, for example a copy"


class Specialisation:
    """A function compiled and loaded for one combination of argument kinds."""

    def __init__(
        self,
        arguments: list[Any],
        loaded: LoadedObject,
        entry: str,
        shape: ResultShape,
        mutated: tuple[int, ...],
        written: tuple[bool, ...],
        heap: Any = None,
        records: tuple[bool, ...] = (),
    ) -> None:
        self.records = records  # of each argument that is a structured array, whether it is written
        self.arguments = arguments
        self.heap = _heap_table(heap, loaded, entry)  # (description, roots, drop functions) of objects that come in
        self.loaded = loaded
        self.entry = entry
        self.shape = shape
        self.mutated = mutated
        self.written = written  # of each argument that is a tensor
        self.direct = shape.simple and not mutated and all(
            getattr(a, "comparable", isinstance(a, SIMPLE)) for a in arguments
        )
        self.kernel_code: Any = None  # what launches asked of it (lang/simt_runtime.py)
        self.busy = threading.local()
        self.native: Any = None

    def attach(self, native: Any) -> None:
        """Make calls reach the entry: in the function's own chain, or through a flat one."""
        self.fn = native
        self.first = len(LAUNCH) if native.options.kernel else 0  # what a launch adds comes before the arguments
        parameters = native.state.signature.parameters.values()
        if native.options.kernel or any(p.kind is p.KEYWORD_ONLY for p in parameters):
            self.direct = False  # an entry takes positional arguments; a kernel is launched, not called
        if self.direct:
            self.native = native
            attached.add(native)
        else:
            self.native = NativeFunction(lambda *args, **kwargs: self._mismatch(args))
        push_entry(self.native, self.loaded, self.entry)

    def call(self, values: list[Any]) -> Any:
        """Call with Python values that fit this specialisation."""
        if getattr(self.busy, "calling", False):
            self._mismatch(values)
        flat: list[Any] = []
        writer = None if self.heap is None else Writer(self.heap[0], self.heap[2])
        roots = iter(self.heap[1] if self.heap is not None else ())
        objects: list[int] = []
        if self.records:
            self._check_records(values)
        try:
            for argument, value in zip(self.arguments, values, strict=True):
                if writer is not None and isinstance(argument, HeapArg):
                    objects.append(writer.write(next(roots), value))
                    flat.append(objects[-1])
                else:
                    flat += argument.flatten(value)
        except BaseException:
            for address in objects:
                heap.release(address)
            raise
        self.busy.calling = True
        try:
            result = self.native(*flat)
        finally:
            self.busy.calling = False
        return result if self.direct else self._unflatten(result, values, flat, writer)

    def _unflatten(self, result: Any, values: list[Any], flat: list[Any], writer: Writer | None) -> Any:
        if self.shape.simple and not self.mutated:
            return result
        items = iter(result if isinstance(result, tuple) else (result,))
        owners = tuple(v for v in flat if isinstance(v, Array))
        reader = None if writer is None else Reader(writer.made)
        return restore(self.shape, self.arguments, self.mutated, items, owners, values, reader)

    def _check_records(self, values: list[Any]) -> None:
        arrays = [v for a, v in zip(self.arguments, values, strict=True) if isinstance(a, RecordArg)]
        for x, written in zip(arrays, self.records, strict=False):
            if written and not x.flags.writeable:
                place = next(i for i, v in enumerate(values) if v is x)
                names = spread_names(self.fn.state.signature, len(values) - self.first)
                raise read_only(self.fn, names[place - self.first])

    def _mismatch(self, values: Sequence[Any]) -> None:
        check_written(self.fn, self.arguments[self.first :], self.written, values)
        raise TypeError(f"{self.fn.__name__}(): the arguments changed while the call was being prepared")


def check_written(fn: Any, arguments: list[Any], written: Sequence[bool], passed: Sequence[Any]) -> None:
    """Raise ReadOnlyArgument if one of the arrays that are passed is read-only and `fn` writes to it. `written` is of
    each tensor of the arguments."""
    arrays = [x for x in passed if isinstance(x, Array | DeviceArray)]
    names = spread_names(fn.state.signature, len(arguments))
    owners = [name for name, a in zip(names, arguments, strict=True) for _ in _tensors_of(a)]
    for x, owner, w in zip(arrays, owners, written, strict=False):
        if w and x.readonly:
            raise read_only(fn, owner)


def _tensors_of(argument: Any) -> Iterator[Any]:
    """The tensors of an argument, in the order of their leaves."""
    if isinstance(argument, TensorArg):
        yield argument
    parts = getattr(argument, "items", None) or [a for _, a in getattr(argument, "fields", ())]
    for part in parts:
        yield from _tensors_of(part)


def _heap_table(record: Any, loaded: LoadedObject, entry: str) -> Any:
    if record is None:
        return None
    text, roots, count = record
    table = (ctypes.c_void_p * count).from_address(loaded.address(f"{entry.removesuffix('.entry')}.drops"))
    return text, roots, list(table)


def read_only(fn: Any, name: str) -> ReadOnlyArgument:
    """The diagnostic about parameter `name` of a compiled function."""
    from sapwood.lang.front.ast2hir import lower_function

    places = [p.loc for p in lower_function(fn.__wrapped__).params if p.name == name]
    return ReadOnlyArgument(None, tuple(("declared here", p) for p in places), function=fn.__name__, name=name)
