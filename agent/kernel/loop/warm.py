"""A campaign that begins with what an earlier one learned: its lessons, and its best candidates as patches of the seed.

Nothing that was measured or proven there counts here: a candidate that comes over starts without a trial. It is merged
onto the new seed and admitted like any patch; what conflicts or is refused stays behind, with an event that says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from agent.base.errors import Refused, UserError
from agent.base.types import Candidate, Fate, Purpose, Split, Suite
from agent.kernel.decide.lessons import merged
from agent.kernel.decide.statistics import wilson
from agent.kernel.git.repository import Repository
from agent.kernel.loop.admission import Admission
from agent.kernel.loop.lessons import lessons_of, take_lessons
from agent.kernel.loop.merges import Merges
from agent.kernel.loop.parts import Parts
from agent.kernel.loop.proposer import Proposal
from agent.kernel.record.ledger import Ledger

MOST = 8
"""Candidates that come over."""

_DONE = "warm start"


def check_warm_start(folder: Path, suite: Suite, repository: Repository) -> None:
    """Check, before money is spent, that a campaign can begin with what is in `folder`.

    Raises:
        UserError: there is no campaign, its candidates are not in this repository, or what it searched is gated here.
    """
    with _earlier(folder) as earlier:
        seen = {mark.task for mark in earlier.marks() if mark.purpose in (Purpose.SEARCH, Purpose.SHOWN)}
        known = {one.tree for one in repository.of(folder.name).candidates().values()}
        lost = [one.id for one in _best(earlier) if one.tree not in known]
    if hidden := sorted(task.id for task in suite.tasks if task.split is not Split.SEARCH and task.id in seen):
        problem = f"its improvers saw task `{hidden[0]}`, which is a {_split(suite, hidden[0])} task of this campaign"
        raise UserError("warm_start", problem, "Use the suite of that campaign, or start without it.")
    if lost:
        problem = f"candidate {lost[0]} of {folder.name} is not in {repository.root}"
        raise UserError("warm_start", problem, "Name a campaign of this repository whose refs are still there.")


async def warm_start(parts: Parts, admission: Admission) -> None:
    """Bring lessons and candidates over; what a killed run had brought already is known by its number."""
    folder, ledger = parts.config.warm_start, parts.state.ledger
    if folder is None:
        return
    done = list(ledger.recollect(_DONE) or [])
    with _earlier(folder) as earlier:
        if not done:
            take_lessons(ledger, "", merged("", "", lessons_of(earlier).encode()).encode())
        base = earlier.tree_of(0)
        for candidate in _best(earlier):
            if candidate.id not in done:
                await _bring(parts, admission, folder.name, base, candidate)
                done.append(candidate.id)
                ledger.remember(_DONE, done)


async def _bring(parts: Parts, admission: Admission, name: str, base: str, candidate: Candidate) -> None:
    """One candidate as a patch of the seed."""
    seed = parts.state.candidates[0]
    try:
        tree = await Merges(parts.repository).merge(base, seed.tree or "", candidate.tree or "")
        trees = admission.mutable(seed.tree or ""), admission.mutable(tree)
        change, readings = await parts.proposer.admitted(*trees)
    except Refused as refusal:
        parts.state.ledger.note("warm start", f"candidate {candidate.id} of {name} stays behind: {refusal}")
        return
    body = f"{candidate.body}\n\nFrom campaign {name}, candidate {candidate.id}.".strip()
    proposal = Proposal(
        change=change, readings=readings, subject=candidate.subject, body=body, refusal="", transcript=""
    )
    await admission.admit(proposal, seed)


def _best(earlier: Ledger) -> Sequence[Candidate]:
    """The champion, then those whose search score is best at the lower end of its interval, better than the seed's."""
    tallies = {row.candidate: row for row in earlier.tallies(Purpose.SEARCH)}
    low = {one: wilson(row.total / row.trials, row.trials)[0] for one, row in tallies.items()}
    champion, least = earlier.champion(), low.get(0, 0.0)
    known = {one.id: one for one in earlier.candidates() if one.tree is not None and one.fate is not Fate.REFUSED}
    ranked = sorted((one for one in known if low.get(one, 0.0) > least), key=lambda one: -low[one])
    return [known[one] for one in dict.fromkeys([champion, *ranked]) if one][:MOST]


def _earlier(folder: Path) -> Ledger:
    file = folder / "ledger.sqlite"
    if not file.exists():
        raise UserError("warm_start", f"no campaign in {folder}", "Name the folder of one, such as runs/NAME.")
    return Ledger(file, read_only=True)


def _split(suite: Suite, task: str) -> Split:
    return next(one.split for one in suite.tasks if one.id == task)
