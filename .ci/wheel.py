"""Builds the wheel with one top-level name (hatchling calls this; see agent/cli/installed.py)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

NAME = "ratchet_rsi"
PACKAGES = ("agent", "sandbox", "tasks", "prompts", "recipes")
DOOR = {"agent/cli/installed.py": f"{NAME}/__init__.py"}


class OneName(BuildHookInterface[Any]):
    """Puts every package below the one name; an editable install gets the name alone, and a path to the checkout."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add the files of a wheel to `build_data`; `version` is `standard` or `editable`."""
        if version == "editable":
            build_data["force_include_editable"] = DOOR
            return
        house = {name: f"{NAME}/house/{name}" for name in (*PACKAGES, *self._pages())}
        build_data["force_include"] |= {**DOOR, **house, "agent/base/py.typed": f"{NAME}/py.typed"}

    def _pages(self) -> list[str]:
        """What `ratchet docs` shows."""
        return [str(page.relative_to(self.root)) for page in sorted(Path(self.root, "docs").rglob("*.md"))]
