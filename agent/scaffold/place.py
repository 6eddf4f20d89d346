"""Where this run takes place: the folders of the contract, and output for the transcript."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

OUTPUT_CHARS = 3000


@dataclass(frozen=True, kw_only=True)
class Place:
    """The task folder, the workspace and the seed of this run."""

    task: Path
    workspace: Path
    seed: int

    @classmethod
    def here(cls) -> Place:
        """Read the place from the environment."""
        return cls(
            task=Path(os.environ.get("RATCHET_TASK_DIR", "/task")),
            workspace=Path(os.environ.get("RATCHET_WORKSPACE", Path.cwd())),
            seed=int(os.environ.get("RATCHET_SEED", "0")),
        )

    @property
    def instruction(self) -> str:
        """What is asked."""
        return (self.task / "instruction.md").read_text(encoding="utf-8")

    @property
    def context(self) -> Path:
        """The folder that exists for self-improvement only."""
        return self.task / "context"

    @property
    def improving(self) -> bool:
        """Whether the task is to improve this program."""
        return (self.context / "brief.json").is_file()

    def files(self) -> dict[str, str]:
        """Every text file of the workspace by its relative path, in order; caches and other bytes left out."""
        found = {}
        for path in sorted(self.workspace.rglob("*")):
            name = path.relative_to(self.workspace)
            if hidden(name) or path.is_symlink() or not path.is_file():
                continue
            data = path.read_bytes()
            if b"\0" not in data:
                found[name.as_posix()] = data.decode("utf-8", errors="replace")
        return found

    def write(self, name: str, text: str) -> None:
        """Write one file of the workspace."""
        path = self.workspace / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def hidden(path: Path) -> bool:
    """Whether a relative path is in a folder of tools, or a cache."""
    return any(part.startswith(".") or part == "__pycache__" for part in path.parts)


def clip(text: str, limit: int = OUTPUT_CHARS) -> str:
    """Text of at most about `limit` characters: its head and its tail."""
    if len(text) <= limit:
        return text
    head = limit // 2
    tail = limit - head
    return f"{text[:head]}\n[... {len(text) - limit} characters left out ...]\n{text[-tail:]}"


def say(heading: str, text: str = "") -> None:
    """Print one section of the transcript, bounded."""
    sys.stdout.write(f"## {heading}\n\n" + (f"{clip(text.strip())}\n\n" if text.strip() else ""))
    sys.stdout.flush()
