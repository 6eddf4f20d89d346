import re


class BadVersion(ValueError):
    """No version, or no constraint."""


def parse(text):
    """Something that compares as versions do."""
    match = re.fullmatch(r"(\d+)\.(\d+)\.(\d+)", text)
    if not match:
        raise BadVersion(text)
    return tuple(int(part) for part in match.groups())
