"""`ratchet verify`: whether a commit matches the ledger, and its verdict follows from the recorded pairs.

Covered: the commit (place, parent, tree, subject, body, every trailer that can be computed), the test (order, level,
draw of tasks, seeds, trees of both sides), the verdict (recomputed pair by pair with the gate's own code), SQLite's
own checks and the hash of every body that is read.

Not covered: a forger who rewrites ledger, hash chain and commits consistently. `--replay` and `--fresh` detect that.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from agent.base.errors import RecordBroken, Refused
from agent.base.trust import trusted_hash
from agent.base.types import Candidate, Purpose, Split, Suite
from agent.kernel.decide.bets import Terms
from agent.kernel.decide.cheaper import Objective
from agent.kernel.decide.evidence import (
    NOT_MEASURED,
    REVERTS_TRAILER,
    commit_body,
    evidence_trailers,
    holdout_words,
    lineage,
    series_trailers,
    whole_subject,
)
from agent.kernel.decide.gate import Decision
from agent.kernel.decide.promotion import within
from agent.kernel.git.messages import CAMPAIGN_TRAILER, Commit
from agent.kernel.git.plumbing import IDENTITY
from agent.kernel.git.repository import Repository
from agent.kernel.loop.match import NONDETERMINISTIC, Opening, misdrawn, opened_with, retest, shares_of
from agent.kernel.record.ledger import CommitRow, Ledger, TestRow
from agent.kernel.record.store import ANCHOR_TRAILER
from agent.review.audit.verify_ledger import anchors, unlike, verify_ledger
from agent.review.audit.verify_series import series_faults, trees_fault
from agent.review.commits import whole_of
from agent.trials.evaluator import seed_of

SHOWN = 10
"""Mismatches of one kind that are named; further ones are only counted."""

SEALED = ("Ratchet-Models", "Ratchet-Kernel", "Ratchet-Cost")
"""Trailers that cannot be recomputed: the commit's hash in the ledger covers them."""

SOMETIMES = ("Ratchet-Flags", "Ratchet-Parts", "Ratchet-Approved-By", "Ratchet-Improver")
"""Trailers that only some commits have; the commit's hash covers them too."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Checked:
    """One thing that was checked; `ok` None is a note, not a fault."""

    what: str
    ok: bool | None
    said: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Evidence:
    """What a commit is compared with. `opening` and `seed` are campaign.yaml's; `suite` is as it is now."""

    ledger: Ledger
    repository: Repository
    opening: Opening
    seed: int
    suite: Suite


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """The ledger's row of one commit; `before` are the rows below it, oldest first.

    `series` has (commit, patch) of all commits, where the acceptance became several; `sha` is the last one.
    """

    sha: str
    parent: str
    candidate: Candidate
    test: int | None
    before: tuple[CommitRow, ...]
    series: tuple[tuple[str, int], ...] = ()

    @property
    def below(self) -> str:
        """The parent of the commit in git."""
        return self.series[-2][0] if self.series else self.parent

    @property
    def champion(self) -> int:
        """Who was champion when this commit was made."""
        return self.before[-1].candidate if self.before else 0


def verify(commit: Commit, evidence: Evidence) -> list[Checked]:
    """Check everything that can be checked, in order; a broken record fails a check and raises nothing.

    Of a commit that is one of a series, the whole series is checked, and the evidence of the whole.
    """
    checks: list[Checked] = []
    try:
        for check in LEDGER_CHECKS:
            checks += check(evidence.ledger)
        entry = find_entry(commit, evidence.ledger)
        checks += [_in_ledger(commit, entry), *_anchored(commit, evidence.ledger)]
        if entry is None:
            return checks
        checks += _series(entry, evidence)
        if commit.sha in {sha for sha, _ in entry.series[:-1]}:
            commit = evidence.repository.commit(entry.sha, "COMMIT")
        checks += _place(commit, entry, evidence)
        if (test := _test_of(entry, evidence.ledger)) is None:
            checks += _reverted(commit, entry, evidence)
            return checks
        checks += _tree(commit, entry, evidence)
        checks += _test(entry, test, evidence)
        decision, found = _verdict(entry, test, evidence)
        checks += [*found, *_pairs(entry, test, evidence)]
        checks += _words(commit, entry, decision, evidence)
    except RecordBroken as error:
        checks.append(_bad("ledger", str(error)))
    return checks


def intact(ledger: Ledger) -> Iterator[Checked]:
    """SQLite's own checks of the file."""
    damage = ledger.damage()
    yield _checked("ledger file", not damage, "; ".join(damage[:3]) or "whole, by SQLite's own checks")


