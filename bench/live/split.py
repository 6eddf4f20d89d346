"""The starter suite with more search tasks: `python -m bench.live.split tasks/starter/suite.yaml OUT.yaml`.

Of 84 tasks 44 are for search, 22 for the gate and 18 held out, instead of 24, 36 and 24; the shares of easy, medium and
hard ones stay about the same. Which tasks move is drawn once, with a recorded seed.
"""

from __future__ import annotations

import random
import re
import sys
from pathlib import Path
from typing import Final

import yaml

SEED: Final = 7
MOVED: Final = (
    ("gate", "easy", 4), ("gate", "medium", 9), ("gate", "hard", 1), ("holdout", "easy", 2), ("holdout", "medium", 4),
)  # fmt: skip
"""Tasks of a split and a tag that become search tasks."""


def widened(text: str) -> str:
    """A suite's text with these tasks moved; everything else stays as it is."""
    rng, groups = random.Random(SEED), dict[tuple[str, str], list[str]]()
    for task in yaml.safe_load(text)["tasks"]:
        groups.setdefault((task["split"], task["tags"][0]), []).append(task["id"])
    for split, tag, count in MOVED:
        for name in rng.sample(groups[split, tag], count):
            text = re.sub(rf"(  - id: {name}\n    split: )\w+", r"\1search", text)
    return text.replace("name: starter", "name: starter-wide", 1)


if __name__ == "__main__":
    Path(sys.argv[2]).write_text(widened(Path(sys.argv[1]).read_text(encoding="utf-8")), encoding="utf-8")
