"""From a model argument to a directory: a local one, else the local Hugging Face cache, else the network.

Only configuration, tokenizer and safetensors files are ever fetched: no code, no pickles. `HF_HUB_OFFLINE`,
`HF_HOME`, `HF_TOKEN` and `HF_ENDPOINT` mean what they mean to huggingface_hub.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from sapwood.models.errors import HubError, shown
from sapwood.models.safetensors import INDEX_NAME, SINGLE_NAME

ALLOWED_FILES = (
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "chat_template.jinja",
    SINGLE_NAME,
    INDEX_NAME,
    "model-*-of-*.safetensors",
)


def demo_model() -> Path:
    """The directory of the small model that is part of the package; MODEL_CARD.md in it says what it is."""
    return Path(__file__).parent / "demo"


def resolve_model(model: str | os.PathLike[str], revision: str | None = None) -> Path:
    """The directory of a model.

    `model` is a directory or a repository id (`name` or `owner/name`); `revision` a branch, tag or commit
    of the latter. A complete copy in the local cache is used without asking the network when it is what the
    revision last resolved to. Raises HubError.
    """
    if not isinstance(model, str | os.PathLike):
        raise HubError(f"model must be a path or a repository id, found {type(model).__name__}")
    text = os.fspath(model)
    if not isinstance(text, str) or not text or "\0" in text:
        raise HubError(f"model is {shown(text)}; allowed: a directory or a repository id")
    path = Path(text).expanduser()
    if path.is_dir():
        if not (path / "config.json").is_file():
            raise HubError("the directory has no config.json", file=str(path), field="model")
        return path
    if path.exists():
        raise HubError(
            "is a file; give the directory that holds config.json and the weights", file=text, field="model"
        )
    if not isinstance(model, str) or text[0] in "./~" or text.count("/") > 1 or "\\" in text:
        raise HubError("there is no such directory", file=text, field="model")
    return _from_hub(text, revision)


def missing_files(directory: Path) -> list[str]:
    """The files that a usable snapshot must have and this one lacks."""
    missing = [name for name in ("config.json",) if not (directory / name).is_file()]
    if (directory / INDEX_NAME).is_file():
        try:
            index = json.loads((directory / INDEX_NAME).read_bytes())
            shards = sorted({str(name) for name in index["weight_map"].values()})
        except (OSError, ValueError, KeyError, AttributeError, TypeError, RecursionError):
            return missing  # a bad index is reported by the reader, with its reason
        missing += [name for name in shards if "\0" not in name and not (directory / name).is_file()]
    elif not (directory / SINGLE_NAME).is_file():
        missing.append(SINGLE_NAME)
    return missing


def _offline_by_environment() -> bool:
    """HF_HUB_OFFLINE as it is now; huggingface_hub knows what it was when that was imported."""
    return os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE")


def _from_hub(repo_id: str, revision: str | None) -> Path:
    import huggingface_hub
    from huggingface_hub import constants, errors
    from huggingface_hub.utils import validate_repo_id

    try:
        validate_repo_id(repo_id)
    except errors.HFValidationError as error:
        raise HubError(
            f"{shown(repo_id)} is neither a directory nor a valid repository id: {error}", field="model"
        ) from None
    allowed: list[str] = list(ALLOWED_FILES)

    def snapshot(local_files_only: bool) -> Path:
        return Path(
            huggingface_hub.snapshot_download(
                repo_id, revision=revision, allow_patterns=allowed, local_files_only=local_files_only
            )
        )

    try:
        cached = snapshot(local_files_only=True)
        absent = missing_files(cached)
    except (OSError, ValueError, errors.CachedRepoTreeNotFoundError, errors.RevisionResolutionError):
        cached, absent = None, ["everything"]
    if cached is not None and not absent:
        return cached
    if constants.is_offline_mode() or _offline_by_environment():
        raise HubError(
            f"{repo_id} is not complete in the local cache (missing: {', '.join(absent[:5])}) and "
            f"HF_HUB_OFFLINE is set; fetch it once with the network on",
            field="model",
        )
    try:
        directory = snapshot(local_files_only=False)
    except errors.GatedRepoError:
        raise HubError(
            f"{repo_id} is gated: accept its terms on its page and set HF_TOKEN (or run `hf auth login`)",
            field="model",
        ) from None
    except errors.RepositoryNotFoundError:
        raise HubError(
            f"{repo_id} is not a directory here and not a repository on the hub (or it is private: set "
            f"HF_TOKEN)",
            field="model",
        ) from None
    except errors.RevisionNotFoundError:
        raise HubError(f"{repo_id} has no revision {shown(revision)}", field="revision") from None
    except Exception as error:  # whatever transport is installed raises its own classes
        raise HubError(
            f"{repo_id} is not a directory here, not in the local cache, and could not be fetched: "
            f"{type(error).__name__}: {shown(str(error).strip().partition(chr(10))[0])}",
            field="model",
        ) from error
    absent = missing_files(directory)
    if absent:
        raise HubError(
            f"{repo_id} has no {', '.join(absent[:5])}; only safetensors checkpoints can be loaded",
            field="model",
        )
    return directory
