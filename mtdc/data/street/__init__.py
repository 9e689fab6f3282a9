"""The street world: procedural streets seen by a camera and a simulated LiDAR."""

from .lidar import LidarOptions
from .options import StreetOptions
from .world import MAPS, WORLD_VERSION, StreetFrame, draw_frame, draw_frames, draw_views

__all__ = ["MAPS", "WORLD_VERSION", "LidarOptions", "StreetFrame", "StreetOptions", "draw_frame", "draw_frames", "draw_views"]
