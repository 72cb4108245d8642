"""Evaluation: which of several prompts and models is really better, asked through the same half-price batches."""
