"""The thread of a checked kernel: a coroutine that asks before each access whether it may (lang/library/simt_check.py).

Where a pointer comes from is followed through the SSA to arguments, shared arrays and arrays of the thread, so that
each access is held to the bounds of what it was made of. A pointer that comes from elsewhere may go wherever some
argument or shared array is.
"""

from __future__ import annotations

import json
from typing import Any

from sapwood.targets.origins import UNKNOWN, pointer_origins
from sapwood.targets.simt import checked_layout as c
from sapwood.targets.simt import layout
from sapwood.targets.simt.lower import Coroutine

ATOMICS = "atomic_"
ACQUIRES, RELEASES = ("acquire", "acq_rel", "seq_cst"), ("release", "acq_rel", "seq_cst")
SCOPES = {"block": c.SCOPE_BLOCK, "cluster": c.SCOPE_CLUSTER, "device": c.SCOPE_DEVICE, "system": c.SCOPE_DEVICE}
COPIES = ("copy_issue", "bulk_load", "bulk_store_issue")  # target, source, bytes

FOUND = {"type": "sapwood.lang.races.Found", "message": None, "parts": [], "args": []}


class Checked(Coroutine):
    """Asks before each access."""

    def __init__(self, emitter: Any) -> None:
        super().__init__(emitter)
        function = emitter.function
        self.table: list[list[Any]] = []  # of places: what a Loc has, and a verb
        self.arrays: list[list[Any]] = []  # shared arrays: offset, bytes, place
        self.numbers: dict[Any, int] = {}  # shared_storage -> its region
        self.first_array = len(function.params) + 1  # regions: those of the parameters, the dynamic memory, arrays
        self.used = {v for op in function.body.walk() for v in op.operands}
        self.definitions = {v: op for op in function.body.walk() for v in op.results}
        self.origins = pointer_origins(function)
        sizes = {"shared": 8, "global": 8}
        for op in function.body.walk():
            found = _access(op)
            if found is not None:
                space = _space(op)
                sizes[space] = min(sizes[space], found[1])
            elif op.name in ("move_memory", "fill_memory"):
                sizes["global"] = 1
            elif op.name in COPIES:
                size = op.operands[0].type.elem.itemsize
                sizes = {space: min(size, before) for space, before in sizes.items()}
        self.clusters = any(op.name == "map_pointer" for op in function.body.walk())
        if self.clusters:  # shared memory by a pointer to anywhere
            sizes = dict.fromkeys(sizes, min(sizes.values()))
        self.granules = {space: size.bit_length() - 1 for space, size in sizes.items()}
        for op in function.body.walk():
            if op.name == "raise_if" and op.attrs.get("exception") is IndexError:
                self._place(op)
        self.fences = any(op.name == "fence" for op in function.body.walk())
        self.failed = False
        self.op: Any = None  # that is being lowered
        self.waits: dict[int, int] = {}  # number of a wait -> its place

    # -- around the body ----------------------------------------------------------------------------

    def end(self, name: str, params: list[str]) -> None:
        e = self.e
        if self.failed:
            e.block("wrong")
            loc = e.function.loc
            text = json.dumps({**FOUND, "file": loc.file, "line": loc.line, "function": loc.function})
            e.fill_error(e.module.descriptor([], 0, text), [])
            self.fail()
        super().end(name, params)
        record = json.dumps({
            "sites": self.table, "arrays": self.arrays, "leaves": len(params), "granules": self.granules,
            "waits": self.waits, "spins": any(op.name == "give_way" for op in e.function.body.walk()),
            "fences": self.fences,
        })  # fmt: skip
        raw = record.encode() + b"\0"
        text = "".join(chr(b) if 32 <= b < 127 and b not in (34, 92) else f"\\{b:02X}" for b in raw)
        e.module.functions.append(f'@{name}.checked = constant [{len(raw)} x i8] c"{text}"')

    def shared_storage(self, nbytes: int, align: int) -> str:
        pointer = super().shared_storage(nbytes, align)
        self.arrays[-1][:2] = [self.shared_bytes - nbytes, nbytes]
        return pointer

    # -- before an operation ------------------------------------------------------------------------

    def writes(self, op: Any) -> bool:
        self.op = op
        self._before(op)
        if op.name != "lane_absent":
            return False
        absent, lane = map(self.e.name, op.operands)
        bad, good = self.e.label("absent"), self.e.label("there")
        self.e.line(f"br i1 {absent}, label %{bad}, label %{good}, !prof !1")
        self.e.block(bad)
        self._fail_if(self._call("wrong", ["%thread", str(c.ABSENT_LANE), str(self._site(op)), lane, "0"]))
        self.e.line(f"br label %{good}")
        self.e.block(good)
        return True

    def _before(self, op: Any) -> None:
        if op.name == "shared_storage":
            self.numbers[op] = self.first_array + len(self.arrays)
            self.arrays.append([0, 0, self._place(op)])
        elif op.name == "continue":
            self._count(op)
        elif op.name in ("move_memory", "fill_memory"):
            n = self.e.name(op.operands[-1])
            if op.name == "move_memory":
                self._ask("read", op, op.operands[1], n, 1)
            self._ask("write", op, op.operands[0], n, 1)
        elif op.name in COPIES:
            self._copy(op)
        elif op.name == "assume_aligned":
            self._aligned(op)
        elif op.name == "fence":
            does = (op.attrs["order"] in ACQUIRES) | (op.attrs["order"] in RELEASES) << 1
            self._tell("fence", ["%thread", str(does), str(int(op.attrs["scope"] == "block"))])
        else:
            found = _access(op)
            if found is not None:
                self._access(op, *found)

    def _place(self, op: Any, verb: str = "accesses") -> int:
        loc = op.loc
        place = [loc.file, loc.line, loc.col, loc.end_line, loc.end_col, loc.function, verb]
        if place not in self.table:
            self.table.append(place)
        return self.table.index(place)

    def _fail_if(self, answer: str) -> None:
        self.failed = True
        good = self.e.label("right")
        bad = self.e.value(f"icmp ne i64 {answer}, 0")
        self.e.line(f"br i1 {bad}, label %wrong, label %{good}, !prof !1")
        self.e.block(good)

    def _call(self, name: str, words: list[str]) -> str:
        return self.e.call(f"sapwood_check_{name}", "i64", [("ptr", "%slot"), *(("i64", w) for w in words)])

    def _site(self, op: Any, verb: str = "accesses", atomic: bool = False) -> int:
        how = c.ATOMIC | SCOPES[op.attrs["scope"]] << c.SCOPE_AT if atomic else 0
        return min(self._place(op, verb), c.SITES - 1) << c.SITE_AT | how

    def _count(self, op: Any) -> None:
        """Before a loop goes round: ask Python now and then whether to go on."""
        e = self.e
        p = e.value(f"getelementptr i64, ptr %slot, i64 {layout.S_STEPS}")
        left = e.value(f"sub i64 {e.value(f'load i64, ptr {p}')}, 1")
        e.line(f"store i64 {left}, ptr {p}")
        ask, go = e.label("ask"), e.label("go")
        e.line(f"br i1 {e.value(f'icmp slt i64 {left}, 0')}, label %{ask}, label %{go}, !prof !1")
        e.block(ask)
        self._fail_if(self._call("pause", ["%thread", str(self._site(op))]))
        e.line(f"br label %{go}")
        e.block(go)

    def _aligned(self, op: Any) -> None:
        e = self.e
        low = e.value(f"and i64 {self._address(op.operands[0])}, {op.attrs['align'] - 1}")
        bad, good = e.label("odd"), e.label("even")
        e.line(f"br i1 {e.value(f'icmp ne i64 {low}, 0')}, label %{bad}, label %{good}, !prof !1")
        e.block(bad)
        words = ["%thread", str(c.MISALIGNED), str(self._site(op)), str(op.attrs["align"]), "0"]
        self._fail_if(self._call("wrong", words))
        e.line(f"br label %{good}")
        e.block(good)

    def _address(self, v: Any) -> str:
        return self.e.value(f"ptrtoint {self.e.type(v.type)} {self.e.name(v)} to i64")

    # -- accesses -----------------------------------------------------------------------------------

    def _access(self, op: Any, how: str, size: int, lanes: int) -> None:
        e = self.e
        pointer = op.operands[0]
        mask = {"load": op.operands[1:], "store": op.operands[2:]}.get(op.name)
        align = op.attrs.get("align") or size
        if mask:
            bits = e.value(f"bitcast {e.type(mask[0].type)} {e.name(mask[0])} to i{lanes}")
            for first in range(0, lanes, 64):
                part = bits if not first else e.value(f"lshr i{lanes} {bits}, {first}")
                if lanes != 64:
                    part = e.value(f"{'zext' if lanes < 64 else 'trunc'} i{lanes} {part} to i64")
                self._ask("lanes", op, pointer, str(size), size, first * size, [part, str(int(how == "write"))])
            return
        self._ask(how, op, pointer, str(size * lanes), size, align=align)

    def _ask(
        self, how: str, op: Any, pointer: Any, nbytes: str, size: int, skip: int = 0, more: list[str] | None = None,
        align: int = 0,
    ) -> None:
        """Emit the question for an access by `pointer`; `size`: of one element."""
        e = self.e
        origins = self.origins.get(pointer, {UNKNOWN})
        own = [o for o in origins if o is not UNKNOWN and not isinstance(o, int) and o.name in _OWN]
        if origins and len(own) == len(origins) and all(o.name == "constant" or _OWN[o.name](o) is None for o in own):
            return
        address = self._address(pointer)
        if skip:
            address = e.value(f"add i64 {address}, {skip}")
        done = ""
        if own:
            if len(own) == len(origins) == 1 and self._surely_inside(own[0], pointer, nbytes, skip):
                return
            done = self._inside(own, op, address, nbytes, len(own) == len(origins))
            if not done:
                return
        others = [o for o in origins if o not in own]
        region = -1 if len(others) != 1 or others[0] is UNKNOWN else self._region(others[0])
        space = _space_of(pointer)
        atomic = op.name.startswith(ATOMICS)
        verb = {"update": "updates", "write": "writes"}.get(how, "reads")
        site = self._site(op, verb, atomic)
        shared = int(space == "shared") | (2 if how == "update" and op.results and space == "shared" else 0)
        what = self.granules[space] | (max(align or size, 1) - 1) << 8
        words = ["%thread", str(region), address, nbytes, str(what), str(site), str(shared), *(more or [])]
        self._fail_if(self._call(how, words))
        if atomic:
            self._order(op, address, shared & 1)
        if done:
            e.line(f"br label %{done}")
            e.block(done)

    def _order(self, op: Any, address: str, shared: int) -> None:
        """What an atomic operation lets threads know of each other. One whose result nobody uses learns nothing."""
        orders = {op.attrs["order"], op.attrs.get("failure", "relaxed")}
        near = shared and not self.clusters or op.attrs["scope"] == "block"
        words = ["%thread", address, str(int(near))]
        if any(v in self.used for v in op.results):
            if orders & set(ACQUIRES):
                self._tell("acquire", words)
            if self.fences:
                self._tell("observe", words)
        if op.name != "atomic_load":
            if op.attrs["order"] in RELEASES:
                self._tell("release", words)
            elif self.fences:
                self._tell("publish", words)

    def _tell(self, name: str, words: list[str]) -> None:
        self.e.call(f"sapwood_check_{name}", "void", [("ptr", "%slot"), *(("i64", w) for w in words)])

    def _region(self, origin: Any) -> int:
        if isinstance(origin, int):
            return origin
        if origin.name == "dynamic_storage":
            return self.first_array - 1
        return self.numbers[origin]

    def _surely_inside(self, origin: Any, pointer: Any, nbytes: str, skip: int) -> bool:
        at, v = skip, pointer
        while (op := self.definitions[v]) is not origin:
            if op.name == "pointer_add":
                n = self.definitions.get(op.operands[1])
                if n is None or n.name != "constant":
                    return False
                at += n.attrs["value"] * op.attrs["stride"]
            v = op.operands[0] if op.operands else None
            if v not in self.definitions:
                return False
        return nbytes.isdigit() and 0 <= at <= _OWN[origin.name](origin) - int(nbytes)

    def _inside(self, own: list[Any], op: Any, address: str, nbytes: str, only: bool) -> str:
        """Test an access against arrays of the thread; the label where it goes on if it may go elsewhere, too."""
        e = self.e
        found = "false"
        for o in own:
            start = self._address(o.result)
            at = e.value(f"sub i64 {address}, {start}")
            room = e.value(f"sub i64 {_OWN[o.name](o)}, {nbytes}")
            fits = e.value(f"icmp sge i64 {room}, 0")
            low = e.value(f"icmp ule i64 {at}, {room}")
            found = e.value(f"or i1 {found}, {e.value(f'and i1 {fits}, {low}')}")
        good, bad = e.label("inside"), e.label("outside")
        e.line(f"br i1 {found}, label %{good}, label %{bad}")
        e.block(bad)
        if not only:
            return good
        start = self._address(own[0].result)
        at = e.value(f"sub i64 {address}, {start}")
        words = ["%thread", str(c.OUTSIDE_LOCAL), str(self._site(op)), at, str(_OWN[own[0].name](own[0]))]
        self._fail_if(self._call("wrong", words))
        e.line(f"br label %{good}")
        e.block(good)
        return ""

    def _copy(self, op: Any) -> None:
        """A copy that goes on by itself touches memory as the thread that issues it: so it is known to whom waits."""
        e = self.e
        size, read = op.operands[0].type.elem.itemsize, e.name(op.operands[3 if op.name == "bulk_load" else 2])
        some, go = e.label("copy.read"), e.label("copy.write")
        e.line(f"br i1 {e.value(f'icmp sgt i64 {read}, 0')}, label %{some}, label %{go}")
        e.block(some)
        self._ask("read", op, op.operands[1], read, size)
        e.line(f"br label %{go}")
        e.block(go)
        written = str(op.attrs.get("bytes", e.name(op.operands[2])))
        self._ask("write", op, op.operands[0], written, size)
        for pointer, n, verb in ((op.operands[1], read, "reads"), (op.operands[0], written, "writes")):
            words = [n, str(self.granules[_space_of(pointer)]), str(self._site(op, verb)), str(int(verb == "writes"))]
            self._tell("issued", ["%thread", self._address(pointer), *words])

    # -- waiting ------------------------------------------------------------------------------------

    def _suspend(self, kind: int, line: int) -> None:
        super()._suspend(kind, line)
        if kind != layout.READY:
            self.waits[self.sites] = self._place(self.op)

    def give_way(self) -> None:
        self.e.line(f"store i64 {self._place(self.op)}, ptr {self.array(layout.OFFERED)}")
        super().give_way()

    def mbarrier_arrive(self, bar: str, count: str, shared: bool) -> None:
        self._release(bar, shared)
        super().mbarrier_arrive(bar, count, shared)

    def mbarrier_arrive_expect_tx(self, bar: str, nbytes: str, shared: bool) -> None:
        self._release(bar, shared)
        super().mbarrier_arrive_expect_tx(bar, nbytes, shared)

    def bulk_load(self, target: str, source: str, nbytes: str, read: str, bar: str) -> None:
        self._release(bar, True)
        super().bulk_load(target, source, nbytes, read, bar)

    def mbarrier_arrive_after_copies(self, bar: str) -> None:
        self._release(bar, True)
        super().mbarrier_arrive_after_copies(bar)

    def mbarrier_test(self, bar: str, parity: str) -> str:
        said = super().mbarrier_test(bar, parity)
        self._acquire(bar)
        return said

    def mbarrier_wait(self, bar: str, parity: str, line: int) -> None:
        super().mbarrier_wait(bar, parity, line)
        self._acquire(bar)

    def _release(self, bar: str, shared: bool) -> None:
        self._tell("release", ["%thread", self._number(bar, shared), str(int(not self.clusters))])

    def _acquire(self, bar: str) -> None:
        """What came before the arrivals is known: where there are clusters, that of other blocks, too."""
        self._tell("acquire", ["%thread", self._number(bar, True), str(int(not self.clusters))])

    def named_arrive(self, number: str, count: str) -> None:
        self._tell("release", ["%thread", self._named(number), "1"])
        super().named_arrive(number, count)

    def _named(self, number: str) -> str:
        """What stands for the address of a named barrier; the scheduler acquires it where the barrier opens."""
        return self.e.value(f"shl i64 {number}, 2")


# -- what an operation touches --------------------------------------------------------------------------

# memory that is of the thread alone, or constant: its bytes; None where nothing need be asked
_OWN: dict[str, Any] = {
    "stack_storage": lambda op: op.attrs["bytes"],
    "constant_bytes": lambda op: len(op.attrs["data"]),
    "unicode_table": lambda op: None,
}


def _access(op: Any) -> tuple[str, int, int] | None:
    """(how, bytes of an element, elements) of an operation that touches memory."""
    if op.name == "load":
        ty, how = op.result.type, "read"
    elif op.name == "store":
        ty, how = op.operands[1].type, "write"
    elif op.name.startswith(ATOMICS):
        ty = op.operands[0].type.elem
        how = "read" if op.name == "atomic_load" else "update"
    else:
        return None
    elem = getattr(ty, "elem", None) if hasattr(ty, "lanes") else ty
    return how, getattr(elem, "itemsize", 8), getattr(ty, "lanes", 1)


def _space_of(pointer: Any) -> str:
    return "shared" if pointer.type.space == "shared" else "global"


def _space(op: Any) -> str:
    return _space_of(op.operands[0])
