"""Suites in the native format: one `suite.yaml`, tasks inline or a folder per task beside it.

A task's `files`, `tests` and `solution` map a path to its text, or name a folder beside the YAML file. The
content hash covers everything that can change a score, and is part of every trial's identity.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agent.kernel.errors import UserError
from agent.kernel.types import Files, RewardKind, Split, Suite, Task
from agent.suites import strictyaml

MAX_FOLDER_BYTES = 8 << 20
_SLOTS = (Split.SEARCH,) * 2 + (Split.GATE,) * 3 + (Split.HOLDOUT,) * 2
_M = TypeVar("_M", bound=BaseModel)
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class _Defaults(BaseModel):
    """What tasks share; a task's own key wins."""

    model_config = ConfigDict(extra="forbid", strict=True)

    submit: list[str] | None = None
    check: list[str] | str | None = None
    reward: Literal["junit", "exit", "file"] | None = None
    reward_path: str | None = None
    solve_timeout: Positive | None = None
    check_timeout: Positive | None = None
    memory_mb: Annotated[int, Field(ge=16, le=65536)] | None = None
    cpus: Positive | None = None
    env: dict[str, str] | None = None
    weight: Positive | None = None
    tags: list[str] | None = None


class _Task(_Defaults):
    """One task as it is written."""

    id: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
    split: Literal["search", "gate", "holdout"] | None = None
    instruction: Annotated[str, Field(min_length=1)]
    files: dict[str, str] | str = Field(default_factory=dict)
    tests: dict[str, str] | str
    solution: dict[str, str] | str = Field(default_factory=dict)
    junit: Annotated[int, Field(ge=1)] | None = None
    meta: dict[str, Any] = Field(default_factory=dict)


class _Suite(BaseModel):
    """A suite.yaml."""

    model_config = ConfigDict(extra="forbid", strict=True)

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
    description: str = ""
    defaults: _Defaults = _Defaults()
    tasks: list[dict[str, Any]] = Field(default_factory=list)


def load_suite(path: Path) -> Suite:
    """The suite in a folder (or at its suite.yaml).

    Raises:
        UserError: names the file, the task and the field.
    """
    file = path if path.suffix in {".yaml", ".yml"} else path / "suite.yaml"
    head = _parse(_Suite, strictyaml.load(file), str(file))
    sources = [(f"{file} task {n + 1}", file.parent, raw) for n, raw in enumerate(head.tasks)]
    for folder_file in sorted(file.parent.glob("*/task.yaml")):
        raw = {"id": folder_file.parent.name, **strictyaml.load(folder_file)}
        sources.append((str(folder_file), folder_file.parent, _with_folders(raw, folder_file.parent)))
    tasks = tuple(_task(raw, head.defaults, folder, where) for where, folder, raw in sources)
    _check_whole(tasks, str(file))
    return Suite(name=head.name, hash=_hash_tasks(tasks), tasks=tasks)


def _with_folders(raw: dict[str, Any], folder: Path) -> dict[str, Any]:
    """A folder per task: `files/`, `tests/`, `solution/`, `instruction.md` are found by name."""
    found: dict[str, Any] = {name: name for name in ("files", "tests", "solution") if (folder / name).is_dir()}
    if (folder / "instruction.md").is_file():
        found["instruction"] = (folder / "instruction.md").read_text(encoding="utf-8")
    return {**found, **raw}


def _parse(model: type[_M], raw: Any, where: str) -> _M:
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "file"
        raise UserError(f"{where}: {field}", first["msg"], "Mend that field.") from error


def _task(raw: dict[str, Any], defaults: _Defaults, folder: Path, where: str) -> Task:
    shared = {name: value for name, value in defaults.model_dump().items() if value is not None}
    task = _parse(_Task, {**shared, **raw}, where)
    where = f"{where} ({task.id})"
    chosen = {
        name: value
        for name in ("solve_timeout", "check_timeout", "memory_mb", "cpus", "weight")
        if (value := getattr(task, name)) is not None
    }
    return Task(
        id=task.id,
        split=Split(task.split) if task.split else split_of(task.id),
        instruction=task.instruction,
        files=_files(task.files, folder, f"{where}: files"),
        submit=_submit(task.submit, where),
        tests=_files(task.tests, folder, f"{where}: tests"),
        check=_argv(task.check, where),
        reward=RewardKind(task.reward or "junit"),
        reward_path=task.reward_path,
        junit=task.junit,
        solution=_files(task.solution, folder, f"{where}: solution"),
        env=MappingProxyType(dict(task.env or {})),
        tags=tuple(task.tags or ()),
        meta=MappingProxyType(task.meta),
        **chosen,
    )


