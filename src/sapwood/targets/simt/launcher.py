"""What launches a kernel on simt, whatever its threads are made of:

    @k(launch..., arguments..., err) -> {i32}                    fills in the context, calls the scheduler
    @k.slot(threads, dynamic) -> i64                             bytes of a slot of the arena
    @k.shared                                                    bytes of shared memory that the kernel declares
    @k.start(slot, thread) -> handle                             begins a thread (a coroutine)
    @k.whole(slot, 0) -> i64                                     runs a block (work-item loops); 1 if a thread failed
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from sapwood.targets.simt import layout

DEADLOCK = {
    "type": "sapwood.lang.launch.Deadlock",
    "message": "deadlock in block {0}: thread {1} waits at the warp operation of line {2}, "
    "but thread {3} of its warp waits at line {4}",
    "parts": None,
    "args": ["i64"] * 5,
}


WRONG_MASK = {
    **DEADLOCK,
    "message": "deadlock in block {0}: thread {1} waits at the warp operation of line {2}, whose mask does not name it",
}
OTHER_MASK = {
    **DEADLOCK,
    "message": "deadlock in block {0}: threads {1} and {3} of a warp wait at the warp operation of line {2} with "
    "different masks",
}
STUCK = {
    **DEADLOCK,
    "message": "deadlock: thread {1} of block {0} waits at line {2}, thread {4} of block {3} at line {5}, and none is "
    "left that could let them go on",
    "args": ["i64"] * 6,
}
ALL_STUCK = {
    **DEADLOCK,
    "message": "deadlock: thread {1} of block {0} waits at line {2}, as do all threads that are left; none could let "
    "them go on",
    "args": ["i64"] * 3,
}


@dataclass(frozen=True)
class Parts:
    """What there is of a kernel: `@k.block` with these bytes of arrays a thread, or None; and coroutines."""

    arrays: list[int] | None
    coroutines: bool
    copies: bool = False  # whether the coroutines have queues of copies


def add_launcher(
    module: Any, name: str, attributes: str, params: list[str], shared: int, parts: Parts
) -> None:
    module.declarations["declare i32 @sapwood_simt_launch(ptr, ptr)"] = None
    types = [p.rsplit(" ", 1)[0] for p in params]
    pack = f"{{{', '.join(types)}}}"
    if parts.coroutines:
        _start(module, name, attributes, types, pack)
    if parts.arrays is not None:
        _whole(module, name, attributes, types, pack)
    _slot(module, name, attributes, shared, parts)
    _launcher(module, name, attributes, params, pack, shared, parts)


def _start(module: Any, name: str, attributes: str, types: list[str], pack: str) -> None:
    module.functions.append(_unpacking(f"{name}.start", f"{name}.thread", "ptr", attributes, types, pack))
    poison = ", ".join(["ptr null", "i64 -1", *(f"{t} poison" for t in types)])
    module.functions.append(
        f"define internal i64 @{name}.frame() {attributes} {{\n"
        f"  %size = call ptr @{name}.thread({poison})\n"
        "  %r = ptrtoint ptr %size to i64\n"
        "  ret i64 %r\n}"
    )
    module.functions.append(
        f"define internal i64 @{name}.resume(ptr %handle) {attributes} {{\n"
        "  call void @llvm.coro.resume(ptr %handle)\n"
        "  ret i64 0\n}"
    )


def _launcher(
    module: Any, name: str, attributes: str, params: list[str], pack: str, shared: int, parts: Parts
) -> None:
    fixed = [f"i64 %{name}" for name in layout.LAUNCH]
    lines = [
        f"define {{i32}} @{name}({', '.join([*fixed, *params, 'ptr %err'])}) {attributes} {{",
        f"  %context = alloca [{layout.CONTEXT_WORDS} x i64], align 64",
        f"  %arguments = alloca {pack}, align 64",
        "  %plane = mul i64 %block.x, %block.y",
        "  %threads = mul i64 %plane, %block.z",
        "  %layer = mul i64 %grid.x, %grid.y",
        "  %blocks = mul i64 %layer, %grid.z",
        "  %groups = sdiv i64 %blocks, %group",
        f"  %arrays = mul i64 %threads, {8 * layout.ARRAYS}",
        f"  %fixed = add i64 %arrays, {8 * layout.HEADER + layout.SHARED_ALIGN - 1}",
        f"  %shared.at = and i64 %fixed, -{layout.SHARED_ALIGN}",
        "  %more = add i64 %dynamic, 63",
        "  %dynamic.words = and i64 %more, -64",
        "  %dynamic.at = add i64 %shared.at, %dynamic.words",
        f"  %copies.at = add i64 %dynamic.at, {layout.dynamic_at(shared)}",
        f"  %queues = mul i64 %threads, {_queue_bytes(parts)}",
        "  %frames.at = add i64 %copies.at, %queues",
        f"  %bytes = call i64 @{name}.slot(i64 %threads, i64 %dynamic)",
        "  %words = lshr i64 %bytes, 3",
    ]
    whole = f"ptrtoint (ptr @{name}.whole to i64)" if parts.arrays is not None else "0"
    if parts.arrays is not None and parts.coroutines:  # loops over threads are right for blocks of one axis
        lines += [
            "  %high = mul i64 %block.y, %block.z",
            "  %flat = icmp eq i64 %high, 1",
            f"  %whole = select i1 %flat, i64 {whole}, i64 0",
        ]
        whole = "%whole"
    words = {
        layout.START: f"ptrtoint (ptr @{name}.start to i64)" if parts.coroutines else "0",
        layout.RESUME: f"ptrtoint (ptr @{name}.resume to i64)" if parts.coroutines else "0",
        layout.WHOLE: whole,
        layout.DEADLOCK: f"ptrtoint (ptr {_descriptor(module, DEADLOCK)} to i64)",
        layout.WRONG_MASK: f"ptrtoint (ptr {_descriptor(module, WRONG_MASK)} to i64)",
        layout.OTHER_MASK: f"ptrtoint (ptr {_descriptor(module, OTHER_MASK)} to i64)",
        layout.WARP_SIZE: str(module.target.warp_size),
        layout.STUCK: f"ptrtoint (ptr {_descriptor(module, STUCK)} to i64)",
        layout.ALL_STUCK: f"ptrtoint (ptr {_descriptor(module, ALL_STUCK)} to i64)",
        layout.ARENA: "%arena",
        layout.SLOT_WORDS: "%words",
        layout.SLOTS: "%slots",
        layout.CHECK: "%check",
        layout.GROUPS: "%groups",
        layout.GROUP: "%group",
        layout.DYNAMIC: "%dynamic",
        layout.COPIES_AT: "%copies.at" if parts.copies else "0",
        layout.SHARED_AT: "%shared.at",
        layout.FRAMES_AT: "%frames.at",
        **{layout.GRID + i: f"%grid.{a}" for i, a in enumerate("xyz")},
        **{layout.DIM + i: f"%block.{a}" for i, a in enumerate("xyz")},
        **{layout.CLUSTER + i: f"%cluster.{a}" for i, a in enumerate("xyz")},
    }
    for i, p in enumerate(params):
        lines.append(f"  %q{i} = getelementptr {pack}, ptr %arguments, i32 0, i32 {i}")
        lines.append(f"  store {p}, ptr %q{i}")
    lines.append("  %packed = ptrtoint ptr %arguments to i64")
    words[layout.ARGUMENTS] = "%packed"
    for at, x in words.items():
        lines.append(f"  %w{at} = getelementptr i64, ptr %context, i64 {at}")
        lines.append(f"  store i64 {x}, ptr %w{at}")
    lines += [
        "  %status = call i32 @sapwood_simt_launch(ptr %context, ptr %err)",
        "  %r = insertvalue {i32} poison, i32 %status, 0",
        "  ret {i32} %r",
        "}",
    ]
    module.functions.append("\n".join(lines))


def _queue_bytes(parts: Parts) -> int:
    return 8 * layout.Q_WORDS if parts.copies else 0


def _descriptor(module: Any, mistake: dict[str, Any]) -> str:
    """As those of lang/ops/exceptions.py, with an empty table: no handler of compiled code sees this exception."""
    loc = module.program.entry.loc
    text = json.dumps({**mistake, "file": loc.file, "line": loc.line, "function": loc.function})
    return module.descriptor([], 0, text)


def _unpacking(name: str, callee: str, result: str, attributes: str, types: list[str], pack: str) -> str:
    """The function (slot, number) -> i64 that calls with the launch's arguments."""
    lines = [
        f"define internal i64 @{name}(ptr %slot, i64 %thread) {attributes} {{",
        f"  %at = getelementptr i64, ptr %slot, i64 {layout.S_ARGUMENTS}",
        "  %arguments = load ptr, ptr %at",
    ]
    for i, t in enumerate(types):
        lines.append(f"  %q{i} = getelementptr {pack}, ptr %arguments, i32 0, i32 {i}")
        lines.append(f"  %p{i} = load {t}, ptr %q{i}")
    first = ["ptr %slot", "i64 %thread"] if result == "ptr" else ["ptr %slot"]
    passed = ", ".join([*first, *(f"{t} %p{i}" for i, t in enumerate(types))])
    lines.append(f"  %found = call {result} @{callee}({passed})")
    if result == "ptr":
        lines += ["  %r = ptrtoint ptr %found to i64", "  ret i64 %r"]
    else:
        lines.append("  ret i64 %found")
    return "\n".join([*lines, "}"])


