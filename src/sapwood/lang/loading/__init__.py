"""From a function and its arguments to loaded code: what is compiled once, kept in the cache, and linked."""
