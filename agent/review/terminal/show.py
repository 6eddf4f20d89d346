"""What `ratchet show` prints about one candidate: its fate and why, what it won and lost, its cost, its patch.

Gate tasks appear only as totals over all of them, so that the gate cannot leak to the next improver through the person
who reads this. Transcripts are of search trials only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from agent.base.errors import RecordBroken
from agent.base.refusal import Refusal
from agent.base.text import visible, visible_lines
from agent.base.types import Call, Candidate, Fate, Purpose, Trial
from agent.base.usage import Usage
from agent.kernel.decide.evidence import base_of
from agent.kernel.decide.flags import flags_key
from agent.kernel.git.messages import Commit
from agent.kernel.git.repository import Repository
from agent.kernel.record.brought import brought_of
from agent.kernel.record.ledger import Ledger, PairRow, TestRow
from agent.models.dialects.transcript import with_output
from agent.review.commits import accepted
from agent.review.terminal.style import FATE_STYLES, cell, render_diff, when

TRANSCRIPT_LINES = 60


@dataclass(frozen=True, kw_only=True, slots=True)
class Dossier:
    """Everything about one candidate. `before` and `after` are search trials by index, of `base` and of itself.

    `diff` is its patch against `against`, in words; `calls` and `refusals` read the model calls of a trial. `saved` is
    what prompt caches saved, in dollars. `earlier` are the commits before `commit` that belong to it.
    """

    candidate: Candidate
    commit: Commit | None
    earlier: Sequence[Commit] = ()
    brings: int | None = None
    reverted_by: str
    flags: Sequence[str] = ()
    diff: str
    against: str = "its parent"
    proposal: str
    base: int
    before: Mapping[int, Trial]
    after: Mapping[int, Trial]
    meetings: Sequence[tuple[int, Sequence[PairRow]]]
    calls: Callable[[str], Sequence[Call]] = lambda _: ()
    refusals: Callable[[str], Sequence[Refusal]] = lambda _: ()
    trials: Mapping[Purpose, int]
    usage: Usage
    saved: float = 0.0


def collect(candidate: Candidate, ledger: Ledger, repository: Repository, *, parent: bool = False) -> Dossier:
    """Gather a dossier. Its patch is the whole one against the champion, or with `parent` its last step."""
    known = {one.id: one for one in ledger.candidates()}
    champions = {0, *(row.candidate for row in ledger.commits())} - {candidate.id}
    base = 0 if candidate.parent is None else base_of(known, champions, candidate.parent)
    row = next((row for row in accepted(repository.accepted()) if row.candidate == candidate.id), None)
    met = [(test.champion, _counted(test, ledger)) for test in ledger.tests() if test.candidate == candidate.id]
    step, proposal = ledger.candidate_texts(candidate.id)
    whole = None if parent else _against(candidate, known[met[-1][0] if met else base], repository, met=bool(met))
    diff, against = whole or (step, f"its parent {_named(candidate.parent)}")
    every = ledger.trials(candidate=candidate.id)
    return Dossier(
        candidate=candidate,
        commit=row.commit if row else None,
        earlier=row.earlier if row else (),
        brings=brought_of(ledger, candidate.id),
        reverted_by=row.reverted_by if row else "",
        flags=ledger.recollect(flags_key(candidate.id)) or (),
        diff=diff,
        against=against,
        proposal=proposal,
        base=base,
        before=ledger.by_index(Purpose.SEARCH, base) if base != candidate.id else {},
        after=ledger.by_index(Purpose.SEARCH, candidate.id),
        meetings=met,
        calls=ledger.calls,
        refusals=ledger.refusals,
        trials={purpose: sum(t.purpose is purpose for t in every) for purpose in Purpose},
        usage=sum((t.usage for t in every), Usage()),
        saved=ledger.saved(candidate.id),
    )


def _against(candidate: Candidate, champion: Candidate, repository: Repository, *, met: bool) -> tuple[str, str] | None:
    """The whole patch against a champion, and what to call it; None where a tree is missing, as in a clone."""
    if candidate.tree is None or champion.tree is None or candidate.parent is None:
        return None
    try:
        diff = repository.diff(champion.tree, candidate.tree)
    except RecordBroken:
        return None
    words = f"the champion {_named(champion.id)} that it {'met' if met else 'descends from'}"
    if candidate.parent != champion.id:
        words += f"; --parent shows its last step, against {_named(candidate.parent)}"
    return diff, words


def _named(candidate: int | None) -> str:
    return f"#{candidate or 0}"


def _counted(test: TestRow, ledger: Ledger) -> list[PairRow]:
    """The pairs up to the verdict; later ones were in flight when it fell and do not count."""
    pairs = ledger.pairs(test.id)
    if test.decision is None:
        return pairs
    scored = [n for n, pair in enumerate(pairs) if pair.void_side is None]
    return pairs[: scored[test.decision["pairs"] - 1] + 1] if 0 < test.decision["pairs"] <= len(scored) else pairs


def render_show(dossier: Dossier, console: Console, *, transcripts: bool = False, proposal: bool = False) -> None:
    """Print a dossier, the patch at the end."""
    candidate, commit = dossier.candidate, dossier.commit
    console.print(Text.assemble((f"#{candidate.id} ", "bold"), (visible(candidate.subject), "bold")))
    origin = "the scaffold at the start" if candidate.parent is None else f"made from #{candidate.parent}"
    origin += "" if dossier.brings is None else f" and #{dossier.brings}, whose patch it brings over"
    console.print(Text.assemble((candidate.fate.value, FATE_STYLES[candidate.fate]), f", {origin}"))
    console.print(Text(visible(why(dossier), 1000)))
    if dossier.flags:
        flags = [visible(flag) for flag in dossier.flags]
        _section(console, "look at this first (flags: `ratchet docs unattended`)", flags)
    if candidate.body:
        _section(console, "in its author's words", visible_lines(candidate.body))
    if commit is not None:
        before = [visible(f"after {one.sha[:10]} {one.subject}") for one in dossier.earlier]
        _section(console, f"commit {commit.sha}, {when(commit.time)}", before)
        console.print(_trailer_table(commit))
    _print_scores(dossier, console)
    _section(console, "cost", [_cost(dossier)])
    if transcripts:
        _print_transcripts(dossier, console)
    if dossier.diff:
        _section(console, f"patch against {dossier.against}", [])
        render_diff(dossier.diff, console)
    if proposal:
        _section(console, "what its improver printed", visible_lines(dossier.proposal))


def why(dossier: Dossier) -> str:
    """The reason for a candidate's fate in one sentence, with figures."""
    candidate = dossier.candidate
    if candidate.parent is None:
        return "The seed: the scaffold that the campaign started from."
    if candidate.fate is not Fate.OPEN:
        reason = candidate.reason[:1].upper() + candidate.reason[1:]
        if candidate.fate is Fate.REFUSED:
            reason = f"Refused before it was compared: {candidate.reason}"
        return f"{reason}. Reverted later by {dossier.reverted_by[:10]}." if dossier.reverted_by else f"{reason}."
    mine, theirs = (_mean(side) for side in (dossier.after, dossier.before))
    if not dossier.after:
        return "Open: not tried yet."
    never = "Open: tested at the gate without a verdict" if dossier.meetings else "Open: it never met the champion"
    return f"{never}; {len(dossier.after)} search trials, mean {mine:.3f} (#{dossier.base}: {theirs:.3f})."


