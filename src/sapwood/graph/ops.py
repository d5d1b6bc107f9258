"""The table of graph operations: one entry each, with its shape rule, fusion class and source.

Fusion classes:
- "elementwise": `source` gives the expression of one element (or of a vector of them);
- "row": a row-wise operation that becomes an input operand (`source` gives the operand);
- "view": moves rows about; folds into the operand that reads it;
- "pair": combines the two halves of each head; an epilogue of a contraction of pairs;
- "write": stores into a cache and gives it back; an epilogue;
- "contraction": a linear layer, the root of a fused kernel;
- "opaque": a kernel of its own.

Calling an entry with graph values adds a node; with arrays it runs at once, on the same kernels.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


from sapwood.graph.ir import GraphError, Type, Value

GRAPH_OPS: dict[str, GraphOp] = {}


class GraphOp:
    """One entry of the table."""

    def __init__(
        self, name: str, fusion: str, shape: Callable[..., Type], source: Callable[..., str] | None, doc: str
    ) -> None:
        self.name = name
        self.fusion = fusion
        self.shape_rule = shape
        self.source = source
        self.function: Any = None  # the compiled function of a custom operation
        self.__doc__ = doc
        GRAPH_OPS[name] = self

    def __call__(self, *args: Any, **attrs: Any) -> Any:
        from sapwood.graph.trace import apply

        return apply(self, args, attrs)

    def __repr__(self) -> str:
        return f"<graph operation {self.name}>"


def _error(op: str, text: str, *types: Type) -> GraphError:
    return GraphError(f"{op}({', '.join(map(str, types))}): {text}")


# -- elementwise ---------------------------------------------------------------------------------------


def _same(name: str) -> Callable[..., Type]:
    def rule(*types: Type) -> Type:
        wide = [t for t in types if t.shape]
        if not wide:
            raise _error(name, "needs a tensor", *types)
        for t in wide[1:]:
            if t.shape != wide[0].shape:
                raise _error(name, "the shapes differ", *types)
        return Type(wide[0].shape, "f32")

    return rule


def elementwise(name: str, source: Callable[..., str], doc: str) -> GraphOp:
    return GraphOp(name, "elementwise", _same(name), source, doc)


add = elementwise("add", lambda x, y: f"({x} + {y})", "x + y, element by element.")
sub = elementwise("sub", lambda x, y: f"({x} - {y})", "x - y, element by element.")
mul = elementwise("mul", lambda x, y: f"({x} * {y})", "x * y, element by element.")
div = elementwise("div", lambda x, y: f"({x} / {y})", "x / y, element by element, IEEE.")
neg = elementwise("neg", lambda x: f"(-{x})", "-x.")
exp = elementwise("exp", lambda x: f"exp({x})", "e ** x.")
tanh = elementwise("tanh", lambda x: f"tanh({x})", "Hyperbolic tangent.")
sigmoid = elementwise("sigmoid", lambda x: f"sigmoid({x})", "1 / (1 + e ** -x).")
silu = elementwise("silu", lambda x: f"silu({x})", "x * sigmoid(x) (Elfwing et al., 2017).")
relu = elementwise("relu", lambda x: f"maximum({x}, 0.0)", "max(x, 0).")


def custom(fn: Any, name: str | None = None) -> GraphOp:
    """Make a compiled function an elementwise operation, fused like the built-in ones.

    `fn` takes as many numbers as the operation has inputs and returns one; it must be generic, so that it
    works on vectors: `@fn(unchecked=True) def act(x: T) -> T`.
    """
    own = name or fn.__name__
    existing = GRAPH_OPS.get(own)
    if existing is not None:
        if existing.function is fn:
            return existing
        raise GraphError(f"an operation named '{own}' exists already")
    op = GraphOp(own, "elementwise", _same(own), lambda *xs: f"{own}({', '.join(xs)})", fn.__doc__ or "")
    op.function = fn
    return op


# -- rows and views --------------------------------------------------------------------------------------


def _rms_shape(x: Type, w: Type, eps: float) -> Type:
    if w.shape != x.shape[-1:]:
        raise _error("rms_norm", "the weight must have the width of x", x, w)
    return Type(x.shape, "f32")


rms_norm = GraphOp(
    "rms_norm", "row", _rms_shape,
    lambda x, stride, w, width, eps: f"NormRows({x}, {stride}, {w}, {width}, f32({eps!r}))",
    "RMSNorm over the last axis: x / sqrt(mean(x^2) + eps) * weight.",
)  # fmt: skip


def _take_shape(x: Type, rows: Type) -> Type:
    if len(rows.shape) != 1 or rows.dtype != "i32":
        raise _error("take_rows", "the row numbers must be i32 of one axis", x, rows)
    return Type((rows.shape[0], *x.shape[1:]), x.dtype)


take_rows = GraphOp(
    "take_rows", "view", _take_shape, lambda operand, rows: f"PickedRows({operand}, {rows})",
    "Rows of x by number.",
)  # fmt: skip


# -- contractions ----------------------------------------------------------------------------------------


def _linear_shape(x: Type, w: Type) -> Type:
    if len(x.shape) != 2 or len(w.shape) != 2 or x.shape[1] != w.shape[1]:
        raise _error("linear", "x must be [rows, in] and the weight [out, in]", x, w)
    return Type((x.shape[0], w.shape[0]), "f32")


linear = GraphOp("linear", "contraction", _linear_shape, None, "x @ w.T for w [out, in], as checkpoints store it.")


def _rope_shape(x: Type, cosines: Type, sines: Type, positions: Type, head_dim: int) -> Type:
    if x.width % head_dim or head_dim % 2:
        raise _error("rope", f"the width must be a multiple of an even head_dim, not {head_dim}", x)
    return x


rope = GraphOp(
    "rope", "pair", _rope_shape, None,
    "Rotary embedding of each head at the row's position, in the half-rotation form.",
)  # fmt: skip


# -- the cache ---------------------------------------------------------------------------------------------


def _write_shape(cache: Type, x: Type, place: Type, head_dim: int, part: str) -> Type:
    return cache


write_cache = GraphOp(
    "write_cache", "write", _write_shape, None,
    "Store keys or values of the rows into their cache slots; gives the cache.",
)  # fmt: skip


def _attention_shape(q: Type, keys: Type, values: Type, *rest: Type, heads: int, kv_heads: int, head_dim: int) -> Type:
    if q.width != heads * head_dim:
        raise _error("attention", f"q must be {heads} * {head_dim} wide", q)
    return q


attention = GraphOp(
    "attention", "opaque", _attention_shape, None,
    "Causal attention of each row over its sequence's cache; grouped heads; scale 1 / sqrt(head_dim).",
)  # fmt: skip


def _embedding_shape(ids: Type, table: Type) -> Type:
    if len(ids.shape) != 1 or ids.dtype != "i32":
        raise _error("embedding", "ids must be i32 of one axis", ids, table)
    return Type((ids.shape[0], table.shape[1]), "f32")


embedding = GraphOp("embedding", "opaque", _embedding_shape, None, "Rows of the table, as f32.")


def infer(op: GraphOp, inputs: tuple[Value, ...], attrs: dict[str, Any]) -> Type:
    """The result's type; a GraphError tells what does not fit."""
    plain = {k: v for k, v in attrs.items() if not k.startswith("_")}
    return op.shape_rule(*(v.type for v in inputs), **plain)


