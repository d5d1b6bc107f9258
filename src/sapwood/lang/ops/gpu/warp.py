"""What the threads of a warp do with each other's registers.

An operation has lanes of a warp meet, each with a number: those that its `mask` names (bit k stands for lane k), or
all. It waits for those of them that have not returned; they come to the same place in the source with the same mask.
A mask is a u32, or a u64 where a warp has 64 threads. In the SSA it is the last operand, or there is none.
"""

from __future__ import annotations

from functools import reduce
from typing import Any

from sapwood.lang.bits import from_bits, to_bits, wrap_int
from sapwood.lang.errors import BadOperand, KernelOnly
from sapwood.lang.ir.ssa import Var
from sapwood.lang.ops.base import Operation, operation
from sapwood.lang.types import BOOL, I32, I64, U32, U64, Scalar
from sapwood.lang.values import Known, Value, describe


def mask_type(target: Any) -> Scalar:
    """The type of a set of lanes."""
    return U64 if target.warp_size > 32 else U32


def _members(b: Any, mask: Value, function: str) -> tuple[Var, ...]:
    """The operand for a mask; none for that of all lanes."""
    if mask == Known(None):
        return ()
    if isinstance(mask, Known) and isinstance(mask.value, int):
        size = b.target.warp_size
        if not 0 < mask.value < 1 << size:
            detail = f"a mask of {mask.value:#x}, which names no lane" if mask.value == 0 else (
                f"a mask of {mask.value:#x}, where a warp has {size} lanes"
            )
            hint = "bit k of a mask stands for lane k, for example mask=0xFF for lanes 0 to 7"
            raise BadOperand(b.loc, function=function, detail=detail, hint=hint)
        if mask.value == (1 << size) - 1:
            return ()
    return (b.coerce(mask, mask_type(b.target)),)


def _number(b: Any, x: Value, function: str) -> Var:
    value = b.materialize(x)
    if not isinstance(value.type, Scalar) or value.type.kind == "bool":
        hint = "numbers move from lane to lane: of a bool i32(x), of a vector each of its lanes"
        raise BadOperand(b.loc, function=function, detail=f"cannot move {describe(x)}", hint=hint)
    return value


# -- shuffles ----------------------------------------------------------------------------------------


def source_lane(mode: str, lane: int, n: int, size: int) -> int:
    """The lane that a shuffle reads; `lane` itself where there is none. `n` counts modulo the warp's size."""
    n %= size
    found = {"idx": n, "up": lane - n, "down": lane + n, "xor": lane ^ n}[mode]
    return found if 0 <= found < size else lane


@operation(space="kernel", varies=True)
def warp_shuffle(x: Any, n: Any, mask: Any = None) -> Any:
    """The value of `x` in another lane; attribute `mode` says which one `n` names. (PTX: `shfl.sync`.)"""


@warp_shuffle.reference
def _(ev, op, x, n, mask=None):
    elem = op.result.type
    source = source_lane(op.attrs["mode"], ev.thread.lane, n, ev.thread.warp_size)
    return from_bits(elem, ev.thread.exchange(to_bits(elem, x), source, op, mask))


@warp_shuffle.lowering
def _(e, op, x, n, mask=None):
    return e.thread.shuffle(op.attrs["mode"], e.type(op.result.type), x, n, mask, op.loc.line)


def _shuffle(name: str, mode: str, argument: str, doc: str) -> Operation[..., Any]:
    def stub(x: Any, n: Any, mask: Any = None) -> Any: ...

    stub.__name__ = stub.__qualname__ = name
    stub.__doc__ = (
        f"{doc} x is a number of any type; {argument} is an int, modulo the warp's size.\n\n"
        "A lane that does not exist, has returned or is not in the mask gives the reader's own x (a GPU leaves that\n"
        "open). Raises Deadlock where a lane of the mask cannot come. (PTX: `shfl.sync`.)"
    )
    op = operation(name=f"warp.{name}", space="kernel")(stub)

    @op.typing
    def _(b, x, n, mask):
        from sapwood.lang.ops.operators import require_index

        value = _number(b, x, op.name)
        lane = b.materialize(require_index(b, n, argument))
        return b.emit1(warp_shuffle, (value, lane, *_members(b, mask, op.name)), value.type, mode=mode)

    return op


