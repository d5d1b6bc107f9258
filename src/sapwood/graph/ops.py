"""The table of graph operations: one entry each, with its shape rule, fusion class and source.

Fusion classes:
- "elementwise": `source(*operands)` is the expression of one element (or of a vector of them);
- "row": becomes an input operand; `source(kernel, node)` is the operand of kernels/operands.py;
- "head": becomes an input operand of kernels that go head by head; `source(kernel, node)` as for "row";
- "view": moves rows about; folds into the operand that reads it; `source(operand, *pointers)`;
- "pair": combines the two halves of each head; an epilogue; `source(kernel, node, a, b)` gives two expressions;
- "write": stores into a cache and gives it back; an epilogue; `source(kernel, node, column, value)` is a statement;
- "contraction": the root of a fused kernel that takes operand and store closures;
- "opaque": a kernel of its own; `source(kernel, node)` gives its statements.

`kernel` is the generate.KernelSource that the text becomes part of: it hands out names for memory, sizes and
scratch. Calling an entry with graph values adds a node; with arrays it runs at once, on the same kernels.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

from sapwood.graph.dims import Dim
from sapwood.graph.ir import GraphError, Node, Type, Value
from sapwood.kernels.attention import scratch_elements

if TYPE_CHECKING:
    from sapwood.graph.generate import KernelSource

GRAPH_OPS: dict[str, GraphOp] = {}

Fusion = Literal["elementwise", "row", "head", "view", "pair", "write", "contraction", "opaque"]


class GraphOp:
    """One entry of the table.

    static: the inputs whose first size is a property of the model and not of the step (weights, tables, caches).
    updates: the input that the operation writes to and gives back.
    """

    def __init__(
        self,
        name: str,
        fusion: Fusion,
        shape: Callable[..., Type],
        source: Callable[..., Any] | None,
        doc: str,
        *,
        imports: str = "",
        static: tuple[int, ...] = (),
        updates: int | None = None,
    ) -> None:
        self.name = name
        self.fusion: Fusion = fusion
        self.shape_rule = shape
        self.source = source
        self.imports = imports  # the import statement that the generated source needs
        self.static = static
        self.updates = updates
        self.function: Any = None  # the compiled function of a custom operation
        self.__doc__ = doc
        GRAPH_OPS[name] = self

    def __call__(self, *args: Any, **attrs: Any) -> Any:
        from sapwood.graph.trace import apply

        return apply(self, args, attrs)

    def infer(self, inputs: tuple[Value, ...], attrs: dict[str, Any]) -> Type:
        """The result's type; a GraphError tells what does not fit."""
        try:
            return self.shape_rule(*(v.type for v in inputs), **attrs)
        except TypeError as e:
            raise GraphError(f"{self.name} was called wrongly: {e}") from None

    def __repr__(self) -> str:
        return f"<graph operation {self.name}>"


def _error(op: str, text: str, *types: Type) -> GraphError:
    return GraphError(f"{op}({', '.join(map(str, types))}): {text}")


def _want(op: str, t: Type, dtype: str, rank: int, what: str) -> None:
    if t.dtype != dtype or len(t.shape) != rank:
        raise _error(op, f"{what} must be {dtype} of rank {rank}, not {t}")


# -- elementwise ---------------------------------------------------------------------------------------


def _same(name: str) -> Callable[..., Type]:
    def rule(*types: Type) -> Type:
        shape = max((t.shape for t in types), key=len, default=())
        if not shape:
            raise _error(name, "needs a tensor", *types)
        for t in types:
            if t.shape not in ((), shape, shape[-1:]):
                raise _error(name, "shapes must be equal, or one is a vector of the other's width", *types)
            if t.shape == shape and t.dtype != "f32":
                raise _error(name, "activations are f32", *types)
        return Type(shape, "f32")

    return rule


def elementwise(name: str, source: Callable[..., str], doc: str, imports: str = "") -> GraphOp:
    return GraphOp(name, "elementwise", _same(name), source, doc, imports=imports)


def _function(name: str, module: str, doc: str) -> GraphOp:
    return elementwise(name, lambda x: f"{name}({x})", doc, f"from {module} import {name}")


add = elementwise("add", lambda x, y: f"({x} + {y})", "x + y, element by element.")
sub = elementwise("sub", lambda x, y: f"({x} - {y})", "x - y, element by element.")
mul = elementwise("mul", lambda x, y: f"({x} * {y})", "x * y, element by element.")
div = elementwise("div", lambda x, y: f"({x} / {y})", "x / y, element by element, IEEE.")
neg = elementwise("neg", lambda x: f"(-{x})", "-x.")
copy = elementwise("copy", lambda x: x, "x in memory of its own.")
exp = _function("exp", "sapwood.lang.library.math", "e ** x.")
tanh = _function("tanh", "sapwood.lang.library.math", "Hyperbolic tangent.")
sigmoid = _function("sigmoid", "sapwood.lang.library.math", "1 / (1 + e ** -x), without overflow.")
silu = _function("silu", "sapwood.kernels.activations", "x * sigmoid(x) (Elfwing et al., 2017).")
relu = _function("relu", "sapwood.kernels.activations", "max(x, 0).")


