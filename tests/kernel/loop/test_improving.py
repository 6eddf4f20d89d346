"""Two scaffolds as improvers: the same brief, the same seeds, and nothing of a campaign is touched."""

from __future__ import annotations

import json

from agent.base.types import Fate
from agent.kernel.loop.improving import Improving
from sandbox.fake import FakeRun
from tests.kernel.lab import SETTINGS, MakeLab, git, skill_of


async def test_both_get_the_same_brief_and_what_they_make_is_kept_in_the_record_alone(make_lab: MakeLab) -> None:
    seen: list[tuple[int, str, bytes]] = []

    def improve(scene: FakeRun) -> str:
        """A scaffold of more skill makes the better patch; one of none makes nothing."""
        skill = skill_of(scene)
        seen.append((skill, scene.env["RATCHET_SEED"], scene.task["context/brief.json"]))
        assert scene.workspace[SETTINGS] == b"SKILL = 20\n", "both build on the parent"
        if skill == 20:
            return "no idea"
        scene.workspace[SETTINGS] = b"SKILL = 90\n"
        scene.workspace["PATCH.md"] = b"Know more\n"
        return "done"

    lab = make_lab(improve)
    (lab.repo / SETTINGS).write_text("SKILL = 70\n")
    git(lab.repo, "commit", "-qam", "a better improver")
    better = git(lab.repo, "rev-parse", "HEAD^{tree}")
    git(lab.repo, "reset", "-q", "--hard", "HEAD^")
    async with lab.campaign() as campaign:
        await campaign.resume()
        improving, done = Improving(campaign.parts), []
        await improving.prepare(lambda: done.append(1))
        assert len(done) == 6
        before = campaign.state.candidates[0].tree or ""
        made = [
            await improving.propose(side, tree, turn) for turn in range(2) for side, tree in enumerate((better, before))
        ]
    assert [one.side for one in made] == [0, 1, 0, 1]
    assert [one.candidate.fate for one in made] == [Fate.OPEN, Fate.REFUSED] * 2
    assert len({brief for _, _, brief in seen}) == 1
    assert [seed for _, seed, _ in seen] == [seen[0][1]] * 2 + [seen[2][1]] * 2
    assert seen[0][1] != seen[2][1]
    assert json.loads(seen[0][2])["attempts"] == []
    assert "candidates/" not in git(lab.repo, "for-each-ref"), "a campaign keeps its candidates there"
    with lab.ledger() as ledger:
        assert [one.subject for one in ledger.candidates()][1:] == ["Know more", "No patch"] * 2
        assert "SKILL = 90" in ledger.candidate_texts(1)[0]
