"""From messages to token ids: the template makes special tokens, the text of messages never does."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NoReturn

from sapwood.engine.chat_template import ChatTemplate
from sapwood.engine.tokenizer import Tokenizer
from sapwood.models.errors import shown

MAX_DEPTH = 32
_PRIVATE_USE = range(0xE000, 0xF900)


def _reject(where: str, found: object, allowed: str) -> NoReturn:
    raise ValueError(f"{where} is {shown(found)}; allowed: {allowed}")


def check_messages(messages: object) -> list[dict[str, Any]]:
    """A copy of a conversation, with text parts joined by newlines as text-only templates expect them.

    Raises ValueError naming the index of the message and what is wrong with it.
    """
    if not isinstance(messages, Sequence) or isinstance(messages, str | bytes) or not messages:
        _reject("messages", messages, "a non-empty list of messages")
    return [_check_message(message, f"messages[{i}]") for i, message in enumerate(messages)]


def _check_message(message: object, where: str) -> dict[str, Any]:
    if not isinstance(message, Mapping):
        _reject(where, message, "a dict with role and content")
    role = message.get("role")
    if not isinstance(role, str) or not role:
        _reject(f"{where}.role", role, "a non-empty string such as 'user'")
    content = message.get("content")
    if isinstance(content, list | tuple):
        content = "\n".join(_text_part(part, f"{where}.content[{i}]") for i, part in enumerate(content))
    if not isinstance(content, str) and not (content is None and message.get("tool_calls")):
        _reject(f"{where}.content", content, "a string or a list of text parts")
    return {**_plain(message, where, 0), "content": content}


def _text_part(part: object, where: str) -> str:
    if isinstance(part, Mapping) and part.get("type") == "text" and isinstance(text := part.get("text"), str):
        return text
    _reject(where, part, "{'type': 'text', 'text': '...'}")


def _plain(value: Any, where: str, depth: int) -> Any:
    """The value as new dicts, lists and scalars: a template gets no other object to call."""
    if depth > MAX_DEPTH:
        raise ValueError(f"{where} is nested more than {MAX_DEPTH} deep")
    if isinstance(value, Mapping):
        if not all(isinstance(key, str) for key in value):
            raise ValueError(f"{where} has a key that is not a string")
        return {str(key): _plain(item, where, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, where, depth + 1) for item in value]
    if value is None or type(value) in (str, int, float, bool):
        return value
    if isinstance(value, str):
        return str(value)
    _reject(f"a value in {where}", value, "dicts, lists, strings, numbers, booleans and None")


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from _strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item)


def _replace(value: Any, pattern: re.Pattern[str], mark: str, found: list[str]) -> Any:
    def stand_in(match: re.Match[str]) -> str:
        found.append(match.group())
        return f"{mark}{len(found) - 1}{mark}"

    if isinstance(value, str):
        return pattern.sub(stand_in, value)
    if isinstance(value, dict):
        return {
            _replace(k, pattern, mark, found): _replace(v, pattern, mark, found) for k, v in value.items()
        }
    if isinstance(value, list):
        return [_replace(item, pattern, mark, found) for item in value]
    return value


def encode_chat(
    tokenizer: Tokenizer,
    template: ChatTemplate,
    messages: Sequence[Mapping[str, Any]],
    *,
    add_generation_prompt: bool = True,
    options: Mapping[str, bool] | None = None,
) -> list[int]:
    """Token ids of a conversation. options: see `ChatTemplate.render`.

    In messages, the text of a special token is ordinary text: before rendering it is replaced by a stand-in
    that no special token matches, and after rendering each stretch between the template's own special
    tokens is encoded with nothing special in it. Conversations without such text (nearly all) are encoded
    in one piece, as other engines do.
    Raises ValueError for malformed messages and ChatTemplateError.
    """
    checked = check_messages(messages)
    pattern = tokenizer.special_pattern
    found: list[str] = []
    mark = ""
    if pattern is not None:
        used = set().union(*map(set, _strings(checked)))
        mark = next(chr(c) for c in _PRIVATE_USE if chr(c) not in used and chr(c) not in template.source)
        checked = _replace(checked, pattern, mark, found)
    text = template.render(checked, add_generation_prompt=add_generation_prompt, options=options)
    if pattern is None or not found:
        return tokenizer.encode(text, add_special_tokens=False)
    stand_in = re.compile(f"{mark}([0-9]{{1,9}}){mark}")

    def restore(match: re.Match[str]) -> str:
        index = int(match.group(1))
        return found[index] if index < len(found) else match.group()

    ids: list[int] = []
    at = 0
    for match in [*pattern.finditer(text), None]:
        stretch = text[at : match.start() if match else len(text)]
        if stretch:
            ids += tokenizer.encode_ordinary(stand_in.sub(restore, stretch))
        if match:
            ids.append(tokenizer.special_tokens[match.group()])
            at = match.end()
    return ids
