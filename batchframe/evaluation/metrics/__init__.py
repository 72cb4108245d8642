"""Metrics: what an answer is worth, by itself or against the gold."""
