"""Errors of targets."""


class UnsupportedPlatform(RuntimeError):
    """Native code cannot be made for this platform; the text says what does work."""
