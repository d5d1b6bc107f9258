"""The safetensors reader: equal to the reference package on honest files, typed errors on lying ones."""

from __future__ import annotations

import ctypes
import gc
import json
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

from sapwood.models.errors import WeightsError
from sapwood.models.safetensors import (
    INDEX_NAME,
    MAX_HEADER_BYTES,
    ShardedWeights,
    WeightFile,
    open_weights,
    parse_header,
)


def header_bytes(header: object) -> bytes:
    return json.dumps(header).encode()


def write(
    path: Path, header: object, data: bytes = b"", raw: bytes | None = None, count: int | None = None
) -> Path:
    text = header_bytes(header) if raw is None else raw
    path.write_bytes((len(text) if count is None else count).to_bytes(8, "little") + text + data)
    return path


def entry(dtype: object = "F32", shape=(2,), offsets=(0, 8)) -> dict[str, object]:
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


def memory(address: int, count: int) -> bytes:
    return ctypes.string_at(address, count)


def test_reads_what_the_reference_package_wrote(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    arrays = {
        "a.weight": rng.standard_normal((3, 5)).astype(np.float32),
        "b": rng.integers(-100, 100, (7,)).astype(np.int8),
        "half": rng.standard_normal((2, 2)).astype(np.float16),
        "flag": np.array([True, False, True]),
        "scalar": np.array(3.5),
        "empty": np.zeros((0, 9), dtype=np.int64),
    }
    save_file(arrays, tmp_path / "model.safetensors", metadata={"format": "pt"})
    weights = open_weights(tmp_path)
    assert isinstance(weights, WeightFile)
    assert set(weights) == set(weights.names()) == set(arrays) and len(weights) == len(arrays)
    assert weights.metadata == {"format": "pt"}
    names = {
        "float32": "f32",
        "int8": "i8",
        "float16": "f16",
        "bool": "bool",
        "float64": "f64",
        "int64": "i64",
    }
    for name, array in arrays.items():
        tensor = weights.tensor(name)
        assert (tensor.dtype, tensor.shape) == (names[str(array.dtype)], array.shape)
        assert tensor.data.readonly and bytes(tensor.data) == array.tobytes()
        assert tensor.nbytes == array.nbytes
        assert memory(tensor.address, tensor.nbytes) == array.tobytes()
        view = tensor.array()
        assert (view.shape, view.dtype.name, view.readonly) == (array.shape, names[str(array.dtype)], True)
        assert view.data_ptr == tensor.address and view.tolist() == array.tolist()


def test_tensor_outlives_its_file(tmp_path: Path) -> None:
    write(tmp_path / "m.safetensors", {"x": entry()}, b"12345678")
    tensor = WeightFile(tmp_path / "m.safetensors").tensor("x")
    array = WeightFile(tmp_path / "m.safetensors").tensor("x").array()
    (tmp_path / "m.safetensors").unlink()
    gc.collect()
    assert memory(tensor.address, 8) == b"12345678" == memory(array.data_ptr, 8)


def test_misaligned_data_is_realigned(tmp_path: Path) -> None:
    raw = header_bytes({"x": entry()})
    raw += b" " * (-len(raw) % 4 + 1)
    tensor = WeightFile(write(tmp_path / "m.safetensors", None, b"12345678", raw=raw)).tensor("x")
    assert tensor.address % 4 == 0 and tensor.data.readonly
    assert memory(tensor.address, 8) == b"12345678"


@pytest.mark.parametrize(
    ("header", "data", "field", "words"),
    [
        ({"x": entry("F8_E4M3", (8,))}, 8, "dtype", ["'F8_E4M3'", "BF16"]),
        ({"x": entry(["F32"])}, 8, "dtype", ["not supported"]),
        ({"x": entry(shape=(-2,))}, 8, "shape", ["-2"]),
        ({"x": entry(shape=(True, 2))}, 8, "shape", ["True"]),
        ({"x": entry(shape=(2.0,))}, 8, "shape", ["2.0"]),
        ({"x": entry(shape=("2",))}, 8, "shape", ["impossible"]),
        ({"x": entry(shape=(1,) * 8 + (2,))}, 8, "shape", ["at most 8 dimensions"]),
        ({"x": entry(shape=(0, 2**62), offsets=(0, 0))}, 0, "shape", [str(2**63 - 1)]),
        ({"x": entry(shape=(2**40, 2**40))}, 8, "shape", [str(2**63 - 1)]),
        ({"x": {**entry(), "shape": 2}}, 8, "shape", ["2"]),
        ({"x": entry(shape=(3,))}, 8, "data_offsets", ["needs 12", "8 bytes"]),
        ({"x": entry(offsets=(0, 9))}, 8, "data_offsets", ["from 0 to 8"]),
        ({"x": entry(offsets=(8, 0))}, 8, "data_offsets", ["hold -8 bytes"]),
        ({"x": entry(offsets=(-8, 0))}, 8, "data_offsets", ["outside"]),
        ({"x": entry(offsets=(0, 2**64))}, 8, "data_offsets", ["outside"]),
        ({"x": entry(offsets=(0, 8, 8))}, 8, "data_offsets", ["two integers"]),
        ({"x": entry(), "y": entry(offsets=(4, 12))}, 12, "data_offsets", ["overlaps", "begin must be 8"]),
        ({"x": entry(), "y": entry()}, 8, "data_offsets", ["overlaps"]),
        ({"x": entry(offsets=(4, 12))}, 12, "data_offsets", ["hole", "begin must be 0"]),
        ({"x": entry()}, 16, "data_offsets", ["bytes"]),
        ({"x": {"dtype": "F32", "shape": [2]}}, 8, "header", ["exactly the fields"]),
        ({"x": {**entry(), "more": 1}}, 8, "header", ["'more'"]),
        ({"x": [1]}, 8, "header", ["[1]"]),
        ({"__metadata__": {"a": 1}, "x": entry()}, 8, "__metadata__", ["strings"]),
        ({"__metadata__": [], "x": entry()}, 8, "__metadata__", ["strings"]),
    ],
)
def test_lying_entries(tmp_path: Path, header: object, data: int, field: str, words: list[str]) -> None:
    path = write(tmp_path / "bad.safetensors", header, bytes(data))
    with pytest.raises(WeightsError) as caught:
        WeightFile(path)
    assert caught.value.field == field
    assert str(path) in str(caught.value)
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"", "start with '{'"),
        (b"[]", "start with '{'"),
        (b' {"x":1}', "start with '{'"),
        (b"{", "not valid JSON"),
        (b'{"x": NaN}', "not valid JSON"),
        (b'{"x": {"dtype": "F32", "shape": [NaN], "data_offsets": [0, 0]}}', "NaN is not a JSON number"),
        (b'{"x": "\xff"}', "not valid JSON"),
        (b'{"x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "not valid JSON"),
        (b'{"x": ' + b"9" * 10_000 + b"}", "not valid JSON"),
        (b'{"x": 1, "x": 2}', "'x' twice"),
        (b'{"a": {"dtype": "F32", "dtype": "F32"}}', "'dtype' twice"),
    ],
)
def test_bad_json(tmp_path: Path, raw: bytes, words: str) -> None:
    with pytest.raises(WeightsError, match="M002") as caught:
        WeightFile(write(tmp_path / "bad.safetensors", None, raw=raw))
    assert words in str(caught.value)


