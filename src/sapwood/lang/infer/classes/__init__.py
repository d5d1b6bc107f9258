"""Structs and Enums in compiled code."""
