"""Importing a Python file by its path, for commands that look at its functions."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from sapwood.cli.errors import CommandError


def import_file(path: Path) -> Any:
    """The module; runs the file, as importing it does. Raises CommandError if that fails."""
    import importlib.util

    if not path.is_file():
        raise CommandError(f"there is no file {path}")
    name = path.stem
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules.setdefault(name, module)
    sys.path.insert(0, str(path.parent.resolve()))
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise CommandError(f"{path} cannot be imported: {type(error).__name__}: {error}") from None
    return module
