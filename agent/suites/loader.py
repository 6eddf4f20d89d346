"""Suites in the native format: one `suite.yaml`, tasks inline or a folder per task beside it.

A suite is read whole or refused with one line that names file, line, task, field and fix. The content hash
covers everything that can change a score, and is part of every trial's identity.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from agent.base import yaml
from agent.base.errors import UserError
from agent.base.profile import Profile
from agent.base.types import Files, RewardKind, Split, Suite, Task
from agent.config.shipped import suite_names, suite_path
from agent.suites import rules, tree
from agent.suites.format import Defaults, InFile, SuiteFile, TaskFile
from agent.suites.matching import expanded
from agent.suites.place import Place
from agent.suites.quarantine import QUARANTINE, quarantined

_SLOTS = (Split.SEARCH,) * 2 + (Split.GATE,) * 3 + (Split.HOLDOUT,) * 2
_PARTS = ("files", "tests", "solution")
_SHARED = tuple(name for name in Defaults.model_fields if name != "network")
_SCORING = tuple(name for name in Task.__slots__ if name not in {*_PARTS, "tags", "meta"})
_LATER: dict[str, object] = {
    "prepare": (),
    "collect": (),
    "disk_mb": None,
    "check_image": None,
    "check_build": (),
    "profile": "strict",
    "stages": {},
    "solve_as": None,
}
"""Fields that earlier versions did not have, with the value at which they leave a suite's hash as it was."""

