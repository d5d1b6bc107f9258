"""Weights from safetensors files: mapped, checked, never copied.

The format (https://huggingface.co/docs/safetensors): 8 bytes, a little-endian count N; N bytes of JSON,
`{name: {"dtype", "shape", "data_offsets": [begin, end]}, "__metadata__": {str: str}}`; then one buffer that
the tensors cover without holes. A header can lie, so every count, offset and length is compared, as a
Python int, with the size of the file before a view exists. A file that another process cuts *after* it was
opened cannot be checked (the kernel then kills the reader): replace weight files by renaming, as every
downloader does.
"""

from __future__ import annotations

import json
import math
import mmap
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from sapwood.models.errors import WeightsError, shown

MAX_HEADER_BYTES = 100_000_000
MAX_RANK = 8
MAX_BYTES = 2**63 - 1
INDEX_NAME = "model.safetensors.index.json"
SINGLE_NAME = "model.safetensors"

#: dtype names of the format -> (our name, bytes per element)
DTYPES: Mapping[str, tuple[str, int]] = {
    "BOOL": ("bool", 1),
    "I8": ("i8", 1),
    "U8": ("u8", 1),
    "I16": ("i16", 2),
    "U16": ("u16", 2),
    "F16": ("f16", 2),
    "BF16": ("bf16", 2),
    "I32": ("i32", 4),
    "U32": ("u32", 4),
    "F32": ("f32", 4),
    "I64": ("i64", 8),
    "U64": ("u64", 8),
    "F64": ("f64", 8),
}


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """One checked header entry. `begin` and `end` are byte offsets from the start of the file."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int

    @property
    def nbytes(self) -> int:
        return self.end - self.begin


@dataclass(frozen=True, slots=True)
class WeightTensor:
    """A read-only, C-contiguous tensor in mapped memory.

    `data` is a flat read-only memoryview of the bytes; holding it keeps the mapping alive. `address` is the
    address of its first byte, a multiple of the element size.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    address: int
    data: memoryview
    file: str

    @property
    def nbytes(self) -> int:
        return self.data.nbytes

    def array(self) -> Any:
        """The tensor as a read-only `sapwood.Array` over the same memory."""
        from sapwood.runtime.array import Array  # late: headers are read in processes without NumPy

        return Array.from_address(self.address, self.shape, self.dtype, owner=self.data, readonly=True)


class Weights(Protocol):
    """What a model loader needs: one file, several shards and a test's dictionary all look like this."""

    def names(self) -> tuple[str, ...]: ...

    def info(self, name: str) -> TensorInfo: ...

    def data(self, name: str) -> memoryview: ...

    def tensor(self, name: str) -> WeightTensor: ...

    def release(self, name: str) -> None: ...

    def __contains__(self, name: object) -> bool: ...

    def __iter__(self) -> Iterator[str]: ...

    def __len__(self) -> int: ...


class _Duplicate(ValueError):
    """A JSON object that has one key twice."""


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    result = dict(pairs)
    if len(result) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise _Duplicate(key)
            seen.add(key)
    return result


def _no_constant(text: str) -> object:
    raise ValueError(f"{text} is not a JSON number")


def _parse_object(raw: bytes, file: str, field: str) -> dict[str, object]:
    try:
        value = json.loads(raw.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_constant)
    except _Duplicate as error:
        raise WeightsError(
            f"the {field} names {shown(error.args[0])} twice", file=file, tensor=error.args[0], field=field
        ) from None
    except (ValueError, RecursionError) as error:
        raise WeightsError(
            f"the {field} is not valid JSON: {shown(str(error))}", file=file, field=field
        ) from None
    if not isinstance(value, dict):
        raise WeightsError(
            f"the {field} must be a JSON object, found {type(value).__name__}", file=file, field=field
        )
    return value


def _natural(value: object, most: int) -> bool:
    return type(value) is int and 0 <= value <= most


