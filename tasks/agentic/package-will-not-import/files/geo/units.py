from geo import __version__

KM_PER_MILE = 1.609344
RADIUS_KM = 6371.0
AGENT = f"geo/{__version__}"


def to_miles(km):
    return km / KM_PER_MILE
