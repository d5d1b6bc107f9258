"""The tables of operations, one file a family."""
