from pathlib import Path


def migrations(folder):
    return sorted(Path(folder).glob("*.up.sql"))
