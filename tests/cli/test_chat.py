from __future__ import annotations

import io
import sys

import pytest


@pytest.fixture
def say(monkeypatch):
    return lambda text: monkeypatch.setattr(sys, "stdin", io.StringIO(text))


def test_answers_depend_on_the_conversation(run, model, say):
    from sapwood import LLM, SamplingParams

    llm, params = LLM(model), SamplingParams(temperature=0, max_tokens=6)
    first = llm.chat([{"role": "user", "content": "hi"}], params)[0].outputs[0].text
    messages = [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": first},
        {"role": "user", "content": "go"},
    ]
    second = llm.chat(messages, params)[0].outputs[0].text
    say("hi\n\ngo\n")
    result = run("chat", model, "--temperature", "0", "--max-tokens", "6")
    assert (result.status, result.err) == (0, "")
    assert result.out == f"{first}\n{second}\n"


def test_reset_forgets(run, model, say):
    say("hi\n/reset\nhi\n")
    result = run("chat", model, "--temperature", "0", "--max-tokens", "6")
    half = len(result.out) // 2
    assert result.out[:half] == result.out[half:]


def test_a_conversation_that_does_not_fit_goes_on(run, model, say):
    say("word " * 200 + "\nhi\n")
    result = run("chat", model, "--temperature", "0", "--max-tokens", "6")
    assert result.status == 0
    assert "allowed: at most" in result.err
    assert "/reset" in result.err
    assert result.out.count("\n") == 1


def test_ctrl_c_stops_the_answer_only(run, model, say, monkeypatch):
    from sapwood.engine.llm_engine import LLMEngine

    step, calls = LLMEngine.step, []

    def interrupted(self: LLMEngine) -> object:
        calls.append(None)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return step(self)

    monkeypatch.setattr(LLMEngine, "step", interrupted)
    say("hi\ngo\n")
    result = run("chat", model, "--temperature", "0", "--max-tokens", "6")
    assert result.status == 0
    assert result.out.split("\n")[0].endswith(" ...")
    assert result.out.count("\n") == 2


def test_ctrl_c_while_printing_frees_the_engine(run, model, say, monkeypatch):
    from sapwood.cli import chat

    shown = []

    def interrupt(text: str) -> str:
        shown.append(text)
        if len(shown) == 2:
            raise KeyboardInterrupt
        return text

    monkeypatch.setattr(chat, "printable", interrupt)
    say("hi\ngo\n")
    assert run("chat", model, "--temperature", "0", "--max-tokens", "6").status == 0
    assert len(shown) > 3


def test_no_template(run, model, say, tmp_path):
    (tmp_path / "model" / "tokenizer_config.json").write_text("{}")
    say("hi\n")
    result = run("chat", model)
    assert result.status == 2
    assert "no chat template" in result.err
