"""How Python reads trees, found in this process: tests of pure code need no child."""

from __future__ import annotations

from agent.base.types import Files
from agent.kernel.decide.parsing import Readings, read


def readings_of(*trees: Files) -> Readings:
    return {body: read(body) for files in trees for path, body in files.items() if path.endswith(".py")}
