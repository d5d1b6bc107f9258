"""SamplingParams: every bad value is a ValueError that names the field and what is allowed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sapwood.engine.sampling_params import SamplingParams

NAN, INF = float("nan"), float("inf")
NUMERIC = ("temperature", "top_p", "top_k", "seed", "max_tokens", "logprobs")


def test_defaults_are_those_of_vllm() -> None:
    params = SamplingParams()
    assert (params.temperature, params.top_p, params.top_k, params.max_tokens) == (1.0, 1.0, 0, 16)
    assert (
        params.seed is None and params.logprobs is None and params.stop_strings == () and not params.stop_ids
    )
    assert not params.ignore_eos and params.skip_special_tokens and not params.include_stop_str_in_output


def test_normalisation() -> None:
    params = SamplingParams(temperature=0.001, top_k=-1, stop="a", stop_token_ids=[3, 3], max_tokens=None)
    assert params.temperature == 0.01 and params.top_k == 0
    assert params.stop_strings == ("a",) and params.stop_ids == {3} and params.max_tokens is None
    assert SamplingParams(temperature=0).temperature == 0.0
    typed = SamplingParams(temperature=np.float32(0.5), top_k=np.int64(7), seed=-(2**63))  # type: ignore[arg-type]
    assert (type(typed.temperature), type(typed.top_k), typed.seed) == (float, int, -(2**63))
    assert hash(SamplingParams(stop=["a", "b"])) == hash(SamplingParams(stop=("a", "b")))


@pytest.mark.parametrize(
    ("field", "value", "allowed"),
    [
        *(
            (field, value, "allowed")
            for field in NUMERIC
            for value in (True, False, "1", [1], NAN, INF, -INF, 1j)
        ),
        ("temperature", -0.1, "from 0 (greedy) to 100"),
        ("temperature", 101, "from 0 (greedy) to 100"),
        ("temperature", 10**400, "from 0 (greedy) to 100"),
        ("temperature", None, "from 0"),
        ("top_p", 0, "above 0, at most 1"),
        ("top_p", -1, "above 0"),
        ("top_p", 1.0001, "at most 1"),
        ("top_k", -2, "from -1 to 2147483647"),
        ("top_k", 1.0, "an integer"),
        ("top_k", 2**31, "from -1"),
        ("seed", 2**64, str(2**64 - 1)),
        ("seed", -(2**63) - 1, str(-(2**63))),
        ("max_tokens", 0, "from 1"),
        ("max_tokens", -1, "from 1"),
        ("max_tokens", 2**63, "from 1 to 2147483647"),
        ("logprobs", -1, "from 0 to 20"),
        ("logprobs", 21, "from 0 to 20"),
        ("stop", "", "of 1 to 1024 characters"),
        ("stop", [""], "of 1 to 1024 characters"),
        ("stop", ["a", 1], "of 1 to 1024 characters"),
        ("stop", ["a"] * 65, "at most 64"),
        ("stop", "x" * 1025, "1 to 1024"),
        ("stop", {"a"}, "a list"),
        ("stop", 7, "a string"),
        ("stop_token_ids", 7, "a list"),
        ("stop_token_ids", [-1], "from 0"),
        ("stop_token_ids", [True], "from 0"),
        ("stop_token_ids", list(range(1025)), "at most 1024"),
        ("ignore_eos", 1, "True or False"),
        ("skip_special_tokens", "no", "True or False"),
        ("include_stop_str_in_output", None, "True or False"),
    ],
)
def test_bad_values(field: str, value: Any, allowed: str) -> None:
    with pytest.raises(ValueError) as caught:
        SamplingParams(**{field: value})
    assert field in str(caught.value) and allowed in str(caught.value) and len(str(caught.value)) < 400


@settings(max_examples=300, deadline=None, derandomize=True)
@given(
    st.dictionaries(
        st.sampled_from([*NUMERIC, "stop", "stop_token_ids", "ignore_eos"]),
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats()
        | st.text(max_size=3)
        | st.lists(st.integers() | st.text(max_size=3), max_size=3),
        max_size=4,
    )
)
def test_never_another_exception(values: dict[str, Any]) -> None:
    try:
        params = SamplingParams(**values)
    except ValueError:
        return
    assert params.temperature == 0 or 0.01 <= params.temperature <= 100
    assert 0 < params.top_p <= 1 and params.top_k >= 0
    assert all(params.stop_strings) and all(i >= 0 for i in params.stop_ids)
