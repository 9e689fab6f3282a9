"""Several models on the same frames: what they answer, measured the same way."""
