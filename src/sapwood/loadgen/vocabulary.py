"""Words of known length in tokens, of which prompts of exact length are made without asking anyone while it runs.

Vocabularies of today split text at spaces first, so lengths of words add up. That is measured once a word, and
`check` holds whole texts to it.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

#: token ids of a text, as the server counts them, special tokens in front included
Tokenize = Callable[[str], Awaitable[list[int]]]

#: common words; with a space in front, most are one token of most vocabularies
WORDS = (
    "the of and to in is that for it was on are as with his they at be this have from or one had by word but not "
    "what all were we when your can said there use an each which she do how their if will up other about out many "
    "then them these so some her would make like him into time has look two more write go see number no way could "
    "people my than first water been call who oil its now find long down day did get come made may part over new "
    "sound take only little work know place year live me back give most very after thing our just name good "
    "sentence man think say great where help through much before line right too mean old any same tell boy follow "
    "came want show also around form three small set put end does another well large must big even such because "
    "turn here why ask went men read need land different home us move try kind hand picture again change off play "
    "spell air away animal house point page letter mother answer found study still learn should world"
).split()


class VocabularyError(ValueError):
    """No prompt of the length that was asked for can be made."""


@dataclass(frozen=True, slots=True)
class Word:
    """first: its ids at the start of a text (special tokens included); after: its ids after a space."""

    first: tuple[int, ...]
    after: tuple[int, ...]


class Vocabulary:
    """The words. exact: whether lengths are known; else a word counts as one token, and has no ids."""

    def __init__(self, words: dict[str, Word] | None = None) -> None:
        self.exact = words is not None
        self._words = words or {word: Word((0,), (0,)) for word in WORDS}
        self._first = self._by_cost({name: len(word.first) for name, word in self._words.items()})
        self._after = self._by_cost({name: len(word.after) for name, word in self._words.items()})

    @staticmethod
    def _by_cost(costs: dict[str, int]) -> list[tuple[int, list[str]]]:
        """For each cost there is, ascending: the words of at most that cost."""
        return [(limit, [w for w, cost in costs.items() if cost <= limit]) for limit in sorted(set(costs.values()))]

    @classmethod
    async def measured(cls, tokenize: Tokenize) -> Vocabulary:
        """Ask for every word once at the start of a text and once after another."""
        before = await tokenize(WORDS[0])
        words: dict[str, Word] = {}
        for word in dict.fromkeys(WORDS):
            both = await tokenize(f"{WORDS[0]} {word}")
            if both[: len(before)] == before and len(both) > len(before):
                words[word] = Word(tuple(await tokenize(word)), tuple(both[len(before) :]))
        if not words:
            raise VocabularyError("the tokenizer joins words over spaces; lengths of prompts cannot be set with it")
        return cls(words)

    async def check(self, tokenize: Tokenize, text: str) -> bool:
        """Whether a text made of `sample` has the ids that `ids` says."""
        return await tokenize(text) == self.ids(text.split(), follows=False)

    def sample(self, rng: random.Random, length: int, *, follows: bool = False) -> list[str]:
        """Random words of `length` tokens together. follows: they stand after other words.

        Raises VocabularyError if no words fit.
        """
        words: list[str] = []
        left = length
        while left > 0:
            table, first = (self._after, False) if words or follows else (self._first, True)
            choice = next((names for limit, names in reversed(table) if limit <= left), None)
            if choice is None:
                raise VocabularyError(f"no text of {length} tokens can be made of words: {left} are left over")
            word = rng.choice(choice)
            words.append(word)
            left -= len(self._words[word].first if first else self._words[word].after)
        return words

    def ids(self, words: Sequence[str], *, follows: bool) -> list[int]:
        """Token ids of words. Raises VocabularyError where lengths are not known."""
        if not self.exact:
            raise VocabularyError("token ids need a tokenizer: the server's /tokenize, or --tokenizer")
        out: list[int] = []
        for word in words:
            known = self._words[word]
            out += known.after if out or follows else known.first
        return out
