"""The body of a request: read within limits, then decoded as strictly as JSON allows."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any, NoReturn, TypeVar

import anyio.to_thread
import msgspec
import msgspec.inspect
from starlette.types import Receive, Scope

from sapwood.models.errors import shown
from sapwood.serve.errors import ApiError, bad_request

MAX_DEPTH = 64
MAX_BRACKETS = 100_000  # objects and arrays, counted by both of their brackets
MAX_DIGITS = 40
DISCARD_BYTES = 64 << 20
DISCARD_SECONDS = 10.0
MAX_MESSAGE = 400
THREAD_BYTES = 64 << 10  # larger bodies are decoded in a thread

T = TypeVar("T")


class ClientDisconnected(Exception):
    """The client has gone; nobody reads an answer."""


def header(scope: Scope, name: bytes) -> str | None:
    """The value of a header that may come once; the last one, if it came more often. None if it did not."""
    found = None
    for key, value in scope["headers"]:
        if key == name:
            found = value
    return None if found is None else found.decode("latin-1")


def check_content_type(scope: Scope) -> None:
    """Raise ApiError 415 unless the body is plain JSON in UTF-8.

    A missing type is refused too: a web page may send such a request to another site without asking it first.
    """
    given = header(scope, b"content-type")
    kind, _, parameters = (given or "").partition(";")
    kind = kind.strip().lower()
    if kind != "application/json" and not (kind.startswith("application/") and kind.endswith("+json")):
        raise ApiError(415, f"Content-Type is {shown(given)}; allowed: 'application/json'.", code="content_type")
    charset = re.search(r"charset\s*=\s*\"?([^\s;\"]+)", parameters, re.IGNORECASE)
    if charset and charset.group(1).lower() not in ("utf-8", "utf8"):
        raise ApiError(415, f"The charset is {shown(charset.group(1))}; allowed: 'utf-8'.", code="content_type")
    encoding = header(scope, b"content-encoding")
    if encoding is not None and encoding.strip().lower() not in ("", "identity"):
        raise ApiError(415, f"Content-Encoding is {shown(encoding)}; allowed: none.", code="content_encoding")


async def read_body(scope: Scope, receive: Receive, limit: int, timeout: float) -> bytes:
    """The whole body. Raises ApiError 413 as soon as it is known to be too long, 408 when it comes too slowly."""
    declared = header(scope, b"content-length")
    if declared is not None and (not declared.isascii() or not declared.isdigit() or int(declared[:20]) > limit):
        raise _too_large(limit)
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(timeout):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise ClientDisconnected
                part = message.get("body", b"")
                size += len(part)
                if size > limit:
                    raise _too_large(limit)
                parts.append(part)
                if not message.get("more_body", False):
                    return b"".join(parts)
    except TimeoutError:
        raise ApiError(
            408, f"The request body did not arrive within {timeout:g} seconds.", code="body_timeout", close=True
        ) from None


def _too_large(limit: int) -> ApiError:
    return ApiError(413, f"The request body is larger than {limit} bytes, the most allowed.", code="body_too_large")


async def discard_body(receive: Receive) -> None:
    """Read and forget what a client still sends, within limits.

    Closing a connection with unread input resets it, and the client loses the answer that was sent before.
    """
    left = DISCARD_BYTES
    try:
        async with asyncio.timeout(DISCARD_SECONDS):
            while left > 0:
                message = await receive()
                if message["type"] == "http.disconnect" or not message.get("more_body", False):
                    return
                left -= len(message.get("body", b"")) + 1
    except TimeoutError:
        return


_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)', re.DOTALL)  # an unfinished one ends with the text
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


def _check_nesting(body: bytes) -> None:
    brackets = _STRING.sub(b"", body).translate(None, _NOT_BRACKETS)
    if len(brackets) > MAX_BRACKETS:
        raise bad_request(f"The JSON has more than {MAX_BRACKETS // 2} objects and arrays.", code="json_too_complex")
    depth = 0
    for bracket in brackets:
        if bracket in b"[{":
            depth += 1
            if depth > MAX_DEPTH:
                raise bad_request(f"The JSON is nested more than {MAX_DEPTH} deep.", code="json_too_deep")
        else:
            depth -= 1


def _unique(pairs: list[tuple[str, Any]]) -> None:
    names = set()
    for name, _ in pairs:
        if name in names:
            raise bad_request(f"The JSON has the key {shown(name)} twice in one object.", code="json_duplicate_key")
        names.add(name)


def _bounded(digits: str) -> None:
    if len(digits) > MAX_DIGITS:
        raise bad_request(f"The JSON has a number of more than {MAX_DIGITS} digits.", code="json_number")


def _finite(text: str) -> None:
    if abs(float(text)) == float("inf"):
        raise bad_request(f"The JSON has the number {shown(text)}, which is out of range.", code="json_number")


def _constant(name: str) -> NoReturn:
    raise bad_request(f"The JSON has {name}, which is not JSON.", code="json_invalid")


_scanner = json.JSONDecoder(
    object_pairs_hook=_unique, parse_int=_bounded, parse_float=_finite, parse_constant=_constant
)
_PATH = re.compile(r"^(.*?) - at (?:the )?`?(?:key in )?`?\$?\.?(.*?)`?$", re.DOTALL)


_MISSING = re.compile(r"Object missing required field `(\w+)`")
_NEVER = ("Expected `null`, got ", "Expected `str` of length <= 0", "Expected `array` of length <= 0")
"""What is said of fields that exist only to be refused."""


def allowed_words(type_: Any, path: str) -> list[Any]:
    """The literals that a type allows at a path of an error, such as `messages[0].role`."""
    nodes = _alternatives(msgspec.inspect.type_info(type_))
    for step in re.findall(r"\[[^\]]*\]|[^.\[]+", path):
        below: list[msgspec.inspect.Type] = []
        for node in nodes:
            if step[0] == "[" and isinstance(node, msgspec.inspect.CollectionType):
                below.append(node.item_type)
            elif isinstance(node, msgspec.inspect.StructType):
                below += [field.type for field in node.fields if field.encode_name == step]
        nodes = [found for node in below for found in _alternatives(node)]
    literals = (node.values for node in nodes if isinstance(node, msgspec.inspect.LiteralType))
    return [word for values in literals for word in values]


def _alternatives(node: msgspec.inspect.Type) -> list[msgspec.inspect.Type]:
    while isinstance(node, msgspec.inspect.Metadata):
        node = node.type
    return [*node.types] if isinstance(node, msgspec.inspect.UnionType) else [node]


def decode_json(body: bytes, decoder: msgspec.json.Decoder[T]) -> T:
    """The body as the decoder's type.

    Raises ApiError 400 for what is not JSON in UTF-8, for depth, size, numbers and duplicate keys beyond the limits,
    wherever they stand, and for values that the type does not allow; then it names the field as `param`.
    """
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise bad_request(f"The body is not UTF-8 at byte {error.start}.", code="json_invalid") from None
    _check_nesting(body)
    try:
        value = decoder.decode(body)
        _scanner.decode(text)
        return value
    except msgspec.ValidationError as error:
        raise _invalid_value(str(error), decoder.type) from None
    except (ValueError, RecursionError) as error:  # DecodeError is a ValueError
        if not body.strip():
            raise bad_request("The body is empty; allowed: a JSON object.", code="json_invalid") from None
        message = str(error) if isinstance(error, msgspec.DecodeError) else "it cannot be decoded"
        raise bad_request(f"The body is not valid JSON: {message}.", code="json_invalid") from None


def _invalid_value(message: str, type_: Any) -> ApiError:
    """The answer to what a decoder of `type_` said."""
    message = ascii(message)[1:-1]  # it may quote the client: one line, nothing that a terminal obeys
    if len(message) > MAX_MESSAGE:
        message = f"{message[: MAX_MESSAGE // 2]}...{message[-MAX_MESSAGE // 2 :]}"
    match = _PATH.match(message)
    what, where = (match.group(1), match.group(2)) if match else (message, "")
    param = where if len(where) <= 200 else None
    if what.startswith(_NEVER):
        return bad_request(f"{param} is not supported by this server.", param, "not_supported")
    absent = _MISSING.fullmatch(what)
    if absent and param is not None:
        return bad_request(f"{what}{f', at {param}' if param else ''}.", f"{param}.{absent[1]}".lstrip("."))
    if what.startswith("Invalid enum value ") and param:
        words = ", ".join(map(repr, allowed_words(type_, param)))
        return bad_request(f"{what}, at {param}{'; allowed: ' if words else ''}{words}.", param)
    return bad_request(f"{what}, at {param}." if param else f"{what}.", param=param or None)


async def decode_json_body(body: bytes, decoder: msgspec.json.Decoder[T]) -> T:
    """`decode_json`, in a thread when it takes long. Raises as that does."""
    if len(body) <= THREAD_BYTES:
        return decode_json(body, decoder)
    return await anyio.to_thread.run_sync(decode_json, body, decoder)
