"""How many tokens a step may have, so that it takes about as long as it should.

A long step is a long wait for everybody: all running texts get their next token at its end, and nobody new begins.
How long a token takes differs a hundredfold between machines and models, so it is measured, never assumed.
"""

from __future__ import annotations

MIN_STEP_TOKENS = 16


class StepBudget:
    """A token budget that follows the speed of finished steps.

    least, most: limits of the budget, in tokens. least must give every running request a token.
    target_seconds: how long a full step should take.

    Only steps that used at least half of their budget teach something about a full one: a step of a few tokens costs
    mostly what does not depend on them (reading the weights). Such a step of n tokens in t seconds sets the budget to
    n * target / t. If a step takes a + b * n, the fixed point of that is the n with a + b * n = target, whatever a
    and b are. A step that was neither full nor too long lowers nothing. A single odd measurement (a page fault, a
    suspended laptop) moves it by a bounded factor. It begins low: growing is quick, and the first step of a slow
    machine must not take half a minute.
    """

    FIRST = 64
    SHRINK, GROW = 0.25, 4.0

    def __init__(self, least: int, most: int, target_seconds: float = 0.25) -> None:
        if not 1 <= least <= most:
            raise ValueError(f"least is {least}; allowed: from 1 to most, which is {most}")
        if not target_seconds > 0:
            raise ValueError(f"target_seconds is {target_seconds}; allowed: above 0")
        self.least, self.most, self.target_seconds = least, most, target_seconds
        self._budget = float(min(max(self.FIRST, least), most))

    @classmethod
    def within(cls, max_num_seqs: int, max_num_batched_tokens: int, target_seconds: float) -> StepBudget:
        """For a scheduler of these limits: every running request gets a token in each step."""
        least = min(max(max_num_seqs, MIN_STEP_TOKENS), max_num_batched_tokens)
        return cls(least, max_num_batched_tokens, target_seconds)

    @property
    def tokens(self) -> int:
        """The budget of the next step."""
        return int(self._budget)

    def record(self, num_tokens: int, seconds: float) -> None:
        """Learn from a finished step. Steps that took no measurable time count as very fast ones."""
        if 2 * num_tokens < self.tokens:
            return
        wanted = num_tokens * self.target_seconds / seconds if seconds > 0 else self.most
        wanted = min(max(wanted, self._budget * self.SHRINK), self._budget * self.GROW)
        if num_tokens < self.tokens and seconds <= self.target_seconds:
            wanted = max(wanted, self._budget)
        self._budget = min(max(wanted, float(self.least)), float(self.most))
