"""The OpenAPI 3.1 document (https://spec.openapis.org/oas/v3.1.0), made from the table of routes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

import msgspec

import sapwood
from sapwood.serve.context import RequestContext, ServerState
from sapwood.serve.errors import ERROR_STRUCTS, Family, family_of, status_for
from sapwood.serve.operation import Operation, Reply

_COMPONENTS = "#/components/schemas/{name}"
#: what any request may meet, and what any request with a body may
_ERRORS = (400, 403, 404, 405, 408, 500, 503)
_BODY_ERRORS = (413, 415)
_SECURITY = [{"bearer": []}, {"apiKey": []}, {"basic": []}]
_REQUEST_ID = {
    "x-request-id": {
        "description": "The id of the request, also in logs.",
        "schema": {"type": "string"},
        "required": True,
    }
}


def _openapi_path(path: str) -> str:
    return re.sub(r"\{(\w+)(?::\w+)?\}", r"{\1}", path)


def _types(operations: Sequence[Operation]) -> list[Any]:
    found = [t for o in operations for t in (o.request, o.response, o.event) if t is not None]
    return [*found, *ERROR_STRUCTS.values()]


def _strict(schema: Any) -> Any:
    """Empty objects for JSON Schema's `null` defaults, which say nothing."""
    if isinstance(schema, dict):
        return {k: _strict(v) for k, v in schema.items() if not (k == "default" and v is None)}
    return [_strict(item) for item in schema] if isinstance(schema, list) else schema


def make_document(operations: Sequence[Operation], keys: bool) -> dict[str, Any]:
    """The document. keys: whether API keys are asked for."""
    types = _types(operations)
    schemas, components = msgspec.json.schema_components(types, ref_template=_COMPONENTS)
    by_type = dict(zip(types, schemas, strict=True))
    paths: dict[str, Any] = {}
    for operation in operations:
        described = _describe(operation, by_type, keys)
        paths.setdefault(_openapi_path(operation.path), {})[operation.method.lower()] = described
    return {
        "openapi": "3.1.0",
        "info": {"title": "Sapwood", "version": sapwood.__version__},
        "paths": paths,
        "components": {
            "schemas": _strict(components),
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "apiKey": {"type": "apiKey", "in": "header", "name": "x-api-key"},
                "basic": {"type": "http", "scheme": "basic"},
            },
        },
    }


def _event(schema: dict[str, Any], error: dict[str, Any], family: Family) -> dict[str, Any]:
    """A server-sent event whose data is JSON of a schema, an error, or the [DONE] that ends streams of OpenAI's API."""
    content = {"anyOf": [schema, error]}
    data: dict[str, Any] = {"type": "string", "contentMediaType": "application/json", "contentSchema": content}
    if family is Family.OPENAI:
        data = {"anyOf": [{"const": "[DONE]"}, data]}
    return {"type": "object", "required": ["data"], "properties": {"event": {"type": "string"}, "data": data}}


def _describe(operation: Operation, schemas: dict[Any, Any], keys: bool) -> dict[str, Any]:
    family = family_of(operation.path)
    error = schemas[ERROR_STRUCTS[family]]
    responses: dict[str, Any] = {}
    if operation.response is not None or operation.media_type != "application/json":
        schema = {"type": "string"} if operation.response is None else schemas[operation.response]
        content: dict[str, Any] = {operation.media_type: {"schema": schema}}
        if operation.event is not None:
            content["text/event-stream"] = {"schema": _event(schemas[operation.event], error, family)}
        responses["200"] = {"description": "Done.", "content": content, "headers": _REQUEST_ID}
    statuses = {*_ERRORS, *operation.errors, *(_BODY_ERRORS if operation.request is not None else ())}
    if keys and not operation.public:
        statuses.add(401)
    for status in sorted(status_for(status, family) for status in statuses):
        content = {"application/json": {"schema": error}}
        responses[str(status)] = {
            "description": "Overloaded" if status == 529 else HTTPStatus(status).phrase,
            "content": content,
            "headers": _REQUEST_ID,
        }
    for status, meaning in operation.statuses:
        content = {operation.media_type: {"schema": {"anyOf": [schemas[operation.response], error]}}}
        responses[str(status)] = {"description": meaning, "content": content, "headers": _REQUEST_ID}
    described: dict[str, Any] = {
        "operationId": operation.name,
        "summary": operation.summary,
        "responses": responses,
    }
    names = re.findall(r"\{(\w+)(?::\w+)?\}", operation.path)
    if names:
        described["parameters"] = [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
            for name in names
        ]
    if operation.request is not None:
        described["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": schemas[operation.request]}},
        }
    if keys and not operation.public:
        described["security"] = _SECURITY
    return described


def openapi_operation(document: dict[str, Any]) -> Operation:
    """GET /openapi.json."""
    body = msgspec.json.encode(document)

    async def openapi(state: ServerState, context: RequestContext, request: None, path: dict[str, Any]) -> Reply:
        return Reply(body, "application/json")

    return Operation(
        name="openapi", method="GET", path="/openapi.json", summary="This API, described.", handler=openapi
    )
