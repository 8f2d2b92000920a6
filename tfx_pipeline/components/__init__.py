"""Components that TFX does not have, or has with a trap."""
