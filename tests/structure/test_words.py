"""Words that the project has retired, in trusted code and in the documentation: each has a plain replacement."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from tests.structure.trees import ROOT, TRUSTED, name

RETIRED = {
    r"mend(s|ed|ing)?": "fix",
    r"laborator(y|ies)": "infrastructure",
    r"(bears?|bearing|bore) (it|the claim|this) out|not bear (it|the claim) out": "confirm",
    r"made again|makes? (it|them) again": "retry",
    r"go(es)? on|went on|going on": "resume, continue",
    r"turn(s|ed|ing)? (\S+ ){0,3}down": "reject",
    r"levers?": "actions",
    r"memos?": "shared answers",
    r"sureness": "min_z",
    r"behind (the|its|her|his) (\w+'s )?back": "derived from",
    r"draws? lots": "is random",
    r"whoever": "the one that",
    r"anew": "again, fresh",
    r"lest": "so that ... not",
    r"stands? in for": "replaces",
    r"(was|were) born": "at first",
    r"comes? to nothing": "fails",
    r"(?<!there )is no (?!longer|more|better)\w+": "is not a",
}
"""Pattern of a whole word or phrase -> what to write."""

ALLOWED = {
    ("CHANGELOG.md", "sureness"),  # names the key's old name
    ("CHANGELOG.md", "memo"),  # likewise, a column
    ("agent/config/explaining.py", "sureness"),  # the error that names the new one
    ("agent/kernel/record/schema.py", "memo"),  # ledgers of older versions
    ("agent/review/report/reasons.py", "turned down"),  # likewise
    ("docs/ledger.md", "memo"),  # names what was renamed
    ("tests/review/report/test_facts.py", "turned down"),  # a reason in ledgers of older versions
}
"""(file, text): where a retired word has to stay."""

PATTERN = re.compile("|".join(rf"(?P<w{n}>\b(?:{words})\b)" for n, words in enumerate(RETIRED)), re.IGNORECASE)
TEMPLATES = [path for kind in ("html", "js", "css") for path in sorted((ROOT / "agent").rglob(f"*.{kind}"))]
PROSE = [
    *sorted(ROOT.glob("*.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "bench").rglob("*.md")),
    *sorted((ROOT / "recipes").rglob("*.md")),
    *sorted((ROOT / "tasks" / "agentic").rglob("*.md")),
    ROOT / "agent" / "cli" / "SKILL.md",
    *[path for path in TEMPLATES if ".min." not in path.name],
    *(
        ROOT / file
        for file in ("Makefile", ".ci/run", "pyproject.toml", "demo.yaml", "runs/README.md", "requirements/README.md")
    ),
]


def retired(path: Path) -> Iterator[str]:
    """What to change in a file, a line each."""
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        for found in PATTERN.finditer(line):
            instead = [*RETIRED.values()][int(found.lastgroup[1:])]
            if (name(path), found[0].lower()) not in ALLOWED:
                yield f"{name(path)}:{number}: `{found[0]}`. Write: {instead}"


def test_no_retired_word_is_left() -> None:
    assert [line for path in (*TRUSTED, *PROSE) for line in retired(path)] == []


def test_no_retired_word_is_left_in_tests_bench_prompts_and_examples() -> None:
    folders = ("tests", "bench", "docs/site", "prompts", "examples", "recipes", "agent/scaffold")
    kinds = {".py", ".md", ".yaml", ".sh"}
    files = [path for folder in folders for path in sorted((ROOT / folder).rglob("*")) if path.suffix in kinds]
    here = Path(__file__)
    assert [line for path in files if path != here and "data" not in path.parts for line in retired(path)] == []


def test_the_patterns_find_what_they_should() -> None:
    text = "The laboratory mends it anew; whoever turned the patch down goes on. It is no request. There is no fault."
    found = [one[0] for one in PATTERN.finditer(text)]
    assert found == ["laboratory", "mends", "anew", "whoever", "turned the patch down", "goes on", "is no request"]


PAGES = [
    *sorted(ROOT.glob("*.md")),
    *(path for folder in ("docs", "bench", "examples") for path in sorted((ROOT / folder).rglob("*.md"))),
    ROOT / "runs" / "README.md",
]
COLUMNS = 100


def too_long(path: Path) -> Iterator[str]:
    """Lines of prose that are longer than they may be."""
    code = False
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        code ^= line.lstrip().startswith("```")
        prose = not code and not line.lstrip().startswith(("|", "```"))
        if prose and len(line) > COLUMNS:
            yield f"{name(path)}:{number} has {len(line)} characters"


def test_prose_wraps_at_100_columns() -> None:
    assert [fault for path in PAGES for fault in too_long(path)] == []
