"""The report of a run: one page that works offline, for people who decide about a model."""
