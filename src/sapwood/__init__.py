"""Sapwood: an open AI compute stack in Python, from a kernel language to a model server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from sapwood.engine.llm import LLM
    from sapwood.engine.sampling_params import SamplingParams
    from sapwood.lang.api.annotations import SIMD, Const, Ptr, StackArray, Tensor
    from sapwood.lang.api.comptime import comptime, simd_width, static_assert
    from sapwood.lang.api.dtypes import bf16, c64, f16, f32, f64, i8, i16, i32, i64, u8, u16, u32, u64
    from sapwood.lang.api.loops import parallel, unroll
    from sapwood.lang.api.objects import as_object
    from sapwood.lang.errors import CompileError
    from sapwood.lang.external import external
    from sapwood.lang.function import fn, kernel
    from sapwood.lang.library.blocks import tile, vectorize
    from sapwood.lang.native import Dict, List, Set
    from sapwood.lang.ops.gpu import barrier, block_dim, block_idx, grid_dim, lane_id, shared, thread_idx, warp
    from sapwood.lang.records import numpy_dtype
    from sapwood.lang.structs import fields, is_struct, struct
    from sapwood.models.hub import demo_model
    from sapwood.runtime.array import Array

_HOME = {
    "LLM": "sapwood.engine.llm",
    "as_object": "sapwood.lang.api.objects",
    "SamplingParams": "sapwood.engine.sampling_params",
    "demo_model": "sapwood.models.hub",
    "Array": "sapwood.runtime.array",
    "CompileError": "sapwood.lang.errors",
    **dict.fromkeys(("struct", "fields", "is_struct"), "sapwood.lang.structs"),
    "numpy_dtype": "sapwood.lang.records",
    **dict.fromkeys(("Dict", "List", "Set"), "sapwood.lang.native"),
    "external": "sapwood.lang.external",
    **dict.fromkeys(("tile", "vectorize"), "sapwood.lang.library.blocks"),
    **dict.fromkeys(("fn", "kernel"), "sapwood.lang.function"),
    **dict.fromkeys(("SIMD", "Const", "Ptr", "StackArray", "Tensor"), "sapwood.lang.api.annotations"),
    **dict.fromkeys(("comptime", "simd_width", "static_assert"), "sapwood.lang.api.comptime"),
    **dict.fromkeys(("parallel", "unroll"), "sapwood.lang.api.loops"),
    **dict.fromkeys(
        ("bf16", "c64", "f16", "f32", "f64", "i8", "i16", "i32", "i64", "u8", "u16", "u32", "u64"),
        "sapwood.lang.api.dtypes",
    ),
    **dict.fromkeys(
        ("barrier", "block_dim", "block_idx", "grid_dim", "lane_id", "shared", "thread_idx", "warp"),
        "sapwood.lang.ops.gpu",
    ),
    **dict.fromkeys(("num_threads", "set_num_threads"), "sapwood.lang.loading.runtime_support"),
}

__all__ = [*_HOME, "__version__"]


def __getattr__(name: str) -> Any:
    """Public names load when first used, so that `import sapwood` is quick."""
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module 'sapwood' has no attribute {name!r}")
    import importlib

    value = getattr(importlib.import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
