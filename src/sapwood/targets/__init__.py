"""Targets: one folder each. A target says what it has, what it can do, and how code is laid out for it."""
