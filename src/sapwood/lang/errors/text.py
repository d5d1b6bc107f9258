"""Mistakes about text."""

from __future__ import annotations

from sapwood.lang.errors import CompileError


class BadFormat(CompileError):
    code = "F001"
    message = "{type} cannot be formatted with '{spec}': {detail}"
    help = "see the format specification mini-language; str(x) and repr(x) work for every value"
