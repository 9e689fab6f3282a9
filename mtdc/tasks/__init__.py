"""Tasks: head, target, decoding and losses of one output."""
