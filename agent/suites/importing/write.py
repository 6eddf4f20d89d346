"""Writes an imported suite beside its place and renames it: whole, or not at all, and the same bytes every time."""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any, Self

from pydantic import ValidationError

from agent.base import yaml
from agent.base.errors import UserError
from agent.base.profile import Profile
from agent.base.types import Files, RewardKind, Split, Suite, Task
from agent.suites import rules, tree
from agent.suites.format import TaskFile
from agent.suites.importing.draft import Draft, Refusal, Unsupported, task_id
from agent.suites.importing.replacing import carry_quarantine, stranded, swap
from agent.suites.loader import load_suite, stages_of
from agent.suites.matching import expanded
from agent.suites.place import Place
from agent.suites.quarantine import QUARANTINE

REPORT = "import.json"
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")
_LINE = re.compile(r" line \d+")
_DETAIL = re.compile(r"(?<!\w)'[^']*'(?!\w)|\"[^\"]*\"|\([^()]*\)$")
_PARTS = ("files", "tests", "solution")
_KEPT = {QUARANTINE}
"""What a user's own commands write into an imported suite."""


class SuiteWriter:
    """Takes drafts one by one; `finish` puts the suite in its place. Leaving without it leaves no trace."""

    def __init__(self, dest: Path, *, replace: bool) -> None:
        if dest.is_symlink() or (dest.exists() and not dest.is_dir()):
            raise UserError(str(dest), "is not a folder", "Name a folder to make.")
        if dest.exists() and any(dest.iterdir()) and not (dest / REPORT).is_file():
            raise UserError(str(dest), "holds something else than an imported suite", "Name a folder to make.")
        self.dest, self._replace = dest, replace
        self._taken: dict[str, str] = {}
        self._remarks: dict[str, tuple[str, ...]] = {}
        self._contents: dict[bytes, str] = {}
        self.refusals: list[Refusal] = []

    def __enter__(self) -> Self:
        with _writing(self.dest):
            self.dest.parent.mkdir(parents=True, exist_ok=True)
            self._work = Path(tempfile.mkdtemp(prefix=f".{self.dest.name}.", dir=self.dest.parent))
            self._draft, self._probe = self._work / "suite", self._work / "task.yaml"
            self._before = self._work / "before"
            self._draft.mkdir()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not stranded(self.dest, self._before):
            shutil.rmtree(self._work, ignore_errors=True)

    @property
    def taken(self) -> int:
        """How many tasks were taken so far."""
        return len(self._taken)

    def add(self, draft: Draft) -> Refusal | None:
        """Write one task, or say by what feature it is refused. Raises UserError for a second task of its id."""
        if other := self._taken.get(draft.id):
            raise UserError(
                draft.origin,
                f"the id {draft.id!r} stands twice, also in {other}",
                "Rename one of them, or import one folder at a time.",
            )
        content = _content(draft)
        twin = self._contents.get(content)
        reason = f"the same instruction and tests as {twin}" if twin else _fault(draft) or self._unwritable(draft)
        if reason:
            return self.refuse(Refusal(id=draft.id, origin=draft.origin, feature=reason))
        self._taken[draft.id], self._contents[content] = draft.origin, draft.id
        self._remarks[draft.id] = draft.remarks
        with _writing(self.dest):
            _write_task(self._draft / draft.id, draft, self._probe)
        return None

    def _unwritable(self, draft: Draft) -> str | None:
        """Why a draft would change on its way through YAML, or None if it would not."""
        settings = _settings(draft)
        try:
            with _writing(self.dest):
                self._probe.write_text(yaml.dump(settings), encoding="utf-8")
            same = yaml.load(self._probe) == settings
        except (UserError, UnicodeEncodeError, RecursionError):
            same = False
        return None if same else "a text or number that YAML cannot carry"

    def refuse(self, refusal: Refusal) -> Refusal:
        """Keep a refusal for the report."""
        self.refusals.append(refusal)
        return refusal

    def finish(self, kind: str, source: str, prepare: Callable[[Path], None] | None = None) -> bool:
        """Put the suite in its place; False if exactly this stands there already.

        `prepare` may still add to the suite while it stands beside its place. Raises UserError.
        """
        if not self._taken:
            raise NothingTaken(source, kind, self.refusals)
        head = {"name": task_id(self.dest.name), "description": f"imported from {kind}: {source}"}
        report = self._report(kind, source)
        with _writing(self.dest):
            (self._draft / "suite.yaml").write_text(yaml.dump(head), encoding="utf-8")
            (self._draft / REPORT).write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
        suite = self._load()
        if prepare is not None:
            prepare(self._draft)
            suite = self._load()
        with _writing(self.dest):
            return self._move(suite)

    def _report(self, kind: str, source: str) -> dict[str, Any]:
        """What was taken, what was refused and why, and where a task means something else than before."""
        return {
            "kind": kind,
            "source": source,
            "taken": [_taken(name, origin, self._remarks[name]) for name, origin in self._taken.items()],
            "refused": [{"id": r.id, "from": r.origin, "feature": r.feature} for r in self.refusals],
            "reasons": grouped(refusal.feature for refusal in self.refusals),
            "remarks": self.remarks,
        }

    @property
    def remarks(self) -> list[dict[str, Any]]:
        """Changes of meaning, each with the number of tasks."""
        return grouped(remark for remarks in self._remarks.values() for remark in remarks)

    def _load(self) -> Suite:
        """What was written must be what the loader takes. Raises UserError as if it stood in its place."""
        try:
            return load_suite(self._draft)
        except UserError as error:
            raise UserError(error.field.replace(str(self._draft), str(self.dest)), error.problem, error.fix) from error

    def _move(self, suite: Suite) -> bool:
        if not self.dest.exists() or not any(self.dest.iterdir()):
            self._draft.replace(self.dest)
            return True
        if (first := _difference(self._draft, self.dest)) is None:
            return False
        if not self._replace:
            problem = f"holds another import ({first!r:.80} differs)"
            raise UserError(str(self.dest), problem, "Add --replace, or name another folder.")
        carry_quarantine(self.dest, self._draft, suite)
        self._load()
        swap(self._draft, self.dest, self._before)
        return True


