"""Transforms: each moves all maps and the intrinsics together."""
