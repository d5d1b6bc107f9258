"""Several engines behind one server: see what a pool file says."""

from __future__ import annotations

from sapwood.cli import cluster_check

HELP = "several engines behind one server"

SUBCOMMANDS = {"check": cluster_check}
