from __future__ import annotations

import asyncio
import itertools
import random

import pytest

from sapwood.loadgen.vocabulary import Vocabulary, VocabularyError
from sapwood.loadgen.workload import RandomSpec, WorkloadError, random_conversations, read_prompts


def demo_tokenizer():
    from sapwood.engine.tokenizer import Tokenizer
    from sapwood.models.hub import demo_model

    inner = Tokenizer.from_directory(demo_model())

    async def tokenize(text: str) -> list[int]:
        return inner.encode(text)

    return tokenize


@pytest.fixture(scope="module")
def tokenize():
    return demo_tokenizer()


@pytest.fixture(scope="module")
def vocabulary(tokenize):
    return asyncio.run(Vocabulary.measured(tokenize))


def take(spec, vocabulary, seed, count):
    return list(itertools.islice(random_conversations(spec, vocabulary, seed), count))


@pytest.mark.parametrize("length", [1, 2, 3, 17, 128, 1000])
def test_prompts_have_exactly_the_tokens_that_were_asked_for(tokenize, vocabulary, length):
    for conversation in take(RandomSpec(input_len=length), vocabulary, 3, 20):
        assert len(asyncio.run(tokenize(conversation.turns[0].text))) == length


def test_ids_are_those_of_the_text(tokenize, vocabulary):
    for conversation in take(RandomSpec(input_len=50, as_ids=True), vocabulary, 3, 20):
        turn = conversation.turns[0]
        assert turn.token_ids == asyncio.run(tokenize(turn.text))


def test_check_finds_a_tokenizer_that_joins_words():
    async def joins(text: str) -> list[int]:
        words = text.split()
        return [hash(word) for word in words[:3]] + [len(words)] * max(0, len(words) - 4)

    async def go():
        vocabulary = await Vocabulary.measured(joins)
        return await vocabulary.check(joins, " ".join(vocabulary.sample(random.Random(0), 20)))

    assert not asyncio.run(go())


def test_shared_prefixes(tokenize, vocabulary):
    spec = RandomSpec(input_len=20, prefix_len=30, num_prefixes=3)
    texts = [c.turns[0].text for c in take(spec, vocabulary, 5, 60)]
    ids = [asyncio.run(tokenize(text)) for text in texts]
    assert {len(found) for found in ids} == {50}
    assert len({tuple(found[:30]) for found in ids}) == 3
    assert len({tuple(found[30:]) for found in ids}) == 60


def test_seeds(vocabulary):
    spec = RandomSpec(input_len=30, range_ratio=0.5, turns=2)
    assert take(spec, vocabulary, 1, 5) == take(spec, vocabulary, 1, 5) != take(spec, vocabulary, 2, 5)


def test_lengths_are_spread(tokenize, vocabulary):
    turns = [c.turns[0] for c in take(RandomSpec(100, 40, range_ratio=0.5), vocabulary, 1, 300)]
    lengths = {len(asyncio.run(tokenize(turn.text))) for turn in turns}
    assert 50 <= min(lengths) <= 55
    assert 145 <= max(lengths) <= 150
    assert min(turn.output_len for turn in turns) >= 20
    assert max(turn.output_len for turn in turns) <= 60


def test_later_turns_have_the_length_too(tokenize, vocabulary):
    conversation = take(RandomSpec(input_len=40, turns=3, prefix_len=10), vocabulary, 1, 1)[0]
    first = len(asyncio.run(tokenize(conversation.turns[0].text)))
    both = len(asyncio.run(tokenize(f"{conversation.turns[0].text} {conversation.turns[1].text}")))
    assert (first, both) == (50, 90)


def test_no_words_of_the_length():
    async def special(text: str) -> list[int]:
        return [0, 0, 0, *map(len, text.split())]

    vocabulary = asyncio.run(Vocabulary.measured(special))
    with pytest.raises(VocabularyError, match="no text of 3 tokens"):
        take(RandomSpec(input_len=3), vocabulary, 0, 1)


def test_without_a_tokenizer_words_count():
    vocabulary = Vocabulary()
    assert len(take(RandomSpec(input_len=12), vocabulary, 0, 1)[0].turns[0].text.split()) == 12
    with pytest.raises(VocabularyError, match="token ids need a tokenizer"):
        take(RandomSpec(input_len=12, as_ids=True), vocabulary, 0, 1)


def test_recorded_prompts(tmp_path):
    path = tmp_path / "prompts.jsonl"
    path.write_text(
        '{"prompt": "one", "max_tokens": 5}\n\n{"messages": [{"role": "user", "content": "two"}]}\n{"prompt": "3"}\n'
    )
    first, second, third = (c.turns[0] for c in read_prompts(path, 9))
    assert (first.text, first.output_len) == ("one", 5)
    assert (second.messages, second.output_len) == ([{"role": "user", "content": "two"}], 9)
    assert third.text == "3"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "there is no prompt"),
        ("{", "line 1: not JSON"),
        ("\n[1]", "line 2: an object is needed"),
        ('{"prompt": 5}', "line 1: one of prompt"),
        ('{"prompt": "a", "messages": []}', "line 1: one of prompt"),
        ('{"prompt": "a", "max_tokens": 0}', "line 1: max_tokens is 0"),
        ("[" * 100000, "line 1: not JSON"),
    ],
)
def test_mistakes_in_a_file_name_the_line(tmp_path, text, message):
    path = tmp_path / "prompts.jsonl"
    path.write_text(text)
    with pytest.raises(WorkloadError, match=message):
        read_prompts(path, None)


def test_missing_file(tmp_path):
    with pytest.raises(WorkloadError, match="No such file"):
        read_prompts(tmp_path / "none", None)
