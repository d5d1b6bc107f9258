"""What clients do: conversations, made up or recorded.

A conversation is a list of turns. A turn's prompt is all that was said before, and what the client adds; the next turn
comes when the answer is complete and the client has thought. So arrivals depend on how fast the cluster is, as they do
in life, and nothing is asked about an answer that is not there.

Token ids stand for texts: whatever text two prompts share has the same ids in both, and all else differs. A text is one
id, repeated, because names of blocks are chains: it takes one number to make a text different from all others.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from sapwood.loadgen.arrivals import arrival_times

MOONCAKE_BLOCK = 512  # tokens of a hash id
_FIRST_TEXT = 1 << 24  # token ids of texts that nobody shares; below are those of system prompts and recorded blocks


@dataclass(frozen=True, slots=True)
class Turn:
    """added: tokens that the client adds to the conversation. output: tokens of the answer. think: seconds before the
    next turn."""

    added: list[int]
    output: list[int]
    think: float = 0.0


@dataclass(slots=True)
class Conversation:
    """arrival: seconds, of the first turn. history: tokens of all turns so far."""

    name: str
    arrival: float
    turns: list[Turn]
    history: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Lengths:
    """Of texts in tokens: log-normal with this mean, at most `most`; spread is the deviation of the logarithm."""

    mean: float
    spread: float
    most: int

    def draw(self, rng: random.Random) -> int:
        center = self.mean * 2.718281828459045 ** (-self.spread**2 / 2)
        return min(max(round(rng.lognormvariate(0.0, self.spread) * center), 1), self.most)


@dataclass(frozen=True, slots=True)
class ConversationTrace:
    """Conversations that begin with one of some system prompts.

    rate: conversations that begin per second. burstiness: see `loadgen.arrivals` (1 is Poisson, less is burstier).
    num_requests: turns of all conversations together; the last conversation may be cut. system_prompts: how many there
    are, with `system_tokens` each; the nth is 1/n times as popular as the first (Zipf). turns: mean of a geometric
    distribution. think_seconds: mean of an exponential distribution. Everything is drawn from `seed`, and of a
    conversation from its number, so the same conversations come whatever the cluster does.
    """

    num_requests: int
    rate: float
    burstiness: float = 1.0
    system_prompts: int = 50
    system_tokens: int = 512
    added: Lengths = Lengths(150, 1.0, 4000)
    output: Lengths = Lengths(120, 0.8, 1000)
    turns: float = 4.0
    most_turns: int = 20
    think_seconds: float = 20.0
    seed: int = 0

    def conversations(self) -> Iterator[Conversation]:
        """In order of arrival."""
        left = self.num_requests
        text = _FIRST_TEXT
        weights = [1 / n for n in range(1, self.system_prompts + 1)]
        prompts = range(self.system_prompts)
        for number, time in enumerate(arrival_times(self.rate, self.burstiness, random.Random(self.seed))):
            if left <= 0:
                return
            rng = random.Random(f"{self.seed}/{number}")
            count = 1
            while count < min(self.most_turns, left) and rng.random() > 1 / self.turns:
                count += 1
            left -= count
            turns: list[Turn] = []
            for _ in range(count):
                added, output = self.added.draw(rng), self.output.draw(rng)
                turns.append(Turn([text] * added, [text + 1] * output, rng.expovariate(1 / self.think_seconds)))
                text += 2
            system = rng.choices(prompts, weights)[0] if self.system_prompts else 0
            turns[0].added[:0] = [system + 1] * self.system_tokens
            yield Conversation(f"c{number}", time, turns)


@dataclass(frozen=True, slots=True)
class RecordedTrace:
    """A recorded trace in Mooncake's form (Qin et al., FAST 2025): JSON lines of timestamp (milliseconds),
    input_length, output_length and hash_ids, one for each 512 tokens of the prompt; equal ids are equal text.

    Each line is a conversation of one turn at its time. speed: how many times as fast it is replayed.
    """

    path: Path
    speed: float = 1.0
    num_requests: int | None = None

    def conversations(self) -> Iterator[Conversation]:
        """In order of arrival. Raises ValueError naming a line of another form, or earlier than the one before."""
        with self.path.open(encoding="utf-8") as lines:
            last = 0.0
            for number, line in enumerate(lines, 1):
                if self.num_requests is not None and number > self.num_requests:
                    return
                try:
                    found = json.loads(line)
                    time = float(found["timestamp"]) / 1e3 / self.speed
                    length, output = int(found["input_length"]), int(found["output_length"])
                    ids = [int(i) for i in found["hash_ids"]]
                    if min(length, output) < 1 or time < last or -(-length // MOONCAKE_BLOCK) != len(ids):
                        raise ValueError
                except (ValueError, KeyError, TypeError):
                    raise ValueError(
                        f"{self.path}:{number}: no request; allowed: timestamp (not before the line above), "
                        f"input_length, output_length (at least 1) and hash_ids, one for each {MOONCAKE_BLOCK} tokens"
                    ) from None
                last = time
                prompt: list[int] = []
                for i in ids:
                    prompt += [i + 1] * MOONCAKE_BLOCK
                turn = Turn(prompt[:length], [_FIRST_TEXT + number] * output)
                yield Conversation(f"r{number}", time, [turn])


Trace = ConversationTrace | RecordedTrace
