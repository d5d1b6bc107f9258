"""`create_app`: an engine client and a configuration in, an ASGI application out."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from sapwood.engine.client import EngineClient
from sapwood.serve.config import ServerConfig
from sapwood.serve.context import ServerState
from sapwood.serve.middleware import AuthMiddleware, HostMiddleware, RequestMiddleware
from sapwood.serve.openapi import make_document, openapi_operation
from sapwood.serve.operation import ErrorMiddleware, Operation, OperationApp
from sapwood.serve.pages import load_pages
from sapwood.serve.routes import OPERATIONS


async def _pass_on(request: Request, error: Exception) -> Response:
    raise error  # ErrorMiddleware answers


def create_app(
    client: EngineClient,
    config: ServerConfig,
    *,
    operations: Sequence[Operation] = (),
    middleware: Sequence[Middleware] = (),
) -> ASGIApp:
    """The whole server but its socket. The client is used, not owned: whoever made it closes it.

    operations: routes besides those of `routes.OPERATIONS`. middleware: runs for every request, with its context
    (`context_of(scope)`) and before authentication.
    """
    state = ServerState(client, config)
    table = [*OPERATIONS, *operations]
    table.append(openapi_operation(make_document([*table], bool(config.api_keys))))
    pages = load_pages()
    routes: list[Route] = []
    for operation in table:
        methods = ["GET", "HEAD"] if operation.method == "GET" else [operation.method]
        routes.append(Route(operation.path, OperationApp(operation, state), methods=methods, name=operation.name))
    for path, page in pages.items():
        routes.append(Route(path, page, methods=["GET", "HEAD"]))
    public = [operation.path for operation in table if operation.public]
    app = Starlette(
        routes=routes,
        exception_handlers={HTTPException: _pass_on},
        middleware=[
            Middleware(RequestMiddleware),
            *middleware,
            Middleware(ErrorMiddleware),
            Middleware(HostMiddleware, config),
            Middleware(AuthMiddleware, config.api_keys, public, pages),
        ],
    )
    app.router.redirect_slashes = False
    return app