def custom(fn: Any, name: str | None = None) -> GraphOp:
    """Make a compiled function an elementwise operation, fused like the built-in ones.

    `fn` takes as many numbers as the operation has inputs and returns one; it must be generic, so that it
    works on vectors: `@fn(unchecked=True) def act(x: T) -> T`. Raises GraphError if the name is taken.
    """
    if not getattr(type(fn), "__sapwood_function__", False):
        raise GraphError(f"a custom operation is an @fn function, not {type(fn).__name__}")
    own = name or fn.__name__
    existing = GRAPH_OPS.get(own)
    if existing is not None:
        if existing.function is fn:
            return existing
        raise GraphError(f"an operation named '{own}' exists already; pass name=")
    op = GraphOp(own, "elementwise", _same(own), lambda *xs: f"{own}({', '.join(xs)})", fn.__doc__ or "")
    op.function = fn
    return op


# -- rows and views --------------------------------------------------------------------------------------


def _rms_shape(x: Type, w: Type, *, eps: float) -> Type:
    if len(x.shape) != 2 or w.shape != x.shape[-1:]:
        raise _error("rms_norm", "x must be [rows, width] and the weight [width]", x, w)
    return Type(x.shape, "f32")


def _rms_source(k: KernelSource, node: Node) -> str:
    x, w = node.inputs
    return f"NormRows({k.pointer(x)}, {x.type.width}, {k.pointer(w)}, {x.type.width}, f32({node.attrs['eps']!r}))"


rms_norm = GraphOp(
    "rms_norm", "row", _rms_shape, _rms_source,
    "RMSNorm over the last axis (Zhang and Sennrich, 2019): x / sqrt(mean(x^2) + eps) * weight.",
    imports="from sapwood.kernels.operands import NormRows",
    static=(1,),
)  # fmt: skip


def _head_norm_shape(x: Type, w: Type, *, head_dim: int, eps: float) -> Type:
    if len(x.shape) != 2 or head_dim <= 0 or head_dim % 2 or x.width % head_dim or w.shape != (Dim.of(head_dim),):
        text = f"x must be [rows, heads * head_dim] and the weight [head_dim], with an even head_dim, not {head_dim}"
        raise _error("head_norm", text, x, w)
    return Type(x.shape, "f32")


def _head_norm_source(k: KernelSource, node: Node) -> str:
    x, w = node.inputs
    head_dim, eps = node.attrs["head_dim"], node.attrs["eps"]
    return f"HeadNormRows({k.pointer(x)}, {x.type.width}, {k.pointer(w)}, {head_dim}, f32({eps!r}))"


head_norm = GraphOp(
    "head_norm", "head", _head_norm_shape, _head_norm_source,
    "RMSNorm over each head of head_dim columns (Henry et al., Query-Key Normalization, 2020; Qwen3).",
    imports="from sapwood.kernels.operands import HeadNormRows",
    static=(1,),
)  # fmt: skip


def _take_shape(x: Type, rows: Type) -> Type:
    _want("take_rows", rows, "i32", 1, "the row numbers")
    return Type((rows.shape[0], *x.shape[1:]), x.dtype)


take_rows = GraphOp(
    "take_rows", "view", _take_shape, lambda operand, rows: f"PickedRows({operand}, {rows})",
    "Rows of x by number (i32).",
    imports="from sapwood.kernels.operands import PickedRows",
)  # fmt: skip


# -- contractions ----------------------------------------------------------------------------------------


def _linear_shape(x: Type, w: Type) -> Type:
    if len(x.shape) != 2 or len(w.shape) != 2 or x.shape[1] != w.shape[1]:
        raise _error("linear", "x must be [rows, in] and the weight [out, in]", x, w)
    return Type((x.shape[0], w.shape[0]), "f32")


linear = GraphOp(
    "linear", "contraction", _linear_shape, None, "x @ w.T for w [out, in], as checkpoints store it.",
    imports="from sapwood.kernels.linear import linear", static=(1,),
)  # fmt: skip


def _rope_shape(x: Type, cosines: Type, sines: Type, positions: Type, *, head_dim: int) -> Type:
    if head_dim % 2 or x.width % head_dim:
        raise _error("rope", f"the width must be a multiple of an even head_dim, not {head_dim}", x)
    if cosines.shape != sines.shape or cosines.width != head_dim // 2:
        raise _error("rope", "the tables must be [positions, head_dim / 2]", x, cosines, sines)
    _want("rope", positions, "i32", 1, "the positions")
    return x


def _rope_source(k: KernelSource, node: Node, a: str, b: str) -> str:
    _, cosines, sines, positions = node.inputs
    at = f"int({k.pointer(positions)}[m]) * {node.attrs['head_dim'] // 2} + d"
    return f"rotate({a}, {b}, {k.pointer(cosines)}[{at}], {k.pointer(sines)}[{at}])"


