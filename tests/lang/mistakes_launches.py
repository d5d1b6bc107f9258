"""Mistakes in launches and in how threads wait for each other; see mistakes.py."""

from __future__ import annotations

from typing import Any

import numpy as np
from mistakes import MISTAKES, call

from sapwood import Tensor, f32, i32, kernel
from sapwood.gpu import (
    async_copy,
    dynamic_shared,
    map_shared,
    mbarrier,
    shared,
    thread_idx,
    wait_group,
    warp,
)

X = np.zeros(4, np.float32)


def launched(k: Any) -> Any:
    """The kernel with a grid of one thread."""
    return k[1, 1]


@kernel
def tiles(x: Tensor[f32, 1]) -> None:
    fixed, rest = shared(f32, 1000), dynamic_shared(f32)
    x[0] = fixed[0] + rest[0]


@call(X, name="copy_of_twelve_bytes")
@launched
@kernel
def twelve_bytes(x: Tensor[f32, 1]) -> None:
    async_copy(shared(f32, 4).ptr, x.ptr, 3)


@call(X, name="copy_to_global_memory")
@launched
@kernel
def to_global(x: Tensor[f32, 1]) -> None:
    async_copy(x.ptr, x.ptr + 1, 1)


@call(X, name="copy_of_another_type")
@launched
@kernel
def another_type(x: Tensor[f32, 1]) -> None:
    async_copy(shared(i32, 4).ptr, x.ptr, 1)


@call(X, name="format_in_a_kernel")
@launched
@kernel
def prints_digits(x: Tensor[f32, 1]) -> None:
    print(f"x is {x[0]:.3q}")


@call(X, name="text_in_a_kernel")
@launched
@kernel
def prints_a_text(x: Tensor[f32, 1]) -> None:
    print("x is " + str(x[0]))


@call(X, name="length_of_a_text_of_a_kernel")
@launched
@kernel
def measures_text(x: Tensor[f32, 1]) -> None:
    x[0] = len(f"{x[1]}")


@call(X, name="list_in_a_kernel")
@launched
@kernel
def lists(x: Tensor[f32, 1]) -> None:
    found = [x[0]]
    found.append(x[1])
    x[0] = found[1]


@call(X, name="wait_for_fewer_than_no_groups")
@launched
@kernel
def fewer_groups(x: Tensor[f32, 1]) -> None:
    wait_group(-1)


@call(X, name="mbarrier_of_another_type")
@launched
@kernel
def mbarrier_of_ints(x: Tensor[f32, 1]) -> None:
    mbarrier.init(shared(i32, 2).ptr, 1)


@call(X, name="map_shared_of_global_memory")
@launched
@kernel
def map_global(x: Tensor[f32, 1]) -> None:
    map_shared(x, 0)[0] = 1.0


@call(X, name="mask_of_no_lane")
@launched
@kernel
def no_lane(x: Tensor[f32, 1]) -> None:
    warp.sync(mask=0)


@call(X, name="mask_of_more_lanes")
@launched
@kernel
def more_lanes(x: Tensor[f32, 1]) -> None:
    x[0] = warp.shuffle(x[0], 0, mask=0x1FFFFFFFF)


@call(X, name="mask_of_another_type")
@launched
@kernel
def signed_mask(x: Tensor[f32, 1]) -> None:
    warp.sync(thread_idx.x)


@call(X, name="match_of_a_bool")
@launched
@kernel
def match_bool(x: Tensor[f32, 1]) -> None:
    warp.match_any(x[0] > f32(0))


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
