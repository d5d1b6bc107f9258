"""The code of the host that launches a kernel: LLVM text for the CPU, one function for each kernel and its arguments.

    @k(grid, block, cluster, shared, cooperative, stream, arguments..., err) -> {i32 0, i32 CUresult}
    @k.function, @k.context, @k.record      handles, and where the device has its error record; set after loading
    @k.descriptors                          what the numbers in error records stand for

Source: "CUDA Driver API", cuLaunchKernelEx; offsets are those of CUlaunchConfig and CUlaunchAttribute in cuda.h.
"""

from __future__ import annotations

import re
from typing import Any

# what comes before the arguments, each an i64
SIZES = tuple(f"{what}.{axis}" for what in ("grid", "block", "cluster") for axis in "xyz")
LAUNCH = (*SIZES, "shared", "cooperative", "stream")
FUNCTIONS = ("cuCtxPushCurrent_v2", "cuCtxPopCurrent_v2", "cuLaunchKernelEx", "cuTensorMapEncodeTiled")  # of the driver
MAP_REFUSED = 1 << 16  # added to the code where it is of a tensor map

_COOPERATIVE, _CLUSTER = 2, 4  # CUlaunchAttributeID
_ATTRIBUTE_BYTES, _VALUE_AT = 72, 8
_STREAM_AT, _ATTRIBUTES_AT, _COUNT_AT, _CONFIG_BYTES = 32, 40, 48, 56

# element types of tensor maps (CUtensorMapDataType), and swizzles (CUtensorMapSwizzle)
_ELEMENTS = {
    "u8": 0, "i8": 0, "bool": 0, "u16": 1, "i16": 1, "u32": 2, "i32": 3, "u64": 4, "i64": 5, "f16": 6, "f32": 7,
    "f64": 8, "bf16": 9,
}  # fmt: skip
_SWIZZLES = {0: 0, 32: 1, 64: 2, 128: 3}
_PROMOTION = 2  # CU_TENSOR_MAP_L2_PROMOTION_L2_128B


def launcher_text(name: str, types: list[str], maps: tuple[Any, ...], device_text: str) -> str:
    """The launcher of a kernel whose parameters have these LLVM types and which has these tensor maps
    (lang/ops/gpu/tensor_copies.py); `device_text` is the kernel's module."""
    texts = re.findall(r"^(@\.text\d+) = (.*)$", device_text, re.MULTILINE)
    table = ", ".join([*(f"ptr {text}" for text, _ in texts), "ptr null"])
    lines = [f"{text} = {definition}" for text, definition in texts]
    lines += [
        f"@{name}.descriptors = constant [{len(texts) + 1} x ptr] [{table}]",
        f"@{name}.function = global ptr null",
        f"@{name}.context = global ptr null",
        f"@{name}.record = global i64 0",
        "declare i32 @cuCtxPushCurrent_v2(ptr)",
        "declare i32 @cuCtxPopCurrent_v2(ptr)",
        "declare i32 @cuLaunchKernelEx(ptr, ptr, ptr, ptr)",
        "declare i32 @cuTensorMapEncodeTiled(ptr, i32, i32, ptr, ptr, ptr, ptr, ptr, i32, i32, i32, i32)",
    ]
    params = [*(f"i64 %{p}" for p in LAUNCH), *(f"{t} %p{i}" for i, t in enumerate(types)), "ptr %err"]
    lines.append(f"define {{i32, i32}} @{name}({', '.join(params)}) nounwind {{")
    values = [*((t, f"%p{i}") for i, t in enumerate(types)), ("i64", "%record"), ("i64", "%descriptors")]
    lines += [f"  {line}" for line in (*_config(), *_record(name), *_arguments(values, len(maps)))]
    lines += [f"  {line}" for line in (*_encode(maps), *_call(name, len(maps)))]
    return "\n".join([*lines, "}", ""])


