"""Asynchronous copies and mbarriers of a thread on NVIDIA GPUs. Source: PTX ISA, `cp.async`, `cp.async.bulk`,
`mbarrier`; where LLVM has no intrinsic, the instruction is written here."""

from __future__ import annotations

from sapwood.targets.base import ThreadCode

SHARED = "ptr addrspace(3)"


class CopyCode(ThreadCode):
    """The part of a thread that copies."""

    def _global(self, p: str) -> str:
        return self.e.value(f"addrspacecast ptr {p} to ptr addrspace(1)")

    def _address(self, p: str, space: str = SHARED) -> str:
        return self.e.value(f"ptrtoint {space} {p} to i64")

    def _word(self, x: str) -> str:
        """An i64 as an i32."""
        return self.e.value(f"trunc i64 {x} to i32")

    def _asm(self, text: str, *args: tuple[str, str], result: str = "") -> str:
        """An instruction; operands are $0, $1, ..., the result first if there is one."""
        kinds = {"i64": "l", "i32": "r"}
        constraints = [*(["=r"] if result else []), *(kinds[t] for t, _ in args), "~{memory}"]
        given = ", ".join(f"{t} {x}" for t, x in args)
        code = f'asm sideeffect "{text}", "{",".join(constraints)}"({given})'
        if not result:
            self.e.line(f"call void {code}")
            return ""
        return self.e.value(f"call i32 {code}")

    def async_copy(self, target: str, source: str, nbytes: int, read: str) -> None:
        name = f"llvm.nvvm.cp.async.{'cg' if nbytes == 16 else 'ca'}.shared.global.{nbytes}"
        ends = [(SHARED, target), ("ptr addrspace(1)", self._global(source))]
        if read == str(nbytes):
            self.e.call(name, "void", ends)
        else:
            self.e.call(f"{name}.s", "void", [*ends, ("i32", self._word(read))])

    def commit(self) -> None:
        self.e.call("llvm.nvvm.cp.async.commit.group", "void", [])

    def wait_copies(self, left: int) -> None:
        self.e.call("llvm.nvvm.cp.async.wait.group", "void", [("i32", str(left))])

    def bulk_load(self, target: str, source: str, nbytes: str, read: str, bar: str) -> None:
        text = "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [$0], [$1], $2, [$3];"
        source = self._address(self._global(source), "ptr addrspace(1)")
        words = [("i64", self._address(target)), ("i64", source), ("i32", self._word(nbytes))]
        self._asm(text, *words, ("i64", self._address(bar)))

    def bulk_store(self, target: str, source: str, nbytes: str) -> None:
        target = self._address(self._global(target), "ptr addrspace(1)")
        words = [("i64", target), ("i64", self._address(source)), ("i32", self._word(nbytes))]
        self._asm("cp.async.bulk.global.shared::cta.bulk_group [$0], [$1], $2;", *words)

    def tensor_load(self, number: int, target: str, place: tuple[str, ...], bar: str) -> None:
        coordinates, given = self._coordinates(place, 3)
        text = f"cp.async.bulk.tensor.{len(place)}d.shared::cluster.global.mbarrier::complete_tx::bytes"
        words = [("i64", x) for x in (self._address(target), self._map(number), self._address(bar))]
        self._asm(f"{text} [$0], [$1, {coordinates}], [$2];", *words, *given)

    def tensor_store(self, number: int, source: str, place: tuple[str, ...]) -> None:
        coordinates, given = self._coordinates(place, 2)
        text = f"cp.async.bulk.tensor.{len(place)}d.global.shared::cta.bulk_group"
        words = [("i64", x) for x in (self._map(number), self._address(source))]
        self._asm(f"{text} [$0, {coordinates}], [$1];", *words, *given)

    def _map(self, number: int) -> str:
        return self.e.value(f"ptrtoint ptr %map{number} to i64")

    def _coordinates(self, place: tuple[str, ...], first: int) -> tuple[str, list[tuple[str, str]]]:
        """The innermost first, as tensor maps have axes; operands are counted from `first` on."""
        names = ", ".join(f"${first + i}" for i in range(len(place)))
        return f"{{{names}}}", [("i32", self._word(x)) for x in reversed(place)]

    def bulk_commit(self) -> None:
        self._asm("cp.async.bulk.commit_group;")

    def bulk_wait(self, left: int) -> None:
        self._asm(f"cp.async.bulk.wait_group {left};")

    def fence_async(self) -> None:
        self._asm("fence.proxy.async;")

    def _on_mbarrier(self, text: str, bar: str, n: str, space: str = SHARED) -> None:
        self._asm(text, ("i64", self._address(bar, space)), ("i32", self._word(n)))

    def mbarrier_init(self, bar: str, count: str, shared: bool) -> None:
        self.e.call("llvm.nvvm.mbarrier.init.shared", "void", [(SHARED, bar), ("i32", self._word(count))])

    def mbarrier_arrive(self, bar: str, count: str, shared: bool) -> None:
        if not shared:  # of another block of the cluster
            self._on_mbarrier("mbarrier.arrive.release.cluster.b64 _, [$0], $1;", bar, count, "ptr")
        elif count == "1":
            self.e.call("llvm.nvvm.mbarrier.arrive.shared", "i64", [(SHARED, bar)])
        else:
            self._on_mbarrier("mbarrier.arrive.shared.b64 _, [$0], $1;", bar, count)

    def mbarrier_expect_tx(self, bar: str, nbytes: str, shared: bool) -> None:
        self._on_mbarrier("mbarrier.expect_tx.relaxed.cta.shared.b64 [$0], $1;", bar, nbytes)

    def mbarrier_arrive_expect_tx(self, bar: str, nbytes: str, shared: bool) -> None:
        self._on_mbarrier("mbarrier.arrive.expect_tx.shared.b64 _, [$0], $1;", bar, nbytes)

    def mbarrier_arrive_after_copies(self, bar: str) -> None:
        self.e.call("llvm.nvvm.cp.async.mbarrier.arrive.noinc.shared", "void", [(SHARED, bar)])

    def _complete(self, how: str, bar: str, parity: str) -> str:
        # arrivals may have come from other blocks of the cluster
        form = "acquire.cluster.shared::cta" if self.e.target.generation >= 90 else "shared"
        text = f"{{ .reg .pred p; mbarrier.{how}.parity.{form}.b64 p, [$1], $2; selp.b32 $0, 1, 0, p; }}"
        low = self.e.value(f"and i32 {self._word(parity)}, 1")
        said = self._asm(text, ("i64", self._address(bar)), ("i32", low), result="i32")
        return self.e.value(f"icmp ne i32 {said}, 0")

    def mbarrier_test(self, bar: str, parity: str) -> str:
        return self._complete("test_wait", bar, parity)

    def mbarrier_wait(self, bar: str, parity: str, line: int) -> None:
        e = self.e
        how = "try_wait" if e.target.generation >= 90 else "test_wait"  # which suspends the thread for a while
        look, go = e.label("phase.test"), e.label("phase.complete")
        e.line(f"br label %{look}")
        e.block(look)
        e.line(f"br i1 {self._complete(how, bar, parity)}, label %{go}, label %{look}")
        e.block(go)
