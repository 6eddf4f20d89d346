from geo.points import Point
from geo.track import Track


def bounding_box(track: Track):
    """South-west and north-east corner."""
    lats = [p.lat for p in track.points]
    lons = [p.lon for p in track.points]
    return Point(min(lats), min(lons)), Point(max(lats), max(lons))
