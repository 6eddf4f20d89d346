from __future__ import annotations

from math import asin, cos, radians, sin, sqrt
from typing import TYPE_CHECKING

from geo.units import RADIUS_KM

if TYPE_CHECKING:
    from geo.points import Point


def haversine(a: Point, b: Point) -> float:
    """Kilometres along the great circle."""
    lat_a, lat_b = radians(a.lat), radians(b.lat)
    d_lat, d_lon = lat_b - lat_a, radians(b.lon - a.lon)
    h = sin(d_lat / 2) ** 2 + cos(lat_a) * cos(lat_b) * sin(d_lon / 2) ** 2
    return 2 * RADIUS_KM * asin(sqrt(h))
