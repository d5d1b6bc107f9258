"""LLVM text -> object code or assembly in a child process: for text that users wrote.

LLVM ends its process on what it cannot select. The child gets the text on its input and gives the result on its output;
what LLVM says goes to its error stream, and becomes an IsolatedCodegenError here.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from sapwood.targets.base import Target

MARK = "; inline code: compiled in a process of its own"  # what such text begins with
TIME_LIMIT = 60.0  # seconds


class IsolatedCodegenError(RuntimeError):
    """LLVM refused text, ended its process on it, or took too long."""


def compile_isolated(kind: str, text: str, target: Target) -> bytes:
    """`kind` is "object" or "assembly"."""
    header = {
        "kind": kind, "name": target.name, "triple": target.triple, "cpu": target.cpu,
        "features": sorted(target.features), "feature_string": target.feature_string,
        "opt_level": target.opt_level,
    }  # fmt: skip
    source = Path(__file__).resolve().parent.parent.parent
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(source), *sys.path[1:]])}
    command = [sys.executable, "-m", "sapwood.targets.isolated"]
    try:
        done = subprocess.run(
            command, input=f"{json.dumps(header)}\n{text}".encode(), capture_output=True, env=environment,
            timeout=TIME_LIMIT, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise IsolatedCodegenError(f"LLVM did not finish within {TIME_LIMIT:.0f} seconds") from None
    if done.returncode == 0 and done.stdout:
        return done.stdout
    said = [line for line in done.stderr.decode(errors="replace").splitlines() if line.strip()]
    telling = [line for line in said if "error" in line.lower() or "LLVM ERROR" in line] or said[-3:]
    telling = [line.removeprefix("error: ") for line in telling]
    raise IsolatedCodegenError("\n".join(telling[:6]) or f"LLVM ended its process (status {done.returncode})")


def main() -> int:
    """The child: one header line of JSON, then LLVM text."""
    import llvmlite.binding as llvm

    header, _, text = sys.stdin.buffer.read().decode().partition("\n")
    told = json.loads(header)
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    llvm.initialize_native_asmparser()
    try:
        module = llvm.parse_assembly(text)
        module.verify()
    except RuntimeError as e:
        print(f"error: {_with_line(str(e), text)}", file=sys.stderr)
        return 1
    machine = llvm.Target.from_triple(told["triple"]).create_target_machine(
        cpu=told["cpu"], features=told["feature_string"], opt=told["opt_level"], reloc="pic", codemodel="default"
    )
    options = llvm.create_pipeline_tuning_options(speed_level=told["opt_level"])
    options.loop_vectorization = options.slp_vectorization = told["opt_level"] >= 2
    builder = llvm.create_pass_builder(machine, options)
    builder.getModulePassManager().run(module, builder)
    out = machine.emit_object(module) if told["kind"] == "object" else machine.emit_assembly(module).encode()
    sys.stdout.buffer.write(out)
    return 0


def _with_line(message: str, text: str) -> str:
    """LLVM's first line without its place in a text that nobody sees, and the line of that text."""
    import re

    first = [line for line in message.splitlines() if line.strip()] or [message]
    found = re.search(r":(\d+):(\d+): error: (.*)", message)
    if found is None:
        return first[-1] if first[0].startswith("LLVM IR parsing") else first[0]
    lines = text.splitlines()
    at = int(found.group(1)) - 1
    return f"{found.group(3)} in `{lines[at].strip()}`" if 0 <= at < len(lines) else found.group(3)


if __name__ == "__main__":
    sys.exit(main())
