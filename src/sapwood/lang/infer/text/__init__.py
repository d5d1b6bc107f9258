"""`str`, `bytes` and their kind in compiled code. The work is done in lang/library."""
