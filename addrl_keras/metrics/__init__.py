"""Metrics of rankings, in numpy."""
