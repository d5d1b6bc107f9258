"""Which replica gets a request: Prepare, Filter, Score, Pick, then reserve.

No I/O, no clock and no event loop: time is an argument, and with a seed every decision is repeatable.
"""
