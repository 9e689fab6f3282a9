"""Pictures and point clouds of depth."""
