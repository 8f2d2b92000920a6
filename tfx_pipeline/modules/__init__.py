"""What TFX calls by name: preprocessing, training and metrics."""
