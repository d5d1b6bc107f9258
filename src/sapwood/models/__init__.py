"""Models: what a checkpoint directory holds, read as data and checked before use.

One model family is one file (`llama.py`, ...) that holds its module and weight names; `registry.py` is the
table of architectures; the other files read config, generation defaults and weights for all of them.
"""
