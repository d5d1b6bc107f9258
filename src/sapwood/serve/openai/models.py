"""GET /v1/models, and the clear refusal of embeddings."""

from __future__ import annotations

from typing import Any

from sapwood.serve import generation
from sapwood.serve.context import RequestContext, ServerState
from sapwood.serve.errors import bad_request
from sapwood.serve.openai.protocol import EmbeddingsRequest, ModelCard, ModelList


def _card(state: ServerState, name: str) -> ModelCard:
    return ModelCard(id=name, created=state.created, max_model_len=state.client.max_model_len)


async def list_models(state: ServerState, context: RequestContext, request: None, path: dict[str, Any]) -> ModelList:
    """The names that requests may give as `model`."""
    return ModelList(data=[_card(state, name) for name in state.config.served_model_names])


async def retrieve_model(state: ServerState, context: RequestContext, request: None, path: dict[str, Any]) -> ModelCard:
    """One of them. Raises ApiError 404."""
    generation.check_model(state, path["model"])
    return _card(state, path["model"])


async def create_embeddings(
    state: ServerState, context: RequestContext, request: EmbeddingsRequest, path: dict[str, Any]
) -> ModelCard:
    """Raises ApiError: 404 for an unknown model, 400 for every other."""
    generation.check_model(state, request.model)
    raise bad_request("The model generates text; it has no embeddings.", "model", "model_has_no_embeddings")
