"""Recommenders that need no training steps: the bar that a model has to clear."""
