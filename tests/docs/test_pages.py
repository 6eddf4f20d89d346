"""Pages that tell what a program does say the same as the program."""

from __future__ import annotations

import re
from pathlib import Path

from agent.kernel.loop.pages import drafts_table

ROOT = Path(__file__).parents[2]
SCAFFOLD = (ROOT / "docs" / "scaffold.md").read_text()


def section(title: str) -> str:
    return re.split(r"^##+ ", SCAFFOLD.partition(f"# {title}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]


def test_the_columns_of_proposals_under_way_are_described() -> None:
    columns = drafts_table([], 0.0).split()
    assert columns
    assert [name for name in columns if f"`{name}`" not in section("Proposals under way")] == []


def test_the_file_of_the_tools_is_among_what_improvers_get() -> None:
    assert "| `tools.json` |" in section("What an improver gets")
