"""Drives a server of the OpenAI API under load, and measures it as its clients see it. `sapwood bench serve`."""
