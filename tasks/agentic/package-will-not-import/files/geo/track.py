from geo.points import Point
from geo.units import to_miles


class Track:
    """A list of points that were passed one after the other."""

    def __init__(self, points):
        self.points = [p if isinstance(p, Point) else Point(*p) for p in points]

    def length(self):
        return sum(a.distance(b) for a, b in zip(self.points, self.points[1:], strict=False))

    def length_miles(self):
        return to_miles(self.length())
