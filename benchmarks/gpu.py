"""What kernels reach on an NVIDIA GPU, as shares of what the machine can do, and what a launch costs.

    python benchmarks/gpu.py [--json]

Copies are compared with the driver's own copy, products with cuBLAS: through PyTorch where that is installed with
CUDA, else called by ctypes where its library is. Without a GPU only our part of a launch is measured.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from sapwood import Array, Tensor, bf16, f32, gpu, kernel, unroll
from sapwood.gpu import block_dim, block_idx, grid_dim, thread_idx
from sapwood.gpu.pipelined_matmul import pipelined_matmul

BYTES = 1 << 30
SIZES = (4096, 8192)


@kernel
def empty(x: Tensor[f32, 1], a: f32) -> None:
    if a > 1e30:
        x[0] = a


@kernel(unchecked=True)
def copy(to: Tensor[f32, 1], source: Tensor[f32, 1]) -> None:
    """Eight loads of each thread are on their way together."""
    n, step = len(to), block_dim.x
    for first in range(block_idx.x * step * 8 + thread_idx.x, n, grid_dim.x * step * 8):
        if first + 7 * step < n:
            a = tuple(source[first + k * step] for k in unroll(range(8)))
            for k in unroll(range(8)):
                to[first + k * step] = a[k]
        else:
            for k in unroll(range(8)):
                if first + k * step < n:
                    to[first + k * step] = source[first + k * step]


def host_seconds(f: Callable[[], object], times: int = 20_000) -> float:
    """Of the best of several rounds, for each call."""
    best = float("inf")
    for _ in range(7):
        begin = time.perf_counter()
        for _ in range(times):
            f()
        best = min(best, (time.perf_counter() - begin) / times)
    return best


def device_seconds(device: Any, f: Callable[[Any], object], times: int = 20) -> float:
    """Of the best of several rounds of launches on a stream, for each of them, by events."""
    stream, best = device.stream(), float("inf")
    f(stream)
    for _ in range(5):
        begin = stream.record()
        for _ in range(times):
            f(stream)
        end = stream.record()
        end.synchronize()
        best = min(best, begin.elapsed(end) / times)
    return best


def without_a_driver() -> dict[str, float]:
    """Our part of a launch from Python: the driver's functions do nothing."""
    from sapwood.lang.border.arguments import ScalarArg, TensorArg
    from sapwood.lang.pipeline import compile_entry
    from sapwood.lang.types import F32
    from sapwood.runtime import device_array
    from sapwood.runtime.callable import NativeFunction, push_entry
    from sapwood.runtime.entry import emit_entry
    from sapwood.runtime.jit import load_object
    from sapwood.runtime.support import compile_support, register_python_symbols
    from sapwood.targets.base import get_target
    from sapwood.targets.nvptx.launcher import FUNCTIONS, launcher_text

    register_python_symbols()
    nothing = load_object(compile_support("define i32 @nothing() {\n ret i32 0\n}\n")).address("nothing")
    kinds = [TensorArg(F32, 1, "contiguous"), ScalarArg(F32)]
    compiled = compile_entry(empty, kinds, get_target("nvptx:sm_90a"), "k")
    text = launcher_text("k", ["ptr", "i64", "i64", "float"], (), compiled.text)
    assert compiled.signature is not None
    obj = compile_support(text + emit_entry(compiled.signature, "k", "k.entry", text))
    native = NativeFunction(None)
    push_entry(native, load_object(obj, dict.fromkeys(FUNCTIONS, nothing)), "k.entry")

    class Device:  # what a launch asks of one
        name = "none"

        def launch(self, launch: Any, values: Any) -> None:
            assert native(*launch.numbers, 0, *values) == 0

    x = device_array.at(Device(), 1 << 40, 1000, "f32")
    empty[4, 256](x, 1.0)
    configured = empty[4, 256]
    return {
        "native entry": host_seconds(lambda: native(*configured.numbers, 0, x, 1.0)),
        "k[grid, block](x, a)": host_seconds(lambda: empty[4, 256](x, 1.0)),
    }


def launches(device: Any) -> dict[str, float]:
    x, stream = device.zeros(1000, "f32"), device.stream()
    run = empty.launch(grid=4, block=256, stream=stream)

    def many() -> None:
        for _ in range(100):
            run(x, 1.0)

    def one() -> None:
        run(x, 1.0)
        stream.synchronize()

    run(x, 1.0)
    stream.synchronize()
    found = {"a launch of many": host_seconds(many, 20) / 100, "a launch and its end": host_seconds(one, 2000)}
    with stream.capture() as graph:
        many()

    def replayed() -> None:
        graph.launch(stream)
        stream.synchronize()

    return found | {"a launch in a graph of 100": host_seconds(replayed, 200) / 100}


