"""Losses: one term a file, pure function and module."""
