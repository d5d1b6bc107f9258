"""What the bits of a row depend on besides its weights: the version of the kernels, and the family of the target.

Rows have the same bits whatever the number of rows, the tiling and the threads (see linear.py, attention.py), so
those are not here.
"""

from __future__ import annotations

from sapwood.lang.loading.current_target import current_target
from sapwood.targets.base import Target

#: Counts the changes of kernels, or of mathematical functions that they call, that change bits for equal inputs.
#: tests/engine/test_numerics.py fails when one was made and this number was not raised.
NUMERICS_VERSION = 1


def numerics_family(dtype: str, target: Target | None = None) -> str:
    """The family of targets, as a word: equal words give equal bits. dtype: of weights and cache, "f32", "bf16", "f16".

    target: by default the one that is compiled for. What counts: lanes of a vector (the order in which products of
    a row are added), whether products are rounded before they are added (fma), and how bf16 is multiplied.
    """
    t = target or current_target()
    parts = [t.name, f"v{8 * t.vector_bytes}"]
    if t.has("fma"):
        parts.append("fma")
    if dtype == "bf16" and t.has("amx-bf16"):
        parts.append("amx")
    if dtype == "bf16" and t.has("avx512bf16"):
        parts.append("avx512bf16")
    return "-".join(parts)
