"""Show the machine, what Sapwood makes of it, the compile cache, and every environment variable."""

from __future__ import annotations

import argparse
import json
import os
import platform
from pathlib import Path
from typing import Any

HELP = "machine, versions, cache, environment variables"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(options: argparse.Namespace) -> int:
    facts = collect()
    if options.json:
        print(json.dumps(facts, indent=2))
        return 0
    for title, values in facts.items():
        print(title)
        width = max(len(name) for name in values)
        for name, value in values.items():
            print(f"  {name:<{width}}  {_text(value)}".rstrip())
    return 0


def collect() -> dict[str, dict[str, Any]]:
    """Everything that is shown, by section."""
    from sapwood import config

    return {
        "versions": _versions(),
        "machine": _machine(),
        "devices": _devices(),
        "cache": _cache(),
        "environment": {
            v.name: {
                "value": "(set, not shown)" if v.secret and os.environ.get(v.name) else os.environ.get(v.name),
                "default": v.default,
                "allowed": v.allowed,
                "meaning": v.meaning,
            }
            for v in config.VARIABLES.values()
        },
    }


def _text(value: Any) -> str:
    match value:
        case {"value": current, "default": default, "meaning": meaning, "allowed": allowed}:
            shown = current if current is not None else f"(not set{f'; {default}' if default else ''})"
            return f"{shown}\n      {meaning}; {allowed}"
        case list():
            return " ".join(map(str, value)) or "none"
        case None:
            return "none"
    return str(value)


def _versions() -> dict[str, Any]:
    from importlib.metadata import PackageNotFoundError, version

    import llvmlite.binding as llvm

    import sapwood

    def installed(name: str) -> str | None:
        try:
            return version(name)
        except PackageNotFoundError:
            return None

    names = ("llvmlite", "numpy", "tokenizers", "huggingface_hub")
    return {
        "sapwood": sapwood.__version__,
        "python": platform.python_version(),
        "LLVM": ".".join(map(str, llvm.llvm_version_info)),
        **{name: installed(name) for name in names},
    }


def _machine() -> dict[str, Any]:
    from sapwood.lang.loading.current_target import current_target
    from sapwood.lang.loading.runtime_support import thread_count
    from sapwood.targets.errors import UnsupportedPlatform

    facts: dict[str, Any] = {
        "system": f"{platform.system()} {platform.release()} on {platform.machine()}",
        "processor": _processor(),
        "memory": _memory(),
    }
    try:
        target = current_target()
    except UnsupportedPlatform as error:
        return facts | {"target": f"none: {error}"}
    except ValueError as error:  # SAPWOOD_TARGET names a target that is not there
        from sapwood.cli.errors import CommandError

        raise CommandError(str(error)) from None
    return facts | {
        "threads": thread_count(),
        "target": target.name,
        "vector width": f"{8 * target.vector_bytes} bits",
        "features": sorted(target.features),
    }


def _devices() -> dict[str, Any]:
    """A line for each device that kernels can run on."""
    from sapwood.gpu import CudaError, NoCuda
    from sapwood.lang.devices import device
    from sapwood.targets.nvptx.driver import library
    from sapwood.targets.nvptx.driver.device import count

    found: dict[str, Any] = {"simt": "CPU"}
    try:
        library.load()
    except NoCuda as error:
        return found | {"cuda": f"none: {error}"}
    for n in range(count()):
        try:
            d = device(f"cuda:{n}")
            driver = ".".join(map(str, d.driver_version))
            size = f"{d.memory[1] / 2**30:.1f} GiB, {d.processors} multiprocessors"
            found[d.name] = f"{d.label}, {size}, {d.architecture}, driver CUDA {driver}"
        except (CudaError, NoCuda) as error:
            found[f"cuda:{n}"] = f"unusable: {error}"
    return found


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as f:
            for line in f:
                if line.startswith("model name"):
                    return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or "unknown"


def _memory() -> str:
    try:
        size = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        return "unknown"
    return f"{size / 2**30:.1f} GiB"


def _cache() -> dict[str, Any]:
    from sapwood import config

    directory = config.cache_directory()
    if directory is None:
        return {"directory": None}
    count = size = 0
    for path in Path(directory).glob("*/??/*"):
        try:
            size += path.stat().st_size
            count += 1
        except OSError:
            continue
    return {
        "directory": directory,
        "enabled": "yes" if config.cache_enabled() else "no",
        "entries": count,
        "size": f"{size / 2**20:.1f} of at most {config.cache_max_bytes() >> 20} MiB",
    }
