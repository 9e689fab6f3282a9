"""Trained models: weights files that describe themselves, the index that names them, and how one is published."""
