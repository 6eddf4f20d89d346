"""What a campaign knows now, all of it derived from the ledger: who is champion, what was tried, what is open."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import lru_cache, partial
from heapq import nlargest
from itertools import islice
from operator import itemgetter
from typing import Any

from agent.base.types import Candidate, Fate, Files, Purpose, Trial
from agent.kernel.decide.archive import Archive, SearchSettings
from agent.kernel.decide.cheaper import SCORE, Aim, Objective
from agent.kernel.decide.evidence import base_of, lineage
from agent.kernel.decide.gate import Verdict
from agent.kernel.decide.thrift import search_cost
from agent.kernel.loop.approval import Approvals
from agent.kernel.record.attributed import parts_of
from agent.kernel.record.brought import brought_of
from agent.kernel.record.ledger import Ledger, Tally, TestRow
from agent.models.dialects.transcript import with_output

SHOWN_ATTEMPTS = 40
SHOWN_FAILURES = 8
SHOWN_DIFF = 4000
UNMERGED = "could not be brought onto champion"
"""How the reason of a candidate begins whose patch conflicts with the champion."""

TEXTS_KEPT = 128
"""Candidates whose texts are held in memory."""

TREES_KEPT = 64
"""Scaffolds held in memory: those in flight, and the champion's; others are read again from git."""


def patches_key(candidate: int) -> str:
    """The name under which the ledger remembers the patches of a candidate that was put together of others."""
    return f"patches:{candidate}"


class Measured:
    """The search trials of one candidate in sum, and which of its indices they took."""

    __slots__ = ("_above", "_next", "total", "trials")

    def __init__(self) -> None:
        self.trials, self.total = 0, 0.0
        # Indices are handed out from the lowest, so that all but a few that are in flight lie below `_next`.
        self._next, self._above = 0, set[int]()

    @classmethod
    def of(cls, tally: Tally, indices: Callable[[], Iterable[int]]) -> Measured:
        """As the ledger knows it; `indices` is only asked if there is a hole in them."""
        known = cls()
        known.trials, known.total, known._next = tally.trials, tally.total, tally.top + 1
        if tally.trials != tally.top + 1:
            known._next = 0
            for index in indices():
                known._take(index)
        return known

    def add(self, index: int, score: float) -> None:
        """Count one finished trial."""
        self.trials, self.total = self.trials + 1, self.total + score
        self._take(index)

    def _take(self, index: int) -> None:
        self._above.add(index)
        while self._next in self._above:
            self._above.remove(self._next)
            self._next += 1

    def free(self, taken: Container[int]) -> int:
        """The first index that is neither finished nor `taken`."""
        index = self._next
        while index in self._above or index in taken:
            index += 1
        return index


