"""What a campaign knows now, all of it derived from the ledger: who is champion, what was tried, what is open."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import islice
from typing import Any

from agent.base.types import Candidate, Fate, Files, Purpose, Trial
from agent.kernel.decide.archive import Archive, SearchSettings
from agent.kernel.decide.cheaper import SCORE, Aim, Objective
from agent.kernel.decide.effects import Levels
from agent.kernel.decide.evidence import base_of, lineage
from agent.kernel.decide.gate import Verdict
from agent.kernel.decide.thrift import search_cost
from agent.kernel.loop.approval import Approvals
from agent.kernel.loop.measured import Standings
from agent.kernel.loop.seen import Seen
from agent.kernel.record.attributed import parts_of
from agent.kernel.record.brought import brought_of
from agent.kernel.record.ledger import Ledger, TestRow
from agent.models.dialects.transcript import with_output

SHOWN_FAILURES = 8
UNMERGED = "could not be brought onto champion"
"""How the reason of a candidate begins whose patch conflicts with the champion."""
HELD = "nothing to bring over"
"""How the refusal of a proposal begins that left the patch which it was to bring over as it is."""

TEXTS_KEPT = 128
"""Candidates whose texts are held in memory."""

TREES_KEPT = 64
"""Scaffolds held in memory: those in flight, and the champion's; others are read again from git."""


def patches_key(candidate: int) -> str:
    """The name under which the ledger remembers the patches of a candidate that was put together of others."""
    return f"patches:{candidate}"


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
        self._search, self._shown = (
            Standings(ledger, purpose, self.candidates) for purpose in (Purpose.SEARCH, Purpose.SHOWN)
        )
        self._levels = Levels()
        self._children: dict[int, list[int]] = {}
        for candidate in self.candidates.values():
            self._kin(candidate)
        self.seen = Seen(ledger)
        self.texts = lru_cache(maxsize=TEXTS_KEPT)(ledger.candidate_texts)
        """Candidate -> its diff and its proposer's transcript. Neither ever changes, and each proposal shows many."""

    @property
    def proven(self) -> int:
        """Commits that the gate proved, by which the error of later tests may grow; `gate: better` proves nothing."""
        policies = {row.id: row.policy for row in self.ledger.tests()}
        return sum(policies.get(row.test) == "proven" for row in self.ledger.commits() if row.test is not None)

    @property
    def champion(self) -> int:
        """The id of the candidate at the tip of the campaign's branch."""
        return self.champions[-1]

    @property
    def search_trials(self) -> int:
        """Search trials of all candidates, those on shown tasks included."""
        return self._search.trials + self._shown.trials

    def restore(self) -> list[Candidate]:
        """Fill the archive; returns the admitted candidates that have not had their smoke trial yet."""
        waiting, champions = [], set(self.champions)
        for candidate in self.candidates.values():
            if (source := brought_of(self.ledger, candidate.id)) is not None:
                self.archive.bringing.brought[source, candidate.parent or 0] = candidate.id
            if candidate.parent is not None and candidate.fate is Fate.REFUSED:
                self.failed(candidate)
            elif self._search[candidate.id].trials or candidate.id in champions:
                self.enter(candidate)
            else:
                waiting.append(candidate)
        for row in self.ledger.tests():
            if row.verdict != Verdict.OUT_OF_BUDGET:  # a larger budget may decide
                self.archive.tried.add((row.candidate, row.champion))
                self.archive.tested.add((row.candidate, row.champion))
        for entry in self.approvals:
            if entry.outcome == "rejected":
                self.archive.retire(entry.candidate)
        for reverted in self.ledger.reverts().values():
            self.archive.retire(reverted)
        self.archive.crown(self.champion)
        return waiting

    def failed(self, refused: Candidate) -> None:
        """Charge the parent of a refused candidate with it."""
        if not refused.reason.startswith(HELD):
            self.archive.fail(refused.parent or 0)

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
        self._kin(candidate)
        self._search.know(candidate.id)
        self._shown.know(candidate.id)

    def _kin(self, candidate: Candidate) -> None:
        if candidate.parent is not None:
            self._children.setdefault(candidate.parent, []).append(candidate.id)

    def children(self, candidate: int) -> Sequence[int]:
        """The proposals that were built on a candidate, admitted or not, oldest first."""
        return self._children.get(candidate, ())

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
        self._search.add(candidate, index, trial.score)
        self.seen.forget(candidate)
        self.trials += 1
        if candidate in self.archive:
            self.archive.record(candidate, trial.score, index)
            if self._aim.objective is not Objective.SCORE:
                self._cost(trial, candidate, index)

    def showed(self, trial: Trial, candidate: int, index: int) -> None:
        """Write down one finished trial on a task that improvers may see."""
        self.measured(trial, candidate, index)
        self._shown.add(candidate, index, trial.score)
        self.seen.forget(candidate)

    def shown(self, candidate: int) -> int:
        """Finished trials of a candidate on tasks that improvers may see."""
        return self._shown[candidate].trials

    def free_index(self, candidate: int, taken: set[int], purpose: Purpose = Purpose.SEARCH, wanted: int = 0) -> int:
        """An index of a candidate, of one purpose (search or shown), that is neither finished nor in flight.

        It is the one that is wanted, or else the first.
        """
        known = self._shown if purpose is Purpose.SHOWN else self._search
        return known[candidate].free(taken, wanted)

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
        """The search score, the only score that an improver may see; candidates are compared at the same indices."""
        archive, mean = self.archive, self._search.mean(candidate)
        if mean is None or candidate not in archive:
            return mean
        levels = self._levels.of(archive.observations.trials, len(archive))
        return float(levels[archive.row(candidate)])

    def counted(self, candidate: int) -> tuple[int, float | None]:
        """Trials of a candidate on the tasks that candidates are judged by, and their score."""
        mean = self.score(candidate)
        return (0, None) if mean is None else (self._search[candidate].trials, mean)

    def best(self, count: int) -> list[int]:
        """The candidates with the highest mean search scores, the earlier ones first where they are equal."""
        return self._search.best(count)

    def brief(self, campaign: str, parent: int, left: Mapping[str, int | None]) -> dict[str, Any]:
        """What the improver is told in short: search scores, and what is left."""
        return {
            "campaign": campaign,
            "scores": {"champion": self.score(self.champion), "parent": self.score(parent)},
            "trials": {"champion": self._search[self.champion].trials, "parent": self._search[parent].trials},
            **left,
        }

    def latest(self, count: int) -> list[Candidate]:
        """The last candidates that were proposed, oldest first."""
        recent = islice(reversed(self.candidates.values()), count)
        return [one for one in recent if one.id][::-1]

    def shown_reason(self, candidate: Candidate, *, met: bool) -> str:
        """Why a candidate was refused or could not be merged; `met`: it had a gate test, so nothing else is told.

        A gate verdict's figures stay inside: the improver learns that it lost, not where or by how much.
        """
        told = candidate.fate is Fate.REFUSED or (candidate.fate is Fate.REJECTED and not met)
        return candidate.reason if told or candidate.reason.startswith(UNMERGED) else ""

    def failures(self, candidate: int, purpose: Purpose = Purpose.SEARCH) -> list[Trial]:
        """Trials of one purpose that a candidate did not solve, at its highest indices, with their model calls."""
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
