"""What compiled code lives on: arrays, callables, loading, the cache. Knows nothing of the language."""