def _config() -> list[str]:
    """%config: the sizes, and an attribute for a cluster and for a cooperative launch where there is one."""
    out = [f"%config = alloca [{_CONFIG_BYTES} x i8], align 8",
           f"%attributes = alloca [{2 * _ATTRIBUTE_BYTES} x i8], align 8"]  # fmt: skip
    for i, p in enumerate((*LAUNCH[:6], "shared")):
        out += [f"%c{i} = trunc i64 %{p} to i32", f"%c{i}.at = getelementptr i8, ptr %config, i64 {4 * i}",
                f"store i32 %c{i}, ptr %c{i}.at"]  # fmt: skip
    out += [
        "%plane = mul i64 %cluster.x, %cluster.y",
        "%blocks = mul i64 %plane, %cluster.z",
        "%clustered = icmp ne i64 %blocks, 1",
        "%first = zext i1 %clustered to i64",
        f"store i32 {_CLUSTER}, ptr %attributes",
    ]
    for i, axis in enumerate("xyz"):
        out += [f"%k{i} = trunc i64 %cluster.{axis} to i32",
                f"%k{i}.at = getelementptr i8, ptr %attributes, i64 {_VALUE_AT + 4 * i}",
                f"store i32 %k{i}, ptr %k{i}.at"]  # fmt: skip
    out += [
        f"%skip = mul i64 %first, {_ATTRIBUTE_BYTES}",
        "%next = getelementptr i8, ptr %attributes, i64 %skip",
        "%coop = trunc i64 %cooperative to i32",
        "%some = icmp ne i32 %coop, 0",
        "br i1 %some, label %together, label %go",
    ]
    return [*out, *_cooperative()]


def _cooperative() -> list[str]:
    """The second attribute, and how many there are."""
    return [
        "\ntogether:",
        f"store i32 {_COOPERATIVE}, ptr %next",
        f"%flag.at = getelementptr i8, ptr %next, i64 {_VALUE_AT}",
        "store i32 1, ptr %flag.at",
        "br label %go",
        "\ngo:",
        "%clusters = trunc i64 %first to i32",
        "%count = add i32 %clusters, %coop",
        f"%stream.at = getelementptr i8, ptr %config, i64 {_STREAM_AT}",
        "store i64 %stream, ptr %stream.at",
        f"%attributes.at = getelementptr i8, ptr %config, i64 {_ATTRIBUTES_AT}",
        "store ptr %attributes, ptr %attributes.at",
        f"%count.at = getelementptr i8, ptr %config, i64 {_COUNT_AT}",
        "store i32 %count, ptr %count.at",
    ]


def _record(name: str) -> list[str]:
    return [f"%record = load i64, ptr @{name}.record", f"%descriptors = ptrtoint ptr @{name}.descriptors to i64"]


def _arguments(values: list[tuple[str, str]], maps: int) -> list[str]:
    """%arguments: the address of each; a bool is a byte for PTX."""
    out = [f"%arguments = alloca [{len(values) + maps} x ptr], align 8"]
    for i, (t, x) in enumerate(values):
        if t == "i1":
            out.append(f"%b{i} = zext i1 {x} to i8")
            t, x = "i8", f"%b{i}"
        out += [f"%a{i} = alloca {t}, align 8", f"store {t} {x}, ptr %a{i}",
                f"%a{i}.at = getelementptr ptr, ptr %arguments, i64 {i}", f"store ptr %a{i}, ptr %a{i}.at"]  # fmt: skip
    for k in range(maps):
        out += [f"%map{k} = alloca [128 x i8], align 64",
                f"%map{k}.at = getelementptr ptr, ptr %arguments, i64 {len(values) + k}",
                f"store ptr %map{k}, ptr %map{k}.at"]  # fmt: skip
    return out


