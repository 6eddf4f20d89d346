"""Trees are merged by lines, and Python in which lines conflict by its definitions."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from agent.base.errors import Refused
from agent.base.trust import DEFAULT_MUTABLE
from agent.base.types import Fate
from agent.kernel.git.repository import Repository
from agent.kernel.loop.merges import Merges
from tests.kernel.lab import SETTINGS, Lab, MakeLab, git
from tests.kernel.loop.test_attributing import idle
from tests.kernel.loop.test_campaign import _candidate

BASE = b"SKILL = 20\nTURNS = 1\nROUNDS = 1\n"
OURS, THEIRS = BASE.replace(b"SKILL = 20", b"SKILL = 80"), BASE.replace(b"TURNS = 1", b"TURNS = 5  # enough")
BOTH = OURS.replace(b"TURNS = 1", b"TURNS = 5  # enough")


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    lab = Lab(tmp_path / "lab", idle)
    (lab.repo / SETTINGS).write_bytes(BASE)
    git(lab.repo, "commit", "-qam", "three constants")
    return Repository.open(lab.repo, "night", DEFAULT_MUTABLE)


async def merged(repository: Repository, ours: Mapping[str, bytes], theirs: Mapping[str, bytes]) -> Mapping[str, bytes]:
    base = repository.tree_of(repository.base)
    before = repository.read(base)
    trees = [repository.write(base, {**before, **side}) for side in (ours, theirs)]
    return repository.read(await Merges(repository).merge(base, *trees))


async def test_neighbouring_definitions_merge_although_their_lines_conflict(repository: Repository) -> None:
    base = repository.tree_of(repository.base)
    trees = [repository.write(base, {**repository.read(base), SETTINGS: body}) for body in (OURS, THEIRS)]
    with pytest.raises(Refused, match="conflict"):
        repository.merge(base, *trees)
    found = await merged(
        repository,
        {SETTINGS: OURS, "prompts/solve.md": b"do it well\n"},
        {SETTINGS: THEIRS, "prompts/new.md": b"new\n"},
    )
    assert found == {SETTINGS: BOTH, "prompts/solve.md": b"do it well\n", "prompts/new.md": b"new\n"}


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ({SETTINGS: OURS}, {SETTINGS: BASE.replace(b"20", b"70")}),
        ({SETTINGS: OURS}, {"agent/scaffold/other.py": b"x = 1\n", SETTINGS: b"("}),
        ({SETTINGS: OURS, "prompts/solve.md": b"a\n"}, {SETTINGS: THEIRS, "prompts/solve.md": b"b\n"}),
        ({"agent/scaffold/new.py": b"x = 1\n"}, {"agent/scaffold/new.py": b"y = 1\n"}),
    ],
    ids=["one definition", "no Python", "a prompt besides", "both are new"],
)
async def test_the_rest_stays_a_conflict(
    repository: Repository, ours: Mapping[str, bytes], theirs: Mapping[str, bytes]
) -> None:
    with pytest.raises(Refused, match="conflict"):
        await merged(repository, ours, theirs)


async def test_patches_of_neighbouring_definitions_are_put_together_and_brought_onto_a_new_champion(
    make_lab: MakeLab,
) -> None:
    lab = make_lab(idle)
    (lab.repo / SETTINGS).write_bytes(BASE)
    git(lab.repo, "commit", "-qam", "three constants")
    async with lab.campaign() as campaign:
        await campaign.resume()
        first, second = [await _candidate(campaign, {SETTINGS: body}) for body in (OURS, THEIRS)]
        for one in (first, second):
            await campaign.admission.smoke(one)
        await campaign.merger.compose(frozenset({first.id, second.id}))
        both = campaign.state.candidates[3]
        assert campaign.parts.scaffolds[both.tree or ""][SETTINGS] == BOTH
        assert campaign.state.archive.patches(both.id) == {first.id, second.id}
        assert await campaign.merger.left_out(both, second.id) == first.tree
        campaign.state.crowned(first.id, "better")
        assert not await campaign.merger.conflicts(second)
        assert await campaign.merger.onto_champion(second) is None
        made = campaign.state.candidates[4]
        assert made.fate is Fate.REFUSED, "it is what was put together already"
        assert f"reads the same as candidate {both.id}" in made.reason
