"""What passes between an importer and the writer: drafts of tasks, and refusals by the name of a feature."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

from agent.base.types import NO_FILES, Files

ID_LENGTH = 64
OWN_IMAGE = "own"
"""What `--image` is called when it means Ratchet's own image."""


class Unsupported(Exception):
    """A feature of one task that the native format cannot carry; the text names it, with file and line."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Draft:
    """One task as it will be written. `origin` says where it is in the source; `settings` go to task.yaml."""

    id: str
    origin: str
    instruction: str
    tests: Files
    settings: Mapping[str, Any]
    files: Files = field(default_factory=lambda: NO_FILES)
    solution: Files = field(default_factory=lambda: NO_FILES)
    meta: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    remarks: tuple[str, ...] = ()
    """Where the task means something else here than in its own format."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Refusal:
    """One task that was not taken, and the feature that is the reason."""

    id: str
    origin: str
    feature: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """What the user says beside the source.

    `image` replaces every image that tasks name; `check` is the command that grades tasks in a language
    for which none is known; `reward_key` is the key of the reward in a reward.json with several; `repos` holds clones
    of the repositories that tasks are about, or lie in; `dataset` is the one to take of a registry.
    """

    image: str | None = None
    check: str | None = None
    reward_key: str = "reward"
    repos: Path | None = None
    dataset: str | None = None


class Importer(Protocol):
    """One format."""

    @property
    def kind(self) -> str:
        """The word for it on the command line."""
        ...

    @property
    def about(self) -> str:
        """What it reads, in a few words."""
        ...

    def recognises(self, source: Path) -> bool:
        """Whether a source looks like this format; looks at names only."""
        ...

    def read(self, source: Path, options: Options) -> Iterator[Draft | Refusal]:
        """Every task of the source, one at a time. Raises UserError for broken input."""
        ...


def task_id(*parts: str) -> str:
    """A plain id out of the names in a source: lower case, one dash for whatever an id may not hold."""
    text = re.sub(r"[^a-z0-9._-]+", "-", "-".join(parts).lower()).strip("-._")
    return text[:ID_LENGTH].rstrip("-._") or "task"


def literal(path: str) -> str:
    """A glob that matches one path only."""
    return "".join(f"[{c}]" if c in "*?[" else c for c in path)


def with_image(settings: dict[str, Any], image: str | None, options: Options) -> dict[str, Any]:
    """Settings with the image that the task runs in; without one it is Ratchet's own."""
    chosen = options.image or image
    return settings if chosen in {None, OWN_IMAGE} else {**settings, "image": chosen}
