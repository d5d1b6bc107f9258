"""Which lists an operation may change the length or the elements' address of: what a loop may read once, before it."""

from __future__ import annotations

from collections.abc import Iterable

from sapwood.lang.ir.ssa import Function, Op, Var
from sapwood.lang.types import Bytes, List, Ptr, Ref, Scalar, Str

Changed = frozenset[Var] | None  # references whose words may change; None: any

_NO_WORDS = frozenset({
    "load", "if", "loop", "try", "yield", "break", "continue", "return", "raise", "raise_if", "check_index",
    "check_stack", "retain", "keep", "allocate", "reallocate", "free", "new_object", "prefetch", "stack_storage",
    "reference_count",
})  # fmt: skip


class Headers:
    """What the functions of a program do to the words of objects that they are given."""

    def __init__(self) -> None:
        self._functions: dict[Function, frozenset[int] | None] = {}

    def changed(self, ops: Iterable[Op], definitions: dict[Var, Op]) -> Changed:
        """The references whose words the operations may write; None where that is not known."""
        found: set[Var] = set()
        for op in ops:
            mine = self._of(op, definitions)
            if mine is None:
                return None
            found |= mine
        return frozenset(found)

    def _of(self, op: Op, definitions: dict[Var, Op]) -> Changed:
        if op.op.pure or op.name in _NO_WORDS:
            return frozenset()
        match op.name:
            case "store":
                return _written(op.operands[0], definitions)
            case "move_memory" | "fill_memory":
                pointers = [v for v in op.operands if isinstance(v.type, Ptr)]
                return None if any(v.type.alias == "header" for v in pointers) else frozenset()
            case "release":
                return frozenset() if _ends_quietly(op.operands[0]) else None
            case "call":
                return self._call(op, self.parameters(op.attrs["function"]), definitions)
            case "call_unit":
                return self._call(op, op.attrs["unit"].changes, definitions)
        return None

    def parameters(self, callee: Function) -> frozenset[int] | None:
        """The places of the parameters whose words a function may write; None: any object's."""
        if callee not in self._functions:
            self._functions[callee] = None  # in a cycle of calls
            self._functions[callee] = self._summary(callee)
        return self._functions[callee]

    def _call(self, op: Op, written: frozenset[int] | None, definitions: dict[Var, Op]) -> Changed:
        if written is None:
            return None
        found: set[Var] = set()
        for v in (op.operands[i] for i in written):
            objects = frozenset({v}) if isinstance(v.type, Ref) else _written(v, definitions)
            if objects is None:
                return None
            found |= objects
        return frozenset(found)

    def _summary(self, function: Function) -> frozenset[int] | None:
        ops = list(function.body.walk())
        definitions = {v: op for op in ops for v in op.results}
        found = self.changed(ops, definitions)
        if found is None:
            return None
        places = {p: i for i, p in enumerate(function.params)}
        other = [v for v in found if v not in places and not _is_new(v, definitions)]
        return None if other else frozenset(places[v] for v in found if v in places)


def _written(p: Var, definitions: dict[Var, Op]) -> Changed:
    """The object whose words a pointer leads into, or the pointer itself if it is a parameter."""
    header = isinstance(p.type, Ptr) and p.type.alias == "header"
    while True:
        op = definitions.get(p)
        if op is None or op.name not in ("pointer_add", "bitcast"):
            break
        p = op.operands[0]
        header = header or isinstance(p.type, Ptr) and p.type.alias == "header"
    if op is not None and op.name == "words":
        return frozenset({op.operands[0]})
    if not header:
        return frozenset()
    return frozenset({p}) if op is None else None


def _is_new(v: Var, definitions: dict[Var, Op]) -> bool:
    op = definitions.get(v)
    return op is not None and op.name == "new_object"


def _ends_quietly(v: Var) -> bool:
    """Whether the end of an object runs no code but ours."""
    t = v.type.target if isinstance(v.type, Ref) else None
    if isinstance(t, List):
        return all(isinstance(leaf, Scalar) for leaf in t.elem.leaves())
    return isinstance(t, Str | Bytes)
