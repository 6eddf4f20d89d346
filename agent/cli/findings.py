"""What `ratchet doctor` found: one line each, and what to do about a failure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from agent.base.errors import RatchetError, UserError


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One thing that was checked; `ok` None is a note. `fix` is what to do about it; every failure has one."""

    what: str
    ok: bool | None
    text: str
    fix: str = ""


def tried(what: str, look: Callable[[], str]) -> Finding:
    """A finding from a check that returns what it found, or raises an error that names the fix."""
    try:
        return Finding(what=what, ok=True, text=look())
    except RatchetError as error:
        return failed(what, error)


def failed(what: str, error: RatchetError) -> Finding:
    """The finding that an error is."""
    if isinstance(error, UserError):
        return Finding(what=what, ok=False, text=f"{error.field}: {error.problem}", fix=error.fix)
    return Finding(what=what, ok=False, text=str(error), fix="run `ratchet doctor --fix`, or try again later")