def copies(device: Any) -> dict[str, float]:
    """Bytes read and written in a second."""
    x, y = device.zeros(BYTES // 4, "f32"), device.zeros(BYTES // 4, "f32")
    blocks = device.processors * 8
    ours = device_seconds(device, lambda s: copy.launch(grid=blocks, block=256, stream=s)(y, x))
    driver = device_seconds(device, lambda s: y.copy_from(x, stream=s))
    return {"ours": 2 * BYTES / ours, "driver": 2 * BYTES / driver, "share": driver / ours}


def products(device: Any, n: int) -> dict[str, Any]:
    """Multiplications and additions in a second of c = a @ b.T in bf16."""
    rng = np.random.default_rng(0)
    host = [Array.empty((n, n), bf16) for _ in range(2)]
    for x in host:
        x.numpy(bits=True)[...] = rng.standard_normal((n, n), np.float32).view(np.uint32) >> 16
    a, b = map(device.array, host)
    c, other = device.empty((n, n), "bf16"), device.empty((n, n), "bf16")
    found: dict[str, Any] = {"ours": 2 * n**3 / device_seconds(device, lambda s: pipelined_matmul(c, a, b, stream=s))}
    name, peer = cublas(device)
    if peer is None:
        return found | {"peer": name}
    seconds = device_seconds(device, lambda s: peer(s, other, a, b, n))
    wide = [(x.numpy(bits=True)[:64].astype(np.uint32) << 16).view(np.float32) for x in (c, other)]
    worst = float(np.max(np.abs(wide[0] - wide[1])) / np.max(np.abs(wide[1])))
    return found | {"peer": name, "cuBLAS": 2 * n**3 / seconds, "share": found["ours"] * seconds / (2 * n**3),
                    "largest difference": worst}  # fmt: skip


def cublas(device: Any) -> tuple[str, Callable[..., None] | None]:
    """A function (stream, c, a, b, n) that computes c = a @ b.T in bf16, and how it is called."""
    try:
        import torch

        if torch.cuda.is_available():
            return f"PyTorch {torch.__version__}", _by_torch
    except ImportError:
        pass
    for name in ("libcublas.so.13", "libcublas.so.12", "libcublas.so"):
        try:
            library = ctypes.CDLL(name)
        except OSError:
            continue
        handle = ctypes.c_void_p()
        with device.current():
            assert library.cublasCreate_v2(ctypes.byref(handle)) == 0
        return f"{name} by ctypes", lambda s, c, a, b, n: _by_library(library, handle, s, c, a, b, n)
    return "cuBLAS is not here", None


def _by_torch(stream: Any, c: Any, a: Any, b: Any, n: int) -> None:
    import torch

    with torch.cuda.stream(torch.cuda.ExternalStream(stream.handle)):
        torch.matmul(torch.from_dlpack(a), torch.from_dlpack(b).T, out=torch.from_dlpack(c))


def _by_library(library: Any, handle: Any, stream: Any, c: Any, a: Any, b: Any, n: int) -> None:
    """Columns first, as cuBLAS has them: c.T = b @ a.T."""
    bfloat, floats, default = 14, 68, -1  # CUDA_R_16BF, CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT
    one, zero = ctypes.c_float(1), ctypes.c_float(0)
    pointer = ctypes.c_void_p
    assert library.cublasSetStream_v2(handle, pointer(stream.handle)) == 0
    code = library.cublasGemmEx(
        handle, 1, 0, n, n, n, ctypes.byref(one), pointer(b.data_ptr), bfloat, n, pointer(a.data_ptr), bfloat, n,
        ctypes.byref(zero), pointer(c.data_ptr), bfloat, n, floats, default,
    )  # fmt: skip
    assert code == 0, f"cublasGemmEx: {code}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    found: dict[str, Any] = {"our part of a launch, seconds": without_a_driver()}
    if gpu.device().kind == "cuda":
        device = gpu.device()
        found |= {"device": repr(device), "launches, seconds": launches(device), "copies, bytes/s": copies(device)}
        for n in SIZES if device.architecture == "sm_90a" else ():
            found[f"bf16 matmul {n}, flop/s"] = products(device, n)
    else:
        found["device"] = "none"
    if options.json:
        print(json.dumps(found, indent=2))
        return
    for title, values in found.items():
        print(title if isinstance(values, dict) else f"{title}: {values}")
        for name, value in values.items() if isinstance(values, dict) else ():
            print(f"  {name:28} {value:.4g}" if isinstance(value, float) else f"  {name:28} {value}")


if __name__ == "__main__":
    main()