def test_truncated_at_every_length(tmp_path: Path) -> None:
    whole = write(tmp_path / "m.safetensors", {"x": entry()}, b"12345678").read_bytes()
    for length in range(len(whole)):
        (tmp_path / "cut.safetensors").write_bytes(whole[:length])
        with pytest.raises(WeightsError):
            WeightFile(tmp_path / "cut.safetensors")


def test_header_size_cap(tmp_path: Path) -> None:
    path = write(tmp_path / "m.safetensors", {}, count=MAX_HEADER_BYTES + 1)
    os.truncate(path, 2 * MAX_HEADER_BYTES)  # sparse: the file is large enough, the cap refuses
    with pytest.raises(WeightsError, match=str(MAX_HEADER_BYTES)):
        WeightFile(path)
    with pytest.raises(WeightsError, match=str(2**64 - 1)):
        WeightFile(write(path, {}, count=2**64 - 1))


def test_not_a_regular_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.safetensors")
    for name in ("pipe.safetensors", "absent.safetensors", "."):
        with pytest.raises(WeightsError, match="regular file"):
            WeightFile(tmp_path / name)
    with pytest.raises(WeightsError, match="has no weights"):
        open_weights(tmp_path)


def test_unknown_tensor(tmp_path: Path) -> None:
    weights = WeightFile(write(tmp_path / "m.safetensors", {"x": entry()}, bytes(8)))
    with pytest.raises(WeightsError, match=r"'y'.*no such tensor") as caught:
        weights.tensor("y")
    assert caught.value.tensor == "y"


def sharded(root: Path, weight_map: object) -> Path:
    write(root / "model-00001-of-00002.safetensors", {"x": entry()}, b"xxxxxxxx")
    write(root / "model-00002-of-00002.safetensors", {"y": entry()}, b"yyyyyyyy")
    (root / INDEX_NAME).write_text(json.dumps({"metadata": {"total_size": 16}, "weight_map": weight_map}))
    return root


