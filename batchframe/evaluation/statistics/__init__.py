"""Statistics: how far a figure can be believed. Pure: arrays in, figures out, seeds passed as arguments."""
