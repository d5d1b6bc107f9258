"""How a kernel says what it has raised: it writes an exception to memory of the host, and the thread ends.

A device has one record. The first thread that raises takes it; what others raise meanwhile is lost. Its words from
RECORD on are those of an error record of host functions (runtime/error_layout.py), but that the first is the number of
the descriptor. DESCRIPTORS is the address on the host of the table that has it, which the launch passes in.
"""

from __future__ import annotations

from typing import Any

STATE, DESCRIPTORS, BLOCK, THREAD, RECORD = 0, 1, 2, 5, 8  # words of 8 bytes; a block and a thread have three
WORDS = RECORD + 10
BYTES = 8 * WORDS
FREE, TAKEN, FULL = 0, 1, 2  # states

HIDDEN = ("ptr %err", "i64 %descriptors")  # parameters of a kernel behind those of its source


def raising(name: str, target: Any, count: int) -> str:
    """A function that writes a record with so many values if nobody has yet."""
    parameters = ", ".join(["ptr %err", "i64 %descriptors", "i64 %number", *(f"i64 %w{i}" for i in range(count))])
    words: dict[int, str] = {DESCRIPTORS: "%descriptors", RECORD: "%number", RECORD + 1: str(count)}
    words |= {RECORD + 2 + i: f"%w{i}" for i in range(count)}
    lines = []
    for first, register in ((BLOCK, "ctaid"), (THREAD, "tid")):
        for axis, letter in enumerate("xyz"):
            x = f"%{register}.{letter}"
            lines.append(f"  {x}.32 = call i32 @llvm.nvvm.read.ptx.sreg.{register}.{letter}()")
            lines.append(f"  {x} = zext i32 {x}.32 to i64")
            words[first + axis] = x
    for at, word in sorted(words.items()):
        lines.append(f"  %at{at} = getelementptr i64, ptr %err, i64 {at}")
        lines.append(f"  store volatile i64 {word}, ptr %at{at}")
    body = "\n".join(lines)
    attributes = f"cold noinline {target.function_attributes(None)}"
    return f"""define internal void @{name}({parameters}) {attributes} {{
  %seen = cmpxchg ptr %err, i64 {FREE}, i64 {TAKEN} syncscope("device") monotonic monotonic
  %first = extractvalue {{i64, i1}} %seen, 1
  br i1 %first, label %write, label %out
write:
{body}
  fence seq_cst
  store volatile i64 {FULL}, ptr %err
  br label %out
out:
  ret void
}}"""
