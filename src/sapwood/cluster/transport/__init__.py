"""How routers and engine replicas talk: TCP, the engine's own msgpack frames, and a shared secret.

`EngineServer` is the replica's end, `EngineConnection` the router's.
"""
