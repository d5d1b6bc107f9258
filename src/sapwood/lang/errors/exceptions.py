"""E: mistakes with exceptions."""

from __future__ import annotations

from sapwood.lang.errors import CompileError


class ExceptionMistake(CompileError):
    """E: an exception that is raised or handled in a way that the language does not have."""


class ExceptNeedsClass(ExceptionMistake):
    code = "E001"
    message = "except needs an exception class or a tuple of them, not {found}"
    help = "for example: except (ValueError, KeyError):"


class NoActiveException(ExceptionMistake):
    code = "E002"
    message = "a bare raise outside of an except block"
    help = "name the exception: raise ValueError('text')"


class LocalException(ExceptionMistake):
    code = "E003"
    message = "'{name}' cannot be found by its name when it is raised"
    help = "define the class at the top of its module"


class NotContextManager(ExceptionMistake):
    code = "E004"
    message = "{type} is no context manager: it has no method {missing}"
    help = "give the @struct the methods __enter__ and __exit__"
