import sys

from geo import Track, bounding_box
from geo.units import AGENT


def main(argv):
    points = [tuple(float(part) for part in text.split(",")) for text in argv]
    track = Track(points)
    south_west, north_east = bounding_box(track)
    print(f"{track.length():.3f} km")
    print(f"{south_west.lat},{south_west.lon} {north_east.lat},{north_east.lon}")
    print(AGENT)


main(sys.argv)