# -- votes -------------------------------------------------------------------------------------------


@operation(space="kernel", varies=True)
def warp_vote(x: bool, mask: Any = None) -> Any:
    """What lanes say; attribute `mode`: "any", "all" (a bool), "ballot" (a mask). (PTX: `vote.sync`.)"""


@warp_vote.reference
def _(ev, op, x, mask=None):
    said = ev.thread.meet(x, op, mask)
    match op.attrs["mode"]:
        case "any":
            return any(said.values())
        case "all":
            return all(said.values())
    return sum(1 << lane for lane, yes in said.items() if yes)


@warp_vote.lowering
def _(e, op, x, mask=None):
    return e.thread.meet(op.attrs["mode"], "i1", x, mask, op.loc.line)


def _vote(name: str, doc: str) -> Operation[..., Any]:
    def stub(x: bool, mask: Any = None) -> Any: ...

    stub.__name__ = stub.__qualname__ = name
    stub.__doc__ = f"{doc} Lanes that have returned say nothing. (PTX: `vote.sync`.)"
    op = operation(name=f"warp.{name}", space="kernel")(stub)

    @op.typing
    def _(b, x, mask):
        from sapwood.lang.ops.operators import truth

        said = b.materialize(truth(b, x))
        result = mask_type(b.target) if name == "ballot" else BOOL
        return b.emit1(warp_vote, (said, *_members(b, mask, op.name)), result, mode=name)

    return op


@operation(space="kernel", varies=True)
def warp_match(x: Any, mask: Any = None) -> Any:
    """Which lanes have the same bits; attribute `mode`: "any", a mask, or "all", a bool. (PTX: `match.sync`.)"""


@warp_match.reference
def _(ev, op, x, mask=None):
    bits = to_bits(op.operands[0].type, x)
    others = ev.thread.meet(bits, op, mask)
    if op.attrs["mode"] == "all":
        return all(other == bits for other in others.values())
    return sum(1 << lane for lane, other in others.items() if other == bits)


@warp_match.lowering
def _(e, op, x, mask=None):
    return e.thread.meet(f"match_{op.attrs['mode']}", e.type(op.operands[0].type), x, mask, op.loc.line)


def _match(name: str, mode: str, doc: str) -> Operation[..., Any]:
    def stub(x: Any, mask: Any = None) -> Any: ...

    stub.__name__ = stub.__qualname__ = name
    stub.__doc__ = f"{doc} x is a number of any type: -0.0 and 0.0 differ, a NaN is as another one of the same bits."
    op = operation(name=f"warp.{name}", space="kernel")(stub)

    @op.typing
    def _(b, x, mask):
        value = _number(b, x, op.name)
        result = mask_type(b.target) if mode == "any" else BOOL
        return b.emit1(warp_match, (value, *_members(b, mask, op.name)), result, mode=mode)

    return op


# -- reductions and scans ----------------------------------------------------------------------------

FOLDS = {
    "add": lambda a, b: a + b,
    "min": min,
    "max": max,
    "and": lambda a, b: a & b,
    "or": lambda a, b: a | b,
    "xor": lambda a, b: a ^ b,
}


@operation(space="kernel", varies=True)
def warp_redux(x: Any, mask: Any = None) -> Any:
    """All lanes' x, an i32 or u32, combined as attribute `mode` says. (PTX: `redux.sync`, sm_80 and newer.)"""


@warp_redux.reference
def _(ev, op, x, mask=None):
    return wrap_int(op.result.type, reduce(FOLDS[op.attrs["mode"]], ev.thread.meet(x, op, mask).values()))


@warp_redux.lowering
def _(e, op, x, mask=None):
    return e.thread.redux(op.attrs["mode"], op.result.type.signed, x, mask)


