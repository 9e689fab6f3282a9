"""Completion without weights."""
