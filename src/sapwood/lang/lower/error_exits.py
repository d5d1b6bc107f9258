"""How a host function is left with an error, in little code (docs/design/size-of-generated-code.md).

Most of what a program can do is fail, and most failures never happen. So the places that fail share what they have in
common: one block for all that give up the same references, one for all that raise with nothing but a descriptor, and
functions of the module that fill in records and give up references, which LLVM does not inline.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sapwood.lang.ir.ssa import Function, Op
from sapwood.lang.lower.writer import Writer
from sapwood.lang.ops.heap import lower_release_rarely, lower_retain
from sapwood.lang.types import Ref
from sapwood.runtime.error_layout import CAUSE, CONTEXT, COUNT, DESCRIPTOR, OBJECT, PLACE, VALUES

if TYPE_CHECKING:
    from sapwood.lang.lower.emitter import ModuleEmitter

# references that are given up, by name: a loop that is emitted twice has two names for what it defines
Owned = tuple[tuple[str, Ref], ...]
RARE = "cold noinline nounwind"  # attributes of functions that run on error paths


def stores(record: str, words: dict[int, str]) -> list[str]:
    """LLVM text that writes words (types and values) into an error record."""
    out = []
    for at, word in words.items():
        out += [f"  %at{at} = getelementptr i8, ptr {record}, i64 {8 * at}", f"  store {word}, ptr %at{at}"]
    return out


def _filling(count: int) -> str:
    """The function that fills in a record with so many run-time values."""
    values = [f"i64 %w{i}" for i in range(count)]
    words = {DESCRIPTOR: "ptr %descriptor", COUNT: f"i64 {count}", CONTEXT: "i64 0", CAUSE: "i64 %cause"}
    words |= {VALUES + i: v for i, v in enumerate(values)}
    parameters = ", ".join(["ptr %err", "ptr %descriptor", "i64 %cause", *values])
    body = "\n".join(stores("%err", words))
    return f"define internal void @sapwood.raise.{count}({parameters}) {RARE} {{\n{body}\n  ret void\n}}"


def _taking() -> str:
    """The function that moves Python's exception into a record."""
    words = {DESCRIPTOR: "ptr %error", COUNT: f"i64 {OBJECT}", PLACE: "ptr %place", CONTEXT: "i64 0", CAUSE: "i64 0"}
    body = "\n".join(["  %error = call ptr @sapwood_take_error()", *stores("%err", words)])
    return f"define internal void @{TAKE}(ptr %err, ptr %place, i64 %cause) {RARE} {{\n{body}\n  ret void\n}}"


TAKE = "sapwood.take"


