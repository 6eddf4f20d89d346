"""Where Harbor tasks come from: a folder, a dataset.toml with digests, a registry.json, or a package of the hub."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from pathspec import GitIgnoreSpec

from agent.base.errors import UserError
from agent.base.types import Files
from agent.base.yaml import read_text
from agent.suites.importing import repositories
from agent.suites.importing.draft import Options, Refusal, Unsupported, task_id
from agent.suites.importing.harbor_fates import CONFIG
from agent.suites.importing.reading import json_object, tasks_below, toml_file
from agent.suites.importing.write import write_files

DATASET, REGISTRY = "dataset.toml", "registry.json"
HUB = re.compile(r"harbor:/{1,2}(?P<package>[\w.-]+/[\w.-]+(?:@[\w.:-]+)?)")
DOWNLOAD_SECONDS = 1800
_BY_HAND = "Try `harbor download` by hand."
_ONE_FILE = frozenset({CONFIG, "instruction.md", "README.md", "trajectory.json"})
_FOLDERS = ("environment/", "tests/", "solution/", "steps/")
PARTS = frozenset(
    {*_ONE_FILE, *(name.rstrip("/") for name in _FOLDERS), ".gitignore", ".harborignore", "docker-compose.yaml"}
)
"""What belongs to a task; a repository that is one task has more beside it."""

_IGNORED = ("__pycache__/", "*.pyc", ".DS_Store", "*.swp", "*.swo", "*~")


@dataclass(frozen=True, kw_only=True, slots=True)
class Located:
    """A task's folder, what messages call it, and what its source says about its content."""

    root: Path
    inside: str
    digest: str | None = None
    origin: Mapping[str, str] | None = None


def digest_of(files: Files) -> str:
    """The digest of a task's content as Harbor's publisher computes it (0.26)."""
    rules = files[".gitignore"].decode(errors="replace").splitlines() if ".gitignore" in files else _IGNORED
    ignored = GitIgnoreSpec.from_lines(rules)
    whole = sha256()
    for path in sorted(files):
        if (path in _ONE_FILE or path.startswith(_FOLDERS)) and not ignored.match_file(path):
            whole.update(f"{path}\0{sha256(files[path]).hexdigest()}\n".encode())
    return f"sha256:{whole.hexdigest()}"


