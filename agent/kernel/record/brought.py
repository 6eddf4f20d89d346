"""What is recorded of candidates whose improver was asked to bring another one's patch over onto the champion."""

from __future__ import annotations

from agent.kernel.record.notes import Notes


def brought_key(candidate: int) -> str:
    """The name under which the ledger remembers whose patch a candidate was to bring over."""
    return f"brought:{candidate}"


def brought_of(ledger: Notes, candidate: int) -> int | None:
    """The candidate whose patch another one was to bring over, if it was asked for that."""
    found: int | None = ledger.recollect(brought_key(candidate))
    return found
