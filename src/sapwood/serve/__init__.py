"""Serves a model over HTTP. Knows `engine` through `engine/client.py`; the model runs in another process."""