def split_of(task_id: str) -> Split:
    """The split of a task that names none: a stable hash of its id, 2 : 3 : 2 for search, gate, holdout."""
    slot = int.from_bytes(hashlib.sha256(task_id.encode()).digest()[:8], "big") % len(_SLOTS)
    return _SLOTS[slot]


def _submit(globs: list[str] | None, where: str) -> tuple[str, ...]:
    if not globs:
        raise UserError(f"{where}: submit", "missing", "List the paths that are handed in.")
    for glob in globs:
        _clean_path(glob, f"{where}: submit")
    return tuple(globs)


def _argv(check: list[str] | str | None, where: str) -> tuple[str, ...]:
    if not check:
        raise UserError(f"{where}: check", "missing", "Give the command that runs the hidden tests.")
    return ("bash", "-c", check) if isinstance(check, str) else tuple(check)


def _files(given: dict[str, str] | str, folder: Path, where: str) -> Files:
    if isinstance(given, str):
        return MappingProxyType(_read_folder(folder, given, where))
    return MappingProxyType({_clean_path(path, where): text.encode() for path, text in given.items()})


def _read_folder(folder: Path, name: str, where: str) -> dict[str, bytes]:
    root = folder / _clean_path(name, where)
    if not root.is_dir() or root.is_symlink():
        raise UserError(where, f"{name!r} is no folder beside the suite", "Name a folder, or map paths to text.")
    found: dict[str, bytes] = {}
    total = 0
    for path in sorted(root.rglob("*")):
        if path.is_symlink() or not (path.is_dir() or path.is_file()):
            raise UserError(where, f"{path.name!r} is a link or special file", "Use plain files.")
        if path.is_file():
            found[_clean_path(path.relative_to(root).as_posix(), where)] = content = path.read_bytes()
            total += len(content)
    if total > MAX_FOLDER_BYTES:
        raise UserError(where, f"more than {MAX_FOLDER_BYTES >> 20} MiB", "Put large data into an image.")
    return found


def _clean_path(path: str, where: str) -> str:
    parts = PurePosixPath(path).parts
    bad = not parts or path.startswith("/") or ".." in parts or ".git" in {p.lower() for p in parts}
    if bad or "\\" in path or any(ord(c) < ord(" ") for c in path):
        raise UserError(where, f"{path!r} is no relative path inside the workspace", "Use a plain relative path.")
    return path


def _check_whole(tasks: tuple[Task, ...], where: str) -> None:
    """What only the whole suite shows: no task at all, equal ids, one content in two splits, no way to score."""
    if not tasks:
        raise UserError(f"{where}: tasks", "the suite is empty", "Add a task.")
    _unique(tasks, lambda t: t.id, f"{where}: id")
    _unique(tasks, lambda t: _digest(t.instruction.split(), sorted(t.tests.items())), f"{where}: same content as")
    for task in tasks:
        if not task.tests and task.reward is RewardKind.JUNIT:
            raise UserError(f"{where}: {task.id}.tests", "empty", "Give at least one hidden test.")
        if task.reward is RewardKind.JUNIT and task.junit is None:
            mend = "Say how many tests the reference solution passes."
            raise UserError(f"{where}: {task.id}.junit", "missing", mend)
        if task.reward is RewardKind.FILE and task.reward_path is None:
            raise UserError(f"{where}: {task.id}.reward_path", "missing", "Name the file that holds the reward.")


def _unique(tasks: Iterable[Task], key: Callable[[Task], str], what: str) -> None:
    seen: dict[str, str] = {}
    for task in tasks:
        if (other := seen.setdefault(key(task), task.id)) is not task.id:
            raise UserError(f"{what} {task.id!r}", f"stands twice (see {other!r})", "Keep one of them.")


def _digest(*parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts, default=_plain, sort_keys=True).encode()).hexdigest()


def _plain(value: Any) -> Any:
    return value.hex() if isinstance(value, bytes) else dict(value) if isinstance(value, Mapping) else str(value)


def _hash_tasks(tasks: tuple[Task, ...]) -> str:
    return _digest([[getattr(task, name) for name in Task.__slots__] for task in tasks])[:16]
