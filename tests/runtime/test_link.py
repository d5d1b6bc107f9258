"""Our linker against LLVM's, on objects with every relocation that it knows; and objects that it leaves to LLVM."""

from __future__ import annotations

import ctypes
import platform

import pytest

from sapwood.runtime import jit, link
from sapwood.runtime.elf import BadObject, ElfObject

pytestmark = pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="a linker for x86-64")

TEXT = """
@counter = global i64 5
@zeros = global [300 x i64] zeroinitializer
@aligned = constant [8 x i64] [i64 10, i64 11, i64 12, i64 13, i64 14, i64 15, i64 16, i64 17], align 64
@functions = constant [2 x ptr] [ptr @twice, ptr @thrice]
@text = private constant [6 x i8] c"hello\\00"
declare i64 @elsewhere(i64)
@data = external global i64

define i64 @twice(i64 %x) noinline {
  %r = shl i64 %x, 1
  ret i64 %r
}
define i64 @thrice(i64 %x) noinline {
  %r = mul i64 %x, 3
  ret i64 %r
}
define i64 @count() {
  %old = load i64, ptr @counter
  %new = add i64 %old, 1
  store i64 %new, ptr @counter
  ret i64 %new
}
define i64 @zero(i64 %i) {
  %p = getelementptr i64, ptr @zeros, i64 %i
  %old = load i64, ptr %p
  store i64 7, ptr %p
  ret i64 %old
}
define i64 @item(i64 %i) {
  %p = getelementptr i64, ptr @aligned, i64 %i
  %r = load i64, ptr %p
  ret i64 %r
}
define i64 @choose(i64 %i, i64 %x) {
  %p = getelementptr ptr, ptr @functions, i64 %i
  %f = load ptr, ptr %p
  %r = call i64 %f(i64 %x)
  ret i64 %r
}
define i64 @character(i64 %i) {
  %p = getelementptr i8, ptr @text, i64 %i
  %c = load i8, ptr %p
  %r = zext i8 %c to i64
  ret i64 %r
}
define i64 @call(i64 %x) {
  %y = call i64 @elsewhere(i64 %x)
  %z = load i64, ptr @data
  %r = add i64 %y, %z
  ret i64 %r
}
define i64 @switch(i64 %x) {
  switch i64 %x, label %other [i64 0, label %a  i64 1, label %b  i64 2, label %c  i64 3, label %d  i64 4, label %e]
a:
  ret i64 100
b:
  %p = call i64 @elsewhere(i64 1)
  ret i64 %p
c:
  %q = call i64 @count()
  ret i64 %q
d:
  ret i64 -3
e:
  %s = call i64 @thrice(i64 %x)
  ret i64 %s
other:
  ret i64 0
}
"""


def compiled(text: str, model: str = "default") -> bytes:
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    target = llvm.Target.from_triple(llvm.get_process_triple())
    return target.create_target_machine(reloc="pic", codemodel=model, opt=2).emit_object(llvm.parse_assembly(text))


CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)(lambda x: x + 1000)
DATA = ctypes.c_int64(17)


def known() -> dict[str, int]:
    return {
        "elsewhere": ctypes.cast(CALLBACK, ctypes.c_void_p).value or 0,
        "data": ctypes.addressof(DATA),
    }


def results(loaded: jit.LoadedObject) -> list[int]:
    def f(name: str, *args: int) -> int:
        return ctypes.CFUNCTYPE(ctypes.c_int64, *[ctypes.c_int64] * len(args))(loaded.address(name))(*args)

    out = [f("twice", 21), f("count"), f("count"), f("zero", 299), f("zero", 299), f("zero", 0)]
    out += [f("item", i) for i in range(8)] + [f("choose", i, 5) for i in range(2)]
    out += [f("character", i) for i in range(5)] + [f("call", 3)] + [f("switch", i) for i in range(6)]
    return [*out, ctypes.c_int64.from_address(loaded.address("counter")).value, loaded.address("aligned") % 64]


EXPECTED = [42, 6, 7, 0, 7, 0, *range(10, 18), 10, 15, *b"hello", 1020, 100, 1001, 8, -3, 12, 0, 8, 0]


@pytest.fixture
def without_llvm(monkeypatch):
    def refuse(*_):
        raise AssertionError("LLVM was asked to link")

    monkeypatch.setattr(jit, "_link_by_llvm", refuse)


def test_what_is_linked_here_runs(without_llvm):
    assert results(jit.load_object(compiled(TEXT), known())) == EXPECTED


def test_llvm_links_the_same(monkeypatch):
    def refuse(*_):
        raise link.CannotLink

    monkeypatch.setattr(jit, "link", refuse)
    assert results(jit.load_object(compiled(TEXT), known())) == EXPECTED


def test_relocations_that_only_llvm_knows():
    obj = compiled("@x = internal global i64 3\ndefine ptr @f() {\n  ret ptr @x\n}", "large")
    with pytest.raises(link.CannotLink):
        link.link(ElfObject(obj), {})
    address = ctypes.CFUNCTYPE(ctypes.c_int64)(jit.load_object(obj).address("f"))()
    assert ctypes.c_int64.from_address(address).value == 3


def test_variables_of_threads_are_not_linked_here():
    obj = compiled("@x = thread_local global i64 3\ndefine i64 @f() {\n  %r = load i64, ptr @x\n  ret i64 %r\n}")
    with pytest.raises(link.CannotLink):
        link.link(ElfObject(obj), {"__tls_get_addr": 0})


@pytest.mark.parametrize("low", [False, True])
def test_functions_near_and_far(without_llvm, low, monkeypatch):
    obj = compiled("define i64 @elsewhere(i64 %x) {\n  %r = add i64 %x, 1000\n  ret i64 %r\n}")
    with monkeypatch.context() as patch:
        if low:  # MAP_32BIT: below 2 GB, where the other object cannot reach
            patch.setattr(link, "_PRIVATE", link._PRIVATE | 0x40)
        far = jit.load_object(obj)
    assert (far.address("elsewhere") < 1 << 31) == low
    loaded = jit.load_object(compiled(TEXT), {**known(), "elsewhere": far.address("elsewhere")})
    assert results(loaded) == EXPECTED


def test_each_part_can_only_be_used_for_what_it_is(without_llvm):
    loaded = jit.load_object(compiled(TEXT), known())
    regions = []
    with open("/proc/self/maps") as f:
        for line in f:
            span, access = line.split()[:2]
            first, end = (int(x, 16) for x in span.split("-"))
            regions.append((first, end, access))

    def access(name: str) -> str:
        return next(a for first, end, a in regions if first <= loaded.address(name) < end)

    assert access("twice") == "r-xp"
    assert access("aligned") == "r--p"
    assert access("counter") == access("zeros") == "rw-p"


def test_symbols_that_nothing_provides():
    with pytest.raises(jit.UnresolvedSymbolError, match="elsewhere"):
        jit.load_object(compiled(TEXT), {"data": 8})


@pytest.mark.parametrize("data", [b"", b"\x7fELF\x02\x01" + bytes(20), b"\x7fELF\x02\x01" + b"\xff" * 90, b"x" * 100])
def test_what_is_no_object(data):
    with pytest.raises(BadObject):
        jit.load_object(data)