class NothingTaken(UserError):
    """Every task was refused; `reasons` groups the refusals."""

    def __init__(self, source: str, kind: str, refusals: Sequence[Refusal]) -> None:
        self.kind, self.refusals = kind, tuple(refusals)
        self.reasons = grouped(refusal.feature for refusal in refusals)
        why = f"; {refusals[0].origin}: {refusals[0].feature}" if refusals else ""
        problem = f"holds no task that can be taken{why}"
        super().__init__(source, problem, "`ratchet docs importing` says what is supported.")


def grouped(reasons: Iterable[str]) -> list[dict[str, Any]]:
    """Reasons with their counts, the most frequent first; numbers of lines and what is quoted count as one."""
    counts = Counter(_DETAIL.sub("...", _LINE.sub("", reason)) for reason in reasons)
    return [{"reason": reason, "count": count} for reason, count in sorted(counts.items(), key=_rank)]


def _rank(item: tuple[str, int]) -> tuple[int, str]:
    return -item[1], item[0]


def _taken(name: str, origin: str, remarks: Sequence[str]) -> dict[str, Any]:
    return {"id": name, "from": origin, **({"remarks": list(remarks)} if remarks else {})}


@contextmanager
def _writing(dest: Path) -> Iterator[None]:
    """A disk that does not do as it should is the user's to fix."""
    try:
        yield
    except OSError as error:
        raise UserError(
            str(dest), f"cannot be written ({error.strerror})", "Make room, or the folder writable."
        ) from error


def _content(draft: Draft) -> bytes:
    """What two tasks of one suite may not share."""
    digest = sha256(" ".join(draft.instruction.split()).encode())
    for path in sorted(draft.tests):
        digest.update(b"\0%d %s %s" % (len(draft.tests[path]), path.encode(), draft.tests[path]))
    return digest.digest()


def _fault(draft: Draft) -> str | None:
    """Why a draft is not a task of the native format, or None if it is one; checked before anything is written."""
    try:
        _validate(draft)
    except Unsupported as reason:
        return str(reason)
    return None