def _reduce(mode: str, combine: str, doc: str) -> Operation[..., Any]:
    def stub(x: Any, mask: Any = None) -> Any: ...

    stub.__name__ = stub.__qualname__ = f"reduce_{mode}"
    stub.__doc__ = (
        f"{doc}, for each of them. Of the lanes that have not returned.\n\n"
        "Floats are added in pairs, then pairs of these, if the whole warp is there, else in the order of lanes.\n"
        "(PTX: `redux.sync` for i32 and u32 from sm_80 on, else `shfl.sync`.)"
    )
    op = operation(name=f"warp.reduce_{mode}", space="kernel")(stub)

    @op.typing
    def _(b, x, mask):
        from sapwood.lang.library import warp as library

        value = _number(b, x, op.name)
        if mode in ("and", "or", "xor") and not value.type.is_int:
            hint = "it works on the bits of ints; x.bitcast(u32) gives those of a float"
            raise BadOperand(b.loc, function=op.name, detail=f"cannot combine {value.type}", hint=hint)
        if b.target.gpu and b.target.has("sm_80") and value.type in (I32, U32):
            return b.emit1(warp_redux, (value, *_members(b, mask, op.name)), value.type, mode=mode)
        ordered = mode in ("min", "max") and value.type.is_float  # zeros differ, and NaNs
        arguments = (value, Known(getattr(library, combine)), mask, Known(ordered))
        return b.interpreter.call_function(library.reduce, arguments)

    return op


@operation(name="warp.reduce", space="kernel")
def reduce_any(x: Any, op: Any, mask: Any = None) -> Any:
    """All lanes' x combined by `op`, for each of them: an associative function of two numbers, in the order of lanes.

    x is a number of any type, and the result has its type. Of the lanes that have not returned.
    """


@reduce_any.typing
def _(b, x, op, mask):
    from sapwood.lang.library import warp as library

    return b.interpreter.call_function(library.reduce, (_number(b, x, "warp.reduce"), op, mask, Known(True)))


@operation(name="warp.scan", space="kernel")
def scan(x: Any, op: Any, init: Any = None, exclusive: bool = False, mask: Any = None) -> Any:
    """The x of the lanes up to this one combined by `op`, an associative function of two numbers, in their order.

    exclusive: without this lane's own; the first lane gets `init`, which must be given. `init` comes before all of
    them. x is a number of any type, and the result has its type. Of the lanes that have not returned.
    """


@scan.typing
def _(b, x, op, init, exclusive, mask):
    from sapwood.lang.library import warp as library

    alone = b.known(exclusive, "exclusive", bool)
    if alone and init == Known(None):
        hint = "it is what the first lane gets: init=0 for a sum"
        raise BadOperand(b.loc, function="warp.scan", detail="an exclusive scan without init", hint=hint)
    return b.interpreter.call_function(library.scan, (_number(b, x, "warp.scan"), op, init, Known(alone), mask))


@operation(name="warp.scan_add", space="kernel")
def scan_add(x: Any, exclusive: bool = False, mask: Any = None) -> Any:
    """The sum of x over the lanes up to this one, or with `exclusive` before it (0 for the first)."""


@scan_add.typing
def _(b, x, exclusive, mask):
    from sapwood.lang.library import warp as library

    alone = b.known(exclusive, "exclusive", bool)
    arguments = (_number(b, x, "warp.scan_add"), Known(library.add), Known(0 if alone else None), Known(alone), mask)
    return b.interpreter.call_function(library.scan, arguments)


# -- waiting -----------------------------------------------------------------------------------------


@operation(space="kernel")
def warp_sync(mask: Any = None) -> None:
    """Lanes of a warp wait for each other. (PTX: `bar.warp.sync`.)"""


@warp_sync.reference
def _(ev, op, mask=None):
    ev.thread.meet(0, op, mask)
    return ()


@warp_sync.lowering
def _(e, op, mask=None):
    e.thread.meet("sync", "", "", mask, op.loc.line)


