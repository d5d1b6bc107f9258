"""`sapwood serve` as a process, with the demo model, and what can be seen of it from outside."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
from prometheus_client.parser import text_string_to_metric_families

MODEL = "demo"
_COMMAND = "import sys; from sapwood.cli import main; sys.exit(main())"


class RealServer:
    """One server process. The log goes to a file, so that a full pipe never stops the server."""

    def __init__(self, *argv: str, environment: dict[str, str] | None = None) -> None:
        self.log_file = tempfile.TemporaryFile("w+b")
        self.process = subprocess.Popen(
            [sys.executable, "-c", _COMMAND, "serve", "--port", "0", "--log-format", "json", *argv],
            stdout=subprocess.PIPE,
            stderr=self.log_file,
            text=True,
            env=os.environ | (environment or {}),
        )
        self.printed: list[str] = []
        self.url = ""
        self._ready = threading.Event()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.printed.append(line.rstrip("\n"))
            if " is served at " in line:
                self.url = line.split()[-1]
                self._ready.set()
        self._ready.set()

    def wait_ready(self, seconds: float = 280.0) -> None:
        assert self._ready.wait(seconds) and self.url, f"the server did not start: {self.log()}"

    @property
    def address(self) -> tuple[str, int]:
        host, port = self.url.removeprefix("http://").rsplit(":", 1)
        return host, int(port)

    @property
    def pid(self) -> int:
        return self.process.pid

    def engine_pids(self) -> list[int]:
        """Child processes that run: the engine, and none while it is being started again."""
        text = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text()
        return [pid for pid in map(int, text.split()) if status(pid).get("State", "Z")[0] not in "ZX"]

    def metrics(self) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
        """Every sample by name (without prefix) and labels (without the model)."""
        return parse_metrics(httpx2.get(f"{self.url}/metrics", timeout=60).text)

    def metric(self, name: str, **labels: str) -> float:
        return self.metrics()[name, tuple(sorted(labels.items()))]

    def log(self) -> str:
        self.log_file.flush()
        return os.pread(self.log_file.fileno(), 1 << 30, 0).decode()

    def log_lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log().splitlines()]

    def terminate(self, seconds: float = 120.0) -> int:
        """SIGTERM; the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds)


def parse_metrics(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = tuple(sorted((name, value) for name, value in sample.labels.items() if name != "model_name"))
            found[sample.name.removeprefix("sapwood:"), labels] = sample.value
    return found


def status(pid: int) -> dict[str, str]:
    """/proc/PID/status; empty when there is no such process."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return {}
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def resident_mb(pid: int) -> float:
    return int(status(pid).get("VmRSS", "0 kB").split()[0]) / 1024


def open_files(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


def gone(pid: int, seconds: float = 20.0) -> bool:
    """Whether a process ends within some time."""
    end = time.monotonic() + seconds
    while status(pid).get("State", "Z")[0] not in "ZX":
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


@contextlib.contextmanager
def real_server(*argv: str, environment: dict[str, str] | None = None) -> Iterator[RealServer]:
    """A server that takes requests; it is gone after the block."""
    server = RealServer(*argv, environment=environment)
    try:
        server.wait_ready()
        yield server
    finally:
        if server.process.poll() is None:
            server.process.kill()
            server.process.wait()
        if server.process.stdout is not None:
            server.process.stdout.close()
        server.log_file.close()
