"""The source files that the structure tests look at."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[2]
TRUSTED = [
    path
    for folder in ("agent", "sandbox")
    for path in sorted((ROOT / folder).rglob("*.py"))
    if ROOT / "agent" / "scaffold" not in path.parents
]
SCAFFOLD = sorted((ROOT / "agent" / "scaffold").rglob("*.py"))


def name(path: Path) -> str:
    """A path as it is written in the documentation."""
    return path.relative_to(ROOT).as_posix()
