"""Files of the compile cache: what is read back, what is thrown away."""

from __future__ import annotations

import os

import pytest

from sapwood.runtime.cache import CacheStore


@pytest.fixture
def store(tmp_path):
    return CacheStore(str(tmp_path / "[a] cache*"), 1 << 20)


def files(store):
    return [os.path.join(d, f) for d, _, names in os.walk(store.directory) for f in names]


def test_what_is_put_is_found(store):
    assert store.get_object("ab12") is None
    store.put_object("ab12", b"object")
    store.put_manifest("ab12", b"manifest")
    assert store.get_object("ab12") == b"object" and store.get_manifest("ab12") == b"manifest"
    store.put_object("ab12", b"another")
    assert store.get_object("ab12") == b"another" and len(files(store)) == 2


@pytest.mark.parametrize("change", [lambda b: b[:-1], lambda b: b[:20], lambda b: b"", lambda b: b[:-1] + b"X"])
def test_what_was_changed_is_gone(store, change):
    store.put_object("ab12", b"object")
    (path,) = files(store)
    with open(path, "rb") as f:
        raw = f.read()
    with open(path, "wb") as f:
        f.write(change(raw))
    assert store.get_object("ab12") is None
    assert files(store) == []


def test_keys_are_no_paths(store):
    with pytest.raises(ValueError, match="letters and digits"):
        store.get_object("../x")


def test_what_was_not_used_for_long_goes_first(store):
    for i in range(8):
        store.put_object(f"key{i}", bytes(1000))
    unfinished = os.path.join(store.directory, "objects", "ke", ".torn")
    with open(unfinished, "wb") as f:
        f.write(bytes(1000))
    for path in files(store):
        age = 100 if path == unfinished else int(path[-1])
        os.utime(path, (1e9 - age, 1e9 - age))
    store.max_bytes = 4500
    store.prune()
    assert sorted(os.path.basename(p) for p in files(store)) == ["key0", "key1", "key2", "key3"]
    store.clear()
    assert files(store) == []


def test_a_directory_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    store = CacheStore(str(tmp_path / "file"), 1 << 20)
    with pytest.warns(UserWarning, match="cannot be written"):
        store.put_object("ab12", b"object")
    store.put_object("ab12", b"object")
    assert store.get_object("ab12") is None
