"""Refinement: depth after the head."""
