"""Resolution of a model argument: directory, cache, network; the network is replaced here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
from huggingface_hub import constants, errors

from sapwood.models.errors import HubError
from sapwood.models.hub import ALLOWED_FILES, resolve_model


class Hub:
    """Stands in for snapshot_download: a cache directory and a network that may fill it."""

    def __init__(self, cache: Path, remote: dict[str, str] | Exception) -> None:
        self.cache, self.remote, self.calls = cache, remote, []

    def __call__(self, repo_id: str, *, revision, allow_patterns, local_files_only: bool) -> str:
        assert allow_patterns == list(ALLOWED_FILES)
        self.calls.append("cache" if local_files_only else "network")
        if local_files_only:
            if not self.cache.exists():
                raise errors.LocalEntryNotFoundError("not cached")
        elif isinstance(self.remote, Exception):
            raise self.remote
        else:
            self.cache.mkdir(exist_ok=True)
            for name, text in self.remote.items():
                (self.cache / name).write_text(text)
        return str(self.cache)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def install(
        remote: dict[str, str] | Exception, cached: tuple[str, ...] = (), offline: bool = False
    ) -> Hub:
        fake = Hub(tmp_path / "cache", remote)
        if cached:
            fake.cache.mkdir()
            for name in cached:
                (fake.cache / name).write_text("{}")
        monkeypatch.setattr(huggingface_hub, "snapshot_download", fake)
        monkeypatch.setattr(constants, "is_offline_mode", lambda: offline)
        monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
        return fake

    return install


COMPLETE = {"config.json": "{}", "model.safetensors": ""}


def hub_error(cls: type[errors.HfHubHTTPError]) -> errors.HfHubHTTPError:
    error = cls.__new__(cls)
    Exception.__init__(error, "from the hub")
    return error


def test_local_directory_needs_no_hub(tmp_path: Path, hub: Any) -> None:
    fake = hub(RuntimeError("asked"))
    (tmp_path / "config.json").write_text("{}")
    assert resolve_model(tmp_path) == resolve_model(str(tmp_path)) == tmp_path
    assert fake.calls == []


@pytest.mark.parametrize("model", ["./none", "/no/such/dir", "~/no-such-dir", "a/b/c", "a\\b"])
def test_paths_never_go_to_the_network(model: str, hub: Any) -> None:
    fake = hub(COMPLETE)
    with pytest.raises(HubError, match="no such directory"):
        resolve_model(model)
    assert fake.calls == []


@pytest.mark.parametrize("model", ["", "a\0b", 7, None, b"x", "a..b/c", "-x", "name with spaces"])
def test_nonsense(model: Any, hub: Any) -> None:
    fake = hub(COMPLETE)
    with pytest.raises(HubError, match="M003"):
        resolve_model(model)
    assert fake.calls == []


def test_directory_without_config_and_file(tmp_path: Path) -> None:
    with pytest.raises(HubError, match=r"no config\.json"):
        resolve_model(tmp_path)
    (tmp_path / "x.gguf").write_text("")
    with pytest.raises(HubError, match="is a file"):
        resolve_model(tmp_path / "x.gguf")


def test_complete_cache_is_used_without_the_network(hub: Any) -> None:
    fake = hub(RuntimeError("asked"), cached=("config.json", "model.safetensors"))
    assert resolve_model("owner/name") == fake.cache and fake.calls == ["cache"]


def test_incomplete_cache_is_completed(hub: Any) -> None:
    fake = hub(COMPLETE, cached=("config.json",))
    assert resolve_model("owner/name") == fake.cache and fake.calls == ["cache", "network"]


def test_missing_shard_is_noticed(hub: Any) -> None:
    index = json.dumps({"weight_map": {"x": "model-00001-of-00001.safetensors"}})
    fake = hub({"config.json": "{}", "model.safetensors.index.json": index})
    with pytest.raises(HubError, match="model-00001-of-00001"):
        resolve_model("owner/name")
    assert fake.calls == ["cache", "network"]


def test_offline(hub: Any) -> None:
    fake = hub(COMPLETE, offline=True)
    with pytest.raises(HubError, match="HF_HUB_OFFLINE"):
        resolve_model("owner/name")
    assert fake.calls == ["cache"]


def test_offline_since_the_hub_was_imported(hub: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = hub(COMPLETE)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(HubError, match="HF_HUB_OFFLINE"):
        resolve_model("owner/name")
    assert fake.calls == ["cache"]


def test_only_the_first_line_of_a_reason_is_told(hub: Any) -> None:
    hub(ConnectionError("no route\nto nowhere"))
    with pytest.raises(HubError, match=r"name is not a directory here, .*: ConnectionError: 'no route'"):
        resolve_model("name")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (hub_error(errors.GatedRepoError), "gated"),
        (hub_error(errors.RepositoryNotFoundError), "not a repository"),
        (hub_error(errors.RevisionNotFoundError), "revision"),
        (ConnectionError("no route"), "could not be fetched: ConnectionError"),
    ],
)
def test_hub_errors(error: Exception, words: str, hub: Any) -> None:
    hub(error)
    with pytest.raises(HubError, match=words):
        resolve_model("owner/name", revision="v1")


def test_pickled_repository(hub: Any) -> None:
    hub({"config.json": "{}"})
    with pytest.raises(HubError, match="only safetensors"):
        resolve_model("owner/name")