def test_shards(tmp_path: Path) -> None:
    names = {"y": "model-00002-of-00002.safetensors", "x": "model-00001-of-00002.safetensors"}
    weights = open_weights(sharded(tmp_path, names))
    assert isinstance(weights, ShardedWeights)
    assert weights.names() == tuple(weights) == ("y", "x") and len(weights) == 2
    assert bytes(weights.tensor("x").data) == b"xxxxxxxx" and bytes(weights.tensor("y").data) == b"yyyyyyyy"
    assert weights.info("y").shape == (2,) and "y" in weights and "z" not in weights
    with pytest.raises(WeightsError, match="no such tensor"):
        weights.tensor("z")


@pytest.mark.parametrize(
    "shard",
    [
        "../m.safetensors",
        "/etc/m.safetensors",
        "sub/m.safetensors",
        "..\\m.safetensors",
        ".hidden.safetensors",
        "C:m.safetensors",
        "m\x00.safetensors",
        "m\n.safetensors",
        "pytorch_model.bin",
        "a" * 300 + ".safetensors",
        7,
        None,
        ["m.safetensors"],
    ],
)
def test_index_cannot_leave_its_directory(tmp_path: Path, shard: object) -> None:
    with pytest.raises(WeightsError, match="plain name") as caught:
        open_weights(sharded(tmp_path, {"x": shard}))
    assert caught.value.field == "weight_map" and caught.value.tensor == "x"


def test_index_lies(tmp_path: Path) -> None:
    first = "model-00001-of-00002.safetensors"
    with pytest.raises(WeightsError, match="does not have it"):
        open_weights(sharded(tmp_path, {"x": first, "q": first}))
    with pytest.raises(WeightsError, match="regular file"):
        open_weights(sharded(tmp_path, {"x": "absent.safetensors"}))
    for bad in ({}, [], None, "x"):
        with pytest.raises(WeightsError, match="weight_map must be"):
            open_weights(sharded(tmp_path, bad))
    (tmp_path / INDEX_NAME).write_text('{"weight_map": {"x": "a.safetensors", "x": "b.safetensors"}}')
    with pytest.raises(WeightsError, match="twice"):
        open_weights(tmp_path)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=8,
)
small = st.integers(-2, 40) | json_values
entries = st.fixed_dictionaries(
    {
        "dtype": st.sampled_from(["F32", "BF16", "U8", "F4", "I64"]) | json_values,
        "shape": st.lists(small, max_size=4) | json_values,
        "data_offsets": st.tuples(small, small).map(list) | json_values,
    }
)


def check_promises(raw: bytes, size: int) -> None:
    """Whatever the bytes are: a WeightsError, or entries inside of the file that do not overlap."""
    try:
        infos, _ = parse_header(raw, size, "fuzz")
    except WeightsError:
        return
    at = 8 + len(raw)
    for info in sorted(infos.values(), key=lambda t: (t.begin, t.end)):
        assert info.begin == at and info.end >= info.begin
        at = info.end
    assert at == size


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.dictionaries(st.text(max_size=6), entries | json_values, max_size=3), st.integers(0, 64))
def test_fuzz_structured_header(header: dict[str, object], data_bytes: int) -> None:
    raw = header_bytes(header)
    check_promises(raw, 8 + len(raw) + data_bytes)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.data())
def test_fuzz_flipped_bytes(data: st.DataObject) -> None:
    raw = bytearray(
        header_bytes({"x": entry(), "y": entry("BF16", (2, 3), (8, 20)), "__metadata__": {"a": "b"}})
    )
    size = 8 + len(raw) + 20
    check_promises(bytes(raw), size)
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    check_promises(bytes(raw), size)


def resident_file_bytes() -> int:
    """Pages of files in this process."""
    with open("/proc/self/status", encoding="ascii") as f:
        (line,) = [line for line in f if line.startswith("RssFile:")]
    return int(line.split()[1]) * 1024


def test_released_tensors_take_no_memory_and_come_back(tmp_path: Path):
    tensors = {name: np.arange(6_000_000, dtype=np.float32) + i for i, name in enumerate("ab")}
    save_file(tensors, tmp_path / "model.safetensors")
    weights = open_weights(tmp_path)
    before = resident_file_bytes()
    for name, expected in tensors.items():
        assert (weights.tensor(name).array().numpy() == expected).all()
    assert resident_file_bytes() > before + 40_000_000
    weights.release("a")
    assert before + 20_000_000 < resident_file_bytes() < before + 30_000_000
    for name, expected in tensors.items():
        assert (weights.tensor(name).array().numpy() == expected).all()
    save_file({"small": tensors["a"][:5]}, tmp_path / "small.safetensors")
    small = WeightFile(tmp_path / "small.safetensors")
    small.release("small")
    assert (small.tensor("small").array().numpy() == tensors["a"][:5]).all()
