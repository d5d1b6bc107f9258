"""The CUDA driver, by ctypes alone: loaded when it is asked for, and nothing of the CUDA toolkit.

library.py has the functions and their errors, device.py a device with its memory, streams.py streams, events and
graphs, modules.py code. Source: "CUDA Driver API"; numbers are those of cuda.h.
"""
