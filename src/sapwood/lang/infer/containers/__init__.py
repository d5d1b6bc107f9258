"""Lists, tuples, dicts, sets and deques in compiled code. The work is done in lang/library."""
