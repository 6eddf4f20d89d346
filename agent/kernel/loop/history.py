"""The git repository in the improver's workspace: the archive, so that `git log` and `git diff` work."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import islice

from agent.base.types import Candidate, Files
from agent.kernel.git.clone import Snapshot
from agent.kernel.git.messages import format_message
from agent.kernel.git.repository import Repository

SHOWN_CANDIDATES = 40


async def improver_repository(
    repository: Repository, candidates: dict[int, Candidate], files: Callable[[str], Files], head: int
) -> Files:
    """The `.git` folder for a work tree of candidate `head`; `files` gives the mutable files of a tree.

    It holds the latest candidates that were admitted and all that these descend from.
    """
    snapshots = [_snapshot(candidates[one], files) for one in sorted(_shown(candidates, head))]
    return await asyncio.to_thread(repository.clone, snapshots, head)


def _shown(candidates: dict[int, Candidate], head: int) -> set[int]:
    admitted = (one.id for one in reversed(candidates.values()) if one.tree)
    wanted, shown = [head, *islice(admitted, SHOWN_CANDIDATES)], set[int]()
    while wanted:
        one = candidates[wanted.pop()]
        if one.id not in shown:
            shown.add(one.id)
            wanted += [] if one.parent is None else [one.parent]
    return shown


def _snapshot(one: Candidate, files: Callable[[str], Files]) -> Snapshot:
    text = format_message(one.subject, one.body, {"Candidate": str(one.id), "Fate": one.fate})
    return Snapshot(id=one.id, parent=one.parent, files=files(one.tree or ""), text=text)
