"""Runs a scaffold on the task "improve yourself" in a box, and returns what it left in the mutable paths.

The kernel holds no prompt: what is asked is in `tasks/self-improvement/instruction.md`, and how to do it is up to the
scaffold.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from agent.base.errors import Refused
from agent.base.text import clean_line, escaped
from agent.base.trust import inside
from agent.base.types import CallScope, Caps, Files, Trial
from agent.kernel.decide.boundary import SUBJECT_CHARS, Boundary, Change, check_python, message
from agent.kernel.decide.parsing import Readings
from agent.kernel.loop.reading import PythonReader
from agent.trials.evaluator import MODEL_ALIAS
from agent.trials.executor import Visited, Visitor
from agent.trials.heartbeat import unstopped

PATCH_MESSAGE = "PATCH.md"
SHOWN_PATHS = 5


@dataclass(frozen=True, kw_only=True, slots=True)
class Proposal:
    """What came of one attempt: an admitted change, or the reason why there is none.

    `readings` holds all Python of the trees before and after the change.
    """

    change: Change | None
    readings: Readings
    subject: str
    body: str
    refusal: str
    transcript: str


class Proposer:
    """Asks a scaffold to improve itself."""

    def __init__(self, *, visit: Visitor, instruction: str, boundary: Boundary, caps: Caps, timeout: float) -> None:
        self.reader = PythonReader()
        self._boundary = boundary
        self._visit, self._instruction = visit, instruction
        self._caps, self._timeout = caps, timeout

    async def propose(
        self, *, scaffold: Files, mutable: Files, brief: dict[str, Any], failures: Sequence[Trial], seed: int
    ) -> Proposal:
        """One attempt of the scaffold `scaffold`, whose mutable files are `mutable`.

        Raises:
            InfrastructureError: the attempt is void.
        """
        async with unstopped():
            visited = await self._visit(
                scope=CallScope(trial=f"p{uuid.uuid4().hex[:12]}", models={MODEL_ALIAS: "improver"}, caps=self._caps),
                scaffold=scaffold,
                task={"instruction.md": self._instruction.encode(), **_context(brief, failures)},
                workspace=mutable,
                take=["**"],
                timeout=self._timeout,
                seed=seed,
                env={},
            )
        left, note, ignored = self._sorted_out(mutable, visited.files)
        transcript = visited.run.output.decode(errors="replace") + (f"\n[{ignored}]\n" if ignored else "")
        try:
            _check_taken(visited)
            change, readings = await self.admitted(mutable, left)
        except Refused as refusal:
            ended = f" (exit code {visited.run.exit_code})" if visited.run.exit_code else ""
            subject = clean_line((note or b"No patch").decode(errors="replace").split("\n")[0])[:SUBJECT_CHARS]
            reason = f"{refusal}{ended}" + (f"; {ignored}" if ignored else "")
            return Proposal(change=None, readings={}, subject=subject, body="", refusal=reason, transcript=transcript)
        subject, body = message(note, change)
        return Proposal(change=change, readings=readings, subject=subject, body=body, refusal="", transcript=transcript)

    def _sorted_out(self, before: Files, after: Files) -> tuple[Files, bytes | None, str]:
        """What a box left: files for the patch, the topmost new PATCH.md, and what is ignored, in words.

        Tools leave caches, histories and notes beside the mutable paths, and put PATCH.md beside the files they change.
        """
        notes = [path for path in after if path.rpartition("/")[2] == PATCH_MESSAGE and path not in before]
        notes = [path for path in notes if path == PATCH_MESSAGE or inside(path, self._boundary.mutable)]
        left = {path: data for path, data in after.items() if inside(path, self._boundary.mutable)}
        ignored = _ignored(sorted(after.keys() - left.keys() - {*notes}))
        note = min(notes, key=lambda path: (path.count("/"), path), default=None)
        files = {path: data for path, data in left.items() if path not in notes}
        return files, after[note] if note is not None else None, ignored

    async def admitted(self, before: Files, after: Files) -> tuple[Change, Readings]:
        """The patch between two trees of mutable files, and how Python reads both; no Python is parsed in here.

        Raises:
            Refused: with the reason in words.
        """
        change = self._boundary.admit(before, after)
        readings = await self.reader.read(before, change.files)
        check_python(change, readings)
        return change, readings


def _ignored(paths: Sequence[str]) -> str:
    """Names files that are not part of the patch; empty if there are none."""
    if not paths:
        return ""
    shown = ", ".join(f"`{escaped(path)}`" for path in paths[:SHOWN_PATHS])
    more = f" and {len(paths) - SHOWN_PATHS} more" if len(paths) > SHOWN_PATHS else ""
    return f"ignored outside the mutable paths: {shown}{more}"


def _check_taken(visited: Visited) -> None:
    if visited.fault is not None:
        raise Refused(visited.fault)


def _context(brief: dict[str, Any], failures: Sequence[Trial]) -> Files:
    """`/task/context/`: the brief, and the full transcripts of failed search trials."""
    names = [f"transcripts/{n + 1}.md" for n in range(len(failures))]
    listed = [{"task": t.task, "reason": t.reason, "file": n} for t, n in zip(failures, names, strict=True)]
    files = {"context/brief.json": json.dumps({**brief, "failures": listed}, indent=1).encode()}
    for trial, name in zip(failures, names, strict=True):
        head = f"# Task {trial.task}: score {trial.score:g} ({trial.reason})\n\n"
        files[f"context/{name}"] = (head + trial.transcript).encode()
    return files
