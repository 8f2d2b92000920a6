"""Keras layers of the two towers, one idea a file."""
