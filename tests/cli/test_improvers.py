"""`ratchet eval --improver` as its user sees it: real boxes, and two scaffolds of which one improves."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from agent.base.errors import UserError
from agent.base.types import Candidate, Fate, Split, Task
from agent.base.usage import Usage
from agent.cli.app import app
from agent.cli.improving import Experiment
from agent.cli.keeping import Tree
from agent.kernel.loop.improving import Made
from tests.cli.home import write_home
from tests.kernel.lab import git

A_TASK = Task(id="t", split=Split.HOLDOUT, instruction="", files={}, submit=(), tests={}, check=("true",))
BOT = """\
import os, sys
from pathlib import Path
ANSWER, CLEVER = "no", False
if not Path("/task/context").exists():
    Path("answer.txt").write_text(ANSWER)
elif CLEVER:
    Path("bot/main.py").write_text(Path("bot/main.py").read_text().replace('"no"', '"yes"'))
    Path("PATCH.md").write_text("Say yes, by seed " + os.environ["RATCHET_SEED"])
"""


def a_task(name: str, split: str) -> dict[str, object]:
    return {
        "id": name, "split": split, "instruction": f"say yes to {name}", "files": {"answer.txt": "?"},
        "submit": ["answer.txt"], "tests": {"hidden.txt": "yes"}, "check": ["cmp", "answer.txt", "hidden.txt"],
        "reward": "exit", "solution": {"answer.txt": "yes"},
    }  # fmt: skip


@pytest.fixture
def home(tmp_path: Path) -> Path:
    tasks = [a_task(f"{split}-{n}", split) for split in ("search", "gate", "holdout") for n in range(2)]
    write_home(tmp_path, bot=BOT, script=json.dumps({"rules": [{"reply": "x"}]}), tasks=tasks)
    (tmp_path / "bot" / "main.py").write_text(BOT.replace('"no", False', '"no", True'))
    git(tmp_path, "commit", "-qam", "Be clever")
    git(tmp_path, "branch", "clever")
    git(tmp_path, "reset", "-q", "--hard", "HEAD^")
    return tmp_path


@pytest.mark.docker
def test_the_scaffold_that_improves_better_is_found(home: Path) -> None:
    asked = ["eval", "--improver", "clever", "--rev", "seed", "--proposals", "2", "--json"]
    process = subprocess.run(
        [sys.executable, "-m", "agent.cli", *asked],
        cwd=home, env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}, capture_output=True, text=True,
        timeout=300, check=False,
    )  # fmt: skip
    assert process.returncode == 0, process.stderr
    found = json.loads(process.stdout)
    assert [(side["gains"], side["admitted"]) for side in found["sides"]] == [([1.0, 1.0], 2), ([0.0, 0.0], 0)]
    assert found["difference"]["mean"] == 1.0
    assert found["sentence"].startswith("not settled"), "two equal gains a side prove nothing"
    assert "proposals" in process.stderr, "progress"
    folder = Path(found["folder"])
    rows = [json.loads(line) for line in (folder / "made.jsonl").read_text().splitlines()]
    assert sorted((row["side"], row["turn"]) for row in rows) == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert json.loads((folder / "improvers.json").read_text())["difference"]["mean"] == 1.0
    kept = len([*(folder / "transcripts").iterdir()])
    assert kept == 2 * 2 * 2, "two candidates, each beside the parent, on two tasks"
    assert "ratchet/" not in git(home, "for-each-ref"), "no campaign was begun"


def test_a_campaign_that_another_program_improves_has_no_improvers_to_compare(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = json.loads((home / "campaign.yaml").read_text())
    (home / "campaign.yaml").write_text(json.dumps({**raw, "improve": {"command": ["./agent"]}}))
    monkeypatch.chdir(home)
    with pytest.raises(UserError, match="another program writes this campaign's patches"):
        app(["eval", "--improver", "seed"], standalone_mode=False)


@pytest.mark.parametrize(
    ("options", "refused"),
    [
        (["--proposals", "2"], "--proposals: only improvers make proposals"),
        (["--improver", "seed", "--keep"], "--keep: a comparison of improvers keeps no files"),
    ],
    ids=["--proposals", "--keep"],
)
def test_an_option_that_would_do_nothing_is_refused(options: list[str], refused: str) -> None:
    with pytest.raises(UserError, match=refused):
        app(["eval", *options], standalone_mode=False)


def made(side: int, turn: int, number: int, tree: str | None) -> Made:
    fate = Fate.OPEN if tree else Fate.REFUSED
    known = Candidate(id=number, parent=0, tree=tree, subject="s", body="", fate=fate, reason="", size=1)
    return Made(side=side, turn=turn, candidate=known, used=Usage())


def test_an_experiment_that_is_cut_short_counts_whole_turns_only() -> None:
    """A refused proposal is finished at once, so to count whatever is finished would choose by outcome."""
    tree, task = Tree(tree="t", label="t"), replace(A_TASK, id="one")
    experiment = Experiment(parent=tree, improvers=(tree, tree), tasks=[task], proposals=3, runs=1)
    experiment.made += [made(0, 0, 1, "a"), made(1, 0, 2, None), made(0, 1, 3, None), made(1, 1, 4, "b")]
    experiment.made += [made(0, 2, 5, None), made(1, 2, 6, None)]
    assert [side.gains for side in experiment.found.sides] == [(), ()]
    experiment.scores[1], experiment.parents[1] = {("one", 0): 1.0}, {("one", 0): 0.5}
    assert [side.gains for side in experiment.found.sides] == [(0.5,), (0.0,)]
    experiment.scores[4], experiment.parents[4] = {("one", 0): 0.0}, {("one", 0): 1.0}
    assert [side.gains for side in experiment.found.sides] == [(0.5, 0.0, 0.0), (0.0, -1.0, 0.0)]
