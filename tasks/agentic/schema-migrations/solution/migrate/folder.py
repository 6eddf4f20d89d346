import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

NAME = re.compile(r"([0-9]+)_(.+)\.(up|down)\.sql")


class MigrationError(Exception):
    """The message is for the user."""


@dataclass
class Migration:
    number: int
    written: str
    name: str
    up: Path | None = None
    down: Path | None = None

    @property
    def checksum(self):
        return hashlib.sha256(self.up.read_bytes()).hexdigest()


def migrations(folder):
    """By number. Raises MigrationError."""
    found = {}
    if not Path(folder).is_dir():
        raise MigrationError(f"{folder} is no folder")
    for path in sorted(Path(folder).iterdir()):
        match = NAME.fullmatch(path.name)
        if not match:
            continue
        number = int(match[1])
        one = found.setdefault(number, Migration(number, match[1], match[2]))
        if one.name != match[2] or getattr(one, match[3]) is not None:
            raise MigrationError(f"two migrations have the number {number}")
        if match[3] == "up":
            one.written = match[1]
        setattr(one, match[3], path)
    for one in found.values():
        if one.up is None:
            raise MigrationError(f"{one.down.name} has no up file")
    return [found[number] for number in sorted(found)]