def _parse_entry(name: str, entry: object, data_start: int, data_bytes: int, file: str) -> TensorInfo:
    if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
        found = sorted(map(str, entry)) if isinstance(entry, dict) else entry
        raise WeightsError(
            f"expected exactly the fields dtype, shape and data_offsets, found {shown(found)}",
            file=file,
            tensor=name,
            field="header",
        )
    code = entry["dtype"]
    if not isinstance(code, str) or code not in DTYPES:
        raise WeightsError(
            f"dtype {shown(code)} is not supported",
            file=file,
            tensor=name,
            field="dtype",
            limit="one of " + ", ".join(DTYPES),
        )
    dtype, itemsize = DTYPES[code]
    shape = entry["shape"]
    if (
        not isinstance(shape, list)
        or len(shape) > MAX_RANK
        or not all(_natural(n, MAX_BYTES) for n in shape)
        # Counted without zeros, because strides are computed for empty tensors too.
        or math.prod(n or 1 for n in shape) * itemsize > MAX_BYTES
    ):
        raise WeightsError(
            f"shape {shown(shape)} is impossible",
            file=file,
            tensor=name,
            field="shape",
            limit=f"at most {MAX_RANK} dimensions, integers from 0, that span at most {MAX_BYTES} bytes",
        )
    offsets = entry["data_offsets"]
    if (
        not isinstance(offsets, list)
        or len(offsets) != 2
        or not all(_natural(n, data_bytes) for n in offsets)
    ):
        raise WeightsError(
            f"data_offsets {shown(offsets)} are outside of the file",
            file=file,
            tensor=name,
            field="data_offsets",
            limit=f"two integers from 0 to {data_bytes}, the bytes of data",
        )
    begin, end = offsets
    need = math.prod(shape) * itemsize
    if end - begin != need:
        raise WeightsError(
            f"data_offsets {shown(offsets)} hold {end - begin} bytes, shape {shown(shape)} of {code} needs "
            f"{need}",
            file=file,
            tensor=name,
            field="data_offsets",
            limit=f"end - begin = {need}",
        )
    return TensorInfo(name, dtype, tuple(shape), data_start + begin, data_start + end)


def _check_cover(infos: list[TensorInfo], data_start: int, file_bytes: int, file: str) -> None:
    """Tensors must cover the buffer exactly: no overlap, no hole (which could hide a second file)."""
    at = data_start
    for info in sorted(infos, key=lambda t: (t.begin, t.end)):
        if info.begin != at:
            kind = "overlaps the tensor before it" if info.begin < at else "leaves a hole before it"
            raise WeightsError(
                f"its data {kind}",
                file=file,
                tensor=info.name,
                field="data_offsets",
                limit=f"begin must be {at - data_start}, found {info.begin - data_start}",
            )
        at = info.end
    if at != file_bytes:
        raise WeightsError(
            f"the header describes {at} bytes, the file has {file_bytes}", file=file, field="data_offsets"
        )


def parse_header(raw: bytes, file_bytes: int, file: str) -> tuple[dict[str, TensorInfo], dict[str, str]]:
    """Check a header.

    `raw` is the JSON text alone, `file_bytes` the size of the whole file. Returns the entries by name and the
    free `__metadata__`. Raises WeightsError for anything that is not true, possible and supported.
    """
    data_start = 8 + len(raw)
    data_bytes = file_bytes - data_start
    if raw[:1] != b"{":
        raise WeightsError("the header must start with '{'", file=file, field="header")
    if data_bytes < 0:
        raise WeightsError(
            f"the header says {len(raw)} bytes", file=file, field="header", limit=f"the file has {file_bytes}"
        )
    header = _parse_object(raw, file, "header")
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
        raise WeightsError("__metadata__ must map strings to strings", file=file, field="__metadata__")
    infos = {name: _parse_entry(name, entry, data_start, data_bytes, file) for name, entry in header.items()}
    _check_cover(list(infos.values()), data_start, file_bytes, file)
    return infos, metadata


