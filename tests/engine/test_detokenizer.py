"""Incremental text: pieces join to the whole, no half characters, stop strings across tokens."""

from __future__ import annotations

import itertools

import pytest
import tokenizers
from engine_fakes import make_tokenizer, sentencepiece_json
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sapwood.engine.detokenizer import Detokenizer, IncrementalDecoder
from sapwood.engine.tokenizer import Tokenizer

TOKENIZER = make_tokenizer()
SPIECE = Tokenizer(tokenizers.Tokenizer.from_str(sentencepiece_json()))
hard_text = st.text(
    st.characters(exclude_categories=["Cs"]) | st.sampled_from("你🙂👩‍🇩🇪é\ufffd \n"), max_size=12
)
fuzz = settings(max_examples=200, deadline=None, derandomize=True)


def byte_ids(data: bytes) -> list[int]:
    """One token per byte: the finest split there is."""
    printable = {*range(33, 127), *range(161, 173), *range(174, 256)}
    others = iter(range(256, 512))
    chars = [chr(b) if b in printable else chr(next(others)) for b in range(256)]
    vocab = TOKENIZER._inner.get_vocab()
    return [vocab[chars[b]] for b in data]


def pieces(
    ids: list[int], tokenizer: Tokenizer = TOKENIZER, skip: bool = True, context: tuple[int, ...] = ()
) -> list[str]:
    decoder = IncrementalDecoder(tokenizer, skip_special_tokens=skip, context=context)
    return [*(decoder.push(i) for i in ids), decoder.flush()]


@fuzz
@given(st.lists(st.integers(0, TOKENIZER.vocab_size - 1), max_size=80), st.booleans())
def test_stream_is_whole_decode_for_any_tokens(ids: list[int], skip: bool) -> None:
    assert "".join(pieces(ids, skip=skip)) == TOKENIZER.decode(ids, skip_special_tokens=skip)


@fuzz
@given(hard_text, st.data())
def test_stream_is_text_for_random_splits(text: str, data: st.DataObject) -> None:
    raw = text.encode()
    ids: list[int] = []
    at = 0
    while at < len(raw):  # any split into tokens: some of the vocabulary's, some single bytes
        end = data.draw(st.integers(at + 1, min(at + 6, len(raw))))
        try:
            ids += TOKENIZER.encode(raw[at:end].decode(), add_special_tokens=False)
        except UnicodeDecodeError:
            ids += byte_ids(raw[at:end])
        at = end
    found = pieces(ids)
    assert "".join(found) == text
    if "\ufffd" not in text:
        assert not any("\ufffd" in piece for piece in found)


@fuzz
@given(st.binary(max_size=60))
@example(b"\xff" * 200)
@example(b"\xf0\x9f\x98" * 70 + b"\xf0\x9f\x98\x80")
def test_bytes_that_are_not_text(data: bytes) -> None:
    assert "".join(pieces(byte_ids(data))) == data.decode("utf-8", errors="replace")


def test_garbage_does_not_grow_the_window() -> None:
    decoder = IncrementalDecoder(TOKENIZER)
    for _ in range(300):
        decoder.push(byte_ids(b"\x80")[0])
        assert len(decoder._window) <= 64


def test_character_comes_with_its_last_byte() -> None:
    assert pieces(byte_ids("🙂".encode())) == ["", "", "", "🙂", ""]
    assert pieces(byte_ids("你".encode()[:2])) == ["", "", "\ufffd"]


@fuzz
@given(hard_text, hard_text)
def test_context_of_the_prompt_changes_nothing_for_bytes(prompt: str, text: str) -> None:
    context = tuple(byte_ids(prompt.encode()))
    assert "".join(pieces(byte_ids(text.encode()), context=context)) == text


def test_prompt_that_ends_inside_of_a_character() -> None:
    head, tail = byte_ids("é".encode())
    assert "".join(pieces([tail, *byte_ids(b"a")], context=(head,))) == "\ufffda"


def test_sentencepiece_keeps_the_space_after_a_prompt() -> None:
    hello, world = SPIECE.encode("hello"), SPIECE._inner.get_vocab()["▁world"]
    assert "".join(pieces([world], SPIECE, context=tuple(hello))) == " world"
    assert "".join(pieces([world, world], SPIECE)) == "world world"
    end = SPIECE.special_tokens["</s>"]
    assert "".join(pieces([end, world, end, end, world], SPIECE)) == "world world"
    unknown = SPIECE.vocab_size + 7  # models pad their vocabulary beyond the tokenizer's
    assert "".join(pieces([world, unknown, world], SPIECE)) == "world world"


