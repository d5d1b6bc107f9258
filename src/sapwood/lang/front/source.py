"""Finds the syntax tree of a Python function, with true file positions."""

from __future__ import annotations

import ast
import threading
from collections.abc import Callable
from functools import lru_cache
from types import CodeType, FunctionType
from typing import Any

from sapwood.lang.errors import Loc, NoSource
from sapwood.lang.sources import lines_of

FunctionNode = ast.FunctionDef | ast.Lambda


_parsing = threading.Lock()  # two threads in ast.parse confuse CPython 3.11 (gh-106905)


@lru_cache(maxsize=64)
def _parse(lines: tuple[str, ...]) -> ast.Module:
    with _parsing:
        return ast.parse("".join(lines))


class SourceFile:
    """Maps nodes of one file to locations: `ast` counts UTF-8 bytes, people count characters."""

    def __init__(self, filename: str, lines: tuple[str, ...]) -> None:
        self.filename = filename
        self.lines = lines

    def loc(self, node: ast.AST, function: str) -> Loc:
        line = getattr(node, "lineno", 0)
        end_line = getattr(node, "end_lineno", line) or line
        return Loc(
            self.filename,
            line,
            self._column(line, getattr(node, "col_offset", 0)),
            end_line,
            self._column(end_line, getattr(node, "end_col_offset", 0) or 0),
            function,
        )

    def _column(self, line: int, offset: int) -> int:
        if not 0 < line <= len(self.lines):
            return offset
        text = self.lines[line - 1]
        return offset if text.isascii() else len(text.encode()[:offset].decode(errors="replace"))


def _positions(code: CodeType) -> tuple[int, int]:
    """First (line, column) of an instruction that belongs to the body."""
    spots = [(ln, col) for ln, _, col, _ in code.co_positions() if ln is not None and col is not None]
    spots = [s for s in spots if s != (code.co_firstlineno, 0)] or spots
    return min(spots, default=(code.co_firstlineno, 0))


def _find(tree: ast.Module, fn: FunctionType) -> FunctionNode | None:
    code = fn.__code__
    best: FunctionNode | None = None
    for node in ast.walk(tree):
        if code.co_name == "<lambda>":
            if isinstance(node, ast.Lambda) and node.lineno == code.co_firstlineno:
                line, col = _positions(code)
                body = node.body
                inside = (body.lineno, body.col_offset) <= (line, col) <= (
                    body.end_lineno or body.lineno,
                    body.end_col_offset or body.col_offset,
                )
                if inside and (best is None or node.col_offset > best.col_offset):
                    best = node
        elif isinstance(node, ast.FunctionDef) and node.name == code.co_name:
            first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
            if code.co_firstlineno in (first, node.lineno):
                return node
    return best


def find_function(fn: Callable[..., Any]) -> tuple[SourceFile, FunctionNode]:
    """The syntax node of `fn`; raises `NoSource` when the text cannot be had."""
    assert isinstance(fn, FunctionType)
    filename = fn.__code__.co_filename
    lines = lines_of(filename, fn.__globals__)
    if not lines:
        raise NoSource(name=fn.__qualname__)
    try:
        tree = _parse(lines)
    except SyntaxError as e:  # the file changed since it was imported
        raise NoSource(name=fn.__qualname__) from e
    node = _find(tree, fn)
    if node is None:
        raise NoSource(name=fn.__qualname__)
    return SourceFile(filename, lines), node
