"""Accepted patches that wait for a person, and the requests that people leave for the campaign's one writer.

A patch that passed the gate under `approve: human` is written down with everything that its commit needs, so that it
can be committed by the running campaign or, when none runs, by `ratchet approve` itself (see `committing`). A request
is a file in the campaign's folder, complete when it gets its final name; the process that holds the campaign's lock
answers it.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

from agent.base.errors import RecordBroken, UserError
from agent.base.text import clean_line
from agent.kernel.record.ledger import Ledger

_KEY, _FOLDER = "approvals", "requests"
_WHO_CHARS, _WHY_CHARS = 80, 400

Outcome = Literal["waiting", "approved", "rejected", "outdated", "merged"]
"""`outdated`: the champion moved while it waited. `merged`: its patch was brought onto the new champion since."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Acceptance:
    """One patch that passed the gate, and its commit as it will be. `sentence` is the gate's verdict.

    `patches` are those that become a commit each; none where there is one commit for all.
    """

    candidate: int
    champion: int
    test: int
    subject: str
    body: str
    trailers: Mapping[str, str]
    sentence: str
    outcome: Outcome = "waiting"
    by: str = ""
    patches: Sequence[int] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """What a person decided. `why` is only kept for a rejection."""

    approve: bool
    candidate: int
    by: str
    why: str = ""


class Approvals:
    """The record of who waits, and what was decided by whom; every change is an event of the ledger too."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        known = ledger.recollect(_KEY) or {}
        self._all = {int(number): Acceptance(**entry) for number, entry in known.items()}

    def __iter__(self) -> Iterator[Acceptance]:
        return iter(self._all.values())

    def get(self, candidate: int) -> Acceptance | None:
        """What was decided about a candidate, if it ever waited."""
        return self._all.get(candidate)

    def waiting(self, champion: int) -> list[Acceptance]:
        """Those that wait for a person while `champion` is champion."""
        return [one for one in self if one.outcome == "waiting" and one.champion == champion]

    def keep(self, acceptance: Acceptance) -> None:
        """Write one entry down."""
        self._all[acceptance.candidate] = acceptance
        self._ledger.remember(_KEY, {number: asdict(one) for number, one in self._all.items()})

    def move(self, candidate: int, outcome: Outcome) -> None:
        """Change where one entry stands, for the campaign itself."""
        self.keep(replace(self._all[candidate], outcome=outcome))

    def decided(self, request: Request) -> None:
        """Write down what a person decided, and by whom."""
        outcome: Outcome = "approved" if request.approve else "rejected"
        self.keep(replace(self._all[request.candidate], outcome=outcome, by=request.by))
        why = f": {request.why}" if request.why else ""
        self._ledger.note(outcome, f"#{request.candidate} was {outcome} by {request.by}{why}")


def refusal(entry: Acceptance | None, request: Request, champion: int) -> str | None:
    """Why a request cannot be carried out, in words; None if it can."""
    if entry is None or entry.outcome == "merged":
        return f"#{request.candidate} does not wait for approval"
    if entry.outcome in ("approved", "rejected"):
        return f"#{request.candidate} was {entry.outcome} already by {entry.by}"
    if entry.outcome == "outdated" or entry.champion != champion:
        return f"#{request.candidate} {outdated(champion)}"
    return None


def rejected_by(request: Request) -> str:
    """The reason that a rejected candidate keeps."""
    return f"rejected by {request.by}" + (f": {request.why}" if request.why else "")


def outdated(champion: int) -> str:
    """What becomes of a candidate that waited when the champion moved."""
    return f"passed the gate against an older champion; #{champion} is champion now, so it is tested again"


# ------------------------------------------------------------------------------------ requests as files


def leave(folder: Path, request: Request) -> Path:
    """Leave a request for the process that runs the campaign in `folder`; returns the file, which that process removes.

    Raises:
        UserError: the folder cannot be written.
    """
    queue = folder / _FOLDER
    name = f"{time.time_ns():020d}-{uuid.uuid4().hex[:8]}"
    try:
        queue.mkdir(exist_ok=True)
        draft = queue / f".{name}"
        draft.write_text(json.dumps(asdict(request)), encoding="utf-8")
        draft.replace(queue / f"{name}.json")
    except OSError as error:
        problem = f"{queue} cannot be written ({error.strerror})"
        raise UserError("runs", problem, "Run it as the user who runs the campaign.") from error
    return queue / f"{name}.json"


def requests(folder: Path) -> Sequence[tuple[Path, Request | None]]:
    """The requests that wait in a campaign's folder, oldest first; None for a file that is not one."""
    return [(path, _read(path)) for path in sorted((folder / _FOLDER).glob("*.json"))]


def _read(path: Path) -> Request | None:
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        return Request(
            approve=raw["approve"] is True,
            candidate=int(raw["candidate"]),
            by=clean_line(str(raw["by"]))[:_WHO_CHARS] or "somebody",
            why=clean_line(str(raw.get("why", "")))[:_WHY_CHARS],
        )
    except OSError as error:
        raise RecordBroken(f"{path} cannot be read: {error}") from error
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
