"""Emits entries: vectorcall functions that take Python objects, check them, and call compiled code.

An entry tests exact types and layouts. Whatever it does not like it passes on, untouched and with no error
set, to the function in its `.next` variable. The layout of a compiled instance is described in
docs/design/instance-abi.md.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal

from sapwood.runtime.array import DATA_AT, DTYPE_AT, FLAGS_AT, NDIM_AT, SHAPE_AT, STRIDES_AT
from sapwood.runtime.dtypes import DTYPES, DType
from sapwood.runtime.error_layout import CALL_WORDS, MADE, STACK_LIMIT

Layout = Literal["contiguous", "inner", "strided"]


@dataclass(frozen=True)
class ScalarParam:
    name: str
    dtype: DType
    exact: bool = False  # a float parameter that does not take ints


@dataclass(frozen=True)
class TensorParam:
    name: str
    dtype: DType
    rank: int
    layout: Layout
    writable: bool
    on_device: bool = False  # a DeviceArray, and nothing else; else memory of the host


@dataclass(frozen=True)
class ConstParam:
    """An argument that was compiled in: it must be the same value (numbers) or object (the rest)."""

    name: str
    value: object


@dataclass(frozen=True)
class ObjectParam:
    """Any Python object, borrowed: compiled code makes of it what it wants."""

    name: str


Param = ObjectParam | ScalarParam | TensorParam | ConstParam
Result = DType | None | Literal["object"] | tuple[Any, ...]


@dataclass(frozen=True)
class EntrySignature:
    params: tuple[Param, ...]
    result: Result
    release_gil: bool
    can_raise: bool
    recursive: bool = False  # something in it checks the stack


_DECLARES = """
declare ptr @PyObject_CallOneArg(ptr, ptr)
declare i32 @PyObject_GetBuffer(ptr, ptr, i32)
declare void @PyBuffer_Release(ptr)
declare void @PyErr_Clear()
declare ptr @PyErr_Occurred()
declare ptr @PyEval_SaveThread()
declare void @PyEval_RestoreThread(ptr)
declare i64 @PyLong_AsLongLongAndOverflow(ptr, ptr)
declare i64 @PyLong_AsUnsignedLongLong(ptr)
declare ptr @PyLong_FromLongLong(i64)
declare ptr @PyLong_FromUnsignedLongLong(i64)
declare ptr @PyLong_FromVoidPtr(ptr)
declare ptr @PyFloat_FromDouble(double)
declare ptr @PyComplex_FromDoubles(double, double)
declare ptr @PyBool_FromLong(i64)
declare ptr @PyTuple_New(i64)
declare i32 @PyTuple_SetItem(ptr, i64, ptr)
declare void @sapwood_error_discard(ptr)
declare void @Py_IncRef(ptr)
declare i64 @sapwood_stack_limit()
declare void @Py_DecRef(ptr)
@PyLong_Type = external global i8
@PyFloat_Type = external global i8
@PyComplex_Type = external global i8
@sapwood_array_type = external global i8
@sapwood_device_array_type = external global i8
@sapwood_none = external global i8
@sapwood_true = external global i8
@sapwood_false = external global i8
@sapwood_raise_function = external global i8
"""

# offsets in Py_buffer
_BUF, _ITEMSIZE, _READONLY, _NDIM, _FORMAT, _SHAPE, _STRIDES = 0, 24, 32, 36, 40, 48, 56
_RECORDS_RO, _RECORDS = 0x1C, 0x1D  # strides and format; the latter writable


def llvm_type(d: DType) -> str:
    return {"f32": "float", "f64": "double"}.get(d.name) or f"i{d.bits}"


class _Text:
    def __init__(self) -> None:
        self.lines: list[str] = []
        self.n = 0

    def line(self, text: str) -> None:
        self.lines.append("  " + text)

    def value(self, text: str) -> str:
        self.n += 1
        self.line(f"%v{self.n} = {text}")
        return f"%v{self.n}"

    def label(self, stem: str) -> str:
        self.n += 1
        return f"{stem}{self.n}"

    def block(self, label: str) -> None:
        self.lines.append(f"{label}:")

    def at(self, base: str, offset: int) -> str:
        return self.value(f"getelementptr i8, ptr {base}, i64 {offset}") if offset else base

    def load(self, ty: str, base: str, offset: int = 0) -> str:
        return self.value(f"load {ty}, ptr {self.at(base, offset)}")

    def require(self, condition: str) -> None:
        """Go on if the condition holds, else give up and pass the call on."""
        ok = self.label("ok")
        self.line(f"br i1 {condition}, label %{ok}, label %fail")
        self.block(ok)


def emit_entry(sig: EntrySignature, impl: str, entry: str, module: str = "") -> str:
    """LLVM text of the entry and its `.next` variable, to stand in one module with `@impl`: `module` is its text."""
    t = _Text()
    tensors = [i for i, p in enumerate(sig.params) if isinstance(p, TensorParam)]
    t.line(f"%err = alloca [{CALL_WORDS} x i64], align 16")
    limit = t.value("call i64 @sapwood_stack_limit()") if sig.recursive else "0"
    t.line(f"store i64 {limit}, ptr {t.at('%err', 8 * STACK_LIMIT)}")
    objects = any(isinstance(p, ObjectParam) for p in sig.params)
    if objects:
        t.line(f"%made = getelementptr i64, ptr %err, i64 {MADE}")
        t.line("store i64 0, ptr %made")
    t.line("%overflow = alloca i32, align 4")
    for i in tensors:
        t.line(f"%view{i} = alloca [80 x i8], align 16")
        t.line(f"%held{i} = alloca i8, align 1")
        t.line(f"store i8 0, ptr %held{i}")
    count = t.value("and i64 %nargsf, 9223372036854775807")
    t.require(t.value(f"icmp eq i64 {count}, {len(sig.params)}"))
    t.require(t.value("icmp eq ptr %kwnames, null"))
    leaves: list[tuple[str, str]] = []
    for i, p in enumerate(sig.params):
        obj = t.load("ptr", "%args", 8 * i)
        if isinstance(p, ScalarParam) and p.dtype.kind == "complex":
            leaves += _complex(t, obj, p.dtype, p.exact)
        elif isinstance(p, ScalarParam):
            leaves.append((llvm_type(p.dtype), _scalar(t, obj, p.dtype, p.exact)))
        elif isinstance(p, TensorParam):
            leaves += _tensor(t, obj, p, i)
        elif isinstance(p, ObjectParam):
            leaves.append(("ptr", obj))
        else:
            _constant(t, obj, p)
    results = _leaf_types(sig.result)
    ret = f"{{{', '.join(['i32', *results])}}}"
    args = ", ".join([*(f"{ty} {v}" for ty, v in leaves), "ptr %err"])
    thread = t.value("call ptr @PyEval_SaveThread()") if sig.release_gil else ""
    out = t.value(f"call {ret} @{impl}({args})")
    if sig.release_gil:
        t.line(f"call void @PyEval_RestoreThread(ptr {thread})")
    _release(t, tensors)
    if sig.can_raise:
        status = t.value(f"extractvalue {ret} {out}, 0")
        bad = t.value(f"icmp ne i32 {status}, 0")
        t.line(f"br i1 {bad}, label %raised, label %fine")
        t.block("raised")
        if objects:  # an error before the arguments were made: they do not fit
            made = t.value("load i64, ptr %made")
            t.line(f"br i1 {t.value(f'icmp eq i64 {made}, 0')}, label %unfit, label %failed")
            t.block("unfit")
            t.line("call void @sapwood_error_discard(ptr %err)")
            t.line("br label %fail")
            t.block("failed")
        where = t.value("call ptr @PyLong_FromVoidPtr(ptr %err)")
        r = t.value(f"call ptr @PyObject_CallOneArg(ptr @sapwood_raise_function, ptr {where})")
        t.line(f"call void @Py_DecRef(ptr {where})")
        t.line(f"ret ptr {r}")
        t.block("fine")
    values = [t.value(f"extractvalue {ret} {out}, {k + 1}") for k in range(len(results))]
    t.line(f"ret ptr {_result(t, sig.result, iter(values))}")
    t.block("fail")
    _release(t, tensors)
    following = t.load("ptr", f"@{entry}.next")
    passed = t.value(f"tail call ptr {following}(ptr %self, ptr %args, i64 %nargsf, ptr %kwnames)")
    t.line(f"ret ptr {passed}")
    body = "\n".join(t.lines)
    return (
        f"{_declares(module)}@{entry}.next = global ptr null\n"
        f"define ptr @{entry}(ptr %self, ptr %args, i64 %nargsf, ptr %kwnames) nounwind {{\n{body}\n}}\n"
    )


def _declares(module: str) -> str:
    """What an entry declares, without what the module declares itself."""
    there = set(re.findall(r"^(?:declare [^@]*)?@([\w.]+)", module, re.MULTILINE))
    lines = _DECLARES.strip().splitlines()
    return "".join(f"{line}\n" for line in lines if line.split("@")[1].split("(")[0].split(" ")[0] not in there)


def _release(t: _Text, tensors: list[int]) -> None:
    for i in tensors:
        held = t.value(f"load i8, ptr %held{i}")
        yes = t.value(f"icmp ne i8 {held}, 0")
        do, go = t.label("release"), t.label("released")
        t.line(f"br i1 {yes}, label %{do}, label %{go}")
        t.block(do)
        t.line(f"call void @PyBuffer_Release(ptr %view{i})")
        t.line(f"br label %{go}")
        t.block(go)


# -- arguments -------------------------------------------------------------------------------------------


def _scalar(t: _Text, obj: str, d: DType, exact: bool) -> str:
    if d.kind == "bool":
        yes = t.value(f"icmp eq ptr {obj}, @sapwood_true")
        no = t.value(f"icmp eq ptr {obj}, @sapwood_false")
        t.require(t.value(f"or i1 {yes}, {no}"))
        return yes
    kind = t.load("ptr", obj, 8)
    if d.kind == "float" and exact and d.bits == 64:
        t.require(t.value(f"icmp eq ptr {kind}, @PyFloat_Type"))
        return t.load("double", obj, 16)
    if d.kind == "float":
        return _float(t, obj, kind, d)
    t.require(t.value(f"icmp eq ptr {kind}, @PyLong_Type"))
    if d.name == "u64":
        x = t.value(f"call i64 @PyLong_AsUnsignedLongLong(ptr {obj})")
        _clear_on(t, t.value(f"icmp eq i64 {x}, -1"))
        return x
    x = _long(t, obj)
    if d.bits == 64:
        return x
    short = t.value(f"trunc i64 {x} to i{d.bits}")
    back = t.value(f"{'sext' if d.kind == 'int' else 'zext'} i{d.bits} {short} to i64")
    t.require(t.value(f"icmp eq i64 {back}, {x}"))
    return short


def _long(t: _Text, obj: str) -> str:
    x = t.value(f"call i64 @PyLong_AsLongLongAndOverflow(ptr {obj}, ptr %overflow)")
    over = t.value("load i32, ptr %overflow")
    t.require(t.value(f"icmp eq i32 {over}, 0"))
    return x


def _clear_on(t: _Text, suspicious: str) -> None:
    """If the value may mean an error and one is set, clear it and give up."""
    ask, clear, go = t.label("ask"), t.label("clear"), t.label("go")
    t.line(f"br i1 {suspicious}, label %{ask}, label %{go}")
    t.block(ask)
    error = t.value("call ptr @PyErr_Occurred()")
    t.line(f"br i1 {t.value(f'icmp eq ptr {error}, null')}, label %{go}, label %{clear}")
    t.block(clear)
    t.line("call void @PyErr_Clear()")
    t.line("br label %fail")
    t.block(go)


def _float(t: _Text, obj: str, kind: str, d: DType) -> str:
    direct, other, done = t.label("float"), t.label("int"), t.label("number")
    exact = t.value(f"icmp eq ptr {kind}, @PyFloat_Type")
    t.line(f"br i1 {exact}, label %{direct}, label %{other}")
    t.block(direct)
    x = t.load("double", obj, 16)
    t.line(f"br label %{done}")
    t.block(other)
    t.require(t.value(f"icmp eq ptr {kind}, @PyLong_Type"))
    n = _long(t, obj)
    y = t.value(f"sitofp i64 {n} to double")
    last = t.label("converted")
    t.line(f"br label %{last}")
    t.block(last)
    t.line(f"br label %{done}")
    t.block(done)
    v = t.value(f"phi double [ {x}, %{direct} ], [ {y}, %{last} ]")
    return v if d.bits == 64 else t.value(f"fptrunc double {v} to float")


def _complex(t: _Text, obj: str, d: DType, exact: bool) -> list[tuple[str, str]]:
    """Both parts; a float or an int has no imaginary one."""
    kind = t.load("ptr", obj, 8)
    whole, other, done = t.label("complex"), t.label("real"), t.label("parts")
    is_complex = t.value(f"icmp eq ptr {kind}, @PyComplex_Type")
    t.line(f"br i1 {is_complex}, label %{whole}, label %{'fail' if exact else other}")
    t.block(whole)
    a = [t.load("double", obj, 16), t.load("double", obj, 24)]
    if not exact:
        t.line(f"br label %{done}")
        t.block(other)
        x = _float(t, obj, kind, DTYPES["f64"])
        last = t.label("converted")
        t.line(f"br label %{last}")
        t.block(last)
        t.line(f"br label %{done}")
        t.block(done)
        pairs = zip(a, (x, "0.0"), strict=True)
        a = [t.value(f"phi double [ {p}, %{whole} ], [ {q}, %{last} ]") for p, q in pairs]
    if d.name == "c64":
        return [("float", t.value(f"fptrunc double {v} to float")) for v in a]
    return [("double", v) for v in a]


def _constant(t: _Text, obj: str, p: ConstParam) -> None:
    v = p.value
    if v is None:
        t.require(t.value(f"icmp eq ptr {obj}, @sapwood_none"))
    elif isinstance(v, bool):
        t.require(t.value(f"icmp eq ptr {obj}, @sapwood_{'true' if v else 'false'}"))
    elif isinstance(v, int) and -(2**63) <= v < 2**63:
        kind = t.load("ptr", obj, 8)
        t.require(t.value(f"icmp eq ptr {kind}, @PyLong_Type"))
        t.require(t.value(f"icmp eq i64 {_long(t, obj)}, {v}"))
    else:  # the slow path compares; code in the cache cannot know an object's address
        t.require("false")


def _tensor(t: _Text, obj: str, p: TensorParam, i: int) -> list[tuple[str, str]]:
    own, foreign, done = t.label("array"), t.label("buffer"), t.label("tensor")
    kind = t.load("ptr", obj, 8)
    mine = t.value(f"icmp eq ptr {kind}, @sapwood_{'device_' if p.on_device else ''}array_type")
    t.line(f"br i1 {mine}, label %{own}, label %{foreign}")

    t.block(own)
    t.require(t.value(f"icmp eq i64 {t.load('i64', obj, DTYPE_AT)}, {p.dtype.code}"))
    t.require(t.value(f"icmp eq i64 {t.load('i64', obj, NDIM_AT)}, {p.rank}"))
    if p.writable:
        flags = t.value(f"and i64 {t.load('i64', obj, FLAGS_AT)}, 1")
        t.require(t.value(f"icmp eq i64 {flags}, 0"))
    a = [t.load("ptr", obj, DATA_AT)]
    a += [t.load("i64", obj, SHAPE_AT + 8 * k) for k in range(p.rank)]
    a += [t.load("i64", obj, STRIDES_AT + 8 * k) for k in range(p.rank)]
    a_end = t.label("array")
    t.line(f"br label %{a_end}")
    t.block(a_end)
    t.line(f"br label %{done}")

    t.block(foreign)
    if p.on_device or not p.dtype.buffer_formats:  # no buffer has this dtype
        t.line("br label %fail")
        b: list[str] = []
        b_end = ""
    else:
        b, b_end = _buffer(t, obj, p, i)
        t.line(f"br label %{done}")

    t.block(done)
    types = ["ptr", *["i64"] * (2 * p.rank)]
    if b:
        values = [
            t.value(f"phi {ty} [ {x}, %{a_end} ], [ {y}, %{b_end} ]")
            for ty, x, y in zip(types, a, b, strict=True)
        ]
    else:
        values = a
    _check_layout(t, p, values[1 : 1 + p.rank], values[1 + p.rank :])
    return list(zip(types, values, strict=True))


def _buffer(t: _Text, obj: str, p: TensorParam, i: int) -> tuple[list[str], str]:
    flags = _RECORDS if p.writable else _RECORDS_RO
    rc = t.value(f"call i32 @PyObject_GetBuffer(ptr {obj}, ptr %view{i}, i32 {flags})")
    refused, got = t.label("refused"), t.label("got")
    t.line(f"br i1 {t.value(f'icmp ne i32 {rc}, 0')}, label %{refused}, label %{got}")
    t.block(refused)
    t.line("call void @PyErr_Clear()")
    t.line("br label %fail")
    t.block(got)
    t.line(f"store i8 1, ptr %held{i}")
    view, size = f"%view{i}", p.dtype.itemsize
    t.require(t.value(f"icmp eq i32 {t.load('i32', view, _NDIM)}, {p.rank}"))
    t.require(t.value(f"icmp eq i64 {t.load('i64', view, _ITEMSIZE)}, {size}"))
    text = t.load("ptr", view, _FORMAT)
    t.require(t.value(f"icmp ne ptr {text}, null"))
    *head, last = zip(*p.dtype.buffer_formats, strict=True)  # the letters at each place; Z comes before d alone
    for k, letters in enumerate((*head, last)):
        letter = t.load("i8", text, k)
        accepted = [t.value(f"icmp eq i8 {letter}, {ord(f)}") for f in dict.fromkeys(letters)]
        some = accepted[0]
        for other in accepted[1:]:
            some = t.value(f"or i1 {some}, {other}")
        t.require(some)
    t.require(t.value(f"icmp eq i8 {t.load('i8', text, len(head) + 1)}, 0"))
    data = t.load("ptr", view, _BUF)
    address = t.value(f"ptrtoint ptr {data} to i64")
    odd = t.value(f"and i64 {address}, {p.dtype.alignment - 1}")
    shape, strides = t.load("ptr", view, _SHAPE), t.load("ptr", view, _STRIDES)
    out = [data]
    out += [t.load("i64", shape, 8 * k) for k in range(p.rank)]
    for k in range(p.rank):
        s = t.load("i64", strides, 8 * k)
        odd = t.value(f"or i64 {odd}, {t.value(f'and i64 {s}, {size - 1}')}")
        out.append(t.value(f"sdiv exact i64 {s}, {size}"))
    t.require(t.value(f"icmp eq i64 {odd}, 0"))
    end = t.label("buffer")
    t.line(f"br label %{end}")
    t.block(end)
    return out, end


def _check_layout(t: _Text, p: TensorParam, shape: list[str], strides: list[str]) -> None:
    if p.layout == "strided" or p.rank == 0:
        return
    if p.layout == "inner":
        t.require(t.value(f"icmp eq i64 {strides[-1]}, 1"))
        return
    expected, good = "1", "true"
    for size, stride in zip(reversed(shape), reversed(strides), strict=True):
        fits = t.value(f"icmp eq i64 {stride}, {expected}")
        one = t.value(f"icmp eq i64 {size}, 1")
        good = t.value(f"and i1 {good}, {t.value(f'or i1 {fits}, {one}')}")
        expected = t.value(f"mul i64 {expected}, {size}")
    empty = t.value(f"icmp eq i64 {expected}, 0")
    t.require(t.value(f"or i1 {good}, {empty}"))


# -- results ---------------------------------------------------------------------------------------------


def _leaf_types(result: Result) -> list[str]:
    if result is None:
        return []
    if result == "object":
        return ["ptr"]
    if isinstance(result, tuple):
        return [x for r in result for x in _leaf_types(r)]
    if result.kind == "complex":
        return ["double" if result.name == "c128" else "float"] * 2
    return [llvm_type(result)]


def _result(t: _Text, result: Result, values: Any) -> str:
    if result is None:
        t.line("call void @Py_IncRef(ptr @sapwood_none)")
        return "@sapwood_none"
    if result == "object":
        return next(values)
    if isinstance(result, tuple):
        out = t.value(f"call ptr @PyTuple_New(i64 {len(result)})")
        for k, r in enumerate(result):
            item = _result(t, r, values)
            t.value(f"call i32 @PyTuple_SetItem(ptr {out}, i64 {k}, ptr {item})")
        return out
    if result.kind == "complex":
        wide = [next(values), next(values)]
        if result.name == "c64":
            wide = [t.value(f"fpext float {x} to double") for x in wide]
        return t.value(f"call ptr @PyComplex_FromDoubles(double {wide[0]}, double {wide[1]})")
    x, ty = next(values), llvm_type(result)
    if result.kind == "bool":
        return t.value(f"call ptr @PyBool_FromLong(i64 {t.value(f'zext i1 {x} to i64')})")
    if result.kind == "float":
        wide = x if result.bits == 64 else t.value(f"fpext float {x} to double")
        return t.value(f"call ptr @PyFloat_FromDouble(double {wide})")
    if result.kind == "uint":
        wide = x if result.bits == 64 else t.value(f"zext {ty} {x} to i64")
        return t.value(f"call ptr @PyLong_FromUnsignedLongLong(i64 {wide})")
    wide = x if result.bits == 64 else t.value(f"sext {ty} {x} to i64")
    return t.value(f"call ptr @PyLong_FromLongLong(i64 {wide})")
