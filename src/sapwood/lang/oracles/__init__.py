"""What compiled code must agree with: CPython with boxed numbers, and the reference evaluator."""
