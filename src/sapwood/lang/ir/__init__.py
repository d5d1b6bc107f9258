"""The typed SSA."""
