"""Matrix units on NVIDIA GPUs, as inline assembly: LLVM's intrinsics are not convergent, so that LLVM may move them to
where not all threads of the warp come. Source: PTX ISA, "Warp Level Matrix Multiply-Accumulate Instructions".
"""

from __future__ import annotations

from typing import Any

from sapwood.targets.base import ThreadCode

_SWIZZLES = {0: 0, 128: 1, 64: 2, 32: 3}


class MatrixCode(ThreadCode):
    """The part of a thread that works with matrices."""

    def matrix_multiply(self, instruction: str, *fragments: list[tuple[str, str]]) -> tuple[str, ...]:
        *factors, sums = fragments
        words = [[self._tf32(x) for _, x in f] if ".tf32." in instruction else self._words(f) for f in factors]
        ty = sums[0][0]
        held, kind, reg = self._sums(sums)
        n = len(held)
        names, first = [], n
        for size in (len(words[0]), len(words[1]), n):
            names.append(_group(first, size))
            first += size
        text = f"{instruction} {_group(0, n)}, {', '.join(names)};"
        constraints = ",".join([f"={kind}"] * n + ["r"] * (first - 2 * n) + [kind] * n)
        inputs = ", ".join([*(f"i32 {x}" for group in words for x in group), *(f"{reg} {x}" for x in held)])
        out = self._several(reg, n, f'asm "{text}", "{constraints}"({inputs}) convergent nounwind memory(none)')
        return tuple(x for w in out for x in self._elements(w, ty)) if ty == "i16" else out

    def load_matrices(self, p: str, count: int, transposed: bool, types: list[str]) -> tuple[str, ...]:
        text = f"ldmatrix.sync.aligned.m8n8.x{count}{'.trans' if transposed else ''}.shared.b16"
        constraints = ",".join(["=r"] * count + ["l", "~{memory}"])
        code = f'asm sideeffect "{text} {_group(0, count)}, [${count}];", "{constraints}"(i64 {self._at(p)}) convergent'
        words = self._several("i32", count, code)
        return tuple(x for w in words for x in self._elements(w, types[0]))

    def store_matrices(self, p: str, count: int, transposed: bool, elements: list[tuple[str, str]]) -> None:
        text = f"stmatrix.sync.aligned.m8n8.x{count}{'.trans' if transposed else ''}.shared.b16"
        constraints = ",".join(["l"] + ["r"] * count + ["~{memory}"])
        given = ", ".join([f"i64 {self._at(p)}", *(f"i32 {w}" for w in self._words(elements))])
        self.e.line(f'call void asm sideeffect "{text} [$0], {_group(1, count)};", "{constraints}"({given}) convergent')

    def warpgroup_multiply(
        self, instruction: str, sums: list[tuple[str, str]], a: list[tuple[str, str]], how_a: Any, b: tuple[str, str],
        how_b: Any,
    ) -> tuple[str, ...]:
        held, kind, reg = self._sums(sums)
        n = len(held)
        left = [("i64", self._descriptor(a[0][1], how_a))] if how_a else [("i32", w) for w in self._words(a)]
        factors = f"{f'${2 * n}' if how_a else _group(2 * n, len(left))}, ${2 * n + len(left)}"
        flags = ["1"]  # the sums are added to
        if "s32" not in instruction:
            flags += ["1", "1"]  # and no factor is negated
        if ".f16.f16" in instruction or ".bf16" in instruction:
            flags += [str(int(how[0] == "mn")) for how in (how_a, how_b) if how]
        flags[0] = "p"
        text = f"{instruction} {_group(0, n)}, {factors}, {', '.join(flags)};"
        text = f"{{ .reg .pred p; setp.ne.b32 p, 1, 0; {text} }}"
        given = [*((reg, x) for x in held), *left, ("i64", self._descriptor(b[1], how_b))]
        kinds = [*map(str, range(n)), *("l" if t == "i64" else "r" for t, _ in given[n:])]
        return self._tied(text, kind, reg, given, kinds, sums[0][0])

    def warpgroup_order(self, instruction: str, sums: list[tuple[str, str]]) -> tuple[str, ...]:
        if not sums:
            self.e.line(f'call void asm sideeffect "{instruction}", "~{{memory}}"() convergent')
            return ()
        held, kind, reg = self._sums(sums)
        given = [(reg, x) for x in held]
        return self._tied(instruction, kind, reg, given, [*map(str, range(len(held)))], sums[0][0])

    def _tied(
        self, text: str, kind: str, reg: str, given: list[tuple[str, str]], kinds: list[str], ty: str
    ) -> tuple[str, ...]:
        """Assembly that works on sums where they are: its first operands are its results, too."""
        n = sum(k.isdigit() for k in kinds)
        constraints = ",".join([f"={kind}"] * n + kinds + ["~{memory}"])
        inputs = ", ".join(f"{t} {x}" for t, x in given)
        out = self._several(reg, n, f'asm sideeffect "{text}", "{constraints}"({inputs}) convergent')
        return tuple(x for w in out for x in self._elements(w, ty)) if ty == "i16" else out

    def _descriptor(self, p: str, how: tuple[str, int, int, int]) -> str:
        """PTX ISA, "Matrix Descriptor Format": address, leading and stride in units of 16 bytes, and the swizzle."""
        _, swizzle, leading, stride = how
        e = self.e
        low = e.value(f"lshr i64 {e.value(f'and i64 {self._at(p)}, {(1 << 18) - 1}')}, 4")
        rest = (leading >> 4 or int(swizzle > 0)) << 16 | stride >> 4 << 32 | _SWIZZLES[swizzle] << 62
        return e.value(f"or i64 {low}, {rest if rest < 1 << 63 else rest - (1 << 64)}")

    def dot_product(self, count: int, first: int, signs: str, a: str, b: str, c: str) -> str:
        half = [("i1", str(int(first > 0)))] if count == 2 else []
        words = [("i32", a), ("i32", b), *half, ("i32", c)]
        return self.e.call(f"llvm.nvvm.idp{count}a{signs}", "i32", words)

    def _sums(self, sums: list[tuple[str, str]]) -> tuple[list[str], str, str]:
        """Sums in registers, how assembly asks for those, and their type: two f16 are in one."""
        ty = sums[0][0]
        if ty == "i16":
            return self._words(sums), "r", "i32"
        return [x for _, x in sums], "f" if ty == "float" else "r", ty

    # -- registers ----------------------------------------------------------------------------------

    def _at(self, p: str) -> str:
        return self.e.value(f"ptrtoint ptr addrspace(3) {p} to i64")

    def _several(self, ty: str, n: int, code: str) -> tuple[str, ...]:
        """Results of assembly that gives `n` values of a type."""
        if n == 1:
            return (self.e.value(f"call {ty} {code}"),)
        kinds = f"{{{', '.join([ty] * n)}}}"
        out = self.e.value(f"call {kinds} {code}")
        return tuple(self.e.value(f"extractvalue {kinds} {out}, {i}") for i in range(n))

    def _words(self, elements: list[tuple[str, str]]) -> list[str]:
        """Elements in registers of 32 bits, the first lowest."""
        ty = elements[0][0]
        if ty in ("float", "i32"):
            return [self.to_bits(ty, x, 32) for _, x in elements]
        count = 32 // int(ty[1:])
        words = []
        for first in range(0, len(elements), count):
            v = "poison"
            for i, (_, x) in enumerate(elements[first : first + count]):
                v = self.e.value(f"insertelement <{count} x {ty}> {v}, {ty} {x}, i32 {i}")
            words.append(self.e.value(f"bitcast <{count} x {ty}> {v} to i32"))
        return words

    def _elements(self, word: str, ty: str) -> list[str]:
        """The elements of a register."""
        if ty in ("float", "i32"):
            return [self.from_bits(ty, word, 32)]
        count = 32 // int(ty[1:])
        v = self.e.value(f"bitcast i32 {word} to <{count} x {ty}>")
        return [self.e.value(f"extractelement <{count} x {ty}> {v}, i32 {i}") for i in range(count)]

    def _tf32(self, x: str) -> str:
        return self.e.value(f'call i32 asm "cvt.rna.tf32.f32 $0, $1;", "=r,f"(float {x}) nounwind memory(none)')


def _group(first: int, n: int) -> str:
    """Operands of assembly in braces."""
    return f"{{{', '.join(f'${first + i}' for i in range(n))}}}"

