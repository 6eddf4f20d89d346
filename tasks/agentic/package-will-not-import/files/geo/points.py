from dataclasses import dataclass

from geo.distance import haversine


@dataclass(frozen=True)
class Point:
    """Degrees north and east."""

    lat: float
    lon: float

    def distance(self, other):
        return haversine(self, other)


def midpoint(a, b):
    """Half way between two points that are close together."""
    return Point((a.lat + b.lat) / 2, (a.lon + b.lon) / 2)
