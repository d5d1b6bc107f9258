"""Object code of LLVM text, kept under its content key: equal code is optimised once, whatever asked for it."""

from __future__ import annotations

from typing import Any

from sapwood.lang.loading.fingerprint import compiler_key, digest
from sapwood.targets.base import Target


def object_key(text: str, target: Target) -> str:
    """The content key of LLVM text."""
    return digest("object", text, target.key, compiler_key())


def make_object(store: Any, content: str, text: str, target: Target) -> bytes:
    """Object code of LLVM text, from the store or from LLVM."""
    from sapwood.targets.codegen import emit_object

    obj = store.get_object(content) if store is not None else None
    if obj is None:
        obj = emit_object(text, target)
        if store is not None:
            store.put_object(content, obj)
    return obj


def object_of(compiled: Any, store: Any, content: str, target: Target) -> bytes:
    """`make_object`, where what LLVM says of a user's inline code becomes a diagnostic."""
    from sapwood.targets.isolated import IsolatedCodegenError

    try:
        return make_object(store, content, compiled.text, target)
    except IsolatedCodegenError as e:
        raise inline_failure(compiled, str(e)) or e from None


def inline_failure(compiled: Any, detail: str) -> Exception | None:
    """The diagnostic about the inline code of a program, if it has any."""
    from sapwood.lang.errors.systems import InlineCodeFailed
    from sapwood.lang.ops.inline import NAMES

    places = [op.loc for op in compiled.program.walk() if op.name in NAMES]
    return InlineCodeFailed(places[0], detail=detail) if places else None
