"""Metrics: pure functions in float64, and one metric class a protocol."""