_AS_WRITTEN = (
    "reward_path",
    "reward_key",
    "junit",
    "image",
    "check_image",
    "workdir",
    "solve_as",
    "solve_timeout",
    "check_timeout",
    "user",
    "memory_mb",
    "disk_mb",
    "cpus",
    "weight",
    "deterministic",
)
_M = TypeVar("_M", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class _Source:
    """One task as it is written, and where."""

    entry: TaskFile
    folder: Path
    place: Place


def load_suite(path: Path) -> Suite:
    """The suite in a folder (or at its suite.yaml), without the tasks in quarantine.

    Raises:
        UserError: names the file, the line, the task and the field.
    """
    file = suite_file(path)
    if not file.exists():
        fix = f"Name a folder that holds suite.yaml, or a shipped suite: {', '.join(suite_names())}."
        raise UserError(str(file), "there is no such suite", fix)
    raw = yaml.load(file)
    head = _parse(SuiteFile, raw, Place(file))
    shared = {name: value for name in _SHARED if (value := getattr(head.defaults, name)) is not None}
    inline = (_Source(entry, file.parent, Place(file, ("tasks", n), entry.id)) for n, entry in enumerate(head.tasks))
    loaded = [(_task(_matched(source), shared), source.place) for source in (*inline, *_folders(file.parent))]
    _check_whole(loaded, file)
    out = quarantined(file.parent)
    tasks = tuple(task for task, _ in loaded if task.id not in out)
    _check_quarantine(out, {task.id for task, _ in loaded}, tasks, file)
    return Suite(
        name=head.name, hash=content_hash(tasks), tasks=tasks, description=head.description, quarantined=tuple(out)
    )


def suite_file(path: Path) -> Path:
    """The YAML file of a suite that is named by its folder, by the file itself, or by the name of a shipped suite."""
    path = suite_path(path)
    return path if path.suffix in {".yaml", ".yml"} else path / "suite.yaml"


def _folders(root: Path) -> Iterator[_Source]:
    """Tasks with a folder of their own, in the order of their names."""
    with os.scandir(root) as listing:
        entries = sorted((entry.name, entry.is_symlink()) for entry in listing if entry.is_dir())
    for name, linked in entries:
        folder = root / name
        file = folder / "task.yaml"
        if not os.path.lexists(file):
            continue
        if linked:
            raise UserError(str(folder), "is a link", "Put the folder itself there.")
        raw = yaml.load(file)
        entry = _parse(TaskFile, raw, Place(file, task=name))
        place = Place(file, task=entry.id or name)
        yield _Source(_found_by_name(entry, folder, place), folder, place)


def _found_by_name(entry: TaskFile, folder: Path, place: Place) -> TaskFile:
    """A folder per task: `files/`, `tests/`, `solution/`, `instruction.md` are found by name."""
    given = entry.model_fields_set
    found: dict[str, Any] = {} if entry.id else {"id": _folder_id(folder, place)}
    home = str(folder)
    for name in _PARTS:
        # Asking for four names is far cheaper than listing thousands of folders.
        if getattr(entry, name) != name and os.path.lexists(f"{home}/{name}"):
            if name in given:
                raise place.error(name, f"is in task.yaml and in the folder {name}/", "Keep one of them.")
            found[name] = name
    if entry.instruction != InFile(file="instruction.md") and os.path.lexists(f"{home}/instruction.md"):
        if "instruction" in given:
            raise place.error("instruction", "is in task.yaml and in instruction.md", "Keep one of them.")
        found["instruction"] = InFile(file="instruction.md")
    return entry.model_copy(update=found)


def _matched(source: _Source) -> _Source:
    return replace(source, entry=expanded(source.entry, source.place))


def _folder_id(folder: Path, place: Place) -> str:
    try:
        return str(TaskFile(id=folder.name).id)
    except ValidationError as error:
        raise place.explain(error, TaskFile, {"id": folder.name}) from error


def _parse(model: type[_M], raw: Any, place: Place) -> _M:
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        raise place.explain(error, model, raw) from error


def _task(source: _Source, shared: dict[str, Any]) -> Task:
    entry, place = source.entry, source.place
    own = {name: value for name in entry.model_fields_set if (value := getattr(entry, name)) is not None}
    given = {**shared, **own}
    task_id = str(entry.id)
    split = Split(entry.split) if entry.split else split_of(task_id)
    _no_idle_keys(own, given.get("reward") or "junit", split, place)
    task = Task(
        id=task_id,
        split=split,
        instruction=_instruction(source),
        files=_files(source, "files"),
        submit=tuple(given.get("submit") or ()),
        tests=_files(source, "tests"),
        check=_argv(given.get("check")),
        prepare=_argv(given.get("prepare")),
        collect=_argv(given.get("collect")),
        reward=RewardKind(given.get("reward") or "junit"),
        profile=Profile(given.get("profile") or "strict"),
        solution=_files(source, "solution"),
        build=tuple(given.get("build") or ()),
        check_build=tuple(given.get("check_build") or ()),
        stages=stages_of(given.get("stages")),
        env=MappingProxyType(given.get("env") or {}),
        tags=tuple(given.get("tags") or ()),
        meta=MappingProxyType(entry.meta or {}),
        **{name: given[name] for name in _AS_WRITTEN if name in given},
    )
    rules.keep(task, place)
    return task


def _no_idle_keys(own: dict[str, Any], reward: str, split: Split, place: Place) -> None:
    """A key of the task itself that would do nothing is a mistake."""
    for key, needed in (("junit", "junit"), ("reward_path", "file"), ("reward_key", "file")):
        if key in own and reward != needed:
            raise place.error(key, f"does nothing with reward: {reward}", f"Remove it, or set reward: {needed}.")
    for key in ("weight", "deterministic"):
        if key in own and split is not Split.GATE:
            raise place.error(key, f"does nothing in the {split} split", "Remove it; it acts on gate tasks.")


def _instruction(source: _Source) -> str:
    given = source.entry.instruction
    if given is None:
        raise source.place.error("instruction", "is missing", "Write it, or put an instruction.md beside task.yaml.")
    if isinstance(given, InFile):
        try:
            given = yaml.read_text(Path(tree.inside(source.folder, given.file)))
        except tree.BadTree as error:
            raise source.place.error("instruction", str(error), "Name a text file beside the YAML file.") from error
    if not given.strip():
        raise source.place.error("instruction", "is empty", "Say what is asked.")
    return given


def _argv(check: list[str] | str | None) -> tuple[str, ...]:
    return ("bash", "-c", check) if isinstance(check, str) else tuple(check or ())


def stages_of(given: Mapping[str, Sequence[str]] | None) -> Mapping[str, tuple[str, ...]]:
    """The stages of a task as they are written."""
    return MappingProxyType({name: tuple(lines) for name, lines in (given or {}).items()})


def _files(source: _Source, field: str) -> Files:
    given: dict[str, str] | str | None = getattr(source.entry, field)
    if given is None:
        return MappingProxyType({})
    try:
        if isinstance(given, str):
            return MappingProxyType(tree.read_folder(tree.inside(source.folder, given)))
        return MappingProxyType({tree.plain(path): text.encode() for path, text in given.items()})
    except tree.BadTree as error:
        raise source.place.error(field, str(error), "Fix it there.") from error


def split_of(task_id: str) -> Split:
    """The split of a task that names none: a stable hash of its id, 2 : 3 : 2 for search, gate, holdout."""
    slot = int.from_bytes(hashlib.sha256(task_id.encode()).digest()[:8], "big") % len(_SLOTS)
    return _SLOTS[slot]


def _check_whole(loaded: list[tuple[Task, Place]], file: Path) -> None:
    """What only the whole suite shows: no task at all, equal ids, one content in two tasks."""
    if not loaded:
        raise UserError(f"{file}: tasks", "the suite is empty", "Add a task.")
    _unique(loaded, lambda task: task.id, "id", "the id")
    _unique(loaded, _content, "tests", "the same content (instruction and hidden tests)")


def _unique(loaded: Iterable[tuple[Task, Place]], key: Callable[[Task], object], field: str, what: str) -> None:
    seen: dict[object, tuple[Task, Place]] = {}
    for task, place in loaded:
        other = seen.setdefault(key(task), (task, place))
        if other[0] is not task:
            there = f"{other[1].file} task {other[0].id!r} ({other[0].split})"
            raise place.error(field, f"{what} stands twice, also in {there}", "Keep one of them.")


def _content(task: Task) -> bytes:
    return _digest(" ".join(task.instruction.split()), task.tests)


def _check_quarantine(out: dict[str, str], known: set[str], kept: tuple[Task, ...], file: Path) -> None:
    """The quarantine names tasks that exist, and leaves some; what is left can be drawn."""
    if unknown := next((name for name in out if name not in known), None):
        raise Place(file.parent / QUARANTINE).error(unknown, "there is no such task", "Take the line out.")
    if not kept:
        raise UserError(f"{file.parent / QUARANTINE}", "every task is in quarantine", "Fix some and take them out.")
    gate = [task for task in kept if task.split is Split.GATE]
    if gate and not sum(task.weight for task in gate) > 0:
        raise UserError(f"{file}: weight", "the gate tasks weigh nothing together", "Give one of them a weight.")


def _digest(said: object, *trees: Files) -> bytes:
    """A hash over plain data and files; lengths go in, so that nothing can be shifted from one to the next."""
    digest = hashlib.sha256(json.dumps(said, sort_keys=True, default=dict).encode())
    for files in trees:
        digest.update(b"\0%d" % len(files))
        for path in sorted(files):
            name, content = path.encode(), files[path]
            digest.update(b"\0%d %d\0%s%s" % (len(name), len(content), name, content))
    return digest.digest()


def content_hash(tasks: tuple[Task, ...]) -> str:
    """Over all that can change a score; the order of the tasks, and how they are written, cannot."""
    whole = hashlib.sha256()
    for task in sorted(tasks, key=lambda task: task.id):
        whole.update(_digest(_scoring(task), task.files, task.tests))
    return whole.hexdigest()[:16]


def _scoring(task: Task) -> dict[str, object]:
    said = {name: getattr(task, name) for name in _SCORING}
    return {name: value for name, value in said.items() if name not in _LATER or value != _LATER[name]}