def chained(ledger: Ledger) -> Iterator[Checked]:
    """Every row, compared with the hash chain."""
    broken = [f"{one.name} {one.said}" for one in verify_ledger(ledger)]
    yield _many("ledger chain", broken, f"{ledger.head()[0]} links, every row is as it was written")


LEDGER_CHECKS: tuple[Callable[[Ledger], Iterable[Checked]], ...] = (intact, chained)
"""Checks of the ledger as a whole, made before anything in it is believed."""


def find_entry(commit: Commit, ledger: Ledger) -> Entry | None:
    """The ledger's row of a commit: by its name, else by the candidate that it claims to be, else by its parent."""
    rows = ledger.commits()
    known = {one.id: one for one in ledger.candidates()}
    claimed = commit.trailers.get("Ratchet-Candidate") or str(whole_of(commit))
    tests: tuple[Callable[[CommitRow], bool], ...] = (
        lambda row: row.sha == commit.sha or commit.sha in {sha for sha, _ in ledger.series(row.sha)},
        lambda row: str(row.candidate) == claimed,
        lambda row: row.parent in commit.parents,
    )
    at = next((n for test in tests for n, row in enumerate(rows) if test(row)), None)
    if at is None or rows[at].candidate not in known:
        return None
    row = rows[at]
    return Entry(
        sha=row.sha,
        parent=row.parent,
        candidate=known[row.candidate],
        test=row.test,
        before=tuple(rows[:at]),
        series=tuple(ledger.series(row.sha)),
    )


def _anchored(commit: Commit, ledger: Ledger) -> Iterator[Checked]:
    """The link that the commit names; commits of older versions name none."""
    for anchor in anchors([commit]):
        said = f"link {anchor.n} of the chain is the one that the commit names"
        yield _many(ANCHOR_TRAILER, [f"{one.name} {one.said}" for one in unlike(ledger, anchor)], said)


def _in_ledger(commit: Commit, entry: Entry | None) -> Checked:
    if entry is None:
        return _bad("commit", f"{commit.sha[:12]} is not in the ledger, and nothing like it is")
    if entry.sha == commit.sha:
        return _good("commit", f"{commit.sha[:12]} is #{entry.candidate.id} in the ledger")
    if (patch := dict(entry.series).get(commit.sha)) is not None:
        whole = f"#{entry.candidate.id}, whose last commit is {entry.sha[:12]}"
        return _good("commit", f"{commit.sha[:12]} is the part #{patch} of {whole}; the evidence is for the whole")
    said = f"{commit.sha[:12]} is not in the ledger: its commit of #{entry.candidate.id} is {entry.sha[:12]}"
    return _bad("commit", f"{said}; what differs follows")


def _test_of(entry: Entry, ledger: Ledger) -> TestRow | None:
    return next((row for row in ledger.tests() if row.id == entry.test), None)


def _series(entry: Entry, evidence: Evidence) -> Iterator[Checked]:
    """Where an acceptance became several commits: all of them."""
    if not entry.series:
        return
    known = {one.id: one for one in evidence.ledger.candidates()}
    parts = entry.series, entry.candidate, entry.parent, known, evidence.repository
    wrong = [*series_faults(*parts)]
    yield _many("series", wrong, f"{len(entry.series)} commits, each with the message of its patch")
    if wrong:
        return
    fault = trees_fault(*parts)
    if fault is None:
        yield Checked(what="series' trees", ok=None, said="the patches' own trees are not here (a clone has none)")
    else:
        yield _checked("series' trees", not fault, fault or "the patches, put on one by one")


def _place(commit: Commit, entry: Entry, evidence: Evidence) -> Iterator[Checked]:
    repository = evidence.repository
    parents = ", ".join(parent[:12] for parent in commit.parents)
    yield _same("parent", parents, entry.below[:12])
    below = entry.before[-1].sha if entry.before else repository.base
    yield _same("parent in the ledger", entry.parent[:12], below[:12])
    on_branch = any(one.sha == commit.sha for one in repository.accepted())
    yield _checked("branch", on_branch, f"{'on' if on_branch else 'not on'} {repository.branch}")
    yield _same("committer", commit.email, IDENTITY[1])


def _tree(commit: Commit, entry: Entry, evidence: Evidence) -> Iterator[Checked]:
    repository, candidate = evidence.repository, entry.candidate
    yield _same("tree", commit.tree[:12], (candidate.tree or "none")[:12])
    if commit.parents:
        outside = repository.outside(commit.parents[0], commit.tree)
        said = f"`{outside[0]}` is changed" if outside else "nothing else is changed"
        yield _checked("mutable paths", not outside, said)
    saved = repository.candidate(candidate.id)
    if saved is None:
        yield Checked(what="archive", ok=None, said=f"#{candidate.id} has no ref here (a clone has none)")
    else:
        yield _same("archive", saved.tree[:12], (candidate.tree or "none")[:12])


