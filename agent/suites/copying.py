"""COPY in the layers of a task: it takes the task's starting files, which its boxes have anyway."""

from __future__ import annotations

from collections.abc import Sequence

from agent.base.trust import inside
from agent.base.types import Files
from agent.config.copies import with_copies
from agent.config.layers import Layers


def layers_of(lines: Sequence[str], files: Files, field: str) -> Layers:
    """The layers of a task with starting files. Raises UserError, which names `field`."""

    def read(paths: Sequence[str]) -> Files:
        return {path: body for path, body in files.items() if inside(path, paths)}

    return with_copies(lines, files.keys(), read, field, "the task's starting files")
