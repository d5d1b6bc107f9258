"""The OpenAPI document is true: schemathesis makes requests from it and holds the answers to it."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import CHECKS
from serve_fakes import MODEL, FakeClient, make_config
from starlette.types import ASGIApp

from sapwood.serve.app import create_app
from sapwood.serve.routes import OPERATIONS

CLIENT = FakeClient()
APP: ASGIApp = create_app(CLIENT, make_config(allowed_hosts=("testserver",)))


def load(coverage: bool) -> Any:
    """The served document. coverage: also make every kind of wrong value for every field, which takes minutes."""
    schema = schemathesis.openapi.from_asgi("/openapi.json", APP)
    schema.config.phases.coverage.enabled = coverage
    # Arrays of more elements than allowed may make bodies that are larger than allowed.
    rejection = schema.config.checks.negative_data_rejection
    rejection.expected_statuses = [*rejection.expected_statuses, "413"]
    return schema


SCHEMA = load(coverage=False)
LONG_SCHEMA = load(coverage=True)
DOCUMENT: dict[str, Any] = SCHEMA.raw_schema

#: Limits of the model and of fields together are in no JSON schema, and 1.0 is an integer there.
EXCLUDED = [check for check in CHECKS.get_all() if check.__name__ == "positive_data_acceptance"]
ANSWERS: Counter[tuple[str, int]] = Counter()


def servable(body: Any) -> Any:
    """Most requests would end at the name of the model or at limits that only the server knows, or take long."""
    if isinstance(body, dict) and "model" in body:
        model_dependent = ("cache_salt", "logit_bias", "stop_token_ids", "use_beam_search", "best_of", "tools")
        body = {name: value for name, value in body.items() if name not in model_dependent} | {"model": MODEL}
        if "prompt" in body or "messages" in body:
            body |= {"max_tokens": 8, "max_completion_tokens": 8, "min_tokens": 2}
            if isinstance(body.get("n"), int | float) and body["n"] > 3:  # a wrong value of another type stays
                body["n"] = 3
        if "messages" in body and body.get("top_logprobs"):
            body["logprobs"] = True
    return body


def check(case: Any) -> None:
    if case.meta.generation.mode is schemathesis.GenerationMode.POSITIVE:
        case.body = servable(case.body)
    response = case.call_and_validate(excluded_checks=EXCLUDED)
    ANSWERS[case.operation.label, response.status_code] += 1
    assert response.status_code < 500
    assert not CLIENT.active


@SCHEMA.parametrize()  # type: ignore[untyped-decorator]
@settings(max_examples=10, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_answers_are_what_the_document_says(case: Any) -> None:
    check(case)


@pytest.mark.nightly
@pytest.mark.timeout(3600)
@LONG_SCHEMA.parametrize()  # type: ignore[untyped-decorator]
@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
def test_answers_are_what_the_document_says_at_length(case: Any) -> None:
    check(case)


@pytest.mark.parametrize("wrong", ["many", [4], {"n": 4}, None, True, 2.5])
def test_wrong_values_are_sent_as_they_are(wrong: Any) -> None:
    body = {"model": "any", "prompt": "text", "n": wrong, "top_logprobs": wrong}
    assert servable(body)["n"] is wrong
    assert servable(body | {"n": 9})["n"] == 3


def test_requests_reach_the_engine() -> None:
    """The tests above are no good if everything that they send is refused. Some may have run in another process."""
    wanted = {"POST /v1/chat/completions", "POST /v1/completions", "POST /v1/messages", "POST /detokenize"}
    ran = {label for label, _ in ANSWERS} & wanted
    if not ran:
        pytest.skip("needs the tests above, in the same process")
    for label in ran:
        assert ANSWERS[label, 200] and ANSWERS[label, 400], ANSWERS


def test_every_route_is_described() -> None:
    described = {method["operationId"] for path in DOCUMENT["paths"].values() for method in path.values()}
    assert {operation.name for operation in OPERATIONS} <= described
    assert DOCUMENT["openapi"] == "3.1.0"


def test_every_reference_is_there() -> None:
    names = {part.split("'")[0] for part in str(DOCUMENT).split("#/components/schemas/")[1:]}
    assert names and names <= set(DOCUMENT["components"]["schemas"])


def test_keys_are_described_where_they_are_asked_for() -> None:
    locked = create_app(CLIENT, make_config(api_keys=("key-0123456789",)))
    headers = {"x-api-key": "key-0123456789"}
    document = schemathesis.openapi.from_asgi("/openapi.json", locked, headers=headers).raw_schema
    chat = document["paths"]["/v1/chat/completions"]["post"]
    assert chat["security"] and "401" in chat["responses"]
    assert "security" not in document["paths"]["/health"]["get"]
