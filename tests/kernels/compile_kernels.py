"""Run by test_targets.py: prints the assembly of the kernels for a target."""

from __future__ import annotations

import sys

import numpy as np
from kernel_data import array
from test_attention import attend
from test_linear import gated, plain
from test_targets import TARGETS

from sapwood.lang.loading.current_target import use_target


def main(name: str) -> None:
    matrix, vector = np.zeros((3, 4), np.float32), np.zeros(4, np.float32)
    with use_target(TARGETS[name]):
        for dtype in ("f32", "bf16"):
            if dtype == "f32" and name != "avx512":
                continue  # the same code as for avx512
            w = array(matrix, dtype)
            print(plain.inspect(matrix, w, matrix, vector, kind="asm"))
            print(gated.inspect(matrix, vector, w, w, matrix, vector, kind="asm"))
            cache, ints = array(np.zeros((1, 1, 1, 16)), dtype), np.zeros(3, np.int32)
            q = np.zeros((1, 1, 1), np.float32)
            print(attend.inspect(q, cache, cache, ints[None], ints, ints, q, vector, 1, 1.0, kind="asm"))


if __name__ == "__main__":
    main(sys.argv[1])
