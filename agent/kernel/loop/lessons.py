"""The lessons of a campaign in its ledger: given to every proposal as a file, and merged with what it leaves."""

from __future__ import annotations

from agent.kernel.decide.lessons import merged
from agent.kernel.record.ledger import Ledger

LESSONS = "LESSONS.md"
"""The file's name in the workspace of a proposal."""

_KEY = "lessons"


def lessons_of(ledger: Ledger) -> str:
    """The lessons so far; empty if nobody wrote any."""
    return str(ledger.recollect(_KEY) or "")


def take_lessons(ledger: Ledger, given: str, left: bytes) -> None:
    """Keep what a proposal that got `given` left of it."""
    text = merged(lessons_of(ledger), given, left)
    if text != lessons_of(ledger):
        ledger.remember(_KEY, text)
