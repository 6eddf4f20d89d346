"""One trial in front of the user: what its agent prints and each model call, as they happen, then the verdict."""

from __future__ import annotations

import codecs
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from agent.base.refusal import Aside, Refusal
from agent.base.text import visible, visible_lines
from agent.base.types import Call, Files, Grade, Task, Trial
from agent.cli.keeping import Kept, Tree
from agent.config.campaign import Config, ExecutorConfig
from agent.models.dialects.transcript import Talk, body, headline, refused
from agent.trials.measuring import Planned, measure, plan
from agent.wiring.beside import measuring_parts

CALL_LINES = 24
"""Lines of one message that are shown; `--keep` keeps all of it."""
CHECK_LINES = 40
"""Lines of what the check printed."""


async def watch_trial(config: Config, task: Task, tree: Tree, kept: Kept, console: Console) -> None:
    """Run one trial of a task on this machine, wherever those of a campaign run, and print it while it runs."""
    config = config.model_copy(update={"executor": ExecutorConfig()})
    console.print(Text(visible(f"task {task.id} ({task.split}), scaffold {tree.label}"), style="bold"), soft_wrap=True)
    view, rows = View(console), list[dict[str, Any]]()
    with console.status("preparing"):
        async with measuring_parts(config, console, keep=kept.ledger, told=view.called) as parts:
            [trial] = await measure(
                parts.evaluator,
                plan([tree.tree], [task], 1),
                lambda item, trial: rows.append(kept.trial(item, trial)),
                lambda item: _Look(item, kept, view),
            )
    view.verdict(trial, rows[0]["refused"])


class View:
    """Prints one trial. All of it was written by a model or an agent, and is printed as text."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._talk, self._calls, self._rest = Talk(), 0, ""
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def voided(self, reason: str) -> None:
        """Say why the trial counts for nothing; another one follows."""
        self._show([self._rest] if self._rest else [])
        self._show([f"discarded for an infrastructure error, and retried: {reason}"], "", "yellow")
        self._talk, self._calls, self._rest = Talk(), 0, ""

    def printed(self, chunk: bytes) -> None:
        """Print the whole lines of what the agent printed."""
        *lines, self._rest = (self._rest + self._decoder.decode(chunk)).split("\n")
        self._show(lines)

    def called(self, call: Call | Refusal) -> None:
        """Print a call: what is new in it, and what came back; of one that was refused, why."""
        if isinstance(call, Refusal):
            self._show([f"refused without asking a model: {refused(call)}"], "> ", "yellow")
            return
        if call.trial in set(Aside):  # no box made it
            return
        self._calls += 1
        self._show([headline(self._calls, call)], "> ", "cyan")
        for block in body(self._talk.add(call)):
            self._show(visible_lines(block, lines=CALL_LINES), "    ", "dim")

    def graded(self, grade: Grade) -> None:
        """Print the end of what the agent printed, and what the check printed."""
        self._show([self._rest] if self._rest else [])
        self._rest = ""
        if grade.output.strip():
            self._show(["check"], "> ", "cyan")
            self._show(visible_lines(grade.output, lines=CHECK_LINES), "    ", "dim")

    def verdict(self, trial: Trial, refused: Sequence[str]) -> None:
        """Print the score, why, and what the trial used."""
        used = trial.usage
        money = f"${used.dollars:.4f}" + (f" and {used.unpriced} calls without a price" if used.unpriced else "")
        calls = f"{used.calls} model calls" + (f", {len(refused)} more refused" if refused else "")
        style = "green" if trial.score >= 1 else "red" if trial.score <= 0 else "yellow"
        self._show([f"score {trial.score:g}: {trial.reason}"], "", f"bold {style}")
        self._show([f"{trial.seconds:.1f} s; {calls}; {used.tokens_in + used.tokens_out:,} tokens; {money}"])

    def _show(self, lines: Sequence[str], margin: str = "", style: str = "") -> None:
        for line in lines:
            self._console.print(Text(f"{margin}{visible(line)}".rstrip(), style=style), soft_wrap=True)


class _Look:
    """A watcher that shows a trial and keeps what it hands in."""

    def __init__(self, planned: Planned, kept: Kept, view: View) -> None:
        self._planned, self._kept, self._view = planned, kept, view
        self.printed, self.voided = view.printed, view.voided

    def started(self) -> None:
        """Nothing to show yet."""

    def graded(self, submission: Files, grade: Grade) -> None:
        """Show and keep."""
        self._view.graded(grade)
        self._kept.handed_in(self._planned, submission, grade)
