"""Measure an engine on this machine, its steps, or a server of the OpenAI API as its clients see it."""

from __future__ import annotations

from sapwood.cli import bench_engine, bench_serve, bench_steps

HELP = "measure the engine, its steps, or a server under load"

#: `sapwood bench [MODEL]` is `sapwood bench engine [MODEL]`
SUBCOMMANDS = {"engine": bench_engine, "serve": bench_serve, "steps": bench_steps}
DEFAULT_SUBCOMMAND = "engine"
