"""The street world: procedural streets seen by a camera and a simulated LiDAR."""

from .lidar import LidarOptions
from .world import MAPS, WORLD_VERSION, StreetFrame, StreetOptions, draw_frame

__all__ = ["MAPS", "WORLD_VERSION", "LidarOptions", "StreetFrame", "StreetOptions", "draw_frame"]
