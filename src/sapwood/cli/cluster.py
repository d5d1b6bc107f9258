"""Several engines behind one server: see what a pool file says, and simulate."""

from __future__ import annotations

from sapwood.cli import cluster_check, cluster_simulate

HELP = "several engines behind one server"

SUBCOMMANDS = {"check": cluster_check, "simulate": cluster_simulate}
