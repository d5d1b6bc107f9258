"""The chat page: the files of `static/`, read once, under their own names; `index.html` is `/` too."""

from __future__ import annotations

import gzip
import hashlib
import mimetypes
from importlib.resources import files
from typing import Any

from starlette.types import Receive, Scope, Send

from sapwood.serve.body import header
from sapwood.serve.context import context_of
from sapwood.serve.operation import Reply, send_reply

#: the page may load what this server sends, and nothing else; nothing may be run that is not a file of it, and with
#: trusted types (https://www.w3.org/TR/trusted-types/) not even a mistake in it can turn a model's text into markup
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)


class Page:
    """One file as an ASGI application. A browser asks each time whether its copy is still good, which costs little."""

    def __init__(self, name: str, body: bytes) -> None:
        kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
        text = kind.startswith("text/") or kind in ("application/javascript", "application/json", "image/svg+xml")
        self._kind = f"{kind}; charset=utf-8" if text else kind
        self._body = body
        self._zipped = gzip.compress(body, mtime=0)
        self._etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
        self._headers = (
            (b"etag", self._etag.encode()),
            (b"cache-control", b"no-cache"),
            (b"vary", b"accept-encoding"),
            (b"content-security-policy", CONTENT_SECURITY_POLICY.encode()),
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        context_of(scope).operation = "page"
        known = header(scope, b"if-none-match")
        if known is not None and self._etag in [tag.strip().removeprefix("W/") for tag in known.split(",")]:
            await send({"type": "http.response.start", "status": 304, "headers": list(self._headers)})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
            return
        if "gzip" in (header(scope, b"accept-encoding") or ""):
            zipped = (*self._headers, (b"content-encoding", b"gzip"))
            await send_reply(send, Reply(self._zipped, self._kind, 200, zipped))
            return
        await send_reply(send, Reply(self._body, self._kind, 200, self._headers))


def load_pages() -> dict[str, Page]:
    """Path -> page, for every file of `static/`; empty when there is none."""
    directory = files("sapwood.serve").joinpath("static")
    pages: dict[str, Page] = {}

    def add(folder: Any, prefix: str) -> None:
        for entry in folder.iterdir():
            if entry.name.startswith((".", "__")):
                continue
            if entry.is_dir():
                add(entry, f"{prefix}{entry.name}/")
            else:
                pages[f"{prefix}{entry.name}"] = Page(entry.name, entry.read_bytes())

    if directory.is_dir():
        add(directory, "/")
        if "/index.html" in pages:
            pages["/"] = pages["/index.html"]
    return pages
