"""Typed SSA to LLVM text."""