@fuzz
@given(st.lists(st.sampled_from([" world", " the", "a", "你", "🙂", ". "]), max_size=12))
def test_sentencepiece_stream_is_whole_decode(words: list[str]) -> None:
    ids = SPIECE.encode("".join(words), add_special_tokens=False)
    found = pieces(ids, SPIECE)
    assert "".join(found) == SPIECE.decode(ids)
    assert not any("\ufffd" in piece for piece in found)


def run(
    text: str, splits: list[int], stop: list[str], include: bool = False, min_tokens: int = 0
) -> tuple[list[str], str | None, list[int]]:
    """The text shown after each token, the stop string, and the tokens that were taken."""
    detokenizer = Detokenizer(TOKENIZER, stop=stop, include_stop_str_in_output=include, min_tokens=min_tokens)
    raw = text.encode()
    bounds = sorted({0, len(raw), *(s % (len(raw) + 1) for s in splits)})
    ids = [i for a, b in itertools.pairwise(bounds) for i in chunk_ids(raw[a:b])]
    shown: list[str] = []
    for index, token_id in enumerate(ids):
        stopped = detokenizer.update(token_id, finished=index == len(ids) - 1)
        shown.append(detokenizer.take())
        if stopped is not None:
            break
    return shown, detokenizer.stopped_by, ids[: len(shown)]


def chunk_ids(raw: bytes) -> list[int]:
    try:
        return TOKENIZER.encode(raw.decode(), add_special_tokens=False)
    except UnicodeDecodeError:
        return byte_ids(raw)


def expected(text: str, stop: list[str], include: bool) -> tuple[str, str | None]:
    """Character by character: the first stop string that is complete, the longest of those."""
    for end in range(len(text) + 1):
        hits = [s for s in stop if text[:end].endswith(s)]
        if hits:
            hit = max(hits, key=len)
            return text[: end if include else end - len(hit)], hit
    return text, None


@fuzz
@given(
    st.text("abc🙂\n", max_size=20),
    st.lists(st.integers(0, 80), max_size=6),
    st.lists(st.text("abc🙂\n", min_size=1, max_size=4), max_size=3),
    st.booleans(),
)
def test_stop_strings_do_not_depend_on_tokens(
    text: str, splits: list[int], stop: list[str], include: bool
) -> None:
    shown, stopped_by, _ = run(text, splits, stop, include)
    assert ("".join(shown), stopped_by) == expected(text, stop, include)


@fuzz
@given(
    st.text("ab🙂", max_size=20),
    st.lists(st.integers(0, 80), max_size=12),
    st.lists(st.text("ab🙂", min_size=1, max_size=5), min_size=1, max_size=3),
    st.booleans(),
    st.integers(0, 8),
)
def test_stop_strings_count_only_when_completed_after_min_tokens(
    text: str, splits: list[int], stop: list[str], include: bool, min_tokens: int
) -> None:
    shown, stopped_by, ids = run(text, splits, stop, include, min_tokens)
    early, _, _ = run(text, splits, [])  # what each token brings when nothing is searched
    free = len("".join(early[:min_tokens]))
    hits = [(end, end - len(s), s) for s in stop for end in range(free + 1, len(text) + 1) if text[:end].endswith(s)]
    if not hits or not ids:
        assert ("".join(shown), stopped_by) == (text, None)
        return
    end, at, hit = min(hits)
    assert ("".join(shown), stopped_by) == (text[: end if include else at], hit)


def test_a_hostile_stop_string_costs_no_more_than_its_length() -> None:
    detokenizer = Detokenizer(TOKENIZER, stop=["a" * 1000 + "b", "a" * 500 + "c" + "a" * 500])
    token = byte_ids(b"a")[0]
    for _ in range(3000):
        assert detokenizer.update(token) is None
    assert detokenizer.take() == "a" * 2000  # the last 1000 may begin a stop string
    assert detokenizer.update(byte_ids(b"b")[0]) == "a" * 1000 + "b" and detokenizer.take() == ""


def test_stop_string_across_tokens() -> None:
    detokenizer = Detokenizer(TOKENIZER, stop=["END"])
    ids = byte_ids(b"fine EN")
    for token_id in ids:
        assert detokenizer.update(token_id) is None
    assert detokenizer.take() == "fine "
    assert detokenizer.update(byte_ids(b"D")[0]) == "END" and detokenizer.take() == ""
    with pytest.raises(ValueError, match="'END'"):
        detokenizer.update(ids[0])
    resumed = Detokenizer(TOKENIZER, stop=["END"])
    for token_id in byte_ids(b"EN joy"):
        assert resumed.update(token_id) is None
    assert resumed.take() == "EN joy"
