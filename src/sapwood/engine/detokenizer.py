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
    """Text of one request's output, with stop strings. What a token costs does not grow with the text.

    A stop string counts only when it is completed by a token after the first `min_tokens` ones.
    stopped_by: the stop string that ended the text, or None.
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        *,
        prompt_token_ids: Sequence[int] = (),
        stop: Sequence[str] = (),
        include_stop_str_in_output: bool = False,
        skip_special_tokens: bool = True,
        min_tokens: int = 0,
    ) -> None:
        self._decoder = IncrementalDecoder(tokenizer, skip_special_tokens=skip_special_tokens, context=prompt_token_ids)
        self._matchers = [_StopMatcher(s) for s in dict.fromkeys(stop)]
        self._include_stop = include_stop_str_in_output
        self._unsearched = min_tokens
        self._ready: list[str] = []
        self._held = ""  # the longest end of the text with which a stop string begins
        self.stopped_by: str | None = None

    def update(self, token_id: int | None, finished: bool = False) -> str | None:
        """Add a token (None: one that has no text); `finished` says that no more will come.

        Returns the stop string that was completed, after which nothing more may be added, or None.
        """
        if self.stopped_by is not None:
            raise ValueError(f"the text has ended at the stop string {self.stopped_by!r}")
        piece = "" if token_id is None else self._decoder.push(token_id)
        if finished:
            piece += self._decoder.flush()
        self._unsearched -= 1
        if piece and self._matchers:
            piece = self._search(piece)
        if piece:
            self._ready.append(piece)
        if finished and self._held:
            self._ready.append(self._held)
            self._held = ""
        return self.stopped_by

    def take(self) -> str:
        """The text that came since the last call and that no later token can take back."""
        text = "".join(self._ready)
        self._ready.clear()
        return text

    def _search(self, piece: str) -> str:
        """Cut at the stop string that is completed first; of those, at the longest. Returns what is certain."""
        text, before = self._held + piece, len(self._held)
        searched = self._unsearched < 0
        found: tuple[int, int, str] | None = None
        for matcher in self._matchers:
            end = matcher.feed(piece, searched)
            if end is not None:
                end += before
                match = (end, end - len(matcher.stop), matcher.stop)
                found = match if found is None else min(found, match)
        self._held = ""
        if found is not None:
            end, at, self.stopped_by = found
            return text[: end if self._include_stop else at]
        certain = len(text) - max(matcher.matched for matcher in self._matchers)
        self._held = text[certain:]
        return text[:certain]


class _StopMatcher:
    """Finds one stop string in text that comes in pieces (Knuth, Morris and Pratt, 1977).

    matched: length of the longest end of the text that begins the stop string.
    """

    __slots__ = ("_borders", "matched", "stop")

    def __init__(self, stop: str) -> None:
        self.stop = stop
        self.matched = 0
        self._borders = [0]  # of stop[:i + 1]: its longest proper end that begins it; grows as matches do

    def feed(self, piece: str, searched: bool) -> int | None:
        """Index after the character of `piece` that completes the stop string, if any does.

        With `searched` false the stop string may pass; only `matched` is kept up to date.
        """
        stop, borders, matched = self.stop, self._borders, self.matched
        start = 0 if matched else piece.find(stop[0])
        if start < 0:
            return None
        for index in range(start, len(piece)):
            character = piece[index]
            while matched and stop[matched] != character:
                matched = borders[matched - 1]
            if stop[matched] != character:
                continue
            matched += 1
            if len(borders) < matched:
                borders.append(self._border(matched - 1))
            if matched == len(stop):
                if searched:
                    return index + 1
                matched = borders[matched - 1]
        self.matched = matched
        return None

    def _border(self, end: int) -> int:
        stop, borders = self.stop, self._borders
        border = borders[end - 1]
        while border and stop[border] != stop[end]:
            border = borders[border - 1]
        return border + (stop[border] == stop[end])
