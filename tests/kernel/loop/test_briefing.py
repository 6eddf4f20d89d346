"""What an improver gets of the campaign: files with an index, and a repository of the candidates."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
from pathlib import Path

import pytest

from agent.base.types import Fate, Files
from agent.kernel.loop.briefing import bounded
from sandbox.fake import FakeRun
from tests.kernel.lab import SETTINGS, Lab, MakeLab, skill_of


class Improver:
    """Raises the skill a little each time, and keeps what it was given."""

    def __init__(self, step: int = 25) -> None:
        self.scenes: list[tuple[Files, Files]] = []
        self.step = step

    def __call__(self, scene: FakeRun) -> str:
        self.scenes.append((dict(scene.task), dict(scene.workspace)))
        number = len(self.scenes)
        if number == 2:
            scene.workspace[SETTINGS] = b"SKILL = (\n"  # refused
            scene.workspace["PATCH.md"] = b"Break it\n"
            return "the improver's last words"
        skill = skill_of(scene) + self.step
        scene.workspace[SETTINGS] = b"SKILL = %d\n# %s\n" % (skill, b"long " * 1200)
        scene.workspace["PATCH.md"] = (
            f"Raise SKILL to {skill}\n\n```predictions\n+ search-0: higher\n+ nowhere: no\n```\n"
        ).encode()
        return "said"


Scenes = list[tuple[dict[str, str], Files]]


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Scenes:
    """(context, workspace) of each proposal of one campaign."""
    improve = Improver()
    lab = Lab(tmp_path_factory.mktemp("lab"), improve, trials=130)
    asyncio.run(lab.run())
    with lab.ledger() as ledger:
        assert {one.fate for one in ledger.candidates()} >= {Fate.REFUSED}
        assert ledger.tests()
    return [
        ({path.removeprefix("context/"): body.decode() for path, body in files.items()}, workspace)
        for files, workspace in improve.scenes
    ]


def rows(table: str) -> list[dict[str, str]]:
    head, *lines = (line.split("\t") for line in table.splitlines())
    return [dict(zip(head, line, strict=True)) for line in lines]


def test_the_context_tells_what_is_known_of_search_and_nothing_of_gate_and_holdout(scenes: Scenes) -> None:
    context, _ = scenes[-1]
    for name in ("README.md", "campaign.md", "candidates.tsv", "results.tsv", "scores.tsv", "trials.tsv"):
        assert context[name].strip(), name
    assert {"campaign.md", "trials.tsv", "attempts/"} <= indexed(context)
    everything = "\n".join(body for files, _ in scenes for body in files.values())
    assert "gate-" not in everything
    assert "holdout-" not in everything
    assert "e-value" not in everything
    assert context["tasks/search-0/instruction.md"] == "solve search-0 of search"
    assert context["tasks/search-0/files/solution.py"] == "todo"
    agent = ("python3 -P -m agent.scaffold`", "paths that a patch may change: agent/scaffold, prompts")
    for fact in (*agent, "scripted", "model calls: 64", "smallest gain worth finding, in score: 0.05", "at the most"):
        assert fact in context["campaign.md"]


def indexed(context: dict[str, str]) -> set[str]:
    """What the index names."""
    return set(re.findall(r"^\| `([^`]*)`", context["README.md"], re.MULTILINE))


def test_the_index_names_the_files_that_are_there_and_no_others(scenes: Scenes) -> None:
    first, last = scenes[0][0], scenes[-1][0]
    assert "attempts/" not in indexed(first)
    for context in (first, last):
        files = {path for path in context if path not in {"instruction.md", "README.md", "tools.json"}}
        files = {path for path in files if not path.startswith("bin/")}
        assert all(any(path.startswith(name) for name in indexed(context)) for path in files)
        assert all(any(path.startswith(name) for path in files) for name in indexed(context))


async def test_the_index_says_which_score_counts_and_the_table_holds_both(make_lab: MakeLab) -> None:
    improve = Improver()
    lab = make_lab(improve, trials=60, options={"search": {"shown": 0.5}})
    await lab.run()
    context = {path.removeprefix("context/"): body.decode() for path, body in improve.scenes[-1][0].items()}
    assert "by which candidates are judged" in context["README.md"]
    known = {row["id"]: row for row in rows(context["candidates.tsv"])}
    brief = json.loads(context["brief.json"])
    for one in brief["attempts"]:
        if one["score"] is not None:
            assert float(known[str(one["id"])]["counted_score"]) == pytest.approx(one["score"], abs=0.001)
    assert int(known["0"]["counted_trials"]) >= 10
    assert int(known["0"]["trials"]) >= 6


def test_where_every_task_is_shown_scores_are_compared_at_the_same_tasks(scenes: Scenes) -> None:
    context, _ = scenes[-1]
    assert "by which candidates are judged" not in context["README.md"]
    assert "as if all had been run at the same tasks" in context["README.md"]
    known = rows(context["candidates.tsv"])
    assert all(row["counted_trials"] == row["trials"] for row in known)
    assert all(0.0 <= float(row["counted_score"]) <= 1.0 for row in known if row["trials"] != "0")


def test_tables_hold_scores_with_intervals_and_costs(scenes: Scenes) -> None:
    context, _ = scenes[-1]
    known = {row["id"]: row for row in rows(context["candidates.tsv"])}
    seed = known["0"]
    assert float(seed["low"]) < float(seed["score"]) < float(seed["high"])
    assert int(seed["trials"]) >= 10
    assert known["2"]["fate"] == "refused"
    assert "not closed" in known["2"]["reason"] or "never closed" in known["2"]["reason"]
    results = rows(context["results.tsv"])
    assert sum(int(row["trials"]) for row in results if row["candidate"] == "0") == int(seed["trials"])
    assert {row["task"] for row in rows(context["scores.tsv"])} == {f"search-{n}" for n in range(10)}


def test_every_attempt_has_its_whole_diff_and_predictions_are_checked(scenes: Scenes) -> None:
    context, _ = scenes[-1]
    brief = json.loads(context["brief.json"])
    first = next(one for one in brief["attempts"] if one["id"] == 1)
    assert "attempts/1.md has the whole diff" in first["diff"]
    page = context["attempts/1.md"]
    assert page.count("long ") >= 1200
    assert "Predicted: + search-0: higher (" in page
    assert "nowhere: no (" not in page
    assert "+SKILL = (" in context["attempts/2.md"]
    assert "the improver's last words" in context["attempts/2.md"]
    assert "predict" in context["campaign.md"]


def test_transcripts_say_whose_they_are_and_why_they_were_chosen(scenes: Scenes) -> None:
    context, _ = scenes[-1]
    listed = rows(context["trials.tsv"])
    assert listed
    for row in listed:
        assert row["why"]
        assert f"Candidate #{row['candidate']};" in context[row["file"]]
        assert row["task"] in context[row["file"]]


def test_the_workspace_is_a_repository_with_the_candidates_as_branches(scenes: Scenes, tmp_path: Path) -> None:
    _, workspace = scenes[-1]
    box = tmp_path / "box"
    for path, body in workspace.items():
        (box / path).parent.mkdir(parents=True, exist_ok=True)
        (box / path).write_bytes(body)

    def git(*arguments: str) -> str:
        return subprocess.run(["git", *arguments], cwd=box, capture_output=True, text=True, check=True).stdout.strip()

    assert git("status", "--porcelain") == ""
    names = git("for-each-ref", "--format=%(refname:short)", "refs/heads").split()
    assert {"proposal", "champion", "candidate/0", "candidate/1"} <= set(names)
    assert "candidate/2" not in names  # refused
    assert "search trials" in git("log", "-1", "--format=%N", "candidate/1")
    assert "other.txt" not in git("log", "--all", "--name-only", "--format=")


async def test_a_proposal_builds_on_candidates_that_were_measured(make_lab: MakeLab) -> None:
    improve = Improver(step=1)
    lab = make_lab(improve, trials=60)
    async with lab.campaign() as campaign:
        archive = campaign.state.archive
        archive.settings = type(archive.settings)(task_count=10, min_trials=10, parent_trials=4)
        await campaign.run()
    for files, _ in improve.scenes:
        assert json.loads(files["context/brief.json"])["trials"]["parent"] >= 4


async def test_lessons_travel_from_proposal_to_proposal_beside_the_patch(make_lab: MakeLab) -> None:
    seen: list[bytes] = []

    def improve(scene: FakeRun) -> str:
        seen.append(scene.workspace.get("LESSONS.md", b""))
        scene.workspace["LESSONS.md"] = seen[-1] + b"lesson \x1b[31m%d\n" % len(seen)
        scene.workspace[SETTINGS] = b"SKILL = %d\n" % (20 + len(seen))
        return "said"

    lab = make_lab(improve, trials=50)
    await lab.run()
    assert seen[:3] == [b"", b"lesson 1\n", b"lesson 1\nlesson 2\n"]
    with lab.ledger() as ledger:
        assert "LESSONS" not in "".join(ledger.candidate_texts(one.id)[0] for one in ledger.candidates()[1:])
        assert "LESSONS" not in ledger.candidate_texts(1)[1]


def test_what_does_not_fit_is_left_out_from_the_end() -> None:
    assert list(bounded({"a": b"12", "b": b"34", "c": b""}, 3)) == ["a"]
