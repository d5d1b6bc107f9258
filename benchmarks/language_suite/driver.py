"""Runs one Numba or Sapwood program with the protocol of in_c/suite.h:  python driver.py PROGRAM SIZE THREADS [INPUT]

A program is a module with `prepare(n, data)`, which makes its state; `run(state, threads)`, which is timed; and
`report(result)`, the result as text. The first run compiles: the compile time is what it takes longer than the best
of all.
"""

from __future__ import annotations

import importlib.util
import sys
import time
import zlib
from pathlib import Path


def report_bytes(data: bytes) -> str:
    """Length and CRC-32 of an output."""
    return f"{len(data)} {zlib.crc32(data)}"


def main() -> None:
    path, size, threads = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    data = Path(sys.argv[4]).read_bytes() if len(sys.argv) > 4 else b""
    sys.modules["driver"] = sys.modules["__main__"]
    spec = importlib.util.spec_from_file_location(Path(path).stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    state = module.prepare(size, data)
    for _ in sys.stdin:
        start = time.perf_counter()
        result = module.run(state, threads)
        seconds = time.perf_counter() - start
        print(f"{seconds:.9f} {module.report(result)}", flush=True)
        del result


if __name__ == "__main__":
    main()
