"""Options of `sapwood serve`: what is refused, in one line that names the option, and what they come to."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sapwood.cli import serve
from sapwood.cli.command import make_parser
from sapwood.cli.errors import CommandError

DOCUMENT = Path(__file__).parents[2] / "docs" / "serving.md"


@pytest.fixture(autouse=True)
def loggers_as_before() -> Iterator[None]:
    """The command sends the logs of its process elsewhere; other tests of this process listen too."""
    loggers = [logging.getLogger(name) for name in ("sapwood", "uvicorn", "asyncio")]
    saved = [(logger, logger.handlers, logger.propagate, logger.level) for logger in loggers]
    yield
    for logger, handlers, propagate, level in saved:
        logger.handlers, logger.propagate = handlers, propagate
        logger.setLevel(level)


def options(*argv: str) -> argparse.Namespace:
    return make_parser().parse_args(["serve", *argv])


def config(*argv: str) -> Any:
    given = options(*argv)
    return serve.server_config(given, {o.attribute: o.value(getattr(given, o.attribute)) for o in serve.NUMBERS})


def test_every_option_is_documented() -> None:
    parser = argparse.ArgumentParser()
    serve.add_arguments(parser)
    text = DOCUMENT.read_text(encoding="utf-8")
    for action in parser._actions:
        for name in action.option_strings:
            if name not in ("-h", "--help"):
                assert f"`{name}" in text, name
                assert action.help, name


@pytest.mark.parametrize("option", serve.NUMBERS, ids=lambda option: option.name)
def test_numbers_out_of_range(run: Any, option: serve.NumberOption) -> None:
    for text in (f"{option.least - 1:.0f}", f"{option.most * 2 + 1:.0f}", "many", "", "nan", "inf", "1e999"):
        result = run("serve", f"--{option.name}={text}")
        assert result.status == 2 and result.out == ""
        assert result.err == f"sapwood serve: --{option.name} is {text!r}; allowed: {option.allowed}\n"


@pytest.mark.parametrize(
    ("text", "size"),
    [("1024", 1024), ("64k", 64 << 10), ("2M", 2 << 20), ("1.5MiB", 3 << 19), ("3 MB", 3 << 20), ("32m", 32 << 20)],
)
def test_sizes(text: str, size: int) -> None:
    assert config("--max-body", text).max_body_bytes == size


@pytest.mark.parametrize(
    ("argv", "error"),
    [
        (["--host", "0.0.0.0"], "--host is '0.0.0.0', which other machines can reach: API keys are needed"),
        (["--host", "::"], "--host is '::', which other machines can reach: API keys are needed"),
        (["--host", "example.org"], "--host is 'example.org', which other machines can reach: API keys are needed"),
        (["--host", "::"], "(--api-key, --api-key-file or SAPWOOD_API_KEY)"),
        (["--num-kv-blocks", "64", "--kv-cache-memory", "1G"], "--num-kv-blocks and --kv-cache-memory both give"),
        (["--prot", "1"], "unrecognized arguments: --prot; did you mean --port? `sapwood serve --help` lists"),
        (["--log-level", "loud"], "--log-level is 'loud'; allowed: debug, info, warning, error"),
        (["--log-format", "xml"], "--log-format is 'xml'; allowed: text, json"),
        (["--served-model-name", ""], "--served-model-name: allowed: at least one name of 1 to 256 printable"),
        (["--served-model-name", "a\nb"], "--served-model-name: allowed: at least one name of 1 to 256 printable"),
        (["--api-key-file", "/nowhere"], "--api-key-file /nowhere: cannot be read: "),
        (["--dtype", "int3"], "--dtype is 'int3'; allowed: auto, "),
        (["--max-model-len", "100000"], "--max-model-len is 100000; allowed: at most 1024"),
        (["--max-num-batched-tokens", "16"], "--max-num-batched-tokens is 16; allowed: at least --max-num-seqs"),
        (["/nowhere/at/all"], "there is no such directory"),
        (["no-one/no-model", "--offline"], "HF_HUB_OFFLINE is set"),
    ],
)
def test_mistakes(run: Any, monkeypatch: pytest.MonkeyPatch, argv: list[str], error: str) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")  # what the option sets is taken back after the test
    result = run("serve", "--port=0", *argv)
    assert result.status == 2 and result.out == ""
    assert result.err.startswith("sapwood serve: ") and error in result.err
    assert result.err.count("\n") == 1


def test_mistakes_that_the_engine_finds(run: Any) -> None:
    result = run("serve", "--port=0", "--num-kv-blocks=2000000000")
    assert result.status == 2 and result.out == ""
    assert "not enough memory" in result.err and "lower --num-kv-blocks to at most" in result.err


def test_keys_come_from_options_files_and_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "keys").write_text("# ours\nfile-key-1\n\n  file-key-2  \n")
    monkeypatch.setenv("SAPWOOD_API_KEY", "env-key-1")
    monkeypatch.setenv("SAPWOOD_API_KEYS", "env-key-2, file-key-1,")
    found = config("--api-key", "option-key", "--api-key-file", str(tmp_path / "keys"), "--host", "0.0.0.0")
    assert found.api_keys == ("option-key", "file-key-1", "file-key-2", "env-key-1", "env-key-2")
    assert "every user of this machine" in capsys.readouterr().err
    assert config("--api-key-file", str(tmp_path / "keys")).api_keys[0] == "file-key-1"
    assert capsys.readouterr().err == ""
    (tmp_path / "empty").write_text("# nothing\n")
    with pytest.raises(CommandError, match="there is no key in it"):
        config("--api-key-file", str(tmp_path / "empty"))


def test_names(tmp_path: Path) -> None:
    assert config().served_model_names == ("demo",)
    assert config("owner/name").served_model_names == ("owner/name",)
    assert config(str(tmp_path)).served_model_names == (tmp_path.name, str(tmp_path))
    assert config("owner/name", "--served-model-name", "a", "--served-model-name", "b").served_model_names == ("a", "b")


def test_a_dry_run_prints_the_memory_plan_and_ends(run: Any) -> None:
    result = run("serve", "--dry-run", "--num-kv-blocks", "100", "--max-num-seqs", "3", "--max-model-len", "800")
    assert (result.status, result.err) == (0, "")
    words = [line.split() for line in result.out.splitlines()]
    assert [line[0] for line in words] == ["memory", "weights", "working", "process", "KV", "concurrency"]
    assert "100 blocks of 16 tokens" in result.out and "2.0 requests of 800 tokens" in result.out
    assert "steps of 2048 tokens, 3 sequences" in result.out


@pytest.mark.parametrize("size", ["--num-kv-blocks=2", "--kv-cache-memory=64K"])
def test_a_dry_run_refuses_a_cache_that_the_server_would_refuse(run: Any, size: str) -> None:
    dry, real = run("serve", "--dry-run", size), run("serve", "--port=0", size)
    assert dry.err == real.err and (dry.status, real.status, dry.out) == (2, 2, "")
    assert "needed: --max-model-len, which is 1024" in dry.err


def test_a_dry_run_says_when_it_does_not_fit(run: Any) -> None:
    result = run("serve", "--dry-run", "--kv-cache-memory", "1000T")
    assert result.status == 2 and result.out == ""
    assert "not enough memory" in result.err and "lower --kv-cache-memory to at most" in result.err
    assert result.err.count("\n") == 1
