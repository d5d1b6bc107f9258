"""An engine process over the runner of `engine_fakes`, which does what a prompt's last token says.

    python fake_worker.py FD

A test that needs a fault asks for it with a token: the faults are then where a model's would be, inside of a step.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from engine_fakes import FakeRunner, fake_factory

from sapwood.engine.model_runner import RunnerSpec, SamplingState, StepBatch, StepOutput
from sapwood.engine.process import worker

#: prompt tokens and what the step that sees one does
RAISE, EXIT, KILL, HANG, SLOW, SCRIBBLE = 300, 301, 302, 303, 304, 305
SLOW_SECONDS = 0.02
FAIL_START = "SAPWOOD_TEST_FAIL_START"  # the file whose presence makes the start fail


class FaultyRunner(FakeRunner):
    """Deterministic tokens, and faults."""

    numerics_id = "fake"
    max_logit_rows = 10**9
    slow = False
    socket_number = -1

    def execute(self, batch: StepBatch) -> StepOutput:
        self.fault({token for s in batch.slices for token in s.token_ids})
        if self.slow:
            time.sleep(SLOW_SECONDS)
        return super().execute(batch)

    def fault(self, tokens: set[int]) -> None:
        self.slow = self.slow or SLOW in tokens
        if RAISE in tokens:
            raise RuntimeError("the runner failed")
        if EXIT in tokens:
            os._exit(7)
        if KILL in tokens:
            os.kill(os.getpid(), signal.SIGKILL)
        if HANG in tokens:
            time.sleep(3600)
        if SCRIBBLE in tokens:
            os.write(self.socket_number, b"\x05\0\0\0junk!")


def benign(prefix: list[int], sampling: SamplingState) -> int:
    """Tokens that are no faults, and no end token."""
    seed = sampling.seed % 97 if sampling.temperature else 0
    return 4 + (sum(prefix) * 31 + sampling.position + seed) % 290


def create_runner(spec: RunnerSpec) -> FakeRunner:
    path = os.environ.get(FAIL_START)
    if path and Path(path).exists():
        raise ValueError("the start was made to fail")
    plain = fake_factory(next_token=benign)(spec)
    plain.__class__ = FaultyRunner
    return plain


if __name__ == "__main__":
    FaultyRunner.socket_number = int(sys.argv[1])
    sys.exit(worker.main(sys.argv[1:], create_runner))
