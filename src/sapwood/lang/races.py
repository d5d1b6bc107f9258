"""Checked launches, the Python side: memory for what is noted of accesses, and reports of what was found.

    with sapwood.gpu.checked(seed=7):
        kernel[grid, block](x, y)          # raises a KernelError if the kernel has a bug that shows

library/simt_check.py finds, in compiled code; here its words become exceptions.
"""

from __future__ import annotations

import ctypes
import json
import math
import mmap
import re
import secrets
import threading
from dataclasses import dataclass
from typing import Any

from sapwood import config
from sapwood.lang.errors import Loc
from sapwood.lang.errors import kernels as errors
from sapwood.lang.launch import Deadlock, LaunchConfig
from sapwood.lang.loading.current_target import kernel_target
from sapwood.lang.simt_runtime import memory
from sapwood.lang.sources import lines_of
from sapwood.runtime.array import Array
from sapwood.targets.simt import checked_layout as c
from sapwood.targets.simt import layout

KEEP_BYTES = 256 << 20  # larger notes go back to the system
FRESH_TICK = 1 << 29  # of kept notes, from which they begin anew


_PAST = {"reads": "read", "writes": "wrote", "updates": "updated"}


class Found(Exception):
    """A checked kernel has noted what it found."""


# -- memory ----------------------------------------------------------------------------------------------


class Notes:
    """Memory that lives from launch to launch: cells, and what threads know of each other. All of its words are times,
    so that those of earlier launches are old ones."""

    def __init__(self, cells: int, rows: int) -> None:
        self.cells, self.rows = memory(max(cells, 1 << 20)), memory(max(rows, 1 << 20))
        self.tick = 1

    def fits(self, cells: int, rows: int) -> bool:
        return len(self.cells) >= cells and len(self.rows) >= rows and self.tick < FRESH_TICK


_kept = threading.local()


def _address(pages: mmap.mmap) -> tuple[int, Any]:
    view = ctypes.c_char.from_buffer(pages)
    return ctypes.addressof(view), view


