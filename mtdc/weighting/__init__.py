"""Weighting: task losses to one."""