def _whole(module: Any, name: str, attributes: str, types: list[str], pack: str) -> None:
    module.functions.append(_unpacking(f"{name}.whole", f"{name}.block", "i64", attributes, types, pack))


def _slot(module: Any, name: str, attributes: str, shared: int, parts: Parts) -> None:
    lines = [
        f"@{name}.shared = constant i64 {shared}",
        f"define i64 @{name}.slot(i64 %threads, i64 %dynamic) {attributes} {{",
        f"  %arrays = mul i64 %threads, {8 * layout.ARRAYS}",
        f"  %fixed = add i64 %arrays, {8 * layout.HEADER + layout.SHARED_ALIGN - 1}",
        f"  %shared.at = and i64 %fixed, -{layout.SHARED_ALIGN}",
        f"  %shared.end = add i64 %shared.at, {layout.dynamic_at(shared)}",
        "  %more = add i64 %dynamic, 63",
        "  %dynamic.words = and i64 %more, -64",
        "  %bytes = add i64 %shared.end, %dynamic.words",
    ]
    last = "%bytes"
    if parts.coroutines:
        lines += [
            f"  %frame = call i64 @{name}.frame()",
            f"  %one = add i64 %frame, {_queue_bytes(parts)}",
            "  %all = mul i64 %one, %threads",
            f"  %with.frames = add i64 {last}, %all",
        ]
        last = "%with.frames"
    for i, nbytes in enumerate(parts.arrays or ()):
        lines += [
            f"  %b{i} = mul i64 %threads, {nbytes}",
            f"  %m{i} = add i64 %b{i}, 63",
            f"  %s{i} = and i64 %m{i}, -64",
            f"  %e{i} = add i64 {last}, %s{i}",
        ]
        last = f"%e{i}"
    lines.append(f"  %last = add i64 {last}, {layout.SHARED_ALIGN - 1}")
    lines.append(f"  %slot = and i64 %last, -{layout.SHARED_ALIGN}")
    module.functions.append("\n".join([*lines, "  ret i64 %slot", "}"]))
