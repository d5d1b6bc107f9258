"""Text to token ids and back, over a `tokenizers` file."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import tokenizers

from sapwood.models.errors import shown
from sapwood.models.fields import read_json_object

MAX_TOKENIZER_BYTES = 256 * 1024 * 1024


class TokenizerError(ValueError):
    """The tokenizer of a model directory cannot be used. Names the file."""


class _Translated:
    """Turns what the Rust library raises into TokenizerError, also its panics: those are a BaseException of
    a class that cannot be imported, and would otherwise pass every `except Exception`."""

    __slots__ = ("what",)

    def __init__(self, what: str) -> None:
        self.what = what

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, Exception) or type(error).__name__ == "PanicException":
            raise TokenizerError(f"{self.what}: {shown(str(error))}") from error


class Tokenizer:
    """A byte-exact wrapper: no truncation, no padding, no clean-up of spaces.

    bos_token, eos_token: text of the special tokens that chat templates use, or None.
    """

    def __init__(
        self, inner: tokenizers.Tokenizer, *, bos_token: str | None = None, eos_token: str | None = None
    ) -> None:
        inner.no_truncation()  # a file may ask for it; a prompt is refused, never cut
        inner.no_padding()
        self._inner = inner
        self.bos_token = bos_token
        self.eos_token = eos_token
        added = inner.get_added_tokens_decoder()
        self.special_ids = frozenset(i for i, token in added.items() if token.special)
        self.special_tokens = {token.content: i for i, token in added.items() if token.special and token.content}

    @classmethod
    def from_directory(cls, directory: str | os.PathLike[str]) -> Tokenizer:
        """Load tokenizer.json, and the names of special tokens from tokenizer_config.json.

        Raises TokenizerError if the former is missing, too large or malformed, ConfigError for the latter.
        """
        path = Path(directory) / "tokenizer.json"
        if not path.is_file():
            raise TokenizerError(f"{path}: is missing; only fast tokenizers (tokenizer.json) are supported")
        if (size := path.stat().st_size) > MAX_TOKENIZER_BYTES:
            raise TokenizerError(f"{path}: has {size} bytes; allowed: at most {MAX_TOKENIZER_BYTES}")
        with _Translated(f"{path}: cannot be read"):
            inner = tokenizers.Tokenizer.from_file(str(path))
        config_path = Path(directory) / "tokenizer_config.json"
        config = read_json_object(config_path) if config_path.is_file() else {}
        return cls(
            inner,
            bos_token=_token_text(config.get("bos_token")),
            eos_token=_token_text(config.get("eos_token")),
        )

    @cached_property
    def vocab_size(self) -> int:
        """One more than the largest token id."""
        return max(self._inner.get_vocab(with_added_tokens=True).values(), default=-1) + 1

    @property
    def eos_token_id(self) -> int | None:
        return None if self.eos_token is None else self._inner.token_to_id(self.eos_token)

    def encode(self, text: str, add_special_tokens: bool = True) -> list[int]:
        """Token ids of a text in which the text of a special token *is* that token.

        add_special_tokens: let the tokenizer add what it adds to a document, for Llama a begin token.
        Raises ValueError for text that is not valid Unicode.
        """
        return self._encode(self._inner, text, add_special_tokens)

    def encode_ordinary(self, text: str) -> list[int]:
        """Token ids of a text in which nothing is special. Raises ValueError as `encode`."""
        return self._encode(self._ordinary, text, False)

    @staticmethod
    def _encode(inner: tokenizers.Tokenizer, text: str, add_special_tokens: bool) -> list[int]:
        try:
            text.encode("utf-8")
        except UnicodeEncodeError as error:
            raise ValueError(f"the text has a lone surrogate at index {error.start}; allowed: valid Unicode") from None
        with _Translated("the tokenizer failed"):
            return list(inner.encode(text, add_special_tokens=add_special_tokens).ids)

    @cached_property
    def _ordinary(self) -> tokenizers.Tokenizer:
        # A copy: the switch is a property of the tokenizer, and another thread may be encoding.
        copy = tokenizers.Tokenizer.from_str(self._inner.to_str())
        copy.encode_special_tokens = True
        return copy

    @cached_property
    def special_pattern(self) -> re.Pattern[str] | None:
        """Matches the text of any special token, longest first; None if there is none."""
        if not self.special_tokens:
            return None
        return re.compile("|".join(map(re.escape, sorted(self.special_tokens, key=len, reverse=True))))

    @cached_property
    def _bytes(self) -> _TokenBytes:
        return _TokenBytes(self._inner)

    def token_bytes(self, token_id: int) -> bytes:
        """What a token adds to a text, in bytes: part of a character, it may be, and not UTF-8. Empty for unknown ids.

        Bytes of consecutive tokens, joined, are their text in UTF-8 (but for the space that some decoders take from
        the begin of a text).
        """
        found = self._bytes.of(token_id)
        return self.decode([token_id], skip_special_tokens=False).encode() if found is None else found

    def decode(self, token_ids: Sequence[int], skip_special_tokens: bool = True) -> str:
        """Text of token ids; bytes that are not UTF-8 become U+FFFD. Unknown ids have no text."""
        with _Translated("the tokenizer failed"):
            return self._inner.decode(token_ids, skip_special_tokens=skip_special_tokens)


class _TokenBytes:
    """What each token adds to a text, in bytes, as the decoder in a tokenizer's file says.

    ByteLevel writes bytes as letters (the table of GPT-2); ByteFallback writes some tokens as <0xAB>; Replace and
    Metaspace say how a space is written. Decoding one token alone would lose half characters, and spaces that begin
    words.
    """

    def __init__(self, inner: tokenizers.Tokenizer) -> None:
        decoder = json.loads(inner.to_str()).get("decoder") or {}
        parts = [decoder, *decoder.get("decoders", ())]
        kinds = {part.get("type") for part in parts}
        self._byte_level = "ByteLevel" in kinds
        self._byte_fallback = "ByteFallback" in kinds
        self._replaced = [
            (part["pattern"]["String"], part["content"])
            for part in parts
            if part.get("type") == "Replace" and "String" in part.get("pattern", {})
        ]
        self._replaced += [(part["replacement"], " ") for part in parts if part.get("type") == "Metaspace"]
        self._plain = {i: token.content for i, token in inner.get_added_tokens_decoder().items()}
        self._inner = inner

    def of(self, token_id: int) -> bytes | None:
        text = self._plain.get(token_id)
        if text is not None:
            return text.encode()
        text = self._inner.id_to_token(token_id)
        if text is None:
            return b""
        if self._byte_level:
            try:
                return bytes(_BYTES_OF_LETTERS[letter] for letter in text)
            except KeyError:
                return None
        if self._byte_fallback and (match := _BYTE_TOKEN.fullmatch(text)):
            return bytes([int(match.group(1), 16)])
        for written, meant in self._replaced:
            text = text.replace(written, meant)
        return text.encode() if self._replaced else None


def _letters_of_bytes() -> dict[str, int]:
    """GPT-2's alphabet of bytes: those that print as themselves, the others from U+0100 on."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + i): byte for i, byte in enumerate(others)}


_BYTES_OF_LETTERS = _letters_of_bytes()
_BYTE_TOKEN = re.compile(r"<0x([0-9A-F]{2})>")


def _token_text(value: object) -> str | None:
    """tokenizer_config.json writes a special token as a string or as an object with `content`."""
    if isinstance(value, dict):
        value = value.get("content")
    return value if isinstance(value, str) and value else None
