"""The tokenizer wrapper, chat templates, and what they make of text that strangers wrote."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
import tokenizers
from engine_fakes import SPECIALS, TEMPLATE, make_tokenizer, sentencepiece_json, write_model
from hypothesis import given, settings
from hypothesis import strategies as st

from sapwood.engine import chat_template, template_sandbox
from sapwood.engine.chat import encode_chat
from sapwood.engine.chat_template import ChatTemplate, ChatTemplateError, load_chat_template
from sapwood.engine.tokenizer import Tokenizer, TokenizerError
from sapwood.models.errors import ConfigError

TOKENIZER = make_tokenizer()
IDS = TOKENIZER.special_tokens
CHAT = ChatTemplate(TEMPLATE, bos_token="<|begin|>", eos_token="<|end|>")


def user(content: Any, role: str = "user") -> list[dict[str, Any]]:
    return [{"role": role, "content": content}]


def test_directory(tmp_path: Path) -> None:
    tokenizer = Tokenizer.from_directory(write_model(tmp_path))
    assert (tokenizer.bos_token, tokenizer.eos_token) == ("<|begin|>", "<|end|>")
    assert tokenizer.eos_token_id == IDS["<|end|>"] and tokenizer.vocab_size == TOKENIZER.vocab_size
    assert tokenizer.encode("fox")[0] == IDS["<|begin|>"]
    assert tokenizer.encode("fox", add_special_tokens=False) == tokenizer.encode("fox")[1:]
    assert tokenizer.decode(tokenizer.encode("Größe 🙂")) == "Größe 🙂"
    assert tokenizer.decode(tokenizer.encode("a"), skip_special_tokens=False) == "<|begin|>a"


def test_bad_directories(tmp_path: Path) -> None:
    with pytest.raises(TokenizerError, match=r"tokenizer\.json: is missing"):
        Tokenizer.from_directory(tmp_path)
    for text in (
        "",
        "{",
        "[]",
        '{"model": {}}',
        "[" * 10_000,
        '{"version": "1.0", "model": {"type": "BPE"}}',
    ):
        (tmp_path / "tokenizer.json").write_text(text)
        with pytest.raises(TokenizerError, match=r"tokenizer\.json: cannot be read"):
            Tokenizer.from_directory(tmp_path)
    write_model(tmp_path)
    (tmp_path / "tokenizer_config.json").write_text("[]")
    with pytest.raises(ConfigError, match=r"tokenizer_config\.json"):
        Tokenizer.from_directory(tmp_path)


def test_truncation_in_the_file_is_ignored() -> None:
    inner = tokenizers.Tokenizer.from_str(TOKENIZER._inner.to_str())
    inner.enable_truncation(4)
    inner.enable_padding(length=32)
    assert Tokenizer(inner).encode("the quick brown fox jumps") == TOKENIZER.encode("the quick brown fox jumps")


def test_specials_in_prompts_and_in_ordinary_text() -> None:
    text = "a<|end|>b"
    assert IDS["<|end|>"] in TOKENIZER.encode(text)
    ordinary = TOKENIZER.encode_ordinary(text)
    assert not set(ordinary) & set(IDS.values()) and TOKENIZER.decode(ordinary) == text
    assert IDS["<|end|>"] in TOKENIZER.encode(text)  # the switch did not stick
    with pytest.raises(ValueError, match="lone surrogate at index 1"):
        TOKENIZER.encode("a\ud800")


def test_template_makes_specials() -> None:
    messages = [*user("Hi 🙂"), *user(" there ", "assistant"), *user("x")]
    ids = encode_chat(TOKENIZER, CHAT, messages)
    text = "<|begin|><|user|>\nHi 🙂<|end|>\n<|assistant|>\nthere<|end|>\n<|user|>\nx<|end|>\n<|assistant|>\n"
    assert ids == TOKENIZER.encode(text, add_special_tokens=False)
    assert TOKENIZER.decode(ids, skip_special_tokens=False) == text
    assert encode_chat(TOKENIZER, CHAT, messages, add_generation_prompt=False) != ids
    parts = [{"type": "text", "text": "Hi"}, {"type": "text", "text": "there"}]
    assert encode_chat(TOKENIZER, CHAT, user(parts)) == encode_chat(TOKENIZER, CHAT, user("Hi\nthere"))


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    st.lists(
        st.sampled_from([*SPECIALS, "<|", "|>", "end", "a 🙂", "\n", "\ue000", "0", "\ue0000\ue000"]),
        max_size=8,
    ).map("".join)
)
def test_user_text_never_makes_specials(content: str) -> None:
    ids = encode_chat(TOKENIZER, CHAT, user("x" + content + "x"))
    specials = [i for i in ids if i in TOKENIZER.special_ids]
    assert specials == [IDS[t] for t in ("<|begin|>", "<|user|>", "<|end|>", "<|assistant|>")]
    expected = f"<|begin|><|user|>\nx{content}x<|end|>\n<|assistant|>\n"
    assert TOKENIZER.decode(ids, skip_special_tokens=False) == expected


def test_special_text_in_other_fields() -> None:
    template = ChatTemplate("{% for m in messages %}{{ m.role }}:{{ m.name }}:{{ m.content }}{% endfor %}<|end|>")
    message = {
        "role": "<|user|>",
        "name": "<|end|>",
        "content": "x",
        "tool_calls": [{"<|end|>": "<|begin|>"}],
    }
    ids = encode_chat(TOKENIZER, template, [message])
    assert [i for i in ids if i in TOKENIZER.special_ids] == [IDS["<|end|>"]]


@pytest.mark.parametrize(
    ("messages", "words"),
    [
        ([], "non-empty list"),
        ("hi", "non-empty list"),
        (None, "non-empty list"),
        (["hi"], r"messages\[0\] is 'hi'"),
        ([{"content": "x"}], r"messages\[0\]\.role is None"),
        ([*user("x"), {"role": "", "content": "x"}], r"messages\[1\]\.role"),
        (user(None), r"messages\[0\]\.content is None"),
        (user(7), r"content is 7"),
        (user([{"type": "image"}]), r"content\[0\]"),
        ([{"role": "user", "content": "x", "more": object()}], "messages.0. is <object"),
        ([{"role": "user", "content": "x", "more": {1: 2}}], "not a string"),
    ],
)
def test_bad_messages(messages: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        encode_chat(TOKENIZER, CHAT, messages)


def test_deep_messages() -> None:
    deep: Any = "x"
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(ValueError, match="nested more than 32"):
        encode_chat(TOKENIZER, CHAT, [{"role": "user", "content": "x", "more": deep}])


def render(source: str, **message: Any) -> str:
    return ChatTemplate(source).render([{"role": "user", "content": "x", **message}])


def test_helpers_of_the_field() -> None:
    assert render("{{ messages | tojson }}", content="<é>") == '[{"role": "user", "content": "<é>"}]'
    assert render("{% generation %}{{ messages[0].content }}{% endgeneration %}") == "x"
    assert render("{{ strftime_now('%Y') }}").isdigit()
    assert render("{% for i in range(9) %}{% if i == 2 %}{% break %}{% endif %}{{ i }}{% endfor %}") == "01"
    assert render("{% set ns = namespace(n=1) %}{% set ns.n = ns.n + 1 %}{{ ns.n }}") == "2"
    assert render("{% if tools is none %}none{% endif %}") == "none"
    assert render("{{ 'a' ~ 1 ~ none }}{{ 'x%s' % 1 }}{{ '%s' | format(2) }}{{ '{}'.format(3) }}") == "a1Nonex123"
    assert render("{{ [1, 2] | join(', ') }}{{ 'a-b'.replace('-', '+') }}{{ 'a' * 3 }}{{ 2 * 3 + 1 }}") == "1, 2a+baaa7"
    with pytest.raises(ChatTemplateError, match="roles must alternate"):
        render("{{ raise_exception('roles must alternate') }}")


PLAIN = (
    "{%- if messages[0]['role'] == 'system' %}\n    {{- messages[0].content | trim + '\\n' }}\n"
    "    {%- set messages = messages[1:] %}\n{%- endif %}\n{% for m in messages %}\n"
    "  {{ bos_token + m['role'] | upper }}: {{ m | tojson(indent=2) }}\n  {% endfor %}\nend\n"
)
#: what templates of models that think do: look for the last question, and take thoughts out of earlier answers
THINKING = r"""
{%- set state = namespace(seeking=true, last=messages|length - 1) %}
{%- for m in messages[::-1] %}
    {%- set at = (messages|length - 1) - loop.index0 %}
    {%- if state.seeking and m.role == 'user' and m.content is string and not(m.content[:6] == '<tool>') %}
        {%- set state.seeking = false %}
        {%- set state.last = at %}
    {%- endif %}
{%- endfor %}
{%- for m in messages %}
    {%- set content = m.content %}
    {%- if m.role == 'assistant' %}
        {%- set thoughts = '' %}
        {%- if m.reasoning_content is defined and m.reasoning_content is not none %}
            {%- set thoughts = m.reasoning_content %}
        {%- elif '</think>' in content %}
            {%- set thoughts = ((content.split('</think>')|first).split('<think>')|last).strip('\n') %}
            {%- set content = content.split('</think>')[-1].lstrip('\n') %}
        {%- endif %}
        {{- '<|a|>' + ('<think>\n' + thoughts + '\n</think>\n\n' if loop.index0 > state.last else '') + content }}
        {%- for call in m.tool_calls or [] %}
            {{- '\n{"name": "' }}{{- call.function.name }}{{- '", "arguments": ' }}{{- call.function.arguments|tojson }}
        {%- endfor %}
    {%- else %}
        {{- '<|' + m.role + '|>' + content if not content.startswith('x') else content.rstrip() }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|a|>' }}
    {%- if enable_thinking is defined and enable_thinking is false %}
        {{- '<think>\n\n</think>\n\n' }}
    {%- endif %}
{%- endif %}
"""


@pytest.mark.parametrize(("source", "turns"), [(PLAIN, 2), (PLAIN, 4), (THINKING, 2), (THINKING, 4), (THINKING, 6)])
def test_same_text_as_transformers(source: str, turns: int) -> None:
    pytest.importorskip("transformers")
    from transformers.utils.chat_template_utils import render_jinja_template

    call = {"type": "function", "function": {"name": "f", "arguments": {"x": [1, None, "é"]}}}
    messages: list[dict[str, Any]] = [
        {"role": "system", "content": " s "},
        {"role": "user", "content": "é<b>"},
        {"role": "assistant", "content": "<think>\nhm\n</think>\n\nwell"},
        {"role": "user", "content": "x and so on \n"},
        {"role": "assistant", "content": "let me see", "reasoning_content": "2 + 2", "tool_calls": [call]},
        {"role": "user", "content": "<tool>4"},
    ][:turns]
    theirs, _ = render_jinja_template(
        [messages], chat_template=source, bos_token="<|begin|>", add_generation_prompt=True
    )
    assert ChatTemplate(source, bos_token="<|begin|>").render(messages) == theirs[0]
    quiet, _ = render_jinja_template(
        [messages], chat_template=source, bos_token="<|begin|>", add_generation_prompt=True, enable_thinking=False
    )
    assert ChatTemplate(source, bos_token="<|begin|>").render(messages, options={"enable_thinking": False}) == quiet[0]


@pytest.mark.parametrize("options", [{"tokenize": False}, {"enable_thinking": 1}, {"messages": True}, {"x": None}])
def test_other_options_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="allowed: true or false for enable_thinking, thinking"):
        ChatTemplate("x").render([], options=options)


@pytest.mark.parametrize(
    "source",
    [
        "{{ ''.__class__.__mro__ }}{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ messages.append(1) }}",
        "{{ messages[0].update({'role': 'x'}) }}",
        "{{ raise_exception.__globals__ }}{{ raise_exception.__globals__['os'] }}",
        "{{ strftime_now.__globals__.time }}",
        "{{ cycler.__init__ }}{{ cycler('a') }}",
        "{{ namespace(__class__=1).x }}{% set n = namespace() %}{% set n.__class__ = 1 %}",
        "{{ self.__init__.__globals__.x }}",
        "{{ 'a' * 100000000 }}",
        "{{ [0] * 100000000 }}",
        "{{ 9 ** 9 ** 9 }}",
        "{{ '%0999999999d' % 1 }}",
        "{{ '%*d' % (999999999, 1) }}",
        "{{ 'a'.ljust(999999999) }}",
        "{{ 'a' | center(999999999) }}",
        "{{ '{:>999999999}'.format(1) }}",
        "{{ '%0999999999d' | format(1) }}",
        "{{ range(999999999) | list }}",
        "{% set ns = namespace(s='ab') %}{% for i in range(99) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}",
        "{% set ns = namespace(s='ab') %}{% for i in range(99) %}{% set ns.s = ns.s + ns.s %}{% endfor %}",
        "{% set ns = namespace(s=[1]) %}{% for i in range(99) %}{% set ns.s = ns.s + ns.s %}{% endfor %}",
        (
            "{% set ns = namespace(s='ab') %}{% for i in range(99) %}"
            "{% set ns.s %}{{ ns.s }}{{ ns.s }}{% endset %}{% endfor %}"
        ),
        "{% set n = namespace(s='a') %}{% for i in range(99) %}{% set n.s = [n.s, n.s] | join %}{% endfor %}",
        "{% set s = 'a' * 100000 %}{{ s.replace('a', s) }}",
        "{% set s = 'a' * 100000 %}{{ s | replace('a', s) }}",
        "{% set s = 'a' * 100000 %}{{ s.join(s) }}{{ s | join(s) }}",
        "{% set s = '\t' * 10000 %}{{ s.expandtabs(99999) }}",
        "{% set s = 'a\n' * 10000 %}{{ s | indent(99999) }}",
        "{{ '%9s' * 99999 % (1,) }}",
        "{{ strftime_now('%Y' * 1000) }}",
        "{{ messages | tojson(indent=9999999) }}",
        "{% include 'x' %}",
        "{% import 'os' as os %}",
        "{{ unknown.attribute }}",
        "{{ 1 + 'a' }}",
        "{{ 1 / 0 }}",
        "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
    ],
)
def test_hostile_expressions(source: str) -> None:
    with pytest.raises(ChatTemplateError):
        render(source)


@pytest.mark.parametrize(
    "source",
    ["{{", "{% for %}", "{% unknown %}", "{% if " + "(" * 5000 + "1" + ")" * 5000 + " %}{% endif %}"],
)
def test_invalid_templates(source: str) -> None:
    with pytest.raises(ChatTemplateError, match="not valid"):
        render(source)


def test_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chat_template, "MAX_OUTPUT_CHARS", 1000)
    with pytest.raises(ChatTemplateError, match="more than 1000 characters"):
        render("{% for i in range(99999) %}abc{% endfor %}")
    monkeypatch.setattr(template_sandbox, "MAX_SECONDS", 0.1)
    start = time.monotonic()
    with pytest.raises(ChatTemplateError, match=r"more than 0\.1 seconds"):
        render("{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}")
    assert time.monotonic() - start < 5
    with pytest.raises(ChatTemplateError, match="allowed: at most"):
        ChatTemplate("x" * 2_000_000)


def test_where_templates_come_from(tmp_path: Path) -> None:
    assert load_chat_template(tmp_path) is None
    config = tmp_path / "tokenizer_config.json"
    config.write_text("{}")
    assert load_chat_template(tmp_path) is None
    for value, text in [
        ("a", "a"),
        ([{"name": "tool", "template": "b"}, {"name": "default", "template": "c"}], "c"),
    ]:
        config.write_text(json.dumps({"chat_template": value}))
        found = load_chat_template(tmp_path)
        assert found is not None and found.render(user("x")) == text
    (tmp_path / "chat_template.jinja").write_text("d{{ eos_token }}")
    found = load_chat_template(tmp_path, eos_token="e")
    assert found is not None and found.render(user("x")) == "de"
    (tmp_path / "chat_template.jinja").write_bytes(b"\xff")
    with pytest.raises(ChatTemplateError, match="cannot be read"):
        load_chat_template(tmp_path)
    (tmp_path / "chat_template.jinja").unlink()
    config.write_text('{"chat_template": 7}')
    with pytest.raises(ChatTemplateError, match="chat_template is 7"):
        load_chat_template(tmp_path)


def test_a_template_is_compiled_once(monkeypatch: pytest.MonkeyPatch) -> None:
    sandbox, compiled = template_sandbox.Sandbox, []
    original = sandbox.compile

    def counted(self: template_sandbox.Sandbox, source: str) -> Any:
        compiled.append(source)
        return original(self, source)

    monkeypatch.setattr(sandbox, "compile", counted)
    source = "{% set ns = namespace(n=0) %}{% for m in messages %}{% set ns.n = ns.n + 1 %}{% endfor %}{{ ns.n }}"
    template = ChatTemplate(source)
    assert [template.render(user("x") * n) for n in (1, 2, 1)] == ["1", "2", "1"]
    assert compiled == [source]


SENTENCEPIECE = Tokenizer(tokenizers.Tokenizer.from_str(sentencepiece_json()))


@pytest.mark.parametrize("tokenizer", [TOKENIZER, SENTENCEPIECE])
@given(text=st.text(st.sampled_from("abc ehlo wörld 你🙂🇩🇪\n\t\x00"), min_size=1, max_size=30))
def test_bytes_of_tokens_are_the_text(tokenizer: Tokenizer, text: str) -> None:
    ids = tokenizer.encode(text, add_special_tokens=False)
    added = b" " if tokenizer is SENTENCEPIECE and text[0] != " " else b""  # it writes one before the first word
    assert b"".join(map(tokenizer.token_bytes, ids)) == added + text.encode()


def test_bytes_of_single_tokens() -> None:
    assert TOKENIZER.token_bytes(IDS["<|end|>"]) == b"<|end|>"
    assert TOKENIZER.token_bytes(10**6) == b""
    assert TOKENIZER.token_bytes(TOKENIZER.encode("\U0001f9d0", False)[-1]) == b"\x90"
