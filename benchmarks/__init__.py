"""Measurements whose results are kept in `benchmarks/results/` and quoted by the documentation."""
