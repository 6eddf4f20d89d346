"""Which campaigns run on this machine for this user: a small file each, so that one command can find them all.

A file is a hint: whether a campaign runs is what its lock says. Files of processes that were killed are removed here.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from agent.base.owner import owner_label, owner_lives
from agent.kernel.record.lock import holder


def _folder() -> Path:
    """Where the files are: below the user's state folder (XDG Base Directory Specification)."""
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "ratchet" / "running"


@contextmanager
def listed(folder: Path) -> Iterator[None]:
    """List a campaign's folder while this process runs it; where the list cannot be written, nothing happens."""
    entry = _folder() / owner_label(os.getpid())
    with suppress(OSError):
        entry.parent.mkdir(parents=True, exist_ok=True)
        entry.write_text(str(folder.resolve()), encoding="utf-8")
    try:
        yield
    finally:
        with suppress(OSError):
            entry.unlink(missing_ok=True)


def running() -> list[Path]:
    """The folders of the campaigns that run, in order of their names."""
    found = set()
    for entry in _folder().glob("*"):
        try:
            folder = Path(entry.read_text(encoding="utf-8"))
            if owner_lives(entry.name) and holder(folder) is not None:
                found.add(folder)
            elif not owner_lives(entry.name):
                entry.unlink(missing_ok=True)
        except (OSError, UnicodeDecodeError):
            continue
    return sorted(found)
