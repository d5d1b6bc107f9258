"""A Jinja sandbox that bounds time and memory too.

Jinja's own sandbox keeps a template away from Python's internals. It does not stop one that doubles a string
forty times or pads it to a gigabyte. Here every value that an expression makes is measured when it is made,
and operations that multiply sizes are refused before they run.
"""

from __future__ import annotations

import json
import re
import time
from datetime import datetime
from typing import Any, NoReturn

import jinja2
import jinja2.compiler
import jinja2.ext
import jinja2.nodes
import jinja2.parser
import jinja2.sandbox
import jinja2.utils
from jinja2.exceptions import SecurityError

from sapwood.models.errors import shown

MAX_VALUE_SIZE = 16 << 20
MAX_SECONDS = 10.0

#: methods and filters whose result can be as large as the product of their arguments
_AMPLIFIERS = frozenset(
    [
        "batch",
        "center",
        "expandtabs",
        "format",
        "format_map",
        "indent",
        "join",
        "ljust",
        "replace",
        "rjust",
        "slice",
        "wordwrap",
        "zfill",
    ]
)
_WIDE_FORMAT = re.compile(r"[0-9]{5}|%[^a-zA-Z]*\*")


class _Generation(jinja2.ext.Extension):
    """`{% generation %}` marks assistant text for training; here it only passes its body through."""

    tags = {"generation"}  # noqa: RUF012 - the name and the type are Jinja's

    def parse(self, parser: jinja2.parser.Parser) -> list[jinja2.nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


class _Namespace(jinja2.utils.Namespace):
    """Jinja's, without names that lead to Python's internals."""

    def __setitem__(self, name: str, value: Any) -> None:
        if name.startswith("_"):
            raise SecurityError(f"a namespace cannot hold {shown(name)}")
        super().__setitem__(name, value)


class _CodeGenerator(jinja2.compiler.CodeGenerator):
    """Sends `a ~ b` through the sandbox; Jinja would join without asking."""

    def visit_Concat(self, node: jinja2.nodes.Concat, frame: jinja2.compiler.Frame) -> None:
        self.write("environment.concat(map(str, (")
        for part in node.nodes:
            self.visit(part, frame)
            self.write(", ")
        self.write(")))")


def _size(value: object) -> int:
    if isinstance(value, str | list | tuple | dict):
        return len(value)
    return abs(value) if isinstance(value, int) else 1


class Sandbox(jinja2.sandbox.ImmutableSandboxedEnvironment):
    """One rendering: the clock starts when it is made. Breaking a limit raises jinja2's SecurityError."""

    intercepted_binops = frozenset({"+", "*", "**", "%"})
    code_generator_class = _CodeGenerator

    def __init__(self) -> None:
        super().__init__(
            trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, "jinja2.ext.loopcontrols"]
        )
        self.deadline = time.monotonic() + MAX_SECONDS
        self.globals = {
            "range": self.globals["range"],
            "dict": dict,
            "namespace": _Namespace,
            "raise_exception": _raise_exception,
            "strftime_now": _strftime_now,
        }
        self.filters = {name: self._bounded(name, f) for name, f in self.filters.items()}
        self.filters["tojson"] = _tojson
        self.concat = self._concat

    def check_time(self) -> None:
        """Raise SecurityError when time is up. Called wherever a loop must pass."""
        if time.monotonic() > self.deadline:
            raise SecurityError(f"rendering takes more than {MAX_SECONDS:g} seconds")

    def _measured(self, value: Any) -> Any:
        self.check_time()
        if not isinstance(value, int) and _size(value) > MAX_VALUE_SIZE:
            raise SecurityError(f"a value is larger than {MAX_VALUE_SIZE}")
        return value

    def _check_product(self, *values: object) -> None:
        product = 1
        for value in values:
            product *= max(_size(value), 1)
        if product > MAX_VALUE_SIZE:
            raise SecurityError(f"a value would be larger than {MAX_VALUE_SIZE}")

    def _check_amplifier(self, name: str, values: list[object]) -> None:
        if name in _AMPLIFIERS and values:
            self._check_product(values[0], max(map(_size, values[1:]), default=1))
            if isinstance(values[0], str) and name.startswith("format") and _WIDE_FORMAT.search(values[0]):
                raise SecurityError("a format asks for a very wide field")

    def _bounded(self, name: str, function: Any) -> Any:
        def bounded(*args: Any, **kwargs: Any) -> Any:
            # Filters marked with pass_context and its kin get one argument more, in front.
            values = [*args[1 if hasattr(function, "jinja_pass_arg") else 0 :], *kwargs.values()]
            self._check_amplifier(name, values)
            return self._measured(function(*args, **kwargs))

        bounded.__dict__.update(getattr(function, "__dict__", {}))
        return bounded

    def _concat(self, parts: Any) -> str:
        pieces: list[str] = []
        size = 0
        for part in parts:
            self.check_time()
            size += len(part)
            if size > MAX_VALUE_SIZE:
                raise SecurityError(f"a value would be larger than {MAX_VALUE_SIZE}")
            pieces.append(part)
        return "".join(pieces)

    def call(self, context: Any, obj: Any, /, *args: Any, **kwargs: Any) -> Any:
        method = getattr(obj, "__wrapped__", obj)  # Jinja wraps str.format
        owner = getattr(method, "__self__", None)
        if isinstance(owner, str):
            self._check_amplifier(method.__name__, [owner, *args, *kwargs.values()])
        return self._measured(super().call(context, obj, *args, **kwargs))

    def getattr(self, obj: Any, attribute: str) -> Any:
        self.check_time()
        return super().getattr(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        self.check_time()
        return super().getitem(obj, argument)

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        if operator == "**":
            raise SecurityError("** is not available in templates")
        if operator == "*" and not (isinstance(left, int | float) and isinstance(right, int | float)):
            self._check_product(left, right)
        if operator == "%" and isinstance(left, str):
            self._check_amplifier("format", [left, *(right if isinstance(right, tuple) else [right])])
        return self._measured(super().call_binop(context, operator, left, right))


def _raise_exception(message: object) -> NoReturn:
    raise jinja2.exceptions.TemplateError(str(message))


def _strftime_now(format: str) -> str:
    if len(format) > 256:
        raise SecurityError("a time format is longer than 256 characters")
    return datetime.now().astimezone().strftime(format)


def _tojson(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """Unlike Jinja's own, this does not escape for HTML. Arguments as in the templates of Transformers."""
    if indent is not None and (not isinstance(indent, int) or indent > 16):
        raise SecurityError("tojson indents by at most 16")
    return json.dumps(
        value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys
    )
