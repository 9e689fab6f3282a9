"""Trunks: encoder features to one stream a task, coarse to fine."""
