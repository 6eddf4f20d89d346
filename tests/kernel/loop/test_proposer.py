"""What a box left becomes a patch, a message, and names of files that are ignored."""

from __future__ import annotations

import pytest

from agent.base.types import Candidate, Fate
from sandbox.fake import FakeRun
from tests.kernel.lab import SETTINGS, MakeLab

BETTER = b"SKILL = 80\n"
LEFT = {
    SETTINGS: BETTER,
    "PATCH.md": b"Raise SKILL\n",
    ".aider.log": b"said",
    ".claude/settings.json": b"{}",
    ".git/config": b"[core]\n",
    "agent/notes.md": b"beside\n",
    "node_modules/a/index.js": b"\xff\x00",
    "x\u202ey": b"hostile name",
    "z": b"",
}


async def proposed(make_lab: MakeLab, left: dict[str, bytes]) -> tuple[Candidate, str, str]:
    """The first candidate of an improver that leaves these files, its diff and its transcript."""

    def improve(scene: FakeRun) -> str:
        scene.workspace.update(left)
        return "said"

    lab = make_lab(improve, trials=60)
    await lab.run()
    with lab.ledger() as ledger:
        candidate = ledger.candidates()[1]
        return candidate, *ledger.candidate_texts(candidate.id)


async def test_files_outside_the_mutable_paths_are_ignored_and_named(make_lab: MakeLab) -> None:
    candidate, diff, transcript = await proposed(make_lab, LEFT)
    assert candidate.fate is not Fate.REFUSED
    assert candidate.subject == "Raise SKILL"
    assert diff.count("diff --git") == 1
    assert transcript.startswith("said")
    named = "`.aider.log`, `.claude/settings.json`, `agent/notes.md`, `node_modules/a/index.js`, `x\\u202ey`"
    assert f"[ignored outside the mutable paths: {named} and 1 more]" in transcript


async def test_a_refused_patch_keeps_its_message_and_its_diff(make_lab: MakeLab) -> None:
    left = {SETTINGS: b"SKILL = (\n", "PATCH.md": b"Raise SKILL\n\nBecause it is low.\n"}
    candidate, diff, _ = await proposed(make_lab, left)
    assert candidate.fate is Fate.REFUSED
    assert (candidate.subject, candidate.body) == ("Raise SKILL", "Because it is low.")
    assert "+SKILL = (" in diff.splitlines()


async def test_a_refused_patch_without_a_message_is_named_by_what_it_touches(make_lab: MakeLab) -> None:
    candidate, _, _ = await proposed(make_lab, {SETTINGS: b"SKILL = (\n"})
    assert candidate.subject == f"Change {SETTINGS}"


async def test_a_patch_of_ignored_files_alone_is_refused_and_says_so(make_lab: MakeLab) -> None:
    candidate, _, _ = await proposed(make_lab, {"src/agent.py": b"x = 1\n"})
    assert candidate.fate is Fate.REFUSED
    assert "changes nothing; ignored outside the mutable paths: `src/agent.py`" in candidate.reason


@pytest.mark.parametrize(
    ("places", "subject"),
    [
        (["agent/scaffold/deep/PATCH.md", "prompts/PATCH.md"], "From prompts/PATCH.md"),
        (["PATCH.md", "prompts/PATCH.md"], "From PATCH.md"),
        (["node_modules/PATCH.md", "agent/scaffold/deep/PATCH.md"], "From agent/scaffold/deep/PATCH.md"),
    ],
)
async def test_the_topmost_new_patch_message_is_read_and_none_is_part_of_the_patch(
    make_lab: MakeLab, places: list[str], subject: str
) -> None:
    left = {SETTINGS: BETTER, **{path: f"From {path}\n".encode() for path in places}}
    candidate, diff, _ = await proposed(make_lab, left)
    assert candidate.subject == subject
    assert diff.count("diff --git") == 1