@operation(name="warp.sync", space="kernel")
def sync(mask: Any = None) -> None:
    """Wait for the lanes of the mask, wherever in the source they wait so with the same mask.

    What they wrote before it, all of them see after it. Raises Deadlock where a lane of the mask cannot come. (PTX:
    `bar.warp.sync`; CUDA C++: `__syncwarp`.)
    """


@sync.typing
def _(b, mask):
    b.emit(warp_sync, _members(b, mask, "warp.sync"))
    return Known(None)


@operation(space="kernel", varies=True)
def warp_active_mask() -> Any:
    """The mask of some lanes that are here."""


@warp_active_mask.reference
def _(ev, op):
    return 1 << ev.thread.lane


@warp_active_mask.lowering
def _(e, op):
    return e.thread.active_mask()


@operation(name="warp.active_mask", space="kernel")
def active_mask() -> Any:
    """The mask of lanes that execute this together now, this one among them: all that are here, or some.

    Which, is open: on simt and in the evaluator it is this lane alone. So it says which lanes happen to be able to do
    something together, and never which lanes came to a branch: that is `warp.ballot(condition)` before it. (PTX:
    `activemask`.)
    """


@active_mask.typing
def _(b):
    return b.emit1(warp_active_mask, (), mask_type(b.target))


@operation(pure=True, space="kernel", varies=True)
def warp_id() -> int:
    """Index of the warp in its block, from 0."""
    ...


@warp_id.typing
def _(b):
    return b.emit1(warp_id, (), I64)


@warp_id.reference
def _(ev, op):
    return ev.thread.number // ev.thread.warp_size


@warp_id.lowering
def _(e, op):
    return e.thread.warp_id()


class Warp:
    """The `warp.size` threads that execute together (32 on NVIDIA GPUs), and what they do with each other's registers.

    Threads of a block are in order of their number, x first. `mask` names the lanes that take part, bit k lane k: all
    of the warp if it is not given. Each that has not returned must come to the same operation with the same mask.
    """

    shuffle = _shuffle("shuffle", "idx", "lane", "The x of the given lane.")
    shuffle_up = _shuffle("shuffle_up", "up", "delta", "The x of the lane `delta` below this one.")
    shuffle_down = _shuffle("shuffle_down", "down", "delta", "The x of the lane `delta` above this one.")
    shuffle_xor = _shuffle("shuffle_xor", "xor", "bits", "The x of the lane whose number differs by `bits`.")
    broadcast = _shuffle("broadcast", "idx", "lane", "The x of one lane, for all: they name the same one.")

    any = _vote("any", "Whether x is true in any of the lanes.")
    all = _vote("all", "Whether x is true in all of the lanes.")
    ballot = _vote("ballot", "The mask of those of the lanes in which x is true.")
    match_any = _match("match_any", "any", "The mask of those of the lanes that have the same x as this one.")
    match_all = _match("match_all", "all", "Whether all of the lanes have the same x.")
    reduce = reduce_any
    reduce_add = _reduce("add", "add", "The sum of all lanes' x")
    reduce_min = _reduce("min", "smallest", "The least of all lanes' x (NaN if one is)")
    reduce_max = _reduce("max", "largest", "The greatest of all lanes' x (NaN if one is)")
    reduce_and = _reduce("and", "both", "The bits that are 1 in all lanes' x")
    reduce_or = _reduce("or", "either", "The bits that are 1 in any lane's x")
    reduce_xor = _reduce("xor", "differ", "The bits that are 1 in an odd number of lanes' x")
    scan = scan
    scan_add = scan_add
    sync = sync
    active_mask = active_mask

    def compiled_attribute(self, b: Any, name: str) -> Value | None:
        if name == "size":
            if not b.target.kernel:
                raise KernelOnly(b.loc, op="warp.size")
            return Known(b.target.warp_size)
        found = vars(Warp).get(name)
        return Known(found) if isinstance(found, Operation) else None

    @property
    def size(self) -> int:
        raise KernelOnly(None, op="warp.size")

    def __repr__(self) -> str:
        return "warp"


warp = Warp()