def _validate(draft: Draft) -> None:
    for part in _PARTS:
        _loadable(part, getattr(draft, part))
    settings = _settings(draft)
    try:
        entry = TaskFile.model_validate(settings)
    except ValidationError as error:
        first = error.errors()[0]
        raise Unsupported(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    if not draft.instruction.strip() or _CONTROL.search(draft.instruction):
        raise Unsupported("an instruction that is empty or holds control characters")
    entry = expanded(entry, place := _Draft(Path(draft.origin)))
    shared = {
        "image",
        "check_image",
        "workdir",
        "user",
        "memory_mb",
        "disk_mb",
        "cpus",
        "solve_as",
        "solve_timeout",
        "check_timeout",
        "junit",
    }
    shared |= {"reward_path", "reward_key"}
    task = Task(
        id=draft.id,
        split=Split.SEARCH,
        instruction=draft.instruction,
        files=draft.files,
        tests=draft.tests or _texts(entry.tests),
        solution=draft.solution or _texts(entry.solution),
        submit=tuple(entry.submit or ()),
        check=_argv(entry.check),
        prepare=_argv(entry.prepare),
        collect=_argv(entry.collect),
        reward=RewardKind(entry.reward or "junit"),
        profile=Profile(entry.profile or "strict"),
        build=tuple(entry.build or ()),
        check_build=tuple(entry.check_build or ()),
        stages=stages_of(entry.stages),
        env=MappingProxyType(entry.env or {}),
        **{name: value for name in shared if (value := getattr(entry, name)) is not None},
    )
    rules.keep(task, place)


def _argv(command: list[str] | str | None) -> tuple[str, ...]:
    return ("bash", "-c", command) if isinstance(command, str) else tuple(command or ())


def _loadable(part: str, files: Files) -> None:
    """Raises Unsupported for files that the loader refuses in a folder."""
    if len(files) > tree.MAX_FOLDER_FILES or sum(map(len, files.values())) > tree.MAX_FOLDER_BYTES:
        limit = f"{tree.MAX_FOLDER_FILES} files or {tree.MAX_FOLDER_BYTES >> 20} MiB"
        raise Unsupported(f"{part}: more than {limit}; a box gets them for each run")
    for path in files:
        if fault := tree.suite_path_fault(path):
            raise Unsupported(f"{part}: {path!r:.80} {fault}")


def _texts(files: dict[str, str] | str | None) -> dict[str, bytes]:
    return {path: text.encode() for path, text in files.items()} if isinstance(files, dict) else {}


class _Draft(Place):
    """A task that is in no file yet: what is wrong with it is a reason to refuse it."""

    def error(self, field: Any, problem: str, fix: str) -> Any:  # noqa: ARG002 - the base class's signature
        path = (field,) if isinstance(field, str) else tuple(field)
        return Unsupported(f"{'.'.join(map(str, path))}: {problem}")


def _settings(draft: Draft) -> dict[str, Any]:
    said = {name: value for name, value in draft.settings.items() if value not in (None, [], {})}
    return {**said, "meta": dict(draft.meta)} if draft.meta else said


def _write_task(folder: Path, draft: Draft, settings: Path) -> None:
    """Write a task whose task.yaml has been written and read back already."""
    folder.mkdir()
    settings.rename(folder / "task.yaml")
    (folder / "instruction.md").write_text(draft.instruction.rstrip() + "\n", encoding="utf-8", newline="\n")
    for part in _PARTS:
        write_files(f"{folder}/{part}", getattr(draft, part))


def write_files(root: str, files: Files) -> None:
    """Write new files below a folder."""
    made: set[str] = set()
    for path, content in files.items():
        at = f"{root}/{path}"
        parent = at.rpartition("/")[0]
        if parent not in made:
            os.makedirs(parent, exist_ok=True)  # noqa: PTH103 - strings: thousands of files
            made.add(parent)
        with open(at, "xb") as file:  # noqa: PTH123
            file.write(content)


def _difference(ours: Path, theirs: Path) -> str | None:
    """The first path at which two folders differ, what users' commands write left out."""
    left, right = ({p.relative_to(top).as_posix(): p for p in sorted(top.rglob("*"))} for top in (ours, theirs))
    for name in sorted({*left, *right} - _KEPT):
        mine, other = left.get(name), right.get(name)
        if mine is None or other is None or mine.is_dir() != other.is_dir() or other.is_symlink():
            return name
        if mine.is_file() and mine.read_bytes() != other.read_bytes():
            return name
    return None
