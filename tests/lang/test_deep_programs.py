"""Long chains of calls and long expressions: ordinary programs have them, and Python compiles them."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="module")
def deep(tmp_path_factory: pytest.TempPathFactory) -> ModuleType:
    chain = "".join(f"@fn\ndef f{i}(x: int) -> int:\n    return f{i - 1}(x) + {i}\n" for i in range(1, 80))
    source = (
        "from sapwood import fn\n@fn\ndef f0(x: int) -> int:\n    return x\n"
        + chain
        + "@fn\ndef total(x: int) -> int:\n    return " + " + ".join(["x"] * 600) + "\n"
        + "@fn\ndef nested(x: int) -> int:\n    return " + "(" * 90 + "x" + " + 1)" * 90 + "\n"
        + "".join(
            f"@fn\ndef {name}(x: int) -> int:\n    xs = ["
            + ", ".join(f"[{i}, x]" for i in range(n))
            + "]\n    return len(xs)\n"
            for name, n in (("rows", 40), ("few", 10))
        )
    )  # fmt: skip
    path = tmp_path_factory.mktemp("deep") / "deep.py"
    path.write_text(source)
    spec = importlib.util.spec_from_file_location("deep", Path(path))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["f79", "total", "nested", "rows"])
def test_depth_is_no_limit(deep: ModuleType, name: str) -> None:
    f = getattr(deep, name)
    assert f(3) == f.__wrapped__(3)


def test_what_error_edges_release_is_shared(deep: ModuleType) -> None:
    """Each row that is made may fail, and then all rows before it are released: no more code than there are rows."""
    rows, few = (len(f.inspect(3).splitlines()) for f in (deep.rows, deep.few))
    empty = len(deep.f0.inspect(3).splitlines())
    assert rows - empty < 6 * (few - empty)
