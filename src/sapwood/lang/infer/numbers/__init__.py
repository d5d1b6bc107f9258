"""Methods of numbers, complex numbers, `math` and `cmath`."""
