"""The files of a repository that somebody wants to improve, and what a look at them found."""

from __future__ import annotations

import json
import re
import subprocess
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from agent.base.errors import UserError
from agent.base.git_environment import git_environment

MAX_READ = 1 << 20
_ASIDE = re.compile(
    r"(tests?|docs?|examples?|benchmarks?|assets|data|runs|tasks|node_modules|vendor|\..*|LICEN[CS]E.*|CHANGELOG.*|README.*"
    r"|CONTRIBUTING.*|Makefile|Dockerfile.*|.*\.lock|package-lock\.json|campaign\.yaml)"
)
_LFS = "version https://git-lfs.github.com/spec/"
_CODE = tuple(f":!*.{ending}" for ending in ("py", "js", "mjs", "ts", "sh", "go", "rs", "md"))
_NO_CONTENT = {"120000", "160000"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """The files of a work tree that git knows. `odd` are links, submodules and LFS pointers, which hold no content."""

    root: Path
    paths: tuple[str, ...]
    odd: frozenset[str]
    executable: frozenset[str]

    @classmethod
    def at(cls, root: Path) -> Source:
        """The work tree whose top is `root`.

        Raises:
            UserError: there is none, or git does not list it.
        """
        done = _git(root, "ls-files", "-s", "-z")
        if done.returncode or not (root / ".git").exists():
            fix = "Name its top folder, or run `git init` and commit what belongs to the agent."
            raise UserError("--agent", f"{root} is not the top of a git repository", fix)
        rows = [row.partition("\t") for row in done.stdout.split("\0") if row]
        modes = {path: head.split(" ")[0] for head, _, path in rows}
        return cls(
            root=root,
            paths=tuple(sorted(modes)),
            odd=frozenset(path for path, mode in modes.items() if mode in _NO_CONTENT) | _pointers(root),
            executable=frozenset(path for path, mode in modes.items() if mode == "100755"),
        )

    def text(self, path: str) -> str:
        """A file's text; empty if it is missing, long or not text."""
        file = self.root / path
        try:
            if path not in self.paths or file.is_symlink() or file.stat().st_size > MAX_READ:
                return ""
            return file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            return ""

    def toml(self, path: str) -> dict[str, Any]:
        """A TOML file; empty if it is missing or broken."""
        try:
            return tomllib.loads(self.text(path))
        except tomllib.TOMLDecodeError:
            return {}

    def json(self, path: str) -> dict[str, Any]:
        """A JSON object; empty if it is missing or broken."""
        try:
            found = json.loads(self.text(path) or "{}")
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}

    def tables(self, path: str, key: str) -> list[dict[str, Any]]:
        """The tables of a list at the top of a TOML file; other items are left out."""
        found = self.toml(path).get(key)
        return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []

    def below(self, folder: str) -> list[str]:
        """The paths of a folder."""
        return [path for path in self.paths if path.startswith(f"{folder}/")]

    def tops(self) -> list[str]:
        """Names at the top, folders among them."""
        return sorted({path.partition("/")[0] for path in self.paths})

    def first(self, names: Iterable[str]) -> str | None:
        """The first of some paths that exists."""
        return next((name for name in names if name in self.paths), None)

    def size(self, name: str) -> int:
        """Bytes of a file, or of all files of a folder."""
        found = self.below(name) or [name]
        return sum((self.root / path).stat().st_size for path in found if (self.root / path).is_file())


@dataclass(kw_only=True, slots=True)
class Found:
    """What a look at one kind of agent proposes.

    `why` explains the command, `notes` are for the user; `missing` says what to do before it can be built at all.
    `built` is a folder that `prepare` makes although the repository holds it: boxes do not get the committed one.
    """

    command: tuple[str, ...] = ()
    why: str = ""
    code: list[str] = field(default_factory=list)
    include: list[str] = field(default_factory=list)
    packages: dict[str, str] = field(default_factory=dict)
    build: list[str] = field(default_factory=list)
    prepare: tuple[str, ...] = ()
    notes: list[str] = field(default_factory=list)
    image: str | None = None
    missing: str = ""
    built: str = ""


def _pointers(root: Path) -> frozenset[str]:
    """Git LFS pointers that stand for data; one that stands for code is left to be an error."""
    found = _git(root, "grep", "-lz", "--cached", "-e", f"^{_LFS}", "--", ".", *_CODE).stdout
    return frozenset(path for path in found.split("\0") if path)


def _git(root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command, env = ["git", "-C", str(root), *words], git_environment()
    return subprocess.run(command, env=env, capture_output=True, text=True, errors="surrogateescape", check=False)


def table(found: object, *keys: str) -> dict[str, Any]:
    """The table at some keys of tables; empty where there is none, or something else."""
    for key in keys:
        found = found.get(key) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else {}


def is_aside(name: str) -> bool:
    """Whether a name at the top of a repository is usually not part of the agent."""
    return _ASIDE.fullmatch(name) is not None


def top_of(path: str) -> str:
    """The first component of a path."""
    return PurePosixPath(path).parts[0]
