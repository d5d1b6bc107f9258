"""The engine as a process of its own.

    AsyncLLM (front end: text) --socketpair, msgpack--> worker (child process: EngineCore, tokens)
       '- EngineSupervisor: starts it, watches it, starts it again

`messages.py` is everything that crosses the socket. Text never does: the front end tokenises and detokenises.
"""