# ------------------------------------------------------------------------------------ test and verdict


def _test(entry: Entry, test: TestRow, evidence: Evidence) -> Iterator[Checked]:
    numbers = [row.id for row in evidence.ledger.tests()]
    whole = numbers == [*range(1, len(numbers) + 1)]
    yield _checked("tests", whole, f"{len(numbers)} counted from 1" if whole else f"some are missing: {numbers[:30]}")
    yield _same("test's candidate", f"#{test.candidate}", f"#{entry.candidate.id}")
    yield _same("test's champion", f"#{test.champion}", f"#{entry.champion}")
    earlier = sum(row.test is not None for row in entry.before)
    yield _same("commits before the test", str(test.commits), str(earlier))
    recorded = opened_with(evidence.ledger, test.id)
    if recorded is None:
        yield Checked(what="gate's numbers", ok=None, said="not in this ledger; campaign.yaml's are used")
    elif _numbers(recorded, recorded) != _numbers(evidence.opening, recorded):
        yield Checked(what="gate's numbers", ok=None, said="campaign.yaml has others now; the test's own are used")


def _numbers(opening: Opening, test: Opening) -> tuple[object, ...]:
    """What campaign.yaml says of a test, on the terms that search chose for it, if it did."""
    bets, pairs = test.settings.bets, test.settings.max_pairs
    terms = Terms(pairs=pairs, bets=bets) if bets else None
    return within(opening.settings, terms), opening.runs, opening.aim


def _verdict(entry: Entry, test: TestRow, evidence: Evidence) -> tuple[Decision | None, list[Checked]]:
    """The verdict that follows from the pairs, and whether it is the recorded one."""
    decision = retest(test, evidence.ledger, evidence.opening).decide()
    if decision is None:
        return None, [_bad("verdict", f"the recorded pairs of test {test.id} decide nothing")]
    checks = [_same("verdict", str(test.verdict), str(decision.verdict))]
    wrong = [name for name, value in asdict(decision).items() if not _equal((test.decision or {}).get(name), value)]
    said = f"{', '.join(wrong)} do not follow from the pairs: {decision.sentence}" if wrong else decision.sentence
    checks.append(_checked("figures", not wrong, said))
    checks.append(_checked("accepted", decision.accepted, "by the gate" if decision.accepted else "it was not"))
    checks.append(_same("candidate's reason", entry.candidate.reason, decision.sentence, "the same"))
    return decision, checks


def _pairs(entry: Entry, test: TestRow, evidence: Evidence) -> Iterator[Checked]:
    """Both sides of every pair: the right trees, one seed, and the task that the draw demands."""
    ledger = evidence.ledger
    known = {one.id: one for one in ledger.candidates()}
    sides = (("champion", known[entry.champion].tree), ("candidate", entry.candidate.tree))
    wrong: list[str] = []
    for index, *trials in ledger.pair_trials(test.id):
        seed = seed_of(evidence.seed, "gate", test.id, index)
        for (side, tree), trial in zip(sides, trials, strict=True):
            if (trial.tree, trial.seed, trial.purpose) != (tree, seed, Purpose.GATE):
                wrong.append(f"pair {index}: the {side}'s trial {trial.id} is of another tree, seed or purpose")
    yield _many("trials", wrong, "each of the right tree and seed")
    recorded, now = ledger.recollect("suite"), evidence.suite
    if recorded != now.hash:
        said = f"{now.name} is {now.hash[:12]} now, not {str(recorded)[:12]}: the draw of tasks cannot be checked"
        yield Checked(what="suite", ok=None, said=said)
        return
    opening = opened_with(ledger, test.id) or evidence.opening
    sampled = set(ledger.recollect(NONDETERMINISTIC) or ()) - opening.shares.keys()
    declared = {task: share for task, share in shares_of(now.split(Split.GATE)).items() if task not in sampled}
    declared = declared if opening.aim.objective is Objective.SCORE else {}
    yield _same("deterministic tasks", _shares(opening.shares), _shares(declared))
    drawn = misdrawn(test, ledger, opening, now.split(Split.GATE), evidence.seed)
    yield _many("draw", drawn, "every pair is of the task that was drawn for it")


def _shares(shares: Mapping[str, float]) -> str:
    return ", ".join(f"{task} {share:.4f}" for task, share in sorted(shares.items())) or "none"


# ------------------------------------------------------------------------------------ words


