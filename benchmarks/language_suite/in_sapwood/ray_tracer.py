import importlib.util
import sys
from pathlib import Path
from typing import Any

import numpy as np
from driver import report_bytes

from sapwood import set_num_threads


def example() -> Any:
    """examples/ray_tracer.py is the program."""
    path = Path(__file__).parents[3] / "examples" / "ray_tracer.py"
    spec = importlib.util.spec_from_file_location("example_ray_tracer", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def prepare(n: int, data: bytes) -> tuple[Any, np.ndarray, np.ndarray]:
    module = example()
    return module.render, module.scene(), np.zeros((3 * n, 4 * n, 3), np.uint8)


def run(state: tuple[Any, np.ndarray, np.ndarray], threads: int) -> np.ndarray:
    render, spheres, picture = state
    set_num_threads(threads)
    render(picture, spheres)
    return picture


def report(picture: np.ndarray) -> str:
    return report_bytes(picture.tobytes())
