"""Mistakes in launches and in how threads wait for each other; see mistakes.py."""

from __future__ import annotations

from typing import Any

import numpy as np
from mistakes import MISTAKES, call

from sapwood import Tensor, f32, kernel
from sapwood.gpu import dynamic_shared, map_shared, shared

X = np.zeros(4, np.float32)


def launched(k: Any) -> Any:
    """The kernel with a grid of one thread."""
    return k[1, 1]


@kernel
def tiles(x: Tensor[f32, 1]) -> None:
    fixed, rest = shared(f32, 1000), dynamic_shared(f32)
    x[0] = fixed[0] + rest[0]


@call(X, name="map_shared_of_global_memory")
@launched
@kernel
def map_global(x: Tensor[f32, 1]) -> None:
    map_shared(x, 0)[0] = 1.0


def launch(name: str, *args: Any, **options: Any) -> None:
    """Launching `tiles` so is a mistake."""
    MISTAKES[name] = lambda: tiles.launch(**{"grid": 8, "block": 32, **options})(*args)


launch("launch_shape", block=(4, 0))
launch("launch_too_large", grid=(1, 70000))
launch("cluster_does_not_divide", grid=(6, 3), cluster=(2, 2))
launch("cluster_too_large", grid=16, cluster=16)
launch("shared_too_large_to_launch", X, shared=230_000)
launch("negative_shared", shared=-1)
launch("cooperative_number", cooperative=1)
launch("stream_of_nothing", stream=7)
