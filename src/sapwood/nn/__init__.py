"""Ring 2: models in plain Python, in the habit of PyTorch. A module runs eagerly on arrays, and traces to a graph."""

from sapwood.nn.layers import Embedding, HeadRMSNorm, Linear, RMSNorm
from sapwood.nn.module import Buffer, Module, ModuleList, Parameter, StateError

__all__ = [
    "Buffer", "Embedding", "HeadRMSNorm", "Linear", "Module", "ModuleList", "Parameter", "RMSNorm", "StateError",
]  # fmt: skip