def _mean(trials: Mapping[int, Trial]) -> float:
    return sum(t.score for t in trials.values()) / max(len(trials), 1)


# ------------------------------------------------------------------------------------ scores


def _print_scores(dossier: Dossier, console: Console) -> None:
    for champion, pairs in dossier.meetings:
        _section(console, f"gate: against #{champion}", [_gate_line(pairs)])
    if not dossier.after:
        return
    title = f"search: {len(dossier.after)} trials, mean {_mean(dossier.after):.3f}"
    if dossier.before:
        title += f"; won and lost against #{dossier.base} on the same trial of the same task"
    _section(console, title, [])
    console.print(_task_table(dossier))
    if dossier.before and changed(dossier):
        console.print(Text(f"  {len(changed(dossier))} trials changed; --transcripts shows them", style="dim"))


def _gate_line(pairs: Sequence[PairRow]) -> str:
    scored = [(p.champion, p.candidate) for p in pairs if p.champion is not None and p.candidate is not None]
    won = sum(b > a for a, b in scored)
    lost = sum(b < a for a, b in scored)
    line = f"all gate tasks together: {len(scored)} fresh pairs, {won} won, {lost} lost, "
    line += f"{len(scored) - won - lost} equal"
    return line + (f", {len(pairs) - len(scored)} discarded" if len(pairs) > len(scored) else "")


