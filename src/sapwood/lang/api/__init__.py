"""The public types of the language: what annotations and constructors are made of."""
