"""Check a pool file, and show what it asks for. A mistake is named with its field and line."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from sapwood.cli.errors import CommandError

if TYPE_CHECKING:
    from sapwood.cluster.pool_file import Pool, PoolFile

HELP = "check a pool file"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=Path, help="a pool file, YAML")


def run(options: argparse.Namespace) -> int:
    found = load_pool_file(options.file)
    for model in found.models:
        print(f"model {model.name}: {model.path}")
        for pool in found.pools:
            if pool.model == model.name:
                print(f"  pool {pool.name}: {_replicas(pool)}, each {_resources(pool)}")
    print(f"{found.routers} {'router' if found.routers == 1 else 'routers'}")
    return 0


def load_pool_file(path: Path) -> PoolFile:
    """Raises CommandError."""
    from sapwood.cluster.pool_file import PoolFileError, read_pool_file

    try:
        return read_pool_file(path)
    except PoolFileError as error:
        raise CommandError(str(error)) from None
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror or error}") from None


def _replicas(pool: Pool) -> str:
    n = pool.replica_range
    count = str(n.min) if n.min == n.max else f"{n.min} to {n.max}"
    return f"{count} replica{'' if count == '1' else 's'}"


def _resources(pool: Pool) -> str:
    need = pool.resources
    parts = [f"{need.cpus:g} CPUs" if need.cpus != 1 else "1 CPU"]
    parts += [f"{need.gpus:g} GPUs" if need.gpus != 1 else "1 GPU"] if need.gpus else []
    parts += [f"{need.memory_bytes / 2**30:.1f} GiB"] if need.memory_bytes else []
    parts += [f"{amount:g} {name}" for name, amount in need.custom.items()]
    where = ", ".join(f"{name}={value}" for name, value in need.labels.items())
    return ", ".join(parts) + (f" where {where}" if where else "")
