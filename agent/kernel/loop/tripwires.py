"""Limits at which a campaign stops until a person has looked, and patches that wait for one.

A wire that was tripped stays so over restarts: `ratchet run` refuses to continue until somebody says that it may
(`--past-tripwire`). That is written down, and the same wire trips again only if the figure gets worse.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from agent.base.errors import UserError
from agent.base.types import Candidate, Purpose
from agent.kernel.loop.parts import Parts
from agent.kernel.record.ledger import Ledger

_TRIPPED, _PASSED = "tripwire", "tripwires passed"


class Tripwires:
    """One campaign's wires."""

    def __init__(self, parts: Parts) -> None:
        self._approve, self._config = parts.config.approve, parts.config.tripwires
        self._state, self._repository, self._budget = parts.state, parts.repository, parts.budget
        self._passed: Mapping[str, float] = parts.state.ledger.recollect(_PASSED) or {}

    def patch_waits(self, champion: Candidate, candidate: Candidate, flags: Sequence[str]) -> bool:
        """Whether an accepted patch waits for a person: always, for what it adds, or for its size."""
        if self._approve == "human" or (self._approve == "flagged" and flags):
            return True
        if any(word.casefold() in flag.casefold() for word in self._config.flags for flag in flags):
            return True
        if self._config.patch_kb is None:
            return False
        diff = self._repository.diff(champion.tree or "", candidate.tree or "")
        return len(diff.encode(errors="replace")) > self._config.patch_kb * 1024

    def tripped(self) -> str | None:
        """Why the campaign stops now, in words; the first time it is also written down."""
        for name, figure, text in self._figures():
            if figure > self._passed.get(name, 0.0):
                if (self._state.ledger.recollect(_TRIPPED) or {}).get("name") != name:
                    self._state.ledger.remember(_TRIPPED, {"name": name, "figure": figure, "text": text})
                    self._state.ledger.note("tripwire", text)
                return f"a tripwire: {text}"
        return None

    def _figures(self) -> Iterator[tuple[str, float, str]]:
        """(name, figure, words) of each wire that is beyond its limit."""
        drop, most = self._holdout_drop(), self._config.holdout_drop
        if most is not None and drop > most:
            champion = self._state.champion
            text = (
                f"the held-out score of #{champion} is {drop:.3f} below the champion's before (holdout_drop: {most:g})"
            )
            yield f"holdout of #{champion}", drop, text
        cost, limit = self._dollars_per_point(), self._config.dollars_per_point
        if limit is not None and cost > limit:
            text = f"${cost:.2f} were spent for each proven point (dollars_per_point: {limit:g})"
            yield "dollars_per_point", cost, text

    def _holdout_drop(self) -> float:
        """How far the champion's held-out mean lies below its predecessor's, on the trials that both have."""
        if len(self._state.champions) < 2 or self._config.holdout_drop is None:  # noqa: PLR2004 - a pair of champions
            return 0.0
        before, now = self._state.champions[-2:]
        scores: dict[int, dict[int, float]] = {before: {}, now: {}}
        for owner, index, score in self._state.ledger.indices(Purpose.HOLDOUT):
            if owner in scores:
                scores[owner][index] = score
        common = scores[before].keys() & scores[now].keys()
        return sum(scores[before][n] - scores[now][n] for n in common) / len(common) if common else 0.0

    def _dollars_per_point(self) -> float:
        """Dollars so far per point that accepted tests found; as if it were one point where there are fewer."""
        if self._config.dollars_per_point is None:
            return 0.0
        accepted = {row.test for row in self._state.ledger.commits()}
        found = (
            float(row.decision["delta"]) for row in self._state.ledger.tests() if row.id in accepted and row.decision
        )
        return self._budget.spent.dollars / max(1.0, 100.0 * sum(found))


def check_tripwire(ledger: Ledger) -> None:
    """Refuse to continue past a wire that was tripped.

    Raises:
        UserError: a wire was tripped, and nobody has said since that the campaign may continue.
    """
    if wire := ledger.recollect(_TRIPPED):
        fix = "Look at it (`ratchet log`, `ratchet report`), then `ratchet run --past-tripwire`."
        raise UserError("tripwires", str(wire["text"]), fix)


def pass_tripwire(ledger: Ledger, by: str) -> None:
    """Write down that a person lets the campaign continue; nothing changes where no wire was tripped."""
    if wire := ledger.recollect(_TRIPPED):
        ledger.remember(_PASSED, {**(ledger.recollect(_PASSED) or {}), wire["name"]: wire["figure"]})
        ledger.remember(_TRIPPED, {})
        ledger.note("continued", f"{by} continued past a tripwire: {wire['text']}")
