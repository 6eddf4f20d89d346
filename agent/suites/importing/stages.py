"""Stages of a Dockerfile: which lines make the image, and which make others that it only copies from.

A stage that continues an earlier one is read as one list of lines, so a reader sees one stage at a time.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agent.suites.importing.draft import Unsupported

Step = dict[str, Any]
"""One instruction as `dockerfile_parse` gives it: `instruction`, `value`, `content`, `startline`."""

PLATFORM = "--platform=linux/amd64"
UV = re.compile(r"ghcr\.io/astral-sh/uv(?::(?:latest|(?P<version>\d+(?:\.\d+)*)[\w.-]*))?(?:@\S+)?")
"""uv's own image, with the version that its tag names."""

_ARGUMENT = re.compile(r"\$\{(\w+)(?::-([^}]*))?\}|\$(\w+)")
_FROM = re.compile(r"(?:^|\s)--from=(\S+)")
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_NOT_IN_A_NAME = re.compile(r"[^a-z0-9._-]+")


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage: its name, the image below it, and its instructions with those of the stage that it continues."""

    name: str
    base: str
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Dockerfile:
    """The instructions before the first FROM, and the stages in their order."""

    head: tuple[Step, ...]
    stages: tuple[Stage, ...]

    def named(self, name: str, before: int) -> Stage | None:
        """The stage that a name or a number stands for, of those before one; None for an image."""
        earlier = self.stages[:before]
        if name.isdigit() and int(name) < len(earlier):
            return earlier[int(name)]
        return next((stage for stage in reversed(earlier) if stage.name == name.lower()), None)


def split(steps: Sequence[Step], filled: Callable[[str], str]) -> Dockerfile:
    """The stages of a Dockerfile; `filled` puts in the arguments that stand before the first FROM."""
    starts = [at for at, step in enumerate(steps) if step["instruction"] == "FROM"]
    found = Dockerfile(tuple(steps[: starts[0]] if starts else steps), ())
    for number, (start, end) in enumerate(itertools.pairwise([*starts, len(steps)])):
        words = [word for word in steps[start]["value"].split() if word != PLATFORM]
        name = words[2].lower() if len(words) == len(("base", "AS", "name")) and words[1].upper() == "AS" else ""
        base, own = filled(words[0]) if words else "", tuple(steps[start + 1 : end])
        below = found.named(base, number) if not base.isdigit() else None
        whole = (*below.steps, *own) if below else (steps[start], *own)
        stage = Stage(_usable(name) or f"stage-{number}", below.base if below else base, whole)
        found = Dockerfile(found.head, (*found.stages, stage))
    return found


def _usable(name: str) -> str:
    return name if _NAME.fullmatch(name) else ""


def sources(stage: Stage) -> list[str]:
    """What the COPY lines of a stage take from, besides the build context."""
    copies = [step["value"] for step in stage.steps if step["instruction"] in {"COPY", "ADD"}]
    return list(dict.fromkeys(found[1] for value in copies if (found := _FROM.search(value))))


def needed(dockerfile: Dockerfile) -> list[Stage]:
    """The stages that the last one copies from, by other stages too; each after those that it needs itself."""
    order: list[Stage] = []

    def visit(stage: Stage) -> None:
        at = dockerfile.stages.index(stage)
        for name in sources(stage):
            below = dockerfile.named(name, at)
            if below is not None and below not in order and not UV.fullmatch(below.base):
                visit(below)
                order.append(below)

    visit(dockerfile.stages[-1])
    return order


def image_stage(image: str) -> str:
    """What a stage is called that is only an image to copy from."""
    return f"image-{_NOT_IN_A_NAME.sub('-', image.lower()).strip('-')}"[:64].rstrip("-._")


def merged(stages: Mapping[str, Any], more: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The stages of two Dockerfiles. Raises Unsupported for a name that means two."""
    if twice := next((name for name, lines in more.items() if stages.get(name, lines) != lines), None):
        raise Unsupported(f"{where}: a stage {twice} that is another one than in environment/Dockerfile")
    return {**stages, **more}


def arguments(steps: Sequence[Step]) -> dict[str, str]:
    """The arguments that are given before the first FROM, with their defaults."""
    found = {}
    for step in itertools.takewhile(lambda step: step["instruction"] != "FROM", steps):
        if step["instruction"] == "ARG":
            name, _, default = step["value"].partition("=")
            found[name.strip()] = default.strip().strip("\"'")
    return found


def filled(text: str, arguments: Mapping[str, str]) -> str:
    """A text with the arguments that are given before FROM."""

    def value(found: re.Match[str]) -> str:
        name, default = found[1] or found[3], found[2] or ""
        return arguments.get(name) or default or found[0]

    return _ARGUMENT.sub(value, text)
