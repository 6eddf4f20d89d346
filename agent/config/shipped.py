"""The data that is installed with Ratchet: suites by name, recipes, and the shipped scaffold."""

from __future__ import annotations

from pathlib import Path

INSTALLED = Path(__file__).parents[2]
"""The folder that holds `agent`, `tasks`, `prompts` and `recipes`, in a checkout and in an installed package."""


def suite_path(suite: Path, folder: Path = Path()) -> Path:
    """Where a suite is: a path relative to `folder`, or the name of a suite that Ratchet ships.

    What exists at the path comes first, so a name means a shipped suite only where nothing else has that name.
    """
    near = folder / suite
    shipped = INSTALLED / "tasks" / suite
    return shipped if len(suite.parts) == 1 and not near.exists() and (shipped / "suite.yaml").is_file() else near


def suite_names() -> list[str]:
    """The suites that Ratchet ships."""
    return sorted(path.parent.name for path in (INSTALLED / "tasks").glob("*/suite.yaml"))
