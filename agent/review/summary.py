"""The end of a campaign in one screen: what was gained, what was kept, what was turned down and why."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

from rich.console import Console
from rich.table import Table
from rich.text import Text

from agent.base.text import clean_line
from agent.base.types import Candidate, Fate, Purpose, Trial
from agent.kernel.record.ledger import Ledger

Z = 1.959964
"""Two-sided 95 % quantile of the normal distribution."""

SHOWN_TURNED_DOWN = 12


@dataclass(frozen=True, kw_only=True, slots=True)
class Estimate:
    """A mean score over `n` trials with its 95 % interval."""

    mean: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        return f"{self.mean:.3f}  [{self.low:.3f}, {self.high:.3f}]  ({self.n} trials)"


def wilson(scores: Sequence[float]) -> Estimate | None:
    """Wilson's score interval (1927); for scores in [0, 1] that are not binary it is on the wide side."""
    if not scores:
        return None
    n, mean = len(scores), sum(scores) / len(scores)
    centre = (mean + Z * Z / (2 * n)) / (1 + Z * Z / n)
    half = Z / (1 + Z * Z / n) * math.sqrt(mean * (1 - mean) / n + Z * Z / (4 * n * n))
    return Estimate(mean=mean, low=max(0.0, centre - half), high=min(1.0, centre + half), n=n)


def paired(before: Sequence[float], after: Sequence[float]) -> Estimate | None:
    """Mean difference of pairs with its normal 95 % interval; None below two pairs."""
    differences = [b - a for a, b in zip(before, after, strict=True)]
    if len(differences) < 2:  # noqa: PLR2004 (a variance needs two)
        return None
    n, mean = len(differences), sum(differences) / len(differences)
    half = Z * math.sqrt(sum((d - mean) ** 2 for d in differences) / (n - 1) / n)
    return Estimate(mean=mean, low=mean - half, high=mean + half, n=n)


@dataclass(frozen=True, kw_only=True, slots=True)
class Summary:
    """The figures of a campaign, all of them out of its ledger.

    Scores are of search tasks before the first commit, of held-out ones after.
    """

    baseline: Estimate | None
    champion: Estimate | None
    gain: Estimate | None
    champion_id: int
    candidates: tuple[Candidate, ...]
    trials: int
    fresh_calls: int
    shared_calls: int
    tokens: int
    dollars: float
    unpriced: int
    seconds: float
    ending: str


def summarise(ledger: Ledger) -> Summary:
    """Compute the summary of a campaign that has begun."""
    commits, spent, reverts = ledger.commits(), ledger.spent(), ledger.reverts()
    champion = ledger.champion()
    purpose = Purpose.HOLDOUT if commits else Purpose.SEARCH
    first, last = ledger.scores(purpose, 0), ledger.scores(purpose, champion)
    both = sorted(first.keys() & last.keys())
    end = ledger.latest("end")
    return Summary(
        baseline=wilson([*first.values()]),
        champion=wilson([*last.values()]),
        gain=paired([first[p] for p in both], [last[p] for p in both]) if champion else None,
        champion_id=champion,
        candidates=tuple(c for c in ledger.candidates() if c.id not in reverts),  # nobody proposed those
        trials=ledger.count_trials(),
        fresh_calls=spent.fresh_calls,
        shared_calls=spent.calls - spent.fresh_calls,
        tokens=spent.fresh_tokens,
        dollars=spent.dollars,
        unpriced=spent.unpriced,
        seconds=float(ledger.recollect("seconds") or 0.0),
        ending=end.text if end else "not ended",
    )


def print_measured(sides: Sequence[Sequence[Trial]], console: Console, *, as_json: bool) -> None:
    """What `ratchet eval` measured: every trial, the mean with its interval, and the paired difference of two sides."""
    means = [wilson([trial.score for trial in side]) for side in sides]
    difference = paired(*([t.score for t in side] for side in reversed(sides))) if len(sides) > 1 else None
    if as_json:
        rows = [[{"task": t.task, "score": t.score, "reason": t.reason} for t in side] for side in sides]
        facts = {"sides": [asdict(m) if m else None for m in means], "trials": rows}
        print(json.dumps({**facts, "difference": asdict(difference) if difference else None}))  # noqa: T201
        return
    for trials in zip(*sides, strict=True):
        scores = "  ".join(f"{trial.score:5.2f}" for trial in trials)
        console.print(Text(f"{scores}  {trials[0].task:<32} {clean_line(trials[0].reason)}"))
    for name, mean in zip(("measured", "against"), means, strict=False):
        console.print(f"{name}: {mean}", markup=False)
    if difference is not None:
        console.print(f"difference, paired: {difference}", markup=False)


def print_summary(summary: Summary, *, name: str, hint: Callable[[str], str], console: Console) -> None:
    """The summary for people, fit for 80 columns; `hint` completes a `ratchet` command to one that can be pasted."""
    console.rule(f"campaign {name}: {clean_line(summary.ending)}")
    _print_scores(summary, console)
    _print_candidates(summary, hint, console)
    cost = f"${summary.dollars:.4f}" + (f" and {summary.unpriced} calls without a price" if summary.unpriced else "")
    console.print(
        f"{summary.trials} trials, {summary.fresh_calls} model calls ({summary.shared_calls} more from the memo), "
        f"{summary.tokens:,} tokens, {cost}, {summary.seconds / 60:.1f} minutes",
        highlight=False,
    )
    console.print("\nNext:", style="bold")
    commands = [f"git log ratchet/{name}", hint("log"), hint("status")]
    if summary.champion_id:
        commands.insert(1, f"git diff HEAD ratchet/{name}")
        commands.append(hint(f"show {summary.champion_id}"))
    for command in commands:
        console.print(Text(f"  {command}"))


def _print_scores(summary: Summary, console: Console) -> None:
    # Held-out tasks are spent when there is a commit to report, not before.
    tasks = "held-out" if summary.champion_id else "search"
    table = Table(title=f"score on {tasks} tasks, fresh trials, 95 % interval", box=None, title_justify="left")
    table.add_column("", no_wrap=True)
    table.add_column("score", no_wrap=True)
    table.add_row("baseline (seed)", str(summary.baseline or "not measured"))
    if summary.champion_id:
        table.add_row(f"champion (#{summary.champion_id})", str(summary.champion or "not measured"))
        table.add_row("champion - seed, paired", str(summary.gain or "not measured"))
    console.print(table, highlight=False)


def _print_candidates(summary: Summary, hint: Callable[[str], str], console: Console) -> None:
    made = summary.candidates[1:]
    accepted = [c for c in made if c.fate is Fate.CHAMPION]
    down = [c for c in made if c.fate in {Fate.REJECTED, Fate.REFUSED}]
    waiting = len(made) - len(accepted) - len(down)
    console.print(
        f"\n{len(made)} patches proposed: {len(accepted)} accepted, {len(down)} turned down, "
        f"{waiting} never promising enough for the gate",
        style="bold",
        highlight=False,
    )
    for candidate in accepted + down[-SHOWN_TURNED_DOWN:]:
        style = "green" if candidate.fate is Fate.CHAMPION else "dim"
        line = f"  #{candidate.id} {candidate.fate}: {clean_line(candidate.subject)}"
        console.print(Text(line, style=style), Text(f"     {clean_line(candidate.reason)}", style=style), sep="\n")
    if len(down) > SHOWN_TURNED_DOWN:
        console.print(f"  ... and {len(down) - SHOWN_TURNED_DOWN} more: {hint('log --rejected')}", style="dim")