class ErrorExits(Writer):
    """Writes how a function is left with errors."""

    shares_exits = True  # whether places that fail share code

    def __init__(self, module: ModuleEmitter, function: Function | None) -> None:
        super().__init__(module, function)
        self.endings: dict[Owned, str] = {}  # blocks that leave with an error, by what they release
        # blocks that fill in a record by a function and leave, by that function and what they release: label, and of
        # the places that come there the descriptor, the run-time values, the block
        self.raisings: dict[tuple[str, Owned], tuple[str, list[tuple[list[str], str]]]] = {}

    # -- raising ----------------------------------------------------------------------------------

    def raise_error(self, op: Op, descriptor: str, words: list[str], cause: str = "0") -> None:
        """Raise along the error edge of `op`. Every `raise` ends here.

        Where this function handles it, the record is filled in on the spot, so that LLVM sees what the handler tests.
        """
        if not self.shares_exits or op.handler is not None:
            self.fill_error(descriptor, words, cause)
        elif cause == "0" and self._shares(op):
            self.line(f"br label %{self._raising(self._filling(len(words)), op, descriptor, *words)}")
            self.dead = True
            return
        else:
            name = self._filling(len(words))
            arguments = ", ".join(["ptr %err", f"ptr {descriptor}", *(f"i64 {w}" for w in (cause, *words))])
            self.line(f"call void @{name}({arguments})")
        self.fail(op)

    def raise_error_if(self, failed: str, op: Op, stem: str, descriptor: str, rare: bool = False) -> None:
        """Raise with constant arguments if the i1 holds. `rare`: nobody will mind if it is slow in a handler, too."""
        if self._shares(op):
            self._branch(failed, self._raising(self._filling(), op, descriptor))
            return
        bad, good = self.label(stem), self.label("ok")
        self.line(f"br i1 {failed}, label %{bad}, label %{good}, !prof !1")
        self.block(bad)
        if rare and self.shares_exits:
            self.line(f"call void @{self._filling()}(ptr %err, ptr {descriptor}, i64 0)")
            self.fail(op)
        else:
            self.raise_error(op, descriptor, [])
        self.block(good)

    def fail_with_python_error(self, op: Op, place: str) -> None:
        """Leave with the exception that is set in Python, which compiled code met at `place` (a constant)."""
        name = self._taking()
        if self._shares(op):
            self.line(f"br label %{self._raising(name, op, place)}")
            self.dead = True
            return
        self.line(f"call void @{name}(ptr %err, ptr {place}, i64 0)")
        self.fail(op)

    def fail_with_python_error_if(self, failed: str, op: Op, place: str) -> None:
        """`fail_with_python_error` if the i1 holds."""
        if self._shares(op):
            self._branch(failed, self._raising(self._taking(), op, place))
            return
        bad, good = self.label("python"), self.label("ok")
        self.line(f"br i1 {failed}, label %{bad}, label %{good}, !prof !1")
        self.block(bad)
        self.fail_with_python_error(op, place)
        self.block(good)

    def _filling(self, count: int = 0) -> str:
        return self.module.helper(f"sapwood.raise.{count}", lambda: _filling(count))

    def _taking(self) -> str:
        self.declare("declare ptr @sapwood_take_error()")
        return self.module.helper(TAKE, _taking)

    def _shares(self, op: Op) -> bool:
        """Whether the error edge of an operation is nothing but the way out of the function."""
        return self.shares_exits and op.handler is None and not op.shared

    def _raising(self, name: str, op: Op, descriptor: str, *words: str) -> str:
        """The block that fills in a record by the function `name`, releases what `op` has to and leaves."""
        key = (name, self._owned(op))
        if key not in self.raisings:
            self.raisings[key] = (self.label("raising"), [])
        label, places = self.raisings[key]
        places.append(([descriptor, *words], self.current))
        return label

    def _branch(self, failed: str, bad: str) -> None:
        good = self.label("ok")
        self.line(f"br i1 {failed}, label %{bad}, label %{good}, !prof !1")
        self.block(good)

    def fill_error(
        self, descriptor: str, words: list[str], cause: str | None = "0", record: str = "%err"
    ) -> None:
        """Write an error record (runtime/error_layout.py); without `cause` those of its words that kernels have."""
        self.line(f"store ptr {descriptor}, ptr {record}")
        slots = {COUNT: str(len(words)), **{VALUES + i: w for i, w in enumerate(words)}}
        if cause is not None:
            slots |= {CONTEXT: "0", CAUSE: cause}
        for at, word in slots.items():
            p = self.value(f"getelementptr i8, ptr {record}, i64 {8 * at}")
            self.line(f"store i64 {word}, ptr {p}")

    # -- leaving ----------------------------------------------------------------------------------

    def return_error(self) -> None:
        """Leave with status 1; the error record is filled in."""
        raise NotImplementedError

    def fail(self, op: Op) -> None:
        """Leave along the error edge of `op`: the error record is filled in. Every raising operation ends here."""
        for v in op.shared:
            lower_retain(self, self.name(v), v.type)
        if op.handler is None:
            if op.cleanup or self.shares_exits:
                self.line(f"br label %{self._ending(self._owned(op))}")
                self.dead = True
            else:
                self.return_error()
            return
        for v in op.cleanup:
            lower_release_rarely(self, self.name(v), v.type)
        label, edges = self.handlers[op.handler]
        edges.append(([self.name(v) for v in op.edge], self.current))
        self.line(f"br label %{label}")
        self.dead = True

    def fail_if(self, failed: str, op: Op) -> None:
        """Leave along the error edge of `op` if the i1 holds."""
        if self._shares(op):
            self._branch(failed, self._ending(self._owned(op)))
            return
        if op.handler is not None and not op.shared and not op.cleanup:
            label, edges = self.handlers[op.handler]
            edges.append(([self.name(v) for v in op.edge], self.current))
            self._branch(failed, label)
            return
        bad, good = self.label("failed"), self.label("ok")
        self.line(f"br i1 {failed}, label %{bad}, label %{good}, !prof !1")
        self.block(bad)
        self.fail(op)
        self.block(good)

    def _owned(self, op: Op) -> Owned:
        return tuple((self.name(v), v.type) for v in op.cleanup)  # type: ignore[misc]

    def _ending(self, owned: Owned) -> str:
        """The block that releases these and leaves the function: one value, then the block for the rest, so that many
        edges that own many values make no more code than there are of both."""
        if owned not in self.endings:
            self.endings[owned] = self.label("ending")
        return self.endings[owned]

    def emit_exits(self) -> None:
        """The blocks that were asked for, at the end of the function."""
        for (name, owned), (label, places) in self.raisings.items():
            self.block(label)
            found = places[0][0]
            if len(places) > 1:
                found = [
                    self.value(f"phi {t} {', '.join(f'[ {values[i]}, %{block} ]' for values, block in places)}")
                    for i, t in enumerate(["ptr", *["i64"] * (len(found) - 1)])
                ]
            words = "".join(f", i64 {w}" for w in found[1:])
            self.line(f"call void @{name}(ptr %err, ptr {found[0]}, i64 0{words})")
            self.line(f"br label %{self._ending(owned)}")
        done = 0
        while done < len(self.endings):
            owned, label = list(self.endings.items())[done]
            done += 1
            self.block(label)
            if not owned:
                self.return_error()
                continue
            lower_release_rarely(self, *owned[0])
            self.line(f"br label %{self._ending(owned[1:])}")
