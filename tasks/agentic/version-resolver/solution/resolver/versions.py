import re
from functools import lru_cache

VERSION = re.compile(r"(\d+)\.(\d+)\.(\d+)(?:-([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?", re.ASCII)
FINAL = (1,)


class BadVersion(ValueError):
    """No version, or no constraint."""


@lru_cache(maxsize=None)
def parse(text):
    """(numbers, pre-release): tuples that compare as versions do; a release has FINAL as its pre-release."""
    match = VERSION.fullmatch(text.strip())
    if not match:
        raise BadVersion(f"{text!r} is no version")
    numbers = tuple(int(part) for part in match.groups()[:3])
    if match[4] is None:
        return numbers, FINAL
    words = tuple((0, int(word), "") if word.isdigit() else (1, 0, word) for word in match[4].split("."))
    return numbers, (0, words)
