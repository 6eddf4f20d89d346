"""Distances, areas and tracks on a sphere."""

from geo.area import bounding_box
from geo.points import Point, midpoint
from geo.track import Track

__all__ = ["Point", "Track", "bounding_box", "midpoint"]
__version__ = "1.2"
