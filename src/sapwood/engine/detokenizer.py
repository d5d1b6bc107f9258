"""From tokens to text, one token at a time, without ever showing half a character or half a stop string."""

from __future__ import annotations

from collections.abc import Sequence

from sapwood.engine.tokenizer import Tokenizer

_REPLACEMENT = "\ufffd"
#: prompt tokens that are decoded along: decoders strip the leading space of the first token they see
_CONTEXT_TOKENS = 6
#: a window that grows to a multiple of this holds bytes that are not text
_GARBAGE = 32


class IncrementalDecoder:
    """Decodes a growing sequence. The pieces, joined, are what decoding the whole sequence at once gives.

    A token may end inside of a UTF-8 character: the tail of the text then shows as U+FFFD and is held back
    until more tokens have come. Decoders look at their neighbours (word-start marks, byte runs), so each
    token is decoded in a short window that starts at a character boundary one piece back.
    """

    def __init__(
        self, tokenizer: Tokenizer, *, skip_special_tokens: bool = True, context: Sequence[int] = ()
    ) -> None:
        self._tokenizer = tokenizer
        self._skip = skip_special_tokens
        self._window: list[int] = list(context[-_CONTEXT_TOKENS:])
        shown = self._decode(self._window)
        if shown.endswith(_REPLACEMENT):
            # The prompt ends inside of a character. Its half stays with the prompt.
            self._window, shown = [], ""
        self._boundary = len(self._window)
        self._sent = len(shown)

    def _decode(self, token_ids: Sequence[int]) -> str:
        return self._tokenizer.decode(token_ids, skip_special_tokens=self._skip) if token_ids else ""

    def push(self, token_id: int) -> str:
        """Text that the token completes, possibly none."""
        if self._skip and token_id in self._tokenizer.special_ids:
            return ""
        self._window.append(token_id)
        text = self._decode(self._window)
        stable = len(text.rstrip(_REPLACEMENT))
        piece = text[self._sent : stable]
        self._sent = max(self._sent, stable)
        if stable == len(text):
            tail = self._window[self._boundary :]
            shown = self._decode(tail)
            if shown:  # else the next token would be taken for the first one of a text
                self._window, self._sent = tail, len(shown)
                self._boundary = len(tail)
        elif len(self._window) % _GARBAGE == 0:
            piece += self._cut(text)
        return piece

    def _cut(self, text: str) -> str:
        """Drop the front of a window that is stuck, where cutting changes nothing; returns its text.

        If left and right decode to the same text apart as together, no character spans the cut, now or later.
        """
        for cut in range(len(self._window) - 1, len(self._window) - 8, -1):
            left = self._decode(self._window[:cut])
            if len(left) >= self._sent and left + self._decode(self._window[cut:]) == text:
                piece = left[self._sent :]
                self._window = self._window[cut:]
                self._boundary = self._sent = 0
                return piece
        return ""

    def flush(self) -> str:
        """What was held back; the sequence ends here."""
        text = self._decode(self._window)
        piece = text[self._sent :]
        self._sent = len(text)
        return piece


class Detokenizer:
    """Text of one request's output, with stop strings.

    output_text: everything so far, cut at the stop string if one was found.
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        *,
        prompt_token_ids: Sequence[int] = (),
        stop: Sequence[str] = (),
        include_stop_str_in_output: bool = False,
        skip_special_tokens: bool = True,
    ) -> None:
        self._decoder = IncrementalDecoder(
            tokenizer, skip_special_tokens=skip_special_tokens, context=prompt_token_ids
        )
        self._stop = tuple(stop)
        self._longest = max(map(len, self._stop), default=0)
        self._include_stop = include_stop_str_in_output
        self.output_text = ""
        self.stopped_by: str | None = None

    def update(self, token_id: int | None, finished: bool = False) -> str | None:
        """Add a token (None: only the end); `finished` says that no more will come.

        Returns the stop string that was completed, after which nothing more may be added, or None.
        """
        if self.stopped_by is not None:
            raise ValueError(f"the text has ended at the stop string {self.stopped_by!r}")
        piece = "" if token_id is None else self._decoder.push(token_id)
        if finished:
            piece += self._decoder.flush()
        if piece:
            searched = max(len(self.output_text) - self._longest + 1, 0)
            self.output_text += piece
            self._find_stop(searched)
        return self.stopped_by

    def _find_stop(self, start: int) -> None:
        """Cut at the stop string that is completed first; of those, at the longest."""
        matches = [
            (at + len(stop), at, stop)
            for stop in self._stop
            if (at := self.output_text.find(stop, start)) >= 0
        ]
        if matches:
            end, at, self.stopped_by = min(matches)
            self.output_text = self.output_text[: end if self._include_stop else at]

    def streamable_length(self) -> int:
        """Length of the prefix of `output_text` that no later token can take back."""
        if self.stopped_by is not None or not self._stop:
            return len(self.output_text)
        held = 0
        for stop in self._stop:
            for length in range(min(len(stop) - 1, len(self.output_text)), held, -1):
                if self.output_text.endswith(stop[:length]):
                    held = length
                    break
        return len(self.output_text) - held
