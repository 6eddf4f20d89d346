"""Runs a scaffold on the task "improve yourself" in a box, and returns what it left in the mutable paths.

The kernel holds no prompt: what is asked stands in `tasks/self-improvement/instruction.md`, how it is
done is the scaffold's own affair.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from agent.kernel.boundary import SUBJECT_CHARS, Boundary, Change, clean_line, message
from agent.kernel.errors import Refused
from agent.kernel.evaluator import MODEL_ALIAS, Session, Visit
from agent.kernel.types import CallScope, Caps, Files, Trial

PATCH_MESSAGE = "PATCH.md"


@dataclass(frozen=True, kw_only=True, slots=True)
class Proposal:
    """What came of one attempt: an admitted change, or the reason why there is none."""

    change: Change | None
    subject: str
    body: str
    refusal: str
    transcript: str


class Proposer:
    """Asks a scaffold to improve itself."""

    def __init__(self, *, visit: Visit, instruction: str, boundary: Boundary, caps: Caps, timeout: float) -> None:
        self.boundary = boundary
        self._visit, self._instruction = visit, instruction
        self._caps, self._timeout = caps, timeout

    async def propose(
        self, *, scaffold: Files, mutable: Files, brief: dict[str, Any], failures: Sequence[Trial], seed: int
    ) -> Proposal:
        """One attempt of the scaffold `scaffold`, whose mutable files are `mutable`.

        Raises:
            LaboratoryFault: the attempt is void.
        """
        session = await self._visit(
            scope=CallScope(trial=f"p{uuid.uuid4().hex[:12]}", models={MODEL_ALIAS: "improver"}, caps=self._caps),
            scaffold=scaffold,
            task={"instruction.md": self._instruction.encode(), **_context(brief, failures)},
            workspace=mutable,
            take=["**"],
            timeout=self._timeout,
            seed=seed,
            env={},
        )
        left = dict(session.files)
        note = left.pop(PATCH_MESSAGE, None)
        transcript = session.run.output.decode(errors="replace")
        try:
            change = self._admit(session, mutable, left)
        except Refused as refusal:
            ended = f" (exit code {session.run.exit_code})" if session.run.exit_code else ""
            subject = clean_line((note or b"No patch").decode(errors="replace").split("\n")[0])[:SUBJECT_CHARS]
            reason = f"{refusal}{ended}"
            return Proposal(change=None, subject=subject, body="", refusal=reason, transcript=transcript)
        subject, body = message(note, change)
        return Proposal(change=change, subject=subject, body=body, refusal="", transcript=transcript)

    def _admit(self, session: Session, mutable: Files, left: Files) -> Change:
        if session.fault is not None:
            raise Refused(session.fault)
        return self.boundary.admit(mutable, left)


def _context(brief: dict[str, Any], failures: Sequence[Trial]) -> Files:
    """`/task/context/`: the brief, and the full transcripts of failed search trials."""
    names = [f"transcripts/{n + 1}.md" for n in range(len(failures))]
    listed = [{"task": t.task, "reason": t.reason, "file": n} for t, n in zip(failures, names, strict=True)]
    files = {"context/brief.json": json.dumps({**brief, "failures": listed}, indent=1).encode()}
    for trial, name in zip(failures, names, strict=True):
        head = f"# Task {trial.task}: score {trial.score:g} ({trial.reason})\n\n"
        files[f"context/{name}"] = (head + trial.transcript).encode()
    return files
