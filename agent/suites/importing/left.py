"""Files that a task's own image build leaves in the working directory: carried as starting files, where an engine is.

Without an engine they cannot be known, so the last layer of an imported task fails if there are any. Here the image
is built once with a layer that keeps them aside; a box hands them out, and the task gets a layer that drops them.
"""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from agent.base import yaml
from agent.base.errors import CandidateFault
from agent.base.types import BoxSpec, Files, Sandbox, Task
from agent.suites import tree
from agent.suites.importing.baking import CHANGED

LEFT = "/opt/ratchet-left"
SECONDS = 120.0
_REFUSED = re.compile(r'if \[ -n "\$\(ls -A (?P<top>\S+)\)" \]; then echo RUN left files in .*?; exit 1; fi')


def refuse(top: str) -> str:
    """The command that fails if a quoted folder of the image is not empty."""
    return f'if [ -n "$(ls -A {top})" ]; then echo RUN left files in {top}: $(ls -A {top}); exit 1; fi'


@dataclass(frozen=True, slots=True)
class Left:
    """What came of one task: all of its starting files, or why they cannot be known."""

    task: Task
    files: Files
    problem: str | None = None


def may_leave(task: Task) -> bool:
    """Whether the image may hold more in its working directory than what is known, by a RUN or by its base."""
    return bool(task.build and _REFUSED.search(task.build[-1]))


def keeping(task: Task) -> Task:
    """The task with an image that keeps aside what its build leaves."""
    aside = f"mkdir -p {LEFT} && cp -a {{top}}/. {LEFT}/ && chmod -R a+rX {LEFT} && "
    return replace(task, build=_dropping(task.build, aside))


def settled(build: Sequence[str]) -> tuple[str, ...]:
    """Layers that drop what the build leaves, since it is among the starting files now."""
    return _dropping(build, "")


def _dropping(build: Sequence[str], before: str) -> tuple[str, ...]:
    kept = [line for line in build[:-1] if CHANGED not in line]
    last = _REFUSED.sub(lambda found: _drop(found["top"], before), build[-1])
    return (*kept, last)


def _drop(top: str, before: str) -> str:
    return f"{before.replace('{top}', top)}find {top} -mindepth 1 -delete"


async def gather(sandbox: Sandbox, image: str, task: Task) -> Left:
    """Every starting file of a task whose image keeps them aside. Raises InfrastructureError."""
    box = await sandbox.open(BoxSpec(image=image, gateway=False))
    try:
        command = f"find {LEFT} -name .git | grep -q . && exit 9; cp -r {LEFT}/. /workspace/"
        result = await box.run(["sh", "-c", command], env={}, timeout=SECONDS)
        if result.exit_code:
            said = "its build makes a git repository" if result.exit_code == 9 else "its files cannot be read"  # noqa: PLR2004
            return Left(task, {}, f"{said} in the working directory, which is not carried")
        taken = await box.take(["**"], max_files=tree.MAX_FOLDER_FILES, max_bytes=tree.MAX_FOLDER_BYTES)
    except CandidateFault as fault:
        return Left(task, {}, f"what its build leaves in the working directory cannot be carried: {fault}")
    finally:
        await box.close()
    baked = _baked(task)
    return Left(task, {**{path: body for path, body in task.files.items() if path not in baked}, **taken})


def _baked(task: Task) -> set[str]:
    """The starting files that the image holds as well: what a build removes of them is not there at the start."""
    found = _REFUSED.search(task.build[-1])
    top = shlex.split(found["top"])[0] if found else ""
    removed = " ".join(line for line in task.build if CHANGED in line)
    return {path for path in task.files if f"rm {shlex.quote(f'{top}/{path}')}" in removed}


def write_left(root: Path, left: Left) -> None:
    """Put the starting files into the task's folder below `root`, and the layers that drop them into its task.yaml."""
    folder = root / left.task.id
    shutil.rmtree(folder / "files", ignore_errors=True)
    for path, content in left.files.items():
        at = folder / "files" / path
        at.parent.mkdir(parents=True, exist_ok=True)
        at.write_bytes(content)
    settings = yaml.load(folder / "task.yaml")
    settings["build"] = list(settled(settings["build"]))
    (folder / "task.yaml").write_text(yaml.dump(settings), encoding="utf-8")
