"""What trials beside a campaign leave: a folder in the campaign's, readable with `cat`.

results.jsonl       one line for each trial, written when it ends
transcripts/        one text for each trial: its model calls from the record, and what its agent printed
made.jsonl          with --improver: one line for each proposal; improvers.json has the comparison
handed-in/          with --keep: what each trial handed in, and what its check printed
ledger.sqlite       every call and trial in full, for `ratchet calls --of` and `ratchet export --of`
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.base.errors import RecordBroken, UserError
from agent.base.text import visible
from agent.base.types import Candidate, Fate, Files, Grade, Trial
from agent.kernel.record.ledger import Ledger
from agent.models.dialects import turns
from agent.models.dialects.transcript import with_output
from agent.trials.measuring import Planned

FOLDER = "evals"
RECORD = "ledger.sqlite"
RESULTS = "results.jsonl"
PROPOSALS = "made.jsonl"


@dataclass(frozen=True, kw_only=True, slots=True)
class Tree:
    """A scaffold to measure: its git tree, and what people call it."""

    tree: str
    label: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Kept:
    """The folder of one measurement, open for writing."""

    folder: Path
    ledger: Ledger
    every: bool

    def trial(self, planned: Planned, trial: Trial) -> dict[str, Any]:
        """Keep one finished trial; returns its line of results.jsonl."""
        self.ledger.add_trial(trial, candidate=planned.side, index=planned.run)
        calls = self.ledger.calls(trial.id)
        refusals = self.ledger.refusals(trial.id)
        reasons = [reason for call in calls if (reason := turns.refusal(call))]
        reasons += [f"{one.status} {one.code}: {one.reason}" for one in refusals for _ in range(one.times)]
        row = facts(planned, trial, reasons)
        with _writing(self.folder):
            name = _name(planned)
            head = f"# {trial.task}: score {trial.score:g} ({trial.reason})"
            text = f"{head}\n\n{with_output(calls, refusals, trial.transcript)}"
            (self.folder / "transcripts").mkdir(exist_ok=True)
            (self.folder / "transcripts" / f"{name}.md").write_text(_safe(text), encoding="utf-8")
            with (self.folder / RESULTS).open("a", encoding="utf-8") as out:
                out.write(json.dumps(row) + "\n")
        return row

    def handed_in(self, planned: Planned, submission: Files, grade: Grade) -> None:
        """Keep what a trial handed in and what its check printed, where that was asked for."""
        if not self.every:
            return
        with _writing(self.folder):
            target = self.folder / "handed-in" / _name(planned)
            for path, body in submission.items():
                file = target / "files" / path
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(body)
            target.mkdir(parents=True, exist_ok=True)
            (target / "check.txt").write_text(_safe(grade.output), encoding="utf-8")


def facts(planned: Planned, trial: Trial, reasons: Sequence[str]) -> dict[str, Any]:
    """One trial for programs."""
    usage = trial.usage
    return {
        "id": trial.id,
        "side": planned.side,
        "task": trial.task,
        "run": planned.run,
        "score": trial.score,
        "reason": trial.reason,
        "seconds": round(trial.seconds, 3),
        "calls": usage.calls,
        "tokens_in": usage.tokens_in,
        "tokens_out": usage.tokens_out,
        "dollars": usage.dollars,
        "refused": list(reasons),
    }


@contextmanager
def keeping(campaign: Path, trees: Sequence[Tree], *, every: bool, for_good: bool = True) -> Iterator[Kept]:
    """A new folder for a measurement of some trees, named by the time in UTC.

    It is removed at the end where no trial has finished, and where it is not meant to be kept `for_good`.

    Raises:
        UserError: it cannot be written.
    """
    stamp, folder = time.strftime("%Y-%m-%dT%H-%M-%SZ", time.gmtime()), campaign / FOLDER
    try:
        folder = _new(folder, stamp)
    except OSError as error:
        fix = "Set `runs` in campaign.yaml to a folder that you may write, on a disk with free space."
        raise UserError("runs", f"{folder} cannot be written ({error.strerror})", fix) from error
    try:
        with Ledger(folder / RECORD) as ledger:
            _enter(trees, ledger)
            yield Kept(folder=folder, ledger=ledger, every=every)
    finally:
        if not (for_good and any((folder / name).exists() for name in (RESULTS, PROPOSALS))):
            _remove(folder)


def _enter(trees: Sequence[Tree], ledger: Ledger) -> None:
    """Each tree is a candidate of the record: what reads a campaign's record can read this one."""
    for side, tree in enumerate(trees):
        candidate = Candidate(
            id=side, parent=None, tree=tree.tree, subject=tree.label, body="", fate=Fate.OPEN, reason=""
        )
        ledger.add_candidate(candidate, fingerprint=None, diff="", transcript="")


def _remove(folder: Path) -> None:
    """Remove a folder, and those above it that were made for it alone."""
    shutil.rmtree(folder, ignore_errors=True)
    with suppress(OSError):
        for above in folder.parents[:2]:
            above.rmdir()


def open_kept(folder: Path) -> Ledger:
    """The record that `ratchet eval` or `ratchet try --keep` left in a folder. Raises UserError."""
    if not (folder / RECORD).is_file():
        fix = "Name a folder that `ratchet eval` or `ratchet try --keep` printed at its end."
        raise UserError("--of", f"{folder} has no {RECORD}", fix)
    return Ledger(folder / RECORD, read_only=True)


def _new(parent: Path, stamp: str) -> Path:
    """A folder that nobody else has, even if two start in the same second."""
    parent.mkdir(parents=True, exist_ok=True)
    for n in range(1, 1000):
        folder = parent / (stamp if n == 1 else f"{stamp}-{n}")
        try:
            folder.mkdir()
        except FileExistsError:
            continue
        return folder
    raise FileExistsError(17, "too many measurements in one second", str(parent / stamp))


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise RecordBroken(f"{folder} cannot be written ({error.strerror})") from error


def _safe(text: str) -> str:
    """What a model or an agent wrote, without what a terminal would obey."""
    return "".join(f"{visible(line, 1 << 20)}\n" for line in text.rstrip("\n").split("\n"))


def _name(planned: Planned) -> str:
    """A file name for a trial; a task's id is one already."""
    return f"{planned.job.task.id}-{planned.run + 1}{planned.mark}"
