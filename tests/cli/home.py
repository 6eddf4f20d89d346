"""A folder with a campaign as its user has it: a bot, a suite and a scripted model, in a git repository."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.kernel.lab import git


def write_home(folder: Path, *, bot: str, script: str, tasks: Sequence[Mapping[str, object]]) -> None:
    """Write all of it, and commit it."""
    (folder / "bot").mkdir()
    (folder / "bot" / "main.py").write_text(bot)
    (folder / "script.yaml").write_text(script)
    (folder / "suite.yaml").write_text(json.dumps({"name": "s", "tasks": tasks}))  # JSON is YAML without aliases
    model = {"provider": "scripted", "script": "script.yaml"}
    config = {
        "name": "night", "suite": ".", "models": {"solver": model, "improver": model},
        "scaffold": {"mutable": ["bot"], "include": [], "command": ["python3", "/scaffold/bot/main.py"]},
        "boxes": {"parallel": 2, "starved": 1},
    }  # fmt: skip
    (folder / "campaign.yaml").write_text(json.dumps(config))
    git(folder, "init", "-q", "-b", "main")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "Start here")
