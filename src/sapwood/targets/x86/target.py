"""The x86-64 target: vector width, attributes, legality."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sapwood.targets.base import Target
from sapwood.targets.x86.features import LEVELS, host_features, level

DATA_LAYOUT = "e-m:e-p270:32:32-p271:32:32-p272:64:64-i64:64-i128:128-f80:128-n8:16:32:64-S128"


@dataclass(frozen=True)
class X86Target(Target):
    """x86-64 at one feature level."""

    def function_attributes(self, function: Any) -> str:
        width = 8 * self.vector_bytes
        return (
            f'nounwind "target-cpu"="{self.cpu}" "target-features"="{self.feature_string}" '
            f'"prefer-vector-width"="{width}" "min-legal-vector-width"="{width}"'
        )


def make(features: frozenset[str]) -> X86Target:
    """The target for a set of features (see features.level)."""
    vector = 64 if "avx512bw" in features else 32 if "avx2" in features else 16
    if "avx512f" in features and "avx512bw" not in features:
        vector = 32
    return X86Target("x86", "x86_64-unknown-linux-gnu", "x86-64", features, vector, DATA_LAYOUT)


def host() -> X86Target:
    return make(host_features())


def variant(name: str) -> X86Target:
    """`x86` is this machine, `x86:avx2` this machine as far as that level goes (see features.LEVELS)."""
    if not name:
        return host()
    if name not in LEVELS:
        raise ValueError(f"unknown level {name!r} of target x86; known are {', '.join(LEVELS)}")
    return make(level(name))
