"""Training terms as pure functions of tensors."""
