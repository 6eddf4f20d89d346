"""After the gate accepted several patches at once: which of them carry it, and whether a smaller set passes as well.

`decide.attribution` has the rule and why the error guarantee holds. Every trial is written down before it counts, and
the smaller set is a candidate with a test of its own, so a killed run resumes where it was.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import asdict
from typing import Any

from agent.base.errors import BudgetSpent
from agent.base.types import Candidate, Fate, Purpose, Split, Trial
from agent.kernel.decide.attribution import Attribution, parts_words
from agent.kernel.decide.budget import Spent
from agent.kernel.decide.cheaper import CostDecision, Gain
from agent.kernel.decide.gate import Decision, Verdict
from agent.kernel.loop.match import Match, draw
from agent.kernel.loop.merging import Merger
from agent.kernel.loop.parts import PAIR_BOXES, Parts
from agent.kernel.record.attributed import key_of, parts_of
from agent.trials.evaluator import seed_of
from agent.trials.executor import Job

_GROUPS, _SIDES = 4096, 64
"""Groups of one test, and sides of one group, that the indices of trials have room for."""
AFFORDABLE = 0.3
"""The part of what is left of each limit (trials, time, tokens, money) that goes to an attribution at most."""
_MEASURING = 0.2
"""The same without the test of the smaller set."""


class Attributing:
    """`open_test` spends the next index on a candidate, `play` runs one pair, `conclude` writes a verdict down.

    `ended` tells that the campaign is about to end: then nothing more is begun, and the whole is committed.
    """

    def __init__(
        self,
        parts: Parts,
        merger: Merger,
        *,
        open_test: Callable[[Candidate], Match],
        meeting: Callable[[int], Match],
        play: Callable[[Match, int], Coroutine[object, object, None]],
        conclude: Callable[[Match, Decision, str], None],
        ended: Callable[[], bool],
    ) -> None:
        self._parts, self._state, self._merger = parts, parts.state, merger
        self._open_test, self._meeting, self._play, self._conclude = open_test, meeting, play, conclude
        self._ended = ended

    async def smaller(self, match: Match, decision: Decision) -> tuple[Match, Decision] | None:
        """The accepted test of a smaller set of an accepted candidate's patches, or None to commit it as it is.

        Raises:
            InfrastructureError: a trial is void; what is recorded stays, and the next call resumes there.
        """
        patches = self._patches(match)
        if not self._worth_while(match, decision, patches):
            return None
        found = None
        try:
            found = await self._found(match, patches)
        except* BudgetSpent:
            pass
        if found is not None:
            text = f"accepted, but #{found[0].candidate.id}, without its patches that add nothing, passed as well"
            self._state.settle(match.candidate.id, Fate.REJECTED, text)
            self._state.archive.retire(match.candidate.id)
        return found

    def words(self, match: Match) -> str:
        """What each patch of an accepted candidate, or of the whole that it is left of, is worth, if measured."""
        ledger = self._state.ledger
        found = (parts_of(ledger, row.id) for row in ledger.tests())
        known = next((one for one in found if one.get("test") == match.row.id), parts_of(ledger, match.row.id))
        return parts_words(known["parts"]) if known else ""

    # ---------------------------------------------------------------------------- steps

    async def _found(self, match: Match, patches: frozenset[int]) -> tuple[Match, Decision] | None:
        ledger = self._state.ledger
        known, begun = parts_of(ledger, match.row.id), self._begun(match)
        if not known:
            attribution = await self._measured(match, patches, begun)
            if attribution is None:
                return None
            known = {"parts": attribution.recorded(), "left_out": sorted(attribution.idle)}
            ledger.remember(key_of(match.row.id), known)
            ledger.note("parts", f"#{match.candidate.id} is made of {parts_words(known['parts'])}")
        test = await self._tested(match, known) if known["left_out"] else None
        return None if test is None else await self._proven(test, begun)

    async def _tested(self, match: Match, known: dict[str, Any]) -> Match | None:
        """The test of the smaller set, as far as it was played; None if there is none and none may be opened."""
        if "test" in known:
            return self._meeting(known["test"])
        candidate = await self._merger.without(match.candidate, frozenset(known["left_out"]))
        if candidate is None or candidate.fate is not Fate.OPEN:
            return None
        opened = self._opened(match, candidate)
        if opened is not None:
            remembered = {**known, "candidate": candidate.id, "test": opened.row.id}
            self._state.ledger.remember(key_of(match.row.id), remembered)
        return opened

    def _opened(self, match: Match, candidate: Candidate) -> Match | None:
        """A new test, or the one that a killed run had just opened; a set that met this champion before has none."""
        state = self._state
        sides = candidate.id, state.champion
        met = [row.id for row in state.ledger.tests() if (row.candidate, row.champion) == sides]
        if met:
            return self._meeting(met[-1]) if met[-1] > match.row.id else None
        if self._ended():
            return None
        state.archive.tried.add(sides)
        return self._open_test(candidate)

    async def _proven(self, match: Match, begun: Mapping[str, Any]) -> tuple[Match, Decision] | None:
        """Play a test to its end; itself if it accepts."""
        wave = 1 if match.apart else max(1, self._parts.config.boxes.parallel // PAIR_BOXES)
        while match.row.verdict is None and match.decision is None and self._goes_on(begun):
            async with asyncio.TaskGroup() as group:
                for _ in range(wave):
                    group.create_task(self._play(match, match.next_index()))
        decision = match.decision or match.close(
            Verdict.OUT_OF_BUDGET, "the campaign, or what may be used for this, ended before the smaller set's test"
        )
        if match.row.verdict is None:
            self._conclude(match, decision, decision.sentence)
        accepted = decision.accepted and match.row.verdict in {None, Verdict.ACCEPTED}
        if not accepted:
            self._state.settle(match.candidate.id, Fate.REJECTED, decision.sentence)
            self._state.archive.retire(match.candidate.id)
        return (match, decision) if accepted else None

    # ---------------------------------------------------------------------------- leave one out

    async def _measured(self, match: Match, patches: frozenset[int], begun: Mapping[str, Any]) -> Attribution | None:
        """Groups until every patch is settled, all are run, or a part of the budget is; None if the campaign ends."""
        trees = {patch: await self._merger.left_out(match.candidate, patch) for patch in sorted(patches)}
        apart = {patch: tree for patch, tree in trees.items() if tree is not None}
        stuck, margin = patches - apart.keys(), self._parts.config.gate_options.not_worse
        attribution, most = Attribution(apart, stuck, margin), self._parts.config.commit.attribute
        known = self._state.ledger.by_index(Purpose.PARTS, match.candidate.id)
        group = 0
        while attribution.open and group < most and self._share(begun) <= _MEASURING:
            if self._ended():
                return None
            wave = max(1, self._parts.config.boxes.parallel // (len(attribution.open) + 1))
            numbers = range(group, min(group + wave, most))
            sides = {0: match.candidate.tree or "", **{patch: apart[patch] for patch in attribution.open}}
            for scores in await self._groups(match, numbers, sides, known):
                attribution.add(scores.pop(0), scores)
            group = numbers.stop
        return attribution

    async def _groups(
        self, match: Match, numbers: range, sides: Mapping[int, str], known: Mapping[int, Trial]
    ) -> list[dict[int, float]]:
        """Scores by patch that is left out (0: none) of some groups; those in the ledger are not run again."""
        order = [0, *sorted(self._patches(match))]

        async def one(number: int, side: int) -> float:
            index = (match.row.id * _GROUPS + number) * _SIDES + order.index(side)
            trial = known.get(index) or await self._trial(match, number, sides[side], index)
            return trial.score

        async with asyncio.TaskGroup() as running:
            tasks = {(n, side): running.create_task(one(n, side)) for n in numbers for side in sides}
        return [{side: tasks[n, side].result() for side in sides} for n in numbers]

    async def _trial(self, match: Match, number: int, tree: str, index: int) -> Trial:
        seed = self._parts.config.seed
        task = draw(self._parts.suite.split(Split.GATE), seed_of(seed, "parts"), match.row.id, number)
        scope = f"parts:{match.row.id}:{number}"
        job = Job(
            tree=tree,
            task=task,
            purpose=Purpose.PARTS,
            seed=seed_of(seed, "parts", match.row.id, number),
            answer_scope=scope,
        )
        trial = await self._parts.evaluator.trial(job)
        self._state.measured(trial, match.candidate.id, index)
        return trial

    # ---------------------------------------------------------------------------- whether to

    def _begun(self, match: Match) -> dict[str, Any]:
        """What was used when this began, as the ledger keeps it for a run that resumes."""
        ledger, key = self._state.ledger, f"{key_of(match.row.id)}:begun"
        begun: dict[str, Any] | None = ledger.recollect(key)
        if begun is None:
            begun = {"spent": asdict(self._parts.budget.spent), "trials": self._state.trials}
            ledger.remember(key, begun)
        return begun

    def _goes_on(self, begun: Mapping[str, Any]) -> bool:
        return not self._ended() and self._share(begun) <= AFFORDABLE

    def _share(self, begun: Mapping[str, Any]) -> float:
        """The largest share of what was left of a limit that is used since."""
        limit, before = self._parts.config.budget.trials, begun["trials"]
        trials = 0.0 if limit is None else (self._state.trials - before) / max(1, limit - before)
        return max(trials, self._parts.budget.share_since(Spent(**begun["spent"])))

    def _patches(self, match: Match) -> frozenset[int]:
        """The patches that a candidate adds to the champion; none where it is not the champion with more patches."""
        archive = self._state.archive
        whole, below = archive.patches(match.candidate.id), archive.patches(match.champion.id)
        return whole - below if below <= whole else frozenset()

    def _worth_while(self, match: Match, decision: Decision, patches: frozenset[int]) -> bool:
        """Whether there is anything to take apart, and trials left for it."""
        cheaper = isinstance(decision, CostDecision) and decision.gain is Gain.CHEAPER
        groups = self._parts.config.commit.attribute
        current = match.champion.id == self._state.champion and match.row.policy == "proven"
        if not groups or not current or cheaper or not 1 < len(patches) < _SIDES:
            return False
        limit = self._parts.config.budget.trials
        begun = self._state.ledger.by_index(Purpose.PARTS, match.candidate.id)
        return bool(begun) or limit is None or (len(patches) + 1) * groups <= _MEASURING * (limit - self._state.trials)