@contextmanager
def downloaded(source: Path) -> Iterator[Path]:
    """The folder of a source; a package of the hub (`harbor://org/name@digest`) is fetched by Harbor's own command.

    Raises:
        UserError: the command is not there, or fails.
    """
    package = HUB.fullmatch(str(source))
    if package is None:
        yield source
        return
    name = package["package"]
    if (harbor := shutil.which("harbor")) is None:
        fix = f"Install it (Python 3.12: `uv tool install harbor`), or run `harbor download {name}` elsewhere."
        raise UserError(f"harbor://{name}", "the command `harbor` is not installed", fix)
    with tempfile.TemporaryDirectory(prefix="ratchet-harbor-") as folder:
        argv = [harbor, "download", name, "--export", "--output-dir", folder]
        try:
            done = subprocess.run(
                argv, capture_output=True, text=True, errors="replace", check=False, timeout=DOWNLOAD_SECONDS
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            why = error.strerror if isinstance(error, OSError) else f"took more than {DOWNLOAD_SECONDS} s"
            raise UserError(f"harbor://{name}", f"cannot be downloaded ({why})", _BY_HAND) from error
        if done.returncode or not any(Path(folder).iterdir()):
            said = " ".join((done.stderr or done.stdout).split())[-200:]
            raise UserError(f"harbor://{name}", f"cannot be downloaded ({said})", _BY_HAND)
        yield Path(folder)


def tasks_of(source: Path, options: Options, work: Path) -> Iterator[Located | Refusal]:
    """Every task of a source; `work` is a folder for tasks that come out of git. Raises UserError."""
    if source.is_file() and source.suffix == ".json":
        yield from _registered(source, options, work)
    elif (dataset := source if source.name == DATASET else source / DATASET).is_file():
        yield from _pinned(dataset)
    else:
        for root in tasks_below(source, CONFIG):
            yield Located(root=root, inside=root.relative_to(source).as_posix())


def _pinned(dataset: Path) -> Iterator[Located | Refusal]:
    """The tasks that a dataset.toml names, each with its digest; others in the folder are left out, by name."""
    wanted = dict(map(_reference, _tables(toml_file(dataset), DATASET)))
    for root in tasks_below(dataset.parent, CONFIG):
        inside = root.relative_to(dataset.parent).as_posix()
        table = toml_file(root / CONFIG).get("task")
        name = str(table.get("name", "")) if isinstance(table, dict) else ""
        if name in wanted:
            yield Located(root=root, inside=inside, digest=wanted.pop(name))
        else:
            yield Refusal(id=task_id(root.name), origin=inside, feature=f"{DATASET} does not name it")
    for name in wanted:
        yield Refusal(id=task_id(name), origin=name, feature=f"{DATASET} names it, and it is not there")


def _tables(config: Mapping[str, Any], where: str) -> list[Mapping[str, Any]]:
    tasks = config.get("tasks")
    if not isinstance(tasks, list) or not all(isinstance(task, dict) for task in tasks):
        raise UserError(f"{where}: tasks", "is not a list of tables", "Write [[tasks]] with name and digest.")
    return tasks


def _reference(task: Mapping[str, Any]) -> tuple[str, str]:
    name, digest = task.get("name"), task.get("digest")
    if not isinstance(name, str) or not re.fullmatch(r"sha256:[0-9a-f]{64}", str(digest)):
        raise UserError(f"{DATASET}: tasks", f"{name!r:.60} has no sha256 digest", "Give name and digest.")
    return name, str(digest)


def _registered(registry: Path, options: Options, work: Path) -> Iterator[Located | Refusal]:
    """The tasks of one dataset of a registry: folders beside the file, or folders of a git repository at a commit."""
    for number, task in enumerate(_tables(_dataset(registry, options.dataset), registry.name)):
        name, path, url = (str(task.get(key) or "") for key in ("name", "path", "git_url"))
        try:
            if url:
                commit = str(task.get("git_commit_id") or "HEAD")
                root = _from_git(url, commit, path, options, work / str(number))
                yield Located(root=root, inside=name or path, origin={"git_url": url, "git_commit_id": commit})
            else:
                yield Located(root=_beside(registry, path), inside=name or path)
        except Unsupported as reason:
            yield Refusal(id=task_id(name), origin=name or path, feature=str(reason))


def _dataset(registry: Path, wanted: str | None) -> Mapping[str, Any]:
    """The one dataset that is asked for. Raises UserError if that is not clear."""
    found = json_object(f'{{"datasets": {read_text(registry)}\n}}', str(registry), 1)["datasets"]
    datasets = [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []
    named = {f"{one.get('name')}@{one.get('version')}": one for one in datasets}
    fitting = [one for name, one in named.items() if wanted in {None, name, name.partition("@")[0]}]
    if len(fitting) != 1:
        problem = f"holds {len(named)} datasets, {len(fitting)} of which fit"
        raise UserError(str(registry), problem, f"Name one with --dataset: {', '.join(sorted(named))[:400]}.")
    return fitting[0]


def _beside(registry: Path, path: str) -> Path:
    root = registry.parent / path
    if ".." in Path(path).parts or Path(path).is_absolute() or not (root / CONFIG).is_file():
        raise Unsupported(f"{registry.name}: path {path!r:.80} is not a task's folder beside it")
    return root


def _from_git(url: str, commit: str, path: str, options: Options, into: Path) -> Path:
    """A folder of a repository at a commit, written out. Raises Unsupported."""
    if commit != "HEAD" and not repositories.COMMIT.fullmatch(commit):
        raise Unsupported(f"git_commit_id: {commit!r:.60} is not a whole commit id")
    if options.repos is not None:
        clone = repositories.clone_of(options.repos, "/".join(url.removesuffix(".git").split("/")[-2:]))
    else:
        clone = repositories.fetched_commit(url, commit, into.parent / f"git-{sha256(url.encode()).hexdigest()[:12]}")
    files = repositories.files_below(clone, commit, path)
    if CONFIG not in files:
        raise Unsupported(f"{url}: {path!r:.80} holds no {CONFIG}")
    write_files(str(into), files)
    return into