class WeightFile:
    """One mapped safetensors file. Opening reads the header only; data pages come in when they are touched.

    Tensors stay valid for as long as they are referenced, even after this object is gone.
    Raises WeightsError when the file is truncated, lies or is not a regular file.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._file = str(self.path)
        try:
            if not self.path.is_file():  # opening a named pipe would wait for a writer
                raise WeightsError("is not a regular file", file=self._file)
            with open(self.path, "rb") as handle:
                size = os.fstat(handle.fileno()).st_size
                raw = self._read_header(handle, size)
                self._infos, self.metadata = parse_header(raw, size, self._file)
                self._map = mmap.mmap(handle.fileno(), size, access=mmap.ACCESS_READ)
        except (OSError, ValueError) as error:
            if isinstance(error, WeightsError):
                raise
            raise WeightsError(f"cannot be read: {error}", file=self._file) from error
        self._view = memoryview(self._map)

    @cached_property
    def _address(self) -> int:
        """Of the first byte of the file. NumPy only tells it; ctypes cannot take one from read-only memory."""
        import numpy as np

        return np.frombuffer(self._view, dtype=np.uint8).__array_interface__["data"][0]

    def _read_header(self, handle: BinaryIO, size: int) -> bytes:
        prefix = handle.read(8)
        if len(prefix) < 8:
            raise WeightsError(
                f"truncated: {size} bytes", file=self._file, field="header", limit="a header needs at least 8"
            )
        count = int.from_bytes(prefix, "little")
        most = min(size - 8, MAX_HEADER_BYTES)
        if count > most:
            raise WeightsError(
                f"the header says it has {count} bytes",
                file=self._file,
                field="header",
                limit=f"at most {most}: the file has {size}, and no header may pass {MAX_HEADER_BYTES}",
            )
        raw = handle.read(count)
        if len(raw) != count:
            raise WeightsError(
                f"truncated: {len(raw)} of {count} header bytes", file=self._file, field="header"
            )
        return raw

    def names(self) -> tuple[str, ...]:
        """Tensor names in header order."""
        return tuple(self._infos)

    def info(self, name: str) -> TensorInfo:
        """The checked header entry of `name`. Raises WeightsError if there is none."""
        try:
            return self._infos[name]
        except KeyError:
            raise _missing(name, self._file, len(self._infos)) from None

    def data(self, name: str) -> memoryview:
        """The bytes of `name` in the mapped file, read-only. Raises WeightsError if there is none."""
        info = self.info(name)
        return self._view[info.begin : info.end]

    def tensor(self, name: str) -> WeightTensor:
        """The tensor `name`, in place. Raises WeightsError if there is none."""
        info = self.info(name)
        data = self.data(name)
        address = self._address + info.begin
        itemsize = info.nbytes // max(math.prod(info.shape), 1)
        if itemsize and address % itemsize:
            # Old writers did not pad the header. Kernels assume natural alignment, so this case copies.
            import numpy as np

            copy = np.frombuffer(data, dtype=np.uint8).copy()
            copy.flags.writeable = False
            data, address = copy.data, copy.__array_interface__["data"][0]
        return WeightTensor(name, info.dtype, info.shape, address, data, self._file)

    def release(self, name: str) -> None:
        """Give the memory of `name` back to the system. Its pages are read from the file again when touched."""
        info = self.info(name)
        begin = -(-info.begin // mmap.PAGESIZE) * mmap.PAGESIZE
        size = info.end // mmap.PAGESIZE * mmap.PAGESIZE - begin
        if size > 0 and hasattr(mmap, "MADV_DONTNEED"):
            self._map.madvise(mmap.MADV_DONTNEED, begin, size)

    def __contains__(self, name: object) -> bool:
        return name in self._infos

    def __iter__(self) -> Iterator[str]:
        return iter(self._infos)

    def __len__(self) -> int:
        return len(self._infos)


def _missing(name: str, file: str, count: int) -> WeightsError:
    return WeightsError(
        "there is no such tensor", file=file, tensor=name, field="name", limit=f"{count} tensors"
    )


class ShardedWeights:
    """The tensors that an index file assigns to shards beside it. Shards are opened, and checked, at once.

    Raises WeightsError when the index is malformed, names a file outside of its own directory, or a shard
    lacks a tensor that the index promises.
    """

    def __init__(self, index: str | os.PathLike[str]) -> None:
        self.path = Path(index)
        file = str(self.path)
        self._where = self._read_index(file)
        self._shards = {
            shard: WeightFile(self.path.parent / shard) for shard in dict.fromkeys(self._where.values())
        }
        for name, shard in self._where.items():
            if name not in self._shards[shard]:
                raise WeightsError(
                    f"the index says that it is in {shown(shard)}, which does not have it",
                    file=file,
                    tensor=name,
                    field="weight_map",
                )

    def _read_index(self, file: str) -> dict[str, str]:
        try:
            with open(self.path, "rb") as handle:
                raw = handle.read(MAX_HEADER_BYTES + 1)
        except OSError as error:
            raise WeightsError(f"cannot be read: {error}", file=file) from error
        if len(raw) > MAX_HEADER_BYTES:
            raise WeightsError("the index is too large", file=file, limit=f"at most {MAX_HEADER_BYTES} bytes")
        where = _parse_object(raw, file, "index").get("weight_map")
        if not isinstance(where, dict) or not where:
            raise WeightsError(
                f"weight_map must be an object with at least one tensor, found {shown(where)}",
                file=file,
                field="weight_map",
            )
        for name, shard in where.items():
            if not _plain_name(shard):
                raise WeightsError(
                    f"the index points to {shown(shard)}",
                    file=file,
                    tensor=name,
                    field="weight_map",
                    limit="the plain name of a .safetensors file in the same directory",
                )
        return where

    def names(self) -> tuple[str, ...]:
        """Tensor names in index order."""
        return tuple(self._where)

    def _shard(self, name: str) -> WeightFile:
        try:
            return self._shards[self._where[name]]
        except KeyError:
            raise _missing(name, str(self.path), len(self._where)) from None

    def info(self, name: str) -> TensorInfo:
        """The checked header entry of `name` in its shard. Raises WeightsError if there is none."""
        return self._shard(name).info(name)

    def data(self, name: str) -> memoryview:
        """The bytes of `name` in its mapped shard, read-only. Raises WeightsError if there is none."""
        return self._shard(name).data(name)

    def tensor(self, name: str) -> WeightTensor:
        """The tensor `name`, in place. Raises WeightsError if there is none."""
        return self._shard(name).tensor(name)

    def release(self, name: str) -> None:
        """Give the memory of `name` back to the system. Its pages are read from the file again when touched."""
        self._shard(name).release(name)

    def __contains__(self, name: object) -> bool:
        return name in self._where

    def __iter__(self) -> Iterator[str]:
        return iter(self._where)

    def __len__(self) -> int:
        return len(self._where)


def _plain_name(shard: object) -> bool:
    return (
        isinstance(shard, str)
        and len(shard) <= 255
        and shard.endswith(".safetensors")
        and not shard.startswith(".")
        and not any(c in "/\\:" or not c.isprintable() for c in shard)
    )


def open_weights(directory: str | os.PathLike[str]) -> WeightFile | ShardedWeights:
    """The weights of a model directory: its index with all shards, else its single file.

    Raises WeightsError if the directory has neither, or what it has cannot be trusted.
    """
    root = Path(directory)
    if (root / INDEX_NAME).is_file():
        return ShardedWeights(root / INDEX_NAME)
    if (root / SINGLE_NAME).is_file():
        return WeightFile(root / SINGLE_NAME)
    raise WeightsError(
        f"has no weights: expected {SINGLE_NAME} or {INDEX_NAME} (pickled checkpoints are never loaded)",
        file=str(root),
    )
