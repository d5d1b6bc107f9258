"""Types of generated values: as Python writes them, as patterns with letters, and what fits them."""

from __future__ import annotations

import ast

# "int", ("list", T), ("dict", K, V), ("set", T), ("tuple", T, ...), ("struct", name), ("optional", T); "T": a letter
Type = str | tuple


def annotation(t: Type) -> str:
    """The type as Python writes it."""
    if isinstance(t, str):
        return t
    match t[0]:
        case "struct":
            return t[1]
        case "optional":
            return f"{annotation(t[1])} | None"
    return f"{t[0]}[{', '.join(annotation(part) for part in t[1:])}]"


def parse(text: str) -> Type:
    """`dict[K, list[int]]` as a type; `opt` is short for optional."""
    return _parsed(ast.parse(text, mode="eval").body)


def _parsed(node: ast.expr) -> Type:
    if isinstance(node, ast.Name):
        return ("struct", node.id) if node.id[0].isupper() and len(node.id) > 1 else node.id
    assert isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name)
    inner = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
    kind = "optional" if node.value.id == "opt" else node.value.id
    return (kind, *map(_parsed, inner))


def fits(pattern: Type, t: Type, letters: dict[str, Type]) -> dict[str, Type] | None:
    """What the letters stand for if a type is of a pattern."""
    if isinstance(pattern, str):
        if pattern == t:
            return letters
        if len(pattern) > 1 or not may_be(pattern, t):
            return None
        if pattern in letters:
            return letters if letters[pattern] == t else None
        return letters | {pattern: t}
    if isinstance(t, str) or len(t) != len(pattern) or t[0] != pattern[0]:
        return None
    if t[0] == "struct":
        return letters if t == pattern else None
    for part, found in zip(pattern[1:], t[1:], strict=True):
        more = fits(part, found, letters)
        if more is None:
            return None
        letters = more
    return letters


def may_be(letter: str, t: Type) -> bool:
    """Whether a letter of rules.py may stand for a type."""
    match letter:
        case "K":
            return (
                t in ("int", "str", "bool", ("struct", "Vec"))
                or isinstance(t, tuple)
                and t[0] == "tuple"
                and all(part in ("int", "str") for part in t[1:])
            )
        case "O":
            return t in ("int", "str")
        case "N":
            return t in ("int", "float")
    return not (isinstance(t, tuple) and t[0] == "optional")


def filled(pattern: Type, letters: dict[str, Type]) -> Type:
    """A pattern with its letters replaced."""
    if isinstance(pattern, str):
        return letters.get(pattern, pattern)
    return (pattern[0], *(filled(part, letters) if pattern[0] != "struct" else part for part in pattern[1:]))


def letters_of(pattern: Type) -> list[str]:
    """The letters in a pattern."""
    if isinstance(pattern, str):
        return [pattern] if len(pattern) == 1 else []
    return [] if pattern[0] == "struct" else [x for part in pattern[1:] for x in letters_of(part)]
