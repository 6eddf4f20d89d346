"""`ratchet revert`: reverts an accepted patch on the campaign's branch, with one commit made by plumbing."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from agent.base.errors import Refused, UserError
from agent.base.owner import login
from agent.base.types import Candidate, Fate
from agent.kernel.decide.boundary import SUBJECT_CHARS
from agent.kernel.decide.evidence import REVERTS_TRAILER
from agent.kernel.decide.gate import Verdict
from agent.kernel.git.messages import CAMPAIGN_TRAILER, format_message
from agent.kernel.git.repository import Repository
from agent.kernel.loop.match import Opening, retest
from agent.kernel.record.ledger import Ledger
from agent.kernel.record.store import ANCHOR_TRAILER


@dataclass(frozen=True, kw_only=True, slots=True)
class Reverted:
    """A finished revert: its commit, and the trees before and after it."""

    sha: str
    candidate: int
    trees: tuple[str, str]


def revert(target: Candidate, ledger: Ledger, repository: Repository, opening: Opening) -> Reverted:
    """Revert the patch of a candidate. The caller holds the campaign's lock, so that nothing runs.

    Raises:
        UserError: it was never accepted, nothing of it is left, later patches build on it, or a commit is pending.
        RecordBroken: somebody moved the branch, or it cannot be written.
    """
    rows, number = ledger.commits(), len(ledger.candidates())
    repository.reconcile([row.move for row in rows], number)
    _check(target, ledger)
    sha, parent = next(row.move for row in rows if row.candidate == target.id)
    tip = repository.champion()
    before = repository.tree_of(tip)
    tree = _without(repository, sha, parent, before)
    original = repository.commit(sha, "ID")
    subject = f'Revert "{original.subject}"'[:SUBJECT_CHARS]
    body = f"Takes back #{target.id} ({sha[:12]}). Decided by a person, not by the gate."
    candidate = Candidate(
        id=number, parent=rows[-1].candidate, tree=tree, subject=subject, body=body, fate=Fate.CHAMPION,
        reason=f"reverts #{target.id}, decided by a person", size=sum(map(len, repository.read(tree).values())),
    )  # fmt: skip
    trailers = {
        CAMPAIGN_TRAILER: repository.campaign,
        "Ratchet-Candidate": str(number),
        REVERTS_TRAILER: sha,
        ANCHOR_TRAILER: ledger.anchor(),
    }
    commit = repository.prepare(tree, format_message(subject, body, trailers), tip)
    _close_open_tests(ledger, opening)
    saved = repository.candidate(rows[-1].candidate)
    below = saved.commit if saved else repository.base
    text = format_message(subject, body, {CAMPAIGN_TRAILER: repository.campaign})
    repository.save_candidate(number, tree, below, text)
    diff = repository.diff(before, tree)
    ledger.add_revert(candidate, diff=diff, sha=commit, parent=tip, reverts=target.id)
    repository.advance(commit, tip, "patch reverted")
    ledger.note("revert", f"#{target.id} was reverted by #{number} ({commit[:10]}); decided by {login()}")
    return Reverted(sha=commit, candidate=number, trees=(before, tree))


def _check(target: Candidate, ledger: Ledger) -> None:
    committed = {row.candidate: row.test for row in ledger.commits()}
    if target.id not in committed:
        series = {patch: row.candidate for row in ledger.commits() for _, patch in ledger.series(row.sha)}
        if (whole := series.get(target.id)) is not None:
            problem = f"#{target.id} is a part of #{whole}, which is proven as a whole only"
            raise UserError("ID", problem, f"Run `ratchet revert {whole}`.")
        problem = f"#{target.id} was not accepted, so there is nothing on the branch to revert"
        raise UserError("ID", problem, "`ratchet log` lists accepted patches.")
    for row in ledger.tests():
        if row.verdict == Verdict.ACCEPTED and row.id not in committed.values():
            raise UserError(
                "ID", f"#{row.candidate} was accepted and waits for its commit", "Finish with `ratchet run`."
            )


def _without(repository: Repository, sha: str, parent: str, champion_tree: str) -> str:
    """The champion's tree without one commit."""
    try:
        tree = repository.merge(repository.tree_of(sha), champion_tree, repository.tree_of(parent))
    except Refused as refusal:
        fix = f"Revert the later ones first, or run `git revert {sha[:12]}` on a branch of yours."
        raise UserError("ID", f"later patches build on it ({refusal})", fix) from refusal
    if tree == champion_tree:
        raise UserError("ID", "the champion no longer has anything of that patch", "There is nothing to do.")
    return tree


def _close_open_tests(ledger: Ledger, opening: Opening) -> None:
    """A test against a former champion ends without a verdict on its candidate."""
    for row in ledger.tests():
        if row.verdict is None:
            test = retest(row, ledger, opening)
            decision = test.close(Verdict.VOID, "the champion was reverted during the test")
            ledger.close_test(row.id, decision.verdict, asdict(decision))
