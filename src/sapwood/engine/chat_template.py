"""Chat templates: Jinja from a model directory, rendered in a sandbox.

A template is a program by a stranger. It sees messages and two token texts and nothing else. Clients never
bring templates.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import CodeType
from typing import TYPE_CHECKING, Any

from sapwood.models.errors import shown
from sapwood.models.fields import read_json_object

if TYPE_CHECKING:
    import jinja2

    from sapwood.engine.template_sandbox import Sandbox

MAX_TEMPLATE_CHARS = 1 << 20
MAX_OUTPUT_CHARS = 16 << 20
#: what a caller may tell a template besides the messages: switches of models that think
TEMPLATE_OPTIONS = ("enable_thinking", "thinking")


class ChatTemplateError(ValueError):
    """The template is missing, malformed, refused the messages or broke a limit; the text says which."""


class ChatTemplate:
    """One template. Raises ChatTemplateError when it is too long; its syntax is checked at the first use."""

    def __init__(self, source: str, *, bos_token: str | None = None, eos_token: str | None = None) -> None:
        if len(source) > MAX_TEMPLATE_CHARS:
            raise ChatTemplateError(
                f"the template has {len(source)} characters; allowed: at most {MAX_TEMPLATE_CHARS}"
            )
        self.source = source
        self._code: CodeType | None = None
        self._tokens = {"bos_token": bos_token or "", "eos_token": eos_token or ""}

    def _prepare(self) -> tuple[Sandbox, jinja2.Template]:
        from jinja2.exceptions import TemplateError  # late: most programs never chat

        from sapwood.engine.template_sandbox import Sandbox

        # A new environment for each rendering: it carries the deadline, and threads may render at once. What takes
        # long is compiling (tens of milliseconds for templates of today), and code knows no environment.
        sandbox = Sandbox()
        try:
            if self._code is None:
                self._code = sandbox.compile(self.source)
            return sandbox, sandbox.template_class.from_code(sandbox, self._code, sandbox.make_globals(None))
        except (TemplateError, RecursionError, SyntaxError, ValueError, MemoryError) as error:
            raise ChatTemplateError(f"the template is not valid: {shown(str(error))}") from error

    def render(
        self,
        messages: Sequence[Mapping[str, Any]],
        *,
        add_generation_prompt: bool = True,
        options: Mapping[str, bool] | None = None,
    ) -> str:
        """The prompt text. options: values for names of TEMPLATE_OPTIONS; a template may not look at them.

        Raises ChatTemplateError, also for what the template raises about the messages, and ValueError for options
        that are not listed.
        """
        for name, value in (options or {}).items():
            if name not in TEMPLATE_OPTIONS or not isinstance(value, bool):
                raise ValueError(
                    f"chat_template_kwargs has {shown(name)}: {shown(value)}; allowed: true or false for "
                    f"{', '.join(TEMPLATE_OPTIONS)}"
                )
        sandbox, template = self._prepare()
        values = {
            "messages": messages,
            "add_generation_prompt": add_generation_prompt,
            **self._tokens,
            **(options or {}),
        }
        parts: list[str] = []
        size = 0
        try:
            for part in template.generate(tools=None, documents=None, **values):
                sandbox.check_time()
                size += len(part)
                if size > MAX_OUTPUT_CHARS:
                    raise ValueError(f"the rendered prompt has more than {MAX_OUTPUT_CHARS} characters")
                parts.append(part)
        except Exception as error:  # a template can raise anything that its expressions raise
            raise ChatTemplateError(
                f"the template failed: {type(error).__name__}: {shown(str(error))}"
            ) from error
        return "".join(parts)


def load_chat_template(
    directory: str | os.PathLike[str], *, bos_token: str | None = None, eos_token: str | None = None
) -> ChatTemplate | None:
    """The template of a model directory: chat_template.jinja, else tokenizer_config.json, else None.

    Raises ChatTemplateError, and ConfigError for a malformed tokenizer_config.json.
    """
    source = _find_source(Path(directory))
    return None if source is None else ChatTemplate(source, bos_token=bos_token, eos_token=eos_token)


def _find_source(directory: Path) -> str | None:
    path = directory / "chat_template.jinja"
    if path.is_file():
        if path.stat().st_size > 4 * MAX_TEMPLATE_CHARS:
            raise ChatTemplateError(f"{path}: is larger than {4 * MAX_TEMPLATE_CHARS} bytes")
        try:
            return path.read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            raise ChatTemplateError(f"{path}: cannot be read: {error}") from error
    path = directory / "tokenizer_config.json"
    if not path.is_file():
        return None
    found = read_json_object(path).get("chat_template")
    if isinstance(found, list):  # several, by name
        named = {str(t.get("name")): t.get("template") for t in found if isinstance(t, dict)}
        found = named.get("default")
    if found is not None and not isinstance(found, str):
        raise ChatTemplateError(f"{path}: chat_template is {shown(found)}; allowed: a string")
    return found
