"""Proving grounds and speed, ``python -m benchmarks NAME``."""
