"""Finds a reference solution that lies in a task's box: in its git objects, or in files of its image."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha1
from pathlib import Path

from agent.base.errors import CandidateFault
from agent.base.types import BoxSpec, Sandbox, Task
from agent.suites.rules import TELLING_BYTES
from agent.trials.grading import WORKSPACE, box_for
from agent.trials.stages import prepare

FOLDER = ".ratchet-leaks"
SECONDS = 300.0
_PROBE = Path(__file__).with_name("in_box_leaks.py")
_HEAD = re.compile(r"^diff --git a/.+? b/(?P<path>.+)$", re.MULTILINE)
_INDEX = re.compile(r"^index [0-9a-f]+\.\.(?P<blob>[0-9a-f]{7,40})", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A file of a reference solution: its path, git's id of it or the beginning of that, its size if it is known."""

    path: str
    blob: str
    size: int | None = None


def may_leak(task: Task) -> bool:
    """Whether a box of the task holds more than its starting files and Ratchet's own image."""
    return bool(task.solution and (task.image or task.build or task.prepare))


async def leaks(sandbox: Sandbox, image: str, task: Task) -> list[str]:
    """Where the solution of a task lies in the box that solves it; empty if nowhere. Raises InfrastructureError."""
    patches = {path: body for path, body in task.solution.items() if _without_ids(body)}
    order = {"wanted": [[one.path, one.blob, one.size] for one in wanted(task)], "patches": sorted(patches)}
    files = {"probe.py": _PROBE.read_bytes(), "order.json": json.dumps(order).encode(), **patches}
    box = await sandbox.open(box_for(task, BoxSpec(image=image, gateway=False)))
    try:
        await box.put(task.files, WORKSPACE.rstrip("/"))
        await prepare(box, task)
        await box.put({f"{FOLDER}/{path}": body for path, body in files.items()}, WORKSPACE.rstrip("/"))
        argv = ["python3", "-I", f"{WORKSPACE}{FOLDER}/probe.py", f"{WORKSPACE}{FOLDER}"]
        result = await box.run(argv, env=task.env, timeout=SECONDS)
    except CandidateFault as fault:
        return [f"it cannot be ruled out: {fault}"]
    finally:
        await box.close()
    said = result.output.decode(errors="replace").strip().splitlines()
    if result.exit_code != 0 or not said:
        return [f"it cannot be ruled out: the search ended with exit code {result.exit_code} ({' '.join(said[-1:])})"]
    found: list[str] = json.loads(said[-1])
    return found


def wanted(task: Task) -> list[Wanted]:
    """What to look for: files of the solution that differ from the starting files, and those that its patches make."""
    found: list[Wanted] = []
    for path, body in task.solution.items():
        if patched := list(_patched(body)):
            found += patched
        elif len(body) >= TELLING_BYTES and task.files.get(path) != body:
            found.append(Wanted(path, blob_id(body), len(body)))
    return found


def blob_id(body: bytes) -> str:
    """Git's id of a file."""
    return sha1(b"blob %d\0%s" % (len(body), body), usedforsecurity=False).hexdigest()


def _patched(body: bytes) -> Iterator[Wanted]:
    """The files that a patch makes, as far as its `index` lines tell."""
    for part in re.split(r"(?m)^(?=diff --git )", body.decode(errors="replace")):
        head, index = _HEAD.match(part), _INDEX.search(part)
        if head and index and set(index["blob"]) != {"0"}:
            yield Wanted(head["path"], index["blob"])


def _without_ids(body: bytes) -> bool:
    """Whether a file is a patch whose results only a box can tell."""
    text = body.decode(errors="replace")
    return "\n+++ " in f"\n{text}" and "\n@@ " in text and not _INDEX.search(text)
