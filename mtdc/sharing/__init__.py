"""Sharing: what task streams exchange."""
