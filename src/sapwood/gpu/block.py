"""What the threads of a block compute together: `from sapwood.gpu import block`, `block.reduce_add(x)`."""

from sapwood.lang.library.block import broadcast, reduce, reduce_add, reduce_max, reduce_min, scan, scan_add

__all__ = ["broadcast", "reduce", "reduce_add", "reduce_max", "reduce_min", "scan", "scan_add"]
