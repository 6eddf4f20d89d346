"""Puts an import in the place of an earlier one: what users' commands wrote stays, and a failure loses neither."""

from __future__ import annotations

from pathlib import Path

from agent.base.types import Suite
from agent.suites.check import UNREFERENCED
from agent.suites.quarantine import quarantine, quarantined


def carry_quarantine(earlier: Path, draft: Path, suite: Suite) -> None:
    """Put the tasks that an earlier import has in quarantine into that of a draft, which is loaded as `suite`.

    Left out are tasks that the draft does not have, and tasks that were there for want of a reference and have one
    now. Where both name a task, the draft's reason stays. Raises UserError.
    """
    known = {task.id: task for task in suite.tasks}
    kept = {
        name: reason
        for name, reason in quarantined(earlier).items()
        if name in known and not (reason == UNREFERENCED and known[name].solution)
    }
    if kept:
        quarantine(draft, kept)


def swap(new: Path, old: Path, aside: Path) -> None:
    """Move `old` aside and `new` to its place; put `old` back if that fails. Raises OSError."""
    try:
        old.replace(aside)
        new.replace(old)
    except BaseException:
        if stranded(old, aside):
            aside.replace(old)
        raise


def stranded(old: Path, aside: Path) -> bool:
    """Whether a folder was moved aside, and nothing is in its place."""
    return aside.is_dir() and not old.exists()
