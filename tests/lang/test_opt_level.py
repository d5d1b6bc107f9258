"""SAPWOOD_OPT_LEVEL: how much LLVM optimises."""

from __future__ import annotations

from sapwood import config, fn
from sapwood.lang.loading.current_target import current_target


@fn
def triangle(n: int) -> int:
    total = 0
    for i in range(n):
        total += i if i % 3 else -i
    return total


def test_levels_have_code_of_their_own():
    """Level 0 keeps values in memory, level 3 in registers; both give Python's results."""
    texts = {}
    for level in ("0", "3"):
        with config.override(SAPWOOD_OPT_LEVEL=level):
            assert current_target().opt_level == int(level)
            texts[level] = triangle.inspect(3, kind="asm")
    assert texts["0"] != texts["3"]
    with config.override(SAPWOOD_OPT_LEVEL="3"):
        default = current_target().key
    with config.override(SAPWOOD_OPT_LEVEL="0"):
        assert current_target().key != default
        assert triangle(1000) == triangle.__wrapped__(1000)
