"""Ring 1: the kernel language and its compiler."""
