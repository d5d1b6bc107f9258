"""Everything that iterates: the protocol, generators, and the functions over iterables."""
