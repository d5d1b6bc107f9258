"""The border between Python and compiled code: what arguments become, and results."""