rope = GraphOp(
    "rope", "pair", _rope_shape, _rope_source,
    "Rotary embedding of each head at the row's position, in the half-rotation form (Su et al., 2021).",
    imports="from sapwood.kernels.rope import rotate", static=(1, 2),
)  # fmt: skip


# -- the cache ---------------------------------------------------------------------------------------------


def _write_shape(name: str) -> Callable[..., Type]:
    def rule(cache: Type, x: Type, slots: Type, *, head_dim: int) -> Type:
        if len(cache.shape) != 4 or head_dim not in (cache.shape[2], cache.shape[3]):
            raise _error(name, f"the cache must have four axes, one of them {head_dim}", cache)
        if x.width != head_dim * cache.shape[1]:
            raise _error(name, "x must be kv_heads * head_dim wide", cache, x)
        _want(name, slots, "i32", 1, "the slots")
        return cache

    return rule


def _write_source(name: str) -> Callable[..., str]:
    def source(k: KernelSource, node: Node, column: str, value: str) -> str:
        cache, _, slots = node.inputs
        head_dim, at = node.attrs["head_dim"], f"int({k.pointer(slots)}[m])"
        return (
            f"{name}({k.pointer(cache)}, {at} // BLOCK, ({column}) // {head_dim}, {cache.shape[1]}, {head_dim}, "
            f"{at} % BLOCK, ({column}) % {head_dim}, {value})"
        )

    return source


write_keys = GraphOp(
    "write_keys", "write", _write_shape("write_keys"), _write_source("write_key"),
    "Store the rows' keys [rows, kv_heads * head_dim] at their slots (i32: block * 16 + place); gives the cache.",
    imports="from sapwood.kernels.attention import BLOCK, write_key", static=(0,), updates=0,
)  # fmt: skip

write_values = GraphOp(
    "write_values", "write", _write_shape("write_values"), _write_source("write_value"),
    "Store the rows' values at their slots; gives the cache.",
    imports="from sapwood.kernels.attention import BLOCK, write_value", static=(0,), updates=0,
)  # fmt: skip


def _attention_shape(
    q: Type, keys: Type, values: Type, tables: Type, sequences: Type, positions: Type, *, heads: int, kv_heads: int,
    head_dim: int,
) -> Type:
    if q.width != heads * head_dim or kv_heads <= 0 or heads % kv_heads:
        raise _error("attention", f"q must be heads * head_dim = {heads} * {head_dim} wide", q)
    if keys.shape[1] != kv_heads or values.shape[1] != kv_heads:
        raise _error("attention", f"the caches must have {kv_heads} heads", keys, values)
    _want("attention", tables, "i32", 2, "the block tables")
    _want("attention", sequences, "i32", 1, "the rows' sequences")
    _want("attention", positions, "i32", 1, "the rows' positions")
    return q


def _attention_source(k: KernelSource, node: Node) -> list[str]:
    q, keys, values, tables, sequences, positions = node.inputs
    heads, kv_heads, head_dim = (node.attrs[n] for n in ("heads", "kv_heads", "head_dim"))
    rows = q.shape[0]
    scratch = k.scratch(scratch_elements(rows, kv_heads, head_dim) * 4)
    args = [
        k.pointer(q), k.output(), k.pointer(keys), k.pointer(values), k.pointer(tables), k.pointer(sequences),
        k.pointer(positions), f"{scratch}.cast(f32)", k.size(rows), k.size(tables.shape[1]), str(heads),
        str(kv_heads), str(head_dim), f"f32({head_dim**-0.5!r})",
    ]  # fmt: skip
    return [f"paged_attention({', '.join(args)})"]


attention = GraphOp(
    "attention", "opaque", _attention_shape, _attention_source,
    "Causal attention of each row over its sequence's paged cache; grouped heads; scale 1 / sqrt(head_dim). Rows of "
    "one sequence stand together, in ascending order of position.",
    imports="from sapwood.kernels.attention import paged_attention", static=(1, 2),
)  # fmt: skip


def _embedding_shape(ids: Type, table: Type) -> Type:
    _want("embedding", ids, "i32", 1, "the ids")
    if len(table.shape) != 2:
        raise _error("embedding", "the table must be [vocabulary, width]", ids, table)
    return Type((ids.shape[0], table.shape[1]), "f32")


def _embedding_source(k: KernelSource, node: Node) -> list[str]:
    ids, table = node.inputs
    args = [k.pointer(ids), k.pointer(table), k.output(), k.size(ids.shape[0]), str(table.type.width)]
    return [f"embedding({', '.join(args)})"]


embedding = GraphOp(
    "embedding", "opaque", _embedding_shape, _embedding_source, "Rows of the table, as f32.",
    imports="from sapwood.kernels.embedding import embedding", static=(1,),
)  # fmt: skip


def size_in_bytes(t: Type) -> Dim:
    """Bytes of a C-contiguous tensor."""
    from sapwood.runtime.dtypes import DTYPES

    out = Dim.of(DTYPES[t.dtype].itemsize)
    for d in t.shape:
        out = out * d
    return out
