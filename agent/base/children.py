"""Python processes of our own: they find this package wherever they start, in a checkout and in an installed wheel."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

_HOUSE = Path(__file__).resolve().parents[2]


def python_module(name: str) -> tuple[str, ...]:
    """The command that runs a module of ours; a folder `agent` in the working directory does not hide it."""
    return (sys.executable, "-P", "-m", name)


def with_our_code(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment with the folder of this package first on Python's path."""
    paths = [str(_HOUSE), *filter(None, [environment.get("PYTHONPATH")])]
    return {**environment, "PYTHONPATH": os.pathsep.join(paths)}
