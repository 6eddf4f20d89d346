"""Proposals that are under way know what the others say of theirs."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from agent.kernel.decide.archive import Expand
from agent.kernel.loop.drafts import SUBJECT_CHARS, Drafts
from agent.kernel.loop.pages import drafts_table
from sandbox.fake import FakeRun
from tests.kernel.lab import MakeLab


def test_a_draft_is_known_to_the_others_while_it_is_under_way() -> None:
    drafts = Drafts()
    with drafts.opened(0, None) as first, drafts.opened(3, 2) as second:
        first.says("\n# Draw five answers\n\nwhy\n")
        assert [one.subject for one in second.others] == ["Draw five answers"]
        assert first.others == [second]
        apart = drafts.new(0)
        assert apart not in first.others
        table = drafts_table(second.others, first.begun + 120).splitlines()
        assert table == ["from\tminutes\tbrings_over\tsubject", "0\t2\t\tDraw five answers"]
    assert not apart.others


@given(st.text())
def test_whatever_a_box_says_is_one_short_printable_line(note: str) -> None:
    draft = Drafts().new(0)
    draft.says(note)
    assert len(draft.subject) <= SUBJECT_CHARS
    assert draft.subject.isprintable()


async def test_a_proposal_is_told_which_others_are_under_way(make_lab: MakeLab) -> None:
    seen: list[str] = []
    both = asyncio.Barrier(2)

    async def improve(scene: FakeRun) -> str:
        seen.append(scene.task.get("context/under-way.tsv", b"").decode())
        await both.wait()
        return "nothing"

    lab = make_lab(improve)
    async with lab.campaign() as campaign:
        await campaign.resume()
        for _ in range(2):
            campaign.state.archive.begin(Expand(0))
        await asyncio.gather(*(campaign.admission.propose(Expand(0)) for _ in range(2)))
    alone, beside = sorted(seen)
    assert not alone
    assert beside.startswith("from\tminutes\tbrings_over\tsubject\n0\t0\t")
