"""Pages that tell what a program does say the same as the program."""

from __future__ import annotations

import re
from pathlib import Path

from agent.kernel.loop.pages import drafts_table

ROOT = Path(__file__).parents[2]
SCAFFOLD = (ROOT / "docs" / "scaffold.md").read_text()
EXIT_CODES = (ROOT / "docs" / "reference" / "exit-codes.md").read_text()


def section(title: str) -> str:
    return re.split(r"^##+ ", SCAFFOLD.partition(f"# {title}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]


def test_the_columns_of_proposals_under_way_are_described() -> None:
    columns = drafts_table([], 0.0).split()
    assert columns
    assert [name for name in columns if f"`{name}`" not in section("Proposals under way")] == []


def test_the_file_of_the_tools_is_among_what_improvers_get() -> None:
    assert "| `tools.json` |" in section("What an improver gets")


def test_the_readme_names_every_exit_code() -> None:
    codes = re.findall(r"^\| (\d+) \|", EXIT_CODES, re.MULTILINE)
    assert len(codes) == 6
    said = (ROOT / "README.md").read_text().partition("Exit codes: ")[2].partition("\n\n")[0]
    assert [code for code in codes if not re.search(rf"\b{code}\b", said)] == []


def test_the_page_of_exit_codes_says_of_infrastructure_errors_what_the_command_says() -> None:
    source = (ROOT / "agent" / "cli" / "app.py").read_text()
    [(first, second)] = re.findall(r"\\n(What was finished[^.]*)\. (Run the same [^.]*)\.", source)
    [row] = [line for line in EXIT_CODES.splitlines() if line.startswith("| 1 |")]
    assert first.lower() in row.lower()
    assert second.lower() in row.lower()
