from __future__ import annotations

import io
import json
import subprocess
import sys

import pytest


def test_text_is_what_the_engine_says(run, model):
    from sapwood import LLM, SamplingParams

    expected = LLM(model).generate("the fox", SamplingParams(temperature=0, max_tokens=12))[0].outputs[0]
    result = run("generate", model, "-p", "the fox", "--temperature", "0", "--max-tokens", "12")
    assert (result.status, result.err) == (0, "")
    assert result.out == expected.text + "\n"
    echoed = run("generate", model, "-p", "the fox", "--temperature", "0", "--max-tokens", "12", "--echo")
    assert echoed.out == "the fox" + expected.text + "\n"


def test_text_appears_as_it_comes(run, model, monkeypatch):
    pieces = []
    monkeypatch.setattr(sys, "stdout", type("S", (io.StringIO,), {"write": lambda self, t: pieces.append(t)})())
    assert run("generate", model, "-p", "x", "--max-tokens", "20", "--seed", "3").status == 0
    assert len([p for p in pieces if p.strip()]) > 5


def test_json(run, model):
    result = run("generate", model, "-p", "x", "--max-tokens", "5", "--json", "--seed", "1")
    found = json.loads(result.out)
    assert found["completion_tokens"] == len(found["token_ids"]) == 5
    assert found["finish_reason"] == "length"
    assert found["prompt"] == "x"
    assert found["time_to_first_token_s"] > 0
    again = json.loads(run("generate", model, "-p", "x", "--max-tokens", "5", "--json", "--seed", "1").out)
    assert again["token_ids"] == found["token_ids"]
    other = json.loads(run("generate", model, "-p", "x", "--max-tokens", "5", "--json", "--seed", "2").out)
    assert other["token_ids"] != found["token_ids"]


def test_stop_and_stats(run, model):
    text = run("generate", model, "-p", "x", "--max-tokens", "40", "--temperature", "0").out
    stop = text[3:5]
    result = run("generate", model, "-p", "x", "--max-tokens", "40", "--temperature", "0", "--stop", stop, "--stats")
    assert result.out == text[: text.index(stop)] + "\n"
    assert "ended by stop" in result.err


def test_prompt_from_standard_input(run, model, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO("the fox"))
    result = run("generate", model, "-p", "-", "--max-tokens", "3", "--json")
    assert json.loads(result.out)["prompt"] == "the fox"


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["/nowhere/at/all", "-p", "x"], "no such directory"),
        (["MODEL", "-p", ""], "the prompt is empty"),
        (["MODEL", "-p", "x", "--temperature", "-1"], "temperature is -1.0; allowed: a number from 0"),
        (["MODEL", "-p", "x", "--top-p", "2"], "top_p is 2.0"),
        (["MODEL", "-p", "x", "--max-tokens", "0"], "max_tokens is 0"),
        (["MODEL", "-p", "x", "--dtype", "int3"], "dtype is 'int3'"),
        (["MODEL", "-p", "x", "--max-model-len", "100000"], "max_model_len is 100000"),
        (["MODEL", "-p", "x", "--threads", "0"], "--threads is 0; allowed: 1 to 1024"),
        (["MODEL", "-p", "many words " * 100], "tokens; allowed: at most"),
        (["MODEL", "-p", "x", "--stop", ""], "an element of stop is ''"),
    ],
)
def test_mistakes_are_one_line(run, model, arguments, text):
    result = run("generate", *[model if a == "MODEL" else a for a in arguments])
    assert result.status == 2
    assert result.out == ""
    assert text in result.err
    assert result.err.count("\n") == 1


def test_broken_model(run, model, tmp_path):
    (tmp_path / "model" / "config.json").write_text("{")
    result = run("generate", model, "-p", "x")
    assert result.status == 2
    assert "config.json" in result.err
    assert result.err.count("\n") == 1


def test_ctrl_c(run, model, monkeypatch):
    def interrupt(*args: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("sapwood.engine.llm_engine.LLMEngine.step", interrupt)
    result = run("generate", model, "-p", "x")
    assert result.status == 130
    assert "Traceback" not in result.err


def test_control_characters_do_not_reach_a_terminal(monkeypatch):
    from sapwood.cli.model_options import printable

    text = "a\x1b[31m\r\x07b\n\tc"
    assert printable(text) == text
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert printable(text) == "a\N{REPLACEMENT CHARACTER}[31m\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}b\n\tc"


def test_help_loads_no_compiler_and_no_engine():
    code = (
        "import sys; from sapwood.cli import main\n"
        "try: main(['generate', '--help'])\n"
        "except SystemExit: pass\n"
        "bad = {'llvmlite', 'numpy', 'tokenizers', 'sapwood.engine.llm', 'sapwood.lang.function'} & {*sys.modules}\n"
        "sys.exit(f'{bad}' if bad else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert "--temperature" in done.stdout