@dataclass
class Region:
    """Memory that a kernel may touch."""

    name: str
    start: int
    nbytes: int
    array: Any = None  # of an argument
    itemsize: int = 1
    shared: bool = False

    def element(self, address: int) -> str:
        """What is at an address, as one would write it."""
        at = address - self.start
        if self.array is None or self.itemsize == 0:
            return f"{self.name}[{at // max(self.itemsize, 1)}]"
        x = self.array
        at = (address - x.data_ptr) // self.itemsize
        index = []
        for n, stride in sorted(zip(x.shape, x.strides, strict=True), key=lambda p: -abs(p[1])):
            i = min(at // stride, n - 1) if stride > 0 and n > 0 else 0
            index.append((stride, i))
            at -= i * stride
        if at or sorted(x.strides, reverse=True) != list(x.strides):
            return f"{self.name}, byte {address - self.start}"
        return f"{self.name}[{', '.join(str(i) for _, i in index)}]"


class Record:
    """What the object code of a checked kernel says of itself."""

    def __init__(self, specialisation: Any) -> None:
        symbol = specialisation.entry.removesuffix(".entry")
        text = ctypes.string_at(specialisation.loaded.address(f"{symbol}.checked"))
        found = json.loads(text)
        self.sites = [Loc(*s[:6]) for s in found["sites"]]
        self.verbs: list[str] = [s[6] for s in found["sites"]]
        self.waits = {int(k): self.sites[v] for k, v in found["waits"].items()}
        self.arrays: list[tuple[int, int, Loc]] = [(at, n, self.sites[s]) for at, n, s in found["arrays"]]
        self.leaves: int = found["leaves"]
        self.granules: dict[str, int] = found["granules"]
        self.spins: bool = found["spins"]
        self.fences: bool = found["fences"]


def _array_name(loc: Loc) -> str:
    """The name that the source gives a shared array."""
    lines = lines_of(loc.file)
    line = lines[loc.line - 1] if 0 < loc.line <= len(lines) else ""
    names, _, values = line[: loc.col].rpartition("=") if "=" in line[: loc.col] else ("", "", "")
    found = re.findall(r"\w+", names.split("=")[-1].split(":")[0])
    before = values.count("shared(")
    return found[before] if before < len(found) else "shared memory"


class Launch:
    """One checked launch."""

    def __init__(self, specialisation: Any, shape: LaunchConfig, values: list[Any], slot_bytes: int, shared: int):
        self.fn, self.config, self.slot_bytes = specialisation.fn, shape, slot_bytes
        self.record = Record(specialisation)
        self.warp_size = kernel_target().warp_size
        self.threads = math.prod(shape.block)
        self.blocks = math.prod(shape.grid)
        self.shared_bytes = layout.dynamic_at(shared) + layout.align(shape.shared)
        self.static_bytes = layout.dynamic_at(shared)
        seed = config.schedule_seed()
        self.seed = secrets.randbits(31) if seed is None else seed
        self.arguments = self._arguments(specialisation, values)
        self.owners: list[Any] = []

    def _arguments(self, specialisation: Any, values: list[Any]) -> list[Region | None]:
        """For each leaf of the arguments the region that it points to."""
        from sapwood.lang.border.boundary import argument_leaves
        from sapwood.lang.border.parameters import spread_names

        arguments = specialisation.arguments[len(layout.LAUNCH) :]
        out: list[Region | None] = []
        for name, a, x in zip(spread_names(self.fn.state.signature, len(values)), arguments, values, strict=True):
            self._leaves(name, a, x, argument_leaves, out)
        return out

    def _leaves(self, name: str, a: Any, x: Any, leaves_of: Any, out: list[Region | None]) -> None:
        match type(a).__name__:
            case "TupleArg":
                for i, (b, v) in enumerate(zip(a.items, x, strict=True)):
                    self._leaves(f"{name}[{i}]", b, v, leaves_of, out)
                return
            case "StructArg":
                for n, b in a.fields:
                    self._leaves(f"{name}.{n}", b, getattr(x, n), leaves_of, out)
                return
        count = len(leaves_of(a))
        found: Region | None = None
        if count:
            for item in a.flatten(x):
                if isinstance(item, Array):
                    found = _of_array(name, item)
        if type(a).__name__ == "RecordArg":
            low, high = _extent(x.__array_interface__["data"][0], x.shape, x.strides, x.dtype.itemsize)
            found = Region(name, low, high - low, None, x.dtype.itemsize)
        out += [found, *[None] * (count - 1)][:count]

    def prepare(self, arena: int) -> int:
        """Lay out what the launch notes; the address of its words for the blocks of a group."""
        regions = [r for r in self.arguments if r is not None and r.nbytes > 0]
        spans = _merge(regions)
        granule = {k: self.record.granules[k] for k in ("shared", "global")}
        global_cells = sum((-(-(hi - lo) >> granule["global"]) + 2) << c.CELL_BYTES_LOG for lo, hi in spans)
        shared_cells = (self.shared_bytes >> granule["shared"]) + 1 << c.CELL_BYTES_LOG
        group = self.config.group
        near = self.threads * self.warp_size * 8
        far = self.threads * (c.THREAD + 1) * 8
        releases = c.BUCKETS * (c.THREAD + 2) * 8
        pending = self.threads * (c.THREAD + 2) * 8 if self.record.fences else 0
        rows_of = near + far + releases + pending
        cells, rows = global_cells + shared_cells * group, rows_of * group
        kept = getattr(_kept, "notes", None)
        _kept.notes = None
        self.notes = kept if kept is not None and kept.fits(cells, rows) else Notes(cells, rows)
        cluster = math.prod(self.config.cluster)
        count = self.record.leaves + cluster * (1 + len(self.record.arrays))
        fences = c.FENCE_WORDS * self.threads if self.record.fences else 0
        check_words = c.C_STAMPS + self.threads + count * c.REGION_WORDS + fences
        released = c.G_WORDS + 2 * self.blocks
        words = released + c.FAR_BUCKETS + (check_words + 1) * group
        self.memory = memory(8 * words)
        base, view = _address(self.memory)
        cells_at, cells_view = _address(self.notes.cells)
        rows_at, rows_view = _address(self.notes.rows)
        self.owners = [view, cells_view, rows_view]
        w = self.words = (ctypes.c_int64 * words).from_address(base)
        tick = self.notes.tick + 1
        w[c.G_TICK] = tick
        w[c.G_RANDOM] = self.seed * 0x9E3779B97F4A7C15 + 1 & (1 << 62) - 1
        w[c.G_RUNS], w[c.G_RELEASED] = base + 8 * c.G_WORDS, base + 8 * released
        for at, name in _PYTHON.items():
            w[at] = ctypes.cast(getattr(ctypes.pythonapi, name), ctypes.c_void_p).value or 0
        if not self.record.spins and self.blocks > 1:
            w[c.G_GROUPS] = 1 << (self.blocks // group - 1).bit_length()
            w[c.G_STEP], w[c.G_SHIFT] = self.seed * 2 + 1 & 0xFFFFF, self.seed >> 7
        origins = {}
        at = cells_at
        for lo, hi in spans:
            origins[lo] = at
            at += (-(-(hi - lo) >> granule["global"]) + 2) << c.CELL_BYTES_LOG
        self.tables: list[list[Region | None]] = []
        for m in range(group):
            check = released + c.FAR_BUCKETS + m * check_words
            w[words - group + m] = base + 8 * check
            first = m // cluster * cluster
            ranks = [m, *(i for i in range(first, first + cluster) if i != m)]
            table = list(self.arguments)
            for i in ranks:
                where = "" if i == m else f" of the block of rank {i - first}"
                table += self._shared(arena + i * self.slot_bytes, where)
            self.tables.append(table)
            place = check + c.C_STAMPS + self.threads
            row = rows_at + m * rows_of
            w[check + c.C_LAUNCH] = tick << c.TICK_AT
            w[check + c.C_REGIONS] = base + 8 * place
            w[check + c.C_NEAR], w[check + c.C_FAR], w[check + c.C_RELEASES] = row, row + near, row + near + far
            if fences:
                w[check + c.C_PENDING] = row + near + far + releases
                w[check + c.C_FENCES] = base + 8 * (place + count * c.REGION_WORDS)
            w[check + c.C_CLUSTER] = cluster
            w[check + c.C_WARP] = self.warp_size.bit_length() - 1
            w[check + c.C_LAUNCHED] = base
            w[check + c.C_RESIDENT] = m % c.RESIDENTS << c.RESIDENT_AT
            w[check + c.C_COUNT] = count
            w[check + c.C_GRANULE], w[check + c.C_SHARED_GRANULE] = granule["global"], granule["shared"]
            for i, r in enumerate(table):
                words_of = place + i * c.REGION_WORDS
                if r is None or r.nbytes == 0:
                    w[words_of + c.R_BYTES] = -1
                    continue
                w[words_of + c.R_START], w[words_of + c.R_BYTES] = r.start, r.nbytes
                w[words_of + c.R_SINCE] = c.C_GROUP if r.shared else c.C_LAUNCH
                if r.shared:
                    owner = (r.start - arena) // self.slot_bytes
                    w[words_of + c.R_ORIGIN] = arena + owner * self.slot_bytes + _shared_at(self.threads)
                    w[words_of + c.R_CELLS] = at + owner * shared_cells
                else:
                    lo = next(lo for lo, hi in spans if lo <= r.start < hi)
                    w[words_of + c.R_ORIGIN], w[words_of + c.R_CELLS] = lo, origins[lo]
        return base + 8 * (words - group)

    def _shared(self, slot: int, where: str) -> list[Region]:
        """The regions of a block's shared memory: what the launch adds, and each array."""
        shared = slot + _shared_at(self.threads)
        name = f"the shared memory of the launch{where}"
        out = [Region(name, shared + self.static_bytes, self.config.shared, shared=True)]
        for at, nbytes, loc in self.record.arrays:
            out.append(Region(f"{_array_name(loc)}{where}", shared + at, nbytes, None, _itemsize(loc), True))
        return out

    def finish(self) -> None:
        self.notes.tick = self.words[c.G_TICK]
        self.owners.clear()
        if self.words[c.G_FLYING]:
            return  # its cells say that copies go on
        if len(self.notes.cells) + len(self.notes.rows) <= KEEP_BYTES:
            _kept.notes = self.notes

    # -- reports --------------------------------------------------------------------------------------

    def error(self, cause: BaseException, arena: int) -> BaseException | None:
        """The report for what the launch raised; None if that is the kernel's own."""
        w = self.words
        if w[c.G_PENDING] and w[c.G_KIND] not in (c.RACE, c.APART, c.INTERRUPTED):  # it may be why the rest went wrong
            w[c.G_KIND : c.G_KIND + c.FOUND_WORDS] = w[c.G_PENDING : c.G_PENDING + c.FOUND_WORDS]
        kind = w[c.G_KIND]
        slot = next((m for m in range(self.config.group) if self._header(arena, m)[layout.S_FAILED] != layout.NONE), 0)
        if kind in (c.NOT_IN_MASK, c.MASKS_DIFFER, c.MASK_OF_ABSENT):
            return self._wrong_mask(kind, arena, slot)
        if kind and kind not in (c.DIVERGED, c.LIVELOCK):
            return self._found(kind)
        if isinstance(cause, Deadlock):
            return self._waiting(arena, slot, kind)
        if isinstance(cause, IndexError) and not kind:
            return self._index_error(cause, arena, slot)
        return None

    def _header(self, arena: int, m: int) -> Any:
        return (ctypes.c_int64 * layout.HEADER).from_address(arena + m * self.slot_bytes)

    def _about(self, block: int, thread: int, **more: Any) -> dict[str, Any]:
        return {"kernel": self.fn.__name__, "seed": self.seed, "block": block, "thread": thread, **more}

    def _who(self, block: int, thread: int) -> str:
        dx, dy, _ = self.config.block
        gx, gy, _ = self.config.grid
        t = _coordinates(thread, dx, dy, self.config.block)
        b = _coordinates(block, gx, gy, self.config.grid)
        return f"thread {t} of block {b}"

    def _seed(self) -> tuple[str, None]:
        return (f"schedule seed {self.seed}; SAPWOOD_SCHEDULE_SEED={self.seed} repeats it", None)

    def _found(self, kind: int) -> BaseException:
        w = self.words
        site = self.record.sites[w[c.G_SITE]] if w[c.G_SITE] < len(self.record.sites) else None
        block, thread, address, nbytes = w[c.G_BLOCK], w[c.G_THREAD], w[c.G_ADDRESS], w[c.G_BYTES]
        who = self._who(block, thread)
        about = self._about(block, thread)
        table = self.tables[self._member(block)]
        number = w[c.G_REGION]
        region = table[number] if 0 <= number < len(table) else None
        match kind:
            case c.INTERRUPTED:
                return _raised(w[c.G_RAISED : c.G_RAISED + 3])
            case c.RACE | c.APART:
                return self._race(site, about, who, region, address)
            case c.UNINITIALISED:
                assert region is not None
                return errors.UninitialisedError(site, (self._seed(),), about, who=who, what=region.element(address))
            case c.MISALIGNED:
                what = "" if region is None else f", in {region.name}"
                return errors.MisalignedError(site, (self._seed(),), about, who=who, align=w[c.G_OTHER], what=what)
            case c.ABSENT_LANE:
                return errors.AbsentLaneError(site, (self._seed(),), about, who=who, lane=w[c.G_OTHER])
            case c.OUTSIDE_LOCAL:
                hint = "use a larger StackArray, or test the index"
                return errors.OutOfBoundsError(
                    site, (self._seed(),), about, who=who, hint=hint,
                    detail=f"byte {w[c.G_OTHER]} is outside of a StackArray of {nbytes} bytes",
                )
        return self._outside(site, about, who, table, region, address, nbytes)

    def _outside(
        self, site: Any, about: Any, who: str, table: Any, region: Any, address: int, nbytes: int
    ) -> BaseException:
        if region is None:
            hint = "a kernel may touch what its arguments and shared arrays cover; pass the memory as a Tensor"
            detail = f"{nbytes} bytes at address {address:#x} are outside of all memory that the kernel was given"
        else:
            hint = "test the index first: if i < x.size"
            at = address - region.start
            size = region.nbytes // region.itemsize
            detail = f"element {at // region.itemsize} is outside of {region.name}, which has {size}"
        return errors.OutOfBoundsError(site, (self._seed(),), about, who=who, hint=hint, detail=detail)

    def _member(self, block: int) -> int:
        """Which slot a block ran in."""
        w = self.words
        if self.config.group == 1:
            return 0
        for r in range(w[c.G_RUN_COUNT]):
            if w[c.G_WORDS + 2 * r + 1] == block:
                return w[c.G_WORDS + 2 * r] >> c.RESIDENT_AT & c.RESIDENTS - 1
        return 0

    def _race(self, site: Any, about: Any, who: str, region: Region | None, address: int) -> BaseException:
        w = self.words
        word = w[c.G_OTHER]
        other_thread = word & c.THREAD
        other_block = self._block_of(word)
        number = word >> c.SITE_AT & c.SITES - 1
        other_site = self.record.sites[number] if number < len(self.record.sites) else None
        about |= {"other_thread": other_thread, "other_block": other_block, "other_loc": other_site}
        what = "memory" if region is None else region.element(address)
        other = self._who(other_block, other_thread)
        does, did = self._verb(w[c.G_SITE]), _PAST.get(self._verb(number), "accessed")
        if word >= c.FLYING:
            return errors.UnfinishedCopyError(
                site, ((f"{other} began the copy here", other_site), self._seed()), about, who=who, what=what, does=does
            )
        same_block = other_block == about["block"]
        if w[c.G_KIND] == c.APART:
            hint = "an atomic operation is one step to the threads of its scope only: say scope='device' at both places"
        elif same_block:
            hint = "put a barrier() between the two, or let each thread use elements of its own"
        else:
            hint = "blocks run in any order: use an atomic operation, memory of each block's own, or a second launch"
        note = (f"{other} was here", other_site)
        return errors.RaceError(
            site, (note, self._seed()), about, who=who, other=other, what=what, does=does, did=did, hint=hint
        )

    def _verb(self, site: int) -> str:
        return self.record.verbs[site] if site < len(self.record.verbs) else "accesses"

    def _block_of(self, word: int) -> int:
        """The number of the block that an access was made by."""
        w = self.words
        found = -1
        for r in range(w[c.G_RUN_COUNT]):
            if word >= c.FLYING:
                word = word & c.WHO | w[c.G_TICK] << c.TICK_AT  # whoever runs there now
            began = w[c.G_WORDS + 2 * r]
            if began & c.RESIDENT == word & c.RESIDENT and began >> c.TICK_AT <= word >> c.TICK_AT:
                found = w[c.G_WORDS + 2 * r + 1]
        return found

    def _index_error(self, cause: IndexError, arena: int, slot: int) -> BaseException:
        header = self._header(arena, slot)
        failed = self._array(arena, slot, layout.STATUS)
        thread = next((t for t, s in enumerate(failed) if s & layout.KIND == layout.FAILED), 0)
        block = self._block_number(header)
        site = self._site_of(header)
        hint = "test the index first: if i < x.size"
        return errors.OutOfBoundsError(
            site, (self._seed(),), self._about(block, thread), who=self._who(block, thread), hint=hint,
            detail=str(cause),
        )

    def _site_of(self, header: Any) -> Loc | None:
        """The place that an exception record names."""
        descriptor = header[layout.S_RECORD]
        from sapwood.runtime.error_layout import TABLE_LEAST

        classes = ctypes.c_uint32.from_address(descriptor).value
        found = json.loads(ctypes.string_at(descriptor + 8 * max(1 + classes, 1 + TABLE_LEAST)))
        for s in self.record.sites:
            if (s.file, s.line, s.col) == (found["file"], found["line"], found.get("col")):
                return s
        return None

    def _block_number(self, header: Any) -> int:
        x, y, z = header[layout.S_BLOCK : layout.S_BLOCK + 3]
        gx, gy, _ = self.config.grid
        return x + gx * (y + gy * z)

    def _array(self, arena: int, slot: int, number: int) -> list[int]:
        """One of the arrays of a slot, a word for each thread."""
        at = arena + slot * self.slot_bytes + 8 * (layout.HEADER + number * self.threads)
        return list((ctypes.c_int64 * self.threads).from_address(at))

    def _waiting(self, arena: int, slot: int, kind: int) -> BaseException:
        """Threads that wait for what never comes."""
        apart = kind in (c.NOTHING, c.LIVELOCK) and self.config.group > 1  # of several blocks
        groups: dict[tuple[int, int, int], list[int]] = {}  # block, status, where it looks
        returned: list[int] = []
        for m in range(self.config.group) if apart else (slot,):
            block = self._block_number(self._header(arena, m))
            looks = self._array(arena, m, layout.OFFERED)  # where those are that only look
            for t, s in enumerate(self._array(arena, m, layout.STATUS)):
                if s & layout.KIND == layout.DONE:
                    returned.append(t)
                else:
                    groups.setdefault((block, s, looks[t] if s == layout.READY else 0), []).append(t)
        waits = [Waits(self._wait_place(s, look), block, threads) for (block, s, look), threads in groups.items()]
        waits.sort(key=lambda x: (x.block, x.threads))
        first, others = waits[0], waits[1:]
        second = others[0] if others else None
        notes = [(f"{x.text}{f' of block {x.block}' if apart else ''} {x.wait} here", x.loc) for x in others[:SHOWN]]
        if returned and not apart:
            notes.append((f"{_threads(returned)} returned", None))
        notes.append(self._seed())
        about = self._about(first.block, first.threads[0])
        if second is not None:
            about |= {"other_thread": second.threads[0], "other_block": second.block, "other_loc": second.loc}
            if kind == c.DIVERGED:
                return errors.DivergentBarrierError(
                    first.loc, tuple(notes), about, block=first.block, who=first.text, other=second.text
                )
        if kind == c.LIVELOCK:
            detail = f"{first.text} only look{'s' if len(first.threads) == 1 else ''} for what no thread will do"
            hint = "blocks that wait for each other must run at the same time: k.launch(..., cooperative=True)"
        else:
            detail = f"{first.text} {first.wait} here, and what would let them go on never comes"
            hint = "all threads that an operation waits for must come to it: take it out of the branch"
        return errors.DeadlockError(first.loc, tuple(notes), about, block=first.block, detail=detail, hint=hint)

    def _wrong_mask(self, kind: int, arena: int, slot: int) -> BaseException:
        """A lane of a warp waits for others with a mask that is wrong."""
        w = self.words
        block, thread, other = w[c.G_BLOCK], w[c.G_THREAD], w[c.G_OTHER]
        status, masks = (self._array(arena, slot, n) for n in (layout.STATUS, layout.MASK))
        digits = self.warp_size // 4
        size = (1 << self.warp_size) - 1
        mask, others = (f"0x{masks[t] & size:0{digits}x}" for t in (thread, other))
        loc, other_loc = (self._wait_place(status[t], 0) for t in (thread, other))
        about = self._about(block, thread)
        who = self._who(block, thread)
        if kind == c.NOT_IN_MASK:
            detail = f"does not name lane {thread % self.warp_size}, itself"
            return errors.WarpMaskError(loc, (self._seed(),), about, who=who, mask=mask, detail=detail)
        about |= {"other_thread": other, "other_block": block, "other_loc": other_loc}
        text = f"thread {other} waits here" + (f" with the mask {others}" if kind == c.MASKS_DIFFER else "")
        lane = other % self.warp_size
        detail = f"names lane {lane}, which waits " + ("with another one" if kind == c.MASKS_DIFFER else "elsewhere")
        notes = ((text, other_loc), self._seed())
        return errors.WarpMaskError(loc, notes, about, who=who, mask=mask, detail=detail)

    def _wait_place(self, status: int, look: int) -> Loc | None:
        """Where a thread waits, by its status, or looks."""
        if status == layout.READY:
            return self.record.sites[look] if look < len(self.record.sites) else None
        return self.record.waits.get(status >> layout.SITE_AT)


SHOWN = 6  # places where threads wait


@dataclass
class Waits:
    """Threads of a block that wait at one place."""

    loc: Loc | None
    block: int
    threads: list[int]

    @property
    def text(self) -> str:
        return _threads(self.threads)

    @property
    def wait(self) -> str:
        return "waits" if len(self.threads) == 1 else "wait"


def _threads(numbers: list[int]) -> str:
    """Threads by their numbers, in ranges."""
    ranges: list[list[int]] = []
    for n in numbers:
        if ranges and ranges[-1][1] == n - 1:
            ranges[-1][1] = n
        else:
            ranges.append([n, n])
    shown = [str(a) if a == b else f"{a} to {b}" for a, b in ranges[:4]]
    more = ", ..." if len(ranges) > 4 else ""
    return f"thread{'s' if len(numbers) > 1 else ''} {', '.join(shown)}{more}"


def _coordinates(n: int, dx: int, dy: int, shape: tuple[int, int, int]) -> str:
    if shape[1] == shape[2] == 1:
        return str(n)
    place = (n % dx, n // dx % dy, n // dx // dy)
    return str(place if shape[2] > 1 else place[:2])


def _extent(start: int, shape: Any, strides: Any, itemsize: int) -> tuple[int, int]:
    """The first and one past the last address of an array; strides in bytes."""
    if 0 in shape:
        return start, start
    low = high = start
    for n, s in zip(shape, strides, strict=True):
        low, high = low + min((n - 1) * s, 0), high + max((n - 1) * s, 0)
    return low, high + itemsize


def _of_array(name: str, x: Any) -> Region:
    size = x.dtype.itemsize
    low, high = _extent(x.data_ptr, x.shape, [s * size for s in x.strides], size)
    return Region(name, low, high - low, x, size)


def _itemsize(loc: Loc) -> int:
    """Of the elements of a shared array, as its source says."""
    lines = lines_of(loc.file)
    text = lines[loc.line - 1][loc.col : loc.end_col] if 0 < loc.line <= len(lines) else ""
    found = re.search(r"shared\(\s*(?:\w+\.)*[a-z]+(8|16|32|64)\b", text)
    return int(found[1]) // 8 if found else 1


def _merge(regions: list[Region]) -> list[tuple[int, int]]:
    """Spans of memory, aligned to 64 bytes, that cover regions and do not overlap."""
    out: list[list[int]] = []
    for r in sorted(regions, key=lambda r: r.start):
        lo, hi = r.start & -64, -(-(r.start + r.nbytes) // 64) * 64
        if out and lo < out[-1][1]:
            out[-1][1] = max(out[-1][1], hi)
        else:
            out.append([lo, hi])
    return [(lo, hi) for lo, hi in out]


def _shared_at(threads: int) -> int:
    """Where shared memory begins in a slot."""
    return layout.align(8 * (layout.HEADER + layout.ARRAYS * threads), layout.SHARED_ALIGN)


_PYTHON = {
    c.G_ENSURE: "PyGILState_Ensure", c.G_SIGNALS: "PyErr_CheckSignals", c.G_FETCH: "PyErr_Fetch",
    c.G_LEAVE: "PyGILState_Release",
}  # fmt: skip


def _raised(words: list[int]) -> BaseException:
    """The exception that PyErr_Fetch gave."""
    cls, value, _ = (ctypes.cast(word, ctypes.py_object).value if word else None for word in words)
    for word in words:
        if word:
            ctypes.pythonapi.Py_DecRef(ctypes.c_void_p(word))
    return value if isinstance(value, BaseException) else (cls or KeyboardInterrupt)()