def _words(commit: Commit, entry: Entry, decision: Decision | None, evidence: Evidence) -> Iterator[Checked]:
    ledger, candidate = evidence.ledger, entry.candidate
    known = {one.id: one for one in ledger.candidates()}
    earlier = lineage(known, {0, *(row.candidate for row in entry.before)}, candidate.id)[:-1]
    if not entry.series:  # of those, `_series` has compared the words
        whole = whole_subject([one.subject for one in (*earlier, candidate)])
        # An older Ratchet named a commit of several patches after the last one.
        yield _same("subject", commit.subject, whole if commit.subject == whole else candidate.subject)
        yield _same("body", commit.body, commit_body(candidate, earlier), "as in the ledger")
    if decision is None:
        return
    holdout = holdout_words([s for owner, _, s in ledger.indices(Purpose.HOLDOUT) if owner == candidate.id])
    said = commit.trailers.get("Ratchet-Holdout", "")
    due = evidence_trailers(
        evidence.repository.campaign,
        candidate,
        earlier,
        decision,
        said if said.startswith(NOT_MEASURED) and said != holdout else holdout,
    )
    if entry.series:
        count = len(entry.series)
        due |= series_trailers(entry.series[-1][1], count, count, candidate.id)
    yield from _trailers(commit.trailers, due, str(ledger.recollect("suite")))
    kernel = commit.trailers.get("Ratchet-Kernel", "")
    if kernel != trusted_hash():
        yield Checked(what="kernel", ok=None, said=f"{kernel[:12]} decided; this Ratchet is {trusted_hash()[:12]}")


def _trailers(trailers: Mapping[str, str], due: Mapping[str, str], suite: str) -> Iterator[Checked]:
    for key, value in due.items():
        yield _same(key, trailers.get(key, "missing"), value)
    yield _same("Ratchet-Suite", trailers.get("Ratchet-Suite", "missing").rpartition("@")[2], suite)
    for key in SEALED:
        yield _checked(key, key in trailers, f"{trailers.get(key, 'missing')[:60]} (covered by the commit's hash)")
    strange = sorted(trailers.keys() - due.keys() - {"Ratchet-Suite", ANCHOR_TRAILER, *SEALED, *SOMETIMES})
    if strange:
        yield _bad("trailers", f"not written by a campaign: {', '.join(strange[:SHOWN])}")


def _reverted(commit: Commit, entry: Entry, evidence: Evidence) -> Iterator[Checked]:
    """A person decides a revert: its tree must be the champion's without the patch, and nothing else."""
    reverts = evidence.ledger.reverts().get(entry.candidate.id)
    original = next((row for row in entry.before if row.candidate == reverts), None)
    if original is None:
        yield _bad("revert", f"#{entry.candidate.id} has neither a test nor a patch that it reverts")
        return
    yield _same(CAMPAIGN_TRAILER, commit.trailers.get(CAMPAIGN_TRAILER, "missing"), evidence.repository.campaign)
    yield _same(REVERTS_TRAILER, commit.trailers.get(REVERTS_TRAILER, "missing"), original.sha)
    yield _same("subject", commit.subject, entry.candidate.subject)
    yield from _tree(commit, entry, evidence)
    tree_of, repository = evidence.repository.tree_of, evidence.repository
    try:
        due = repository.merge(tree_of(original.sha), tree_of(entry.parent), tree_of(original.parent))
    except Refused as refusal:
        yield _bad("revert", str(refusal))
        return
    yield _same("tree without the patch", commit.tree[:12], due[:12])


# ------------------------------------------------------------------------------------ results


def _checked(what: str, ok: bool, said: str) -> Checked:
    return Checked(what=what, ok=ok, said=said)


def _good(what: str, said: str) -> Checked:
    return Checked(what=what, ok=True, said=said)


def _bad(what: str, said: str) -> Checked:
    return Checked(what=what, ok=False, said=said)


def _same(what: str, found: str, due: str, fine: str = "") -> Checked:
    if found == due:
        return _good(what, fine or found)
    return _bad(what, f"says {found!r}, the record says {due!r}")


def _many(what: str, wrong: Sequence[str], fine: str) -> Checked:
    more = f"; and {len(wrong) - SHOWN} more" if len(wrong) > SHOWN else ""
    return _checked(what, not wrong, "; ".join(wrong[:SHOWN]) + more if wrong else fine)


def _equal(recorded: Any, computed: Any) -> bool:
    if isinstance(recorded, float) and isinstance(computed, float):
        return math.isclose(recorded, computed, rel_tol=1e-9, abs_tol=1e-12)
    return bool(recorded == json.loads(json.dumps(computed)))