def _encode(maps: tuple[Any, ...]) -> list[str]:
    """Make the tensor maps: axes innermost first, strides in bytes and without that of the innermost."""
    out = []
    for k, m in enumerate(maps):
        rank, size = len(m.box), m.itemsize
        sizes = [f"%p{m.param + 1 + axis}" for axis in reversed(range(rank))]
        strides = []
        for axis in reversed(range(rank - 1)):
            x = f"%m{k}.step{axis}"
            out += [  # that of an axis of one element can be anything, but the driver wants a multiple of 16
                f"{x}.real = mul i64 %p{m.param + 1 + rank + axis}, {size}",
                f"{x}.more = add i64 {x}.real, 15",
                f"{x}.round = and i64 {x}.more, -16",
                f"{x}.many = icmp sgt i64 %p{m.param + 1 + axis}, 1",
                f"{x} = select i1 {x}.many, i64 {x}.real, i64 {x}.round",
            ]
            strides.append(x)
        last, inner = f"%p{m.param + 2 * rank}", f"%p{m.param + rank}"
        arrays = (
            ("dims", "i64", sizes), ("steps", "i64", strides or ["0"]),
            ("box", "i32", [str(n) for n in reversed(m.box)]), ("ones", "i32", ["1"] * rank),
        )  # fmt: skip
        for what, ty, items in arrays:
            out.append(f"%m{k}.{what} = alloca [{len(items)} x {ty}], align 8")
            for i, x in enumerate(items):
                out += [f"%m{k}.{what}.{i} = getelementptr {ty}, ptr %m{k}.{what}, i64 {i}",
                        f"store {ty} {x}, ptr %m{k}.{what}.{i}"]  # fmt: skip
        arguments = [f"ptr %map{k}", f"i32 {_ELEMENTS[m.elem]}", f"i32 {rank}", f"ptr %p{m.param}"]
        arguments += [f"ptr %m{k}.{what}" for what, *_ in arrays]
        arguments += [f"i32 {n}" for n in (0, _SWIZZLES[m.swizzle], _PROMOTION, 0)]
        out += [
            f"%m{k}.code = call i32 @cuTensorMapEncodeTiled({', '.join(arguments)})",
            f"%m{k}.packed = icmp eq i64 {last}, 1",
            f"%m{k}.alone = icmp eq i64 {inner}, 1",
            f"%m{k}.dense = or i1 %m{k}.packed, %m{k}.alone",
            f"%m{k}.taken = icmp eq i32 %m{k}.code, 0",
            f"%m{k}.good = and i1 %m{k}.dense, %m{k}.taken",
            f"br i1 %m{k}.good, label %made{k}, label %refused{k}",
            f"\nrefused{k}:",
            f"%m{k}.said = or i32 %m{k}.code, {MAP_REFUSED}",
            "br label %out",
            f"\nmade{k}:",
        ]
    return out


def _call(name: str, maps: int) -> list[str]:
    """The thread's own context stays as it is."""
    before = f"made{maps - 1}" if maps else "go"
    refused = "".join(f", [ %m{k}.said, %refused{k} ]" for k in range(maps))
    return [
        f"%context = load ptr, ptr @{name}.context",
        f"%function = load ptr, ptr @{name}.function",
        "%old = alloca ptr, align 8",
        "%pushed = call i32 @cuCtxPushCurrent_v2(ptr %context)",
        "%ready = icmp eq i32 %pushed, 0",
        "br i1 %ready, label %launch, label %out",
        "\nlaunch:",
        "%launched = call i32 @cuLaunchKernelEx(ptr %config, ptr %function, ptr %arguments, ptr null)",
        "%popped = call i32 @cuCtxPopCurrent_v2(ptr %old)",
        "br label %out",
        "\nout:",
        f"%result = phi i32 [ %pushed, %{before} ], [ %launched, %launch ]{refused}",
        "%r = insertvalue {i32, i32} {i32 0, i32 poison}, i32 %result, 1",
        "ret {i32, i32} %r",
    ]
