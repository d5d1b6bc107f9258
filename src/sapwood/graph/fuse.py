"""Fusion: from nodes to kernels.

Every contraction and every opaque operation is the root of one kernel. Consumers of a contraction's result join
its store closure as long as nothing else needs the value in between; two contractions of the same rows that meet in
one elementwise expression become a kernel of pairs. What is left over is read by load closures where it can be
(norms, views, expressions of what is in memory), and else becomes a map: a kernel that computes nothing of its
own. A kernel runs at the place of its last node.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from sapwood.graph.ir import Graph, GraphError, Node, Repeat, Value
from sapwood.graph.ops import copy

Mode = Literal["plain", "pair", "rotate"]

#: kinds of values that are in memory before any kernel runs
IN_MEMORY = ("input", "weight", "layer", "carry", "repeat")


@dataclass(eq=False)
class FusedKernel:
    """One kernel: a root, what is fused into its loads and stores, and the value that it stores.

    root: the contraction or opaque node; None for a map over `operand`.
    second: the other contraction of a kernel of pairs.
    mode: what one call of the store closure brings: "plain" one value; "pair" a column of each of two weights;
        "rotate" the two halves of a head, for rope and for a norm of each head.
    epilogue: the nodes of the store closure, in order. `result` is what the last of them gives.
    """

    root: Node | None
    operand: Value | None
    result: Value
    second: Node | None = None
    mode: Mode = "plain"
    head_dim: int = 0
    epilogue: list[Node] = field(default_factory=list)
    loads: list[Node] = field(default_factory=list)  # nodes that are computed in the load closure
    position: int = 0
    name: str = ""

    @property
    def opaque(self) -> bool:
        return self.root is not None and self.root.op.fusion == "opaque"

    def operand_reads(self) -> set[Value]:
        """Values in memory that the kernel reads at places of its own choosing."""
        inside = {n.output for n in self.loads}
        start = [self.operand] if self.operand is not None else []
        if self.root is not None:
            start += list(self.root.inputs)
        if self.second is not None:
            start += list(self.second.inputs)
        start += [v for n in self.loads for v in n.inputs]
        for n in self.epilogue:
            if n.op.fusion != "elementwise":
                start += list(n.inputs)
        return {v for v in start if v not in inside and v.kind != "number"} - self._computed()

    def epilogue_reads(self) -> set[Value]:
        """Values in memory that the store closure reads, at the element that it is about to store."""
        reads = {v for n in self.epilogue if n.op.fusion == "elementwise" for v in n.inputs if v.kind != "number"}
        flowing = {self.operand} if self.root is None else set()
        return reads - flowing - self._computed()

    def _computed(self) -> set[Value]:
        return {n.output for n in (self.root, self.second, *self.epilogue) if n is not None}

    def reads(self) -> set[Value]:
        return self.operand_reads() | self.epilogue_reads()

    def __repr__(self) -> str:
        root = self.root.op.name if self.root is not None else "map"
        fused = "".join(f" + {n.op.name}" for n in self.epilogue)
        loads = f" of {', '.join(n.op.name for n in self.loads)}" if self.loads else ""
        pair = f" ({self.mode})" if self.mode != "plain" else ""
        return f"{self.name or 'kernel'}: %{self.result.name} = {root}{pair}{loads}{fused}"


@dataclass(eq=False)
class FusedLoop:
    """The kernels of a repeated layer."""

    repeat: Repeat
    kernels: list[FusedKernel]


@dataclass(eq=False)
class FusedGraph:
    graph: Graph
    items: list[FusedKernel | FusedLoop]

    def kernels(self) -> list[FusedKernel]:
        return [k for i in self.items for k in (i.kernels if isinstance(i, FusedLoop) else [i])]

    def __str__(self) -> str:
        lines = []
        for item in self.items:
            if isinstance(item, FusedLoop):
                lines.append(f"repeat {item.repeat.count} times:")
                lines += [f"  {k!r}" for k in item.kernels]
            else:
                lines.append(repr(item))
        return "\n".join(lines)


def fuse(graph: Graph) -> FusedGraph:
    """The kernels of a graph, in the order in which they run."""
    _separate_results(graph)
    outer = [item for item in graph.body if isinstance(item, Node)]
    needed = set(graph.outputs)
    for item in graph.body:
        if isinstance(item, Repeat):
            needed |= {item.initial, *(v for n in item.nodes for v in n.inputs)}
    place = {item: i for i, item in enumerate(graph.body)}
    found: dict[FusedKernel | FusedLoop, int] = {}
    found |= {k: k.position for k in _Body(outer, needed, {n: place[n] for n in outer}).kernels()}
    found |= {_loop(item): place[item] for item in graph.body if isinstance(item, Repeat)}
    fused = FusedGraph(graph, sorted(found, key=lambda item: found[item]))
    for i, k in enumerate(fused.kernels()):
        k.name = f"k{i}_{k.root.op.name if k.root is not None else (k.epilogue or k.loads)[-1].op.name}"
    return fused


def _loop(repeat: Repeat) -> FusedLoop:
    """The kernels of a layer, whose result takes the memory of what the layer was given."""

    def kernels() -> list[FusedKernel]:
        positions = {n: i for i, n in enumerate(repeat.nodes)}
        return _Body(repeat.nodes, {repeat.result}, positions).kernels()

    found = kernels()
    last = next(k for k in found if k.result is repeat.result)
    after = found[found.index(last) + 1 :]
    if repeat.carry in last.operand_reads() or any(repeat.carry in k.reads() for k in after):
        repeat.result = _copy_into(repeat.nodes, repeat.result)
        found = kernels()
    return FusedLoop(repeat, found)


def _separate_results(graph: Graph) -> None:
    """A result of a graph or of a layer must be computed there: what is merely passed through is copied."""
    computed = {n.output for n in graph.body if isinstance(n, Node)}
    seen: set[Value] = set()
    for i, v in enumerate(graph.outputs):
        repeated = next((r for r in graph.body if isinstance(r, Repeat) and r.output is v), None)
        if v.node is not None and v.node.op.updates is not None:
            raise GraphError(f"%{v.name} is a cache that was written to; it cannot be a result")
        if v not in seen and (repeated is not None or v in computed):
            seen.add(v)
            continue
        graph.outputs[i] = _copy_into(graph.body, v)
        seen.add(graph.outputs[i])
    for r in [item for item in graph.body if isinstance(item, Repeat)]:
        inside = {n.output for n in r.nodes}
        if r.result not in inside:
            r.result = _copy_into(r.nodes, r.result)
        users = sum(v is r.initial for n in graph.nodes() for v in n.inputs) + (r.initial in graph.outputs)
        users += sum(o.initial is r.initial for o in graph.body if isinstance(o, Repeat) and o is not r)
        if users or r.initial not in computed and r.initial.kind != "repeat":
            body: list[Node | Repeat] = []
            r.initial = _copy_into(body, r.initial)
            graph.body.insert(graph.body.index(r), body[0])


def _copy_into(body: list, v: Value) -> Value:
    node = Node(copy, (v,), {})
    node.outputs = (Value(v.type, "node", f"{v.name}_copy", node),)
    body.append(node)
    return node.output


class _Body:
    """Fusion of one straight list of nodes. `needed`: values that must be in memory at its end."""

    def __init__(self, nodes: Sequence[Node], needed: set[Value], place: dict[Node, int]) -> None:
        self.nodes = nodes
        self.needed = set(needed)
        self.place = place
        self.users: dict[Value, list[Node]] = {}
        for n in nodes:
            for v in dict.fromkeys(n.inputs):
                self.users.setdefault(v, []).append(n)
        self.owner: dict[Node, FusedKernel] = {}
        self.found: list[FusedKernel] = []
        self.stored: set[Value] = set()
        self.own = {n.output: n for n in nodes}

    def kernels(self) -> list[FusedKernel]:
        for n in self.nodes:
            if n.op.fusion in ("contraction", "opaque") and n not in self.owner:
                self._root(n)
        for n in self.nodes:  # what was not taken up, but stores or is asked for
            if n not in self.owner and (n.op.fusion in ("pair", "write") or n.output in self.needed):
                self._map(n)
        for k in list(self.found):
            self._settle(k)
        self.found.sort(key=lambda k: k.position)
        return self.found

    def _take(self, n: Node, k: FusedKernel) -> None:
        self.owner[n] = k
        k.position = max(k.position, self.place[n])

    def _root(self, n: Node) -> None:
        k = FusedKernel(n, n.inputs[0] if n.op.fusion == "contraction" else None, n.output)
        self._take(n, k)
        if not k.opaque:
            self._grow(k)
        self._finish(k)

    def _finish(self, k: FusedKernel) -> None:
        self.stored.add(k.result)
        self.found.append(k)

    # -- the store closure ------------------------------------------------------------------------

    def _grow(self, k: FusedKernel) -> None:
        """Take up consumers of the result while it is needed nowhere else."""
        while k.result not in self.needed:
            users = self.users.get(k.result, [])
            if len(users) != 1 or users[0] in self.owner:
                return
            u = users[0]
            if u.op.fusion == "elementwise":
                if u.output.shape != k.result.shape:
                    return
                self._join_twins(k, u)
            elif u.op.fusion == "pair":
                if u.inputs[0] is not k.result or k.mode != "plain" or k.result in u.inputs[1:]:
                    return
                k.mode, k.head_dim = "rotate", u.attrs["head_dim"]
            elif u.op.fusion == "write":
                if u.inputs[1] is not k.result or u.inputs[0] is k.result:
                    return
            else:
                return
            k.epilogue.append(u)
            self._take(u, k)
            k.result = u.output
            if u.op.fusion == "write":
                return

    def _join_twins(self, k: FusedKernel, u: Node) -> None:
        """Take up a twin contraction behind another input of `u`. What else `u` reads is in memory by then."""
        for v in dict.fromkeys(u.inputs):
            if v is k.result or v.kind == "number" or v not in self.own:
                continue
            twin = self._twin(k, v)
            if twin is not None:
                second, chain = twin
                k.second, k.mode = second, "pair"
                for n in (second, *chain):
                    self._take(n, k)
                k.epilogue += chain

    def _twin(self, k: FusedKernel, v: Value) -> tuple[Node, list[Node]] | None:
        """A contraction of the same rows behind `v`, and the nodes from it to `v`."""
        if k.root is None or k.root.op.fusion != "contraction" or k.mode != "plain":
            return None
        chain: list[Node] = []
        while True:
            n = self.own.get(v)
            if n is None or n in self.owner or v in self.needed or len(self.users.get(v, [])) != 1:
                return None
            if n.op.fusion == "contraction":
                same = n.inputs[0] is k.root.inputs[0] and n.inputs[1].type == k.root.inputs[1].type
                return (n, chain[::-1]) if same else None
            if n.op.fusion != "elementwise":
                return None
            inner = [i for i in dict.fromkeys(n.inputs) if i in self.own and i.kind != "number"]
            if len(inner) != 1:
                return None
            chain.append(n)
            v = inner[0]

    # -- the load closure -------------------------------------------------------------------------

    def _settle(self, k: FusedKernel) -> None:
        """Bring everything that the kernel reads into memory, or into its load closure."""
        if k.operand is not None and k.root is not None:
            self._operand(k, k.operand)
        for v in sorted(k.reads(), key=lambda v: self.place.get(v.node, -1) if v.node else -1):
            self._store(v)

    def _operand(self, k: FusedKernel, v: Value) -> None:
        """Fuse the producers of the rows that a kernel reads, where they can be recomputed for each reader."""
        n = self.own.get(v)
        if n is not None and v not in self.stored and v not in self.needed:
            self._load(k, n)

    def _load(self, k: FusedKernel, n: Node) -> None:
        v = n.output
        if n.op.fusion == "view":
            k.loads.append(n)
            self._operand(k, n.inputs[0])
        elif n.op.fusion == "row":
            k.loads.append(n)
            self._row_base(k, n.inputs[0])
        elif n.op.fusion == "head" and k.root is None and k.operand is v and k.head_dim == n.attrs["head_dim"]:
            k.loads.append(n)
            self._store(n.inputs[0])
        elif n.op.fusion == "elementwise" and (v is k.result or len(self.users[v]) == 1):
            k.loads.append(n)
            for i in dict.fromkeys(n.inputs):
                inner = self.own.get(i)
                if inner is not None and inner.op.fusion == "elementwise" and i.shape == v.shape:
                    self._operand(k, i)
                else:
                    self._store(i)
        else:
            self._store(v)

    def _row_base(self, k: FusedKernel, v: Value) -> None:
        """What a norm reads: memory, or rows picked from memory."""
        n = self.own.get(v)
        if n is not None and n.op.fusion == "view" and v not in self.stored and v not in self.needed:
            k.loads.append(n)
            self._store(n.inputs[0])
        else:
            self._store(v)

    def _store(self, v: Value) -> None:
        """Make sure that a value is in memory: make a map of it if no kernel stores it."""
        if v.kind in IN_MEMORY or v.kind == "number" or v in self.stored or v not in self.own:
            return
        n = self.own[v]
        owner = self.owner.get(n)
        if owner is not None:
            raise GraphError(f"%{v.name} is needed in memory, but is inside of {owner!r}")
        self.needed.add(v)
        self._settle(self._map(n))

    def _map(self, n: Node) -> FusedKernel:
        """A kernel without a root for a node that must store."""
        if n.op.fusion in ("pair", "write"):
            source = n.inputs[0 if n.op.fusion == "pair" else 1]
            k = FusedKernel(None, source, n.output, epilogue=[n])
            if n.op.fusion == "pair":
                k.mode, k.head_dim = "rotate", n.attrs["head_dim"]
            self._take(n, k)
            if n.op.fusion == "pair":
                self._grow(k)
            self._finish(k)
            self._operand(k, source)
            return k
        k = FusedKernel(None, n.output, n.output)
        if n.op.fusion == "head":
            k.mode, k.head_dim = "rotate", n.attrs["head_dim"]
        self._take(n, k)
        self._finish(k)
        self._load(k, n)
        return k