def changed(dossier: Dossier) -> list[tuple[Trial, Trial]]:
    """Search trials of the same index whose scores differ, in order of their task."""
    both = sorted(dossier.before.keys() & dossier.after.keys())
    pairs = [(dossier.before[n], dossier.after[n]) for n in both]
    return sorted((p for p in pairs if p[0].score != p[1].score), key=lambda p: p[1].task)


def _task_table(dossier: Dossier) -> Table:
    """One row per task: trials, both means, wins and losses, and the last reason for a score below 1."""
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 1, 0, 0))
    table.add_column("  task", no_wrap=True, overflow="ellipsis", max_width=30)
    compared = bool(dossier.before)
    heads = ("trials", f"#{dossier.base}", f"#{dossier.candidate.id}", "won", "lost")
    for head in heads if compared else ("trials", "mean"):
        table.add_column(head, justify="right", no_wrap=True)
    table.add_column("last reason for less than 1", overflow="fold")
    both = dossier.before.keys() & dossier.after.keys()
    for task in sorted({trial.task for trial in dossier.after.values()}):
        mine = {index: trial for index, trial in dossier.after.items() if trial.task == task}
        short = [trial.reason for trial in mine.values() if trial.score < 1]
        cells = [f"  {task}", str(len(mine)), f"{_mean(mine):.2f}", short[-1] if short else ""]
        if compared:
            theirs = {index: trial for index, trial in dossier.before.items() if trial.task == task}
            marks = [mine[n].score - theirs[n].score for n in mine.keys() & both]
            won, lost = (sum(sign * mark > 0 for mark in marks) for sign in (1, -1))
            old = f"{_mean(theirs):.2f}" if theirs else "-"
            cells[2:3] = [old, cells[2], str(won or ""), str(lost or "")]
        table.add_row(*map(cell, cells))
    return table


def _print_transcripts(dossier: Dossier, console: Console) -> None:
    for before, after in changed(dossier):
        _section(console, f"search task {visible(after.task)}", [])
        for number, trial in ((dossier.base, before), (dossier.candidate.id, after)):
            head = f"  #{number} scored {trial.score:g}: {visible(trial.reason)}"
            console.print(Text(head, style="green" if trial.score > min(before.score, after.score) else "red"))
            text = with_output(dossier.calls(trial.id), dossier.refusals(trial.id), trial.transcript)
            lines = _ends(visible_lines(text))
            console.print(Text("\n".join(f"    {line}".rstrip() for line in lines)), soft_wrap=True)
    if not changed(dossier):
        _section(console, "no search trial changed its score", [])


def _ends(lines: Sequence[str]) -> list[str]:
    """The first third and the last two of as many lines as are shown of a transcript."""
    head = TRANSCRIPT_LINES // 3
    gone = len(lines) - TRANSCRIPT_LINES
    return [*lines] if gone <= 0 else [*lines[:head], f"… ({gone} lines left out) …", *lines[head + gone :]]


def _cost(dossier: Dossier) -> str:
    usage = dossier.usage
    counts = ", ".join(f"{n} {purpose}" for purpose, n in dossier.trials.items() if n) or "no"
    money = f"${usage.dollars:.4f}" + (f" and {usage.unpriced} calls without a price" if usage.unpriced else "")
    tokens = usage.tokens_in + usage.tokens_out
    if dossier.saved:
        money += f"; prompt caches saved ${dossier.saved:.4f}"
    return f"{counts} trials; {usage.calls} model calls, {usage.fresh_calls} of them fresh; {tokens:,} tokens; {money}"


def _section(console: Console, title: str, lines: Sequence[str]) -> None:
    console.print()
    console.print(Text(title, style="dim"))
    for line in lines:
        # Wrapped and indented on a terminal, unbroken in a pipe.
        text = Text(line, overflow="fold")
        console.print(
            Padding(text, (0, 0, 0, 2)) if console.is_terminal else Text(f"  {line}".rstrip()),
            soft_wrap=not console.is_terminal,
        )


def _trailer_table(commit: Commit) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for key, value in commit.trailers.items():
        table.add_row(cell(f"  {key.removeprefix('Ratchet-')}"), cell(value))
    return table
