"""The street world: procedural streets seen by a camera and a simulated LiDAR."""

from .lidar import LidarOptions
from .options import StreetOptions
from .placed import WORLD_VERSION
from .views import MAPS
from .world import StreetFrame, draw_frame, draw_frames, draw_views

__all__ = ["MAPS", "WORLD_VERSION", "LidarOptions", "StreetFrame", "StreetOptions", "draw_frame", "draw_frames", "draw_views"]
