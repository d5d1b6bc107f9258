"""Kernels with a bug each, that checked launches must find at the right lines.

A module in gpu_bugs/ holds functions that launch a kernel:

    @bug(RaceError)
    def missing_barrier():
        kernel[1, 64](np.zeros(64, np.float32))

The lines of the module that end with `# BUG` and the name of the function are where the report must point, all of them,
whatever the schedule.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sapwood.gpu import KernelError, checked

FOLDER = Path(__file__).parent / "gpu_bugs"


@dataclass
class Bug:
    """A launch that goes wrong. `text`: what the report says, besides."""

    name: str
    body: Callable[[], None]
    error: type[KernelError]
    text: str
    file: str

    @property
    def lines(self) -> set[int]:
        """Where the report must point."""
        return {
            n for n, line in enumerate(Path(self.file).read_text().splitlines(), 1)
            if "# BUG" in line and self.name in line.partition("# BUG")[2].split()
        }  # fmt: skip

    def check(self, seed: int) -> KernelError:
        """Run it with one schedule; the report. Raises AssertionError if it is not as it should be."""
        try:
            with checked(seed):
                self.body()
        except self.error as e:
            found = {loc.line for loc in (e.loc, e.other_loc) if loc is not None}
            assert found == self.lines, f"{self.name}, seed {seed}: lines {found}, not {self.lines}\n{e}"
            assert e.loc.file == self.file and e.seed == seed and e.thread >= 0 and e.block >= 0
            assert self.text in str(e), str(e)
            assert f"SAPWOOD_SCHEDULE_SEED={seed}" in str(e)
            return e
        except KernelError as e:
            raise AssertionError(f"{self.name}, seed {seed}: not {self.error.__name__} but {e}") from None
        raise AssertionError(f"{self.name}, seed {seed}: nothing was found")


def bug(error: type[KernelError], text: str = "") -> Callable[[Callable[[], None]], Bug]:
    def register(body: Callable[[], None]) -> Bug:
        return Bug(body.__name__, body, error, text, body.__code__.co_filename)

    return register


def load() -> dict[str, Bug]:
    """All bugs, by module and name."""
    found: dict[str, Bug] = {}
    for path in sorted(FOLDER.glob("*.py")):
        name = f"gpu_bugs_{path.stem}"
        if name not in sys.modules:
            spec = importlib.util.spec_from_file_location(name, path)
            assert spec is not None and spec.loader is not None
            module = sys.modules[name] = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
        module_values: dict[str, Any] = vars(sys.modules[name])
        found |= {f"{path.stem}.{b.name}": b for b in module_values.values() if isinstance(b, Bug)}
    return found
