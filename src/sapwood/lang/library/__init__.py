"""Functions written in the language itself."""
