"""The images that tasks ask for, made ready before anything is spent: one for each image and list of layers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Protocol

from agent.base.errors import UserError
from agent.base.profile import Profile
from agent.base.types import Suite, Task
from agent.config.layers import Layers
from agent.suites.copying import layers_of
from sandbox.image import NO_LAYERS, Say, ensure_image


class Ensure(Protocol):
    """How an image is made ready; see `sandbox.image.ensure_image`."""

    def __call__(self, base: str | None, *, layers: Layers, machine: bool, say: Say) -> str:
        """The tag of an image that is ready for boxes."""
        ...


def buildable_images(
    suite: Suite, base: str | None, *, say: Say, ensure: Ensure = ensure_image
) -> tuple[dict[str, str], dict[str, str]]:
    """The tags as `task_images` gives them, and why there is none, by the id of each task whose image cannot be had.

    Raises:
        SandboxDown: the engine failed.
    """
    tags: dict[str, str] = {}
    failed: dict[str, str] = {}
    for same in _by_image(suite):
        try:
            tags |= task_images(same, base, say=say, ensure=ensure)
        except UserError as error:
            failed |= {task.id: f"{error.problem}. {error.fix}" for task in same.tasks}
    return tags, failed


def _by_image(suite: Suite) -> list[Suite]:
    """The tasks that ask for the same image, as suites of their own."""
    groups: dict[tuple[object, ...], list[Task]] = {}
    for task in suite.tasks:
        asked = (task.image, task.build, *task.stages.items(), task.check_image, task.check_build, task.profile)
        groups.setdefault(asked, []).append(task)
    return [replace(suite, tasks=tuple(tasks)) for tasks in groups.values()]


def check_key(task: str) -> str:
    """Under what name the image of a task's grading box is kept, where it has one of its own."""
    return f"{task}/check"


def grading_image(images: Mapping[str, str], task: str, solving: str) -> str:
    """The image of the box that grades a task."""
    return images.get(check_key(task), solving)


def task_images(
    suite: Suite, base: str | None, *, layers: Layers = NO_LAYERS, say: Say, ensure: Ensure = ensure_image
) -> dict[str, str]:
    """The tag for each task that does not run in the campaign's own image, by task id; see `check_key` for grading.

    `base` is what `build` is laid on where a task names no image; None is Ratchet's own. `layers` install the agent, so
    they come below the layers of every task, and are in no image that only grades. A task's COPY takes its starting
    files.

    Raises:
        UserError: an image is not available, or a layer fails; names the task.
        SandboxDown: the engine failed.
    """
    ready: dict[_Wanted, str] = {}
    tags: dict[str, str] = {}
    for task in suite.tasks:
        machine = task.profile is Profile.MACHINE
        if task.image is not None or task.build or machine:
            field = f"task {task.id}: "
            own = layers_of(task.build, task.files, f"{field}build", task.stages)
            solving = (task.image or base, layers + own, machine)
            tags[task.id] = _ready(ready, solving, field, say, ensure)
        if task.check_image is not None or task.check_build:
            field = f"task {task.id}: check_"
            own = layers_of(task.check_build, task.files, f"{field}build", task.stages)
            grading = (task.check_image or base, own, machine)
            tags[check_key(task.id)] = _ready(ready, grading, field, say, ensure)
    return tags


_Wanted = tuple[str | None, Layers, bool]
"""An image, the layers on it, and whether it is for machines."""


def _ready(
    ready: dict[_Wanted, str],
    wanted: _Wanted,
    field: str,
    say: Say,
    ensure: Ensure,
) -> str:
    """The tag of an image with layers, made once."""
    if wanted not in ready:
        try:
            ready[wanted] = ensure(wanted[0], layers=wanted[1], machine=wanted[2], say=say)
        except UserError as error:
            raise UserError(f"{field}{'build' if wanted[1].lines else 'image'}", error.problem, error.fix) from error
    return ready[wanted]
