"""Encoders: ``(B, C, H, W) -> {stride: features}``."""
