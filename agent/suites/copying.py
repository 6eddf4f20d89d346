"""COPY in the layers of a task: it takes the task's starting files, which its boxes have anyway, or a stage's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from agent.base.trust import inside
from agent.base.types import Files
from agent.config.copies import with_copies
from agent.config.layers import Layers, Stage, stage_base

NO_STAGES: Mapping[str, Sequence[str]] = {}


def layers_of(
    lines: Sequence[str], files: Files, field: str, stages: Mapping[str, Sequence[str]] = NO_STAGES
) -> Layers:
    """The layers of a task with starting files, and its stages as they are written.

    Raises:
        UserError: a COPY takes what is not there; names `field`.
    """

    def read(paths: Sequence[str]) -> Files:
        return {path: body for path, body in files.items() if inside(path, paths)}

    def made(lines: Sequence[str]) -> Layers:
        return with_copies(lines, files.keys(), read, field, "the task's starting files", ready)

    ready: dict[str, Stage] = {}
    for name, (first, *rest) in stages.items():
        ready[name] = Stage(base=stage_base(first) or "", layers=made(rest))
    return made(lines)
