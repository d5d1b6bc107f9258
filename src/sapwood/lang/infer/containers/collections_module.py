"""The classes of `collections`: their rules enter themselves when this is imported."""

from sapwood.lang.infer.containers import (
    counters,  # noqa: F401
    defaultdicts,  # noqa: F401
    deques,  # noqa: F401
)
