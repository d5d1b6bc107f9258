"""Ring 2's kernels, in the language. Each docstring states what the kernel cannot be faster than."""
