"""The layers that models are made of. Weights have the shapes and names of PyTorch's modules."""

from __future__ import annotations

from typing import Any

from sapwood.graph import ops
from sapwood.nn.module import Module, Parameter


class Linear(Module):
    """x @ weight.T + bias for x [rows, inputs]; weight [outputs, inputs], bias [outputs] or None."""

    def __init__(self, inputs: int, outputs: int, bias: bool = False, dtype: str = "f32") -> None:
        self.weight = Parameter((outputs, inputs), dtype)
        self.bias = Parameter((outputs,), dtype) if bias else None

    def forward(self, x: Any) -> Any:
        y = ops.linear(x, self.weight)
        return y if self.bias is None else ops.add(y, self.bias)


class RMSNorm(Module):
    """x / sqrt(mean(x^2) + eps) * weight over the last axis (Zhang and Sennrich, 2019); weight [width]."""

    def __init__(self, width: int, eps: float = 1e-6, dtype: str = "f32") -> None:
        self.weight = Parameter((width,), dtype)
        self.eps = eps

    def forward(self, x: Any) -> Any:
        return ops.rms_norm(x, self.weight, eps=self.eps)


class HeadRMSNorm(Module):
    """RMSNorm over each head of x [rows, heads * head_dim], by one weight [head_dim] for all heads."""

    def __init__(self, head_dim: int, eps: float = 1e-6, dtype: str = "f32") -> None:
        self.weight = Parameter((head_dim,), dtype)
        self.eps = eps

    def forward(self, x: Any) -> Any:
        return ops.head_norm(x, self.weight, head_dim=self.weight.shape[0], eps=self.eps)


class Embedding(Module):
    """Rows of weight [entries, width] by number: ids i32 [rows] -> f32 [rows, width]."""

    def __init__(self, entries: int, width: int, dtype: str = "f32") -> None:
        self.weight = Parameter((entries, width), dtype)

    def forward(self, ids: Any) -> Any:
        return ops.embedding(ids, self.weight)