class State:
    """The campaign in memory. It is rebuilt from the ledger, and every change of it writes the ledger first."""

    def __init__(self, ledger: Ledger, settings: SearchSettings, aim: Aim = SCORE) -> None:
        self.ledger, self._aim = ledger, aim
        self.archive = Archive(settings)
        self.approvals = Approvals(ledger)
        self.candidates: dict[int, Candidate] = {c.id: c for c in ledger.candidates()}
        commits = ledger.commits()
        self.champions: list[int] = [0, *(row.candidate for row in commits)]
        self.accepted = sum(row.test is not None for row in commits)
        """Commits that the gate decided on. A revert is not a discovery, so it earns no further error."""
        self.trials = ledger.count_trials()
        self.gate_trials = ledger.count_trials(Purpose.GATE)
        self._search, self._shown = (self._measured(purpose) for purpose in (Purpose.SEARCH, Purpose.SHOWN))
        self.texts = lru_cache(maxsize=TEXTS_KEPT)(ledger.candidate_texts)
        """Candidate -> its diff and its proposer's transcript. Neither ever changes, and each proposal shows many."""

    def _measured(self, purpose: Purpose) -> dict[int, Measured]:
        measured = {candidate: Measured() for candidate in self.candidates}
        for tally in self.ledger.tallies(purpose):
            indices = partial(self.ledger.scores, purpose, tally.candidate)
            measured[tally.candidate] = Measured.of(tally, indices)
        return measured

    @property
    def champion(self) -> int:
        """The id of the candidate at the tip of the campaign's branch."""
        return self.champions[-1]

    @property
    def search_trials(self) -> int:
        """Search trials of all candidates, those on shown tasks included."""
        return sum(known.trials for all_of in (self._search, self._shown) for known in all_of.values())

    def restore(self) -> list[Candidate]:
        """Fill the archive; returns the admitted candidates that have not had their smoke trial yet."""
        waiting, champions = [], set(self.champions)
        for candidate in self.candidates.values():
            if (source := brought_of(self.ledger, candidate.id)) is not None:
                self.archive.bringing.brought[source, candidate.parent or 0] = candidate.id
            if candidate.parent is not None and candidate.fate is Fate.REFUSED:
                self.archive.fail(candidate.parent)
            elif self._search[candidate.id].trials or candidate.id in champions:
                self.enter(candidate)
            else:
                waiting.append(candidate)
        for row in self.ledger.tests():
            self.archive.tried.add((row.candidate, row.champion))
        for entry in self.approvals:
            if entry.outcome == "rejected":
                self.archive.retire(entry.candidate)
        for reverted in self.ledger.reverts().values():
            self.archive.retire(reverted)
        self.archive.crown(self.champion)
        return waiting

    def enter(self, candidate: Candidate) -> None:
        """Take an admitted candidate, with the search trials that it had, into the archive."""
        held = self.ledger.recollect(patches_key(candidate.id))
        patches = None if held is None else frozenset(held)
        self.archive.add(candidate.id, candidate.parent, size=candidate.size, patches=patches)
        if self._search[candidate.id].trials:
            self.archive.record_all(candidate.id, self.ledger.scores(Purpose.SEARCH, candidate.id))
        if self._aim.objective is not Objective.SCORE:
            for index, trial in self.ledger.by_index(Purpose.SEARCH, candidate.id).items():
                self._cost(trial, candidate.id, index)

    def _cost(self, trial: Trial, candidate: int, index: int) -> None:
        """Note what a search trial cost."""
        cost = search_cost(trial.usage, self._aim.unit)
        self.archive.costs.setdefault(candidate, {})[index] = (trial.score, cost)

    def add(self, candidate: Candidate, *, fingerprint: str | None, diff: str, transcript: str) -> None:
        """Write down a new candidate, admitted or refused."""
        self.ledger.add_candidate(candidate, fingerprint=fingerprint, diff=diff, transcript=transcript)
        self.know(candidate)

    def know(self, candidate: Candidate) -> None:
        """Know a new candidate that is written down."""
        self.candidates[candidate.id] = candidate
        self._search[candidate.id], self._shown[candidate.id] = Measured(), Measured()

    def settle(self, candidate: int, fate: Fate, reason: str) -> None:
        """Write down where a candidate stands now."""
        self.ledger.set_fate(candidate, fate, reason)
        known = self.candidates[candidate]
        self.candidates[candidate] = replace(known, fate=fate, reason=reason)

    def crowned(self, candidate: int, reason: str) -> None:
        """Know a new champion; its commit is in ledger and git already."""
        self.settle(candidate, Fate.CHAMPION, reason)
        self.champions.append(candidate)
        self.accepted += 1
        self.archive.crown(candidate)

    def decided(self, candidate: int, fate: Fate, reason: str) -> None:
        """Write down what was decided about an accepted patch: it is champion now, or a person rejected it."""
        if fate is Fate.CHAMPION:
            self.crowned(candidate, reason)
        else:
            self.settle(candidate, fate, reason)
            self.archive.retire(candidate)

    def measured(self, trial: Trial, candidate: int, index: int) -> None:
        """Write down one finished trial that is not of the search line."""
        self.ledger.add_trial(trial, candidate=candidate, index=index)
        self.trials += 1

    def count_gate_pairs(self, pairs: int) -> None:
        """Count the two trials of each pair; the ledger has them already."""
        self.trials += 2 * pairs
        self.gate_trials += 2 * pairs

    def searched(self, trial: Trial, candidate: int, index: int) -> None:
        """Write down one finished search trial."""
        self.ledger.add_trial(trial, candidate=candidate, index=index)
        self._search[candidate].add(index, trial.score)
        self.trials += 1
        if candidate in self.archive:
            self.archive.record(candidate, trial.score, index)
            if self._aim.objective is not Objective.SCORE:
                self._cost(trial, candidate, index)

    def showed(self, trial: Trial, candidate: int, index: int) -> None:
        """Write down one finished trial on a task that improvers may see."""
        self.measured(trial, candidate, index)
        self._shown[candidate].add(index, trial.score)

    def shown(self, candidate: int) -> int:
        """Finished trials of a candidate on tasks that improvers may see."""
        return self._shown[candidate].trials

    def free_index(self, candidate: int, taken: set[int], purpose: Purpose = Purpose.SEARCH) -> int:
        """The first index of a candidate, of one purpose (search or shown), that is neither finished nor in flight."""
        known = self._shown if purpose is Purpose.SHOWN else self._search
        return known[candidate].free(taken)

    def base_of(self, candidate: int) -> int:
        """The champion (or seed) that a candidate descends from most closely, itself included."""
        return base_of(self.candidates, set(self.champions), candidate)

    def lineage(self, candidate: int) -> list[Candidate]:
        """The patches between the nearest champion and a candidate, oldest first."""
        return lineage(self.candidates, set(self.champions), candidate)

    def open_test(self) -> TestRow | None:
        """The test that was begun and has no verdict, or was accepted and is neither committed nor waiting."""
        committed = {row.test for row in self.ledger.commits()} | {entry.test for entry in self.approvals}
        for row in self.ledger.tests():
            if row.verdict is None:
                return row
            passed = {row.id, parts_of(self.ledger, row.id).get("test", row.id)}
            if row.verdict == Verdict.ACCEPTED and not passed & committed:
                return row
        return None

    def score(self, candidate: int) -> float | None:
        """Mean search score, the only score that an improver may see."""
        known = self._search.get(candidate)
        return known.total / known.trials if known is not None and known.trials else None

    def best(self, count: int) -> list[int]:
        """The candidates with the highest mean search scores, the earlier ones first where they are equal."""
        means = ((known.total / known.trials, one) for one, known in self._search.items() if known.trials)
        return [one for _, one in nlargest(count, means, key=itemgetter(0))]

    def brief(self, campaign: str, parent: int, left: Mapping[str, int | None]) -> dict[str, Any]:
        """What the improver is told: search scores, what is left, and what became of earlier attempts."""
        met = {row.candidate for row in self.ledger.tests()}
        recent = [one for one in islice(reversed(self.candidates.values()), SHOWN_ATTEMPTS) if one.id][::-1]
        return {
            "campaign": campaign,
            "scores": {"champion": self.score(self.champion), "parent": self.score(parent)},
            "trials": {"champion": self._search[self.champion].trials, "parent": self._search[parent].trials},
            **left,
            "attempts": [self._attempt(candidate, met) for candidate in recent],
        }

    def shown_reason(self, candidate: Candidate, *, met: bool) -> str:
        """Why a candidate was refused or could not be merged; `met`: it had a gate test, so nothing else is told.

        A gate verdict's figures stay inside: the improver learns that it lost, not where or by how much.
        """
        told = candidate.fate is Fate.REFUSED or (candidate.fate is Fate.REJECTED and not met)
        return candidate.reason if told or candidate.reason.startswith(UNMERGED) else ""

    def _attempt(self, candidate: Candidate, met: Container[int]) -> dict[str, Any]:
        diff, _ = self.texts(candidate.id)
        more = (
            f"\n[... {len(diff) - SHOWN_DIFF} characters left out: attempts/{candidate.id}.md has the whole diff ...]\n"
        )
        return {
            "id": candidate.id,
            "parent": candidate.parent,
            "subject": candidate.subject,
            "fate": candidate.fate,
            "reason": self.shown_reason(candidate, met=candidate.id in met),
            "score": self.score(candidate.id),
            "diff": diff[:SHOWN_DIFF] + (more if len(diff) > SHOWN_DIFF else ""),
        }

    def failures(self, candidate: int, purpose: Purpose = Purpose.SEARCH) -> list[Trial]:
        """The latest trials of one purpose that a candidate did not solve; transcripts hold the model calls too."""
        return [self.told(one) for one in self.ledger.failed(candidate, SHOWN_FAILURES, purpose)]

    def told(self, trial: Trial) -> Trial:
        """A trial whose transcript holds its model calls from the record besides what its agent printed."""
        calls, refusals = self.ledger.calls(trial.id), self.ledger.refusals(trial.id)
        return replace(trial, transcript=with_output(calls, refusals, trial.transcript))


class Scaffolds(Mapping[str, Files]):
    """git tree -> the files that a box sees of it; the last ones asked for are kept."""

    def __init__(self, read: Callable[[str], Files]) -> None:
        self._read, self._known = read, OrderedDict[str, Files]()

    def __getitem__(self, tree: str) -> Files:
        if tree not in self._known:
            self._known[tree] = self._read(tree)
        self._known.move_to_end(tree)
        while len(self._known) > TREES_KEPT:
            self._known.popitem(last=False)
        return self._known[tree]

    def __iter__(self) -> Iterator[str]:
        return iter(self._known)

    def __len__(self) -> int:
        return len(self._known)
