"""Benchmarks: figures and ratios, never pass or fail."""
