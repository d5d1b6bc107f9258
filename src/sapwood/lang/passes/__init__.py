"""Passes over typed SSA, one a file."""
