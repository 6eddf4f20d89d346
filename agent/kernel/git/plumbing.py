"""Running git: objects in and out, refs by compare-and-swap, merges.

The user's HEAD, index, working tree, hooks and configuration are never touched: trees are built in a temporary index,
commits made by `commit-tree`, refs moved by `update-ref`, hooks off. Every method blocks for a few git processes and
may be called from any thread.
"""

from __future__ import annotations

import hashlib
import re
import subprocess
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from agent.base.errors import RecordBroken, Refused, UserError
from agent.base.owner import folder_prefix
from agent.base.text import clean_line
from agent.base.types import Files
from agent.kernel.git.messages import COMMIT_FORMAT, PLAIN, Commit, CommitStyle, parse_commits

if TYPE_CHECKING:
    import git

MIN_GIT = (2, 38, 0)
"""`merge-tree --write-tree` came with git 2.38."""

STALE_LOCK_SECONDS = 5.0
"""A ref's lock that has not changed for so long has no owner: a live git holds one for milliseconds."""

IDENTITY = ("Ratchet", "ratchet@localhost")

REGULAR = ("100644", "100755")
"""The modes of regular files."""

# The user's configuration must change neither what we write nor what we read, and may run nothing.
_OPTIONS = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.splitIndex=false",
    "core.attributesFile=/dev/null",
    "core.quotePath=true",
    "commit.gpgSign=false",
    "log.showSignature=false",
    "log.mailmap=false",
    "gc.auto=0",
    "i18n.commitEncoding=UTF-8",
    "i18n.logOutputEncoding=UTF-8",
    "trailer.separators=:",
    "merge.directoryRenames=false",
    "merge.renames=true",
)
_SHA1_DIGITS = 40
_LISTINGS_KEPT = 256
_OBJECT_NAME = re.compile("[0-9a-f]{40}|[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of a tree: its mode and its object name."""

    mode: str
    oid: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What a git process answered."""

    code: int
    out: bytes
    error: str

    @property
    def text(self) -> str:
        """The output, so that any bytes of a path come back as they were."""
        return self.out.decode("utf-8", "surrogateescape")


class Git:
    """One repository's git. Made by `Git.open`."""

    def __init__(self, repo: git.Repo) -> None:
        self._repo, self._env = repo, _environment(repo)
        self._listings: dict[tuple[str, tuple[str, ...]], dict[str, Entry]] = {}
        self.bare = bool(repo.bare)
        self.common = Path(repo.common_dir)

    @classmethod
    def open(cls, path: Path) -> Git:
        """A work tree's top folder (linked ones and submodules too), or a bare repository. Raises UserError."""
        return cls(_open_repo(path))

    def run(
        self,
        *arguments: str,
        stdin: bytes = b"",
        env: Mapping[str, str] | None = None,
        ok: Sequence[int] = (0,),
    ) -> Answer:
        """One git process. Raises RecordBroken for an exit code that is not `ok`."""
        options = [part for option in _OPTIONS for part in ("-c", option)]
        command = ["git", "--literal-pathspecs", *options, *arguments]
        environment = {**self._env, **(env or {})}
        try:
            process = self._repo.git.execute(command, istream=subprocess.PIPE, as_process=True, env=environment)
            out, error = process.communicate(stdin)
        except OSError as fault:
            raise RecordBroken(f"git cannot be run: {fault}") from fault
        code = process.returncode
        said = clean_line(error.decode(errors="replace"))[-300:]
        if code not in ok:
            raise RecordBroken(f"git {arguments[0]} failed ({code}): {said}")
        return Answer(code, out, said)

    # ------------------------------------------------------------------------------ reading

    def resolve(self, rev: str) -> str | None:
        """The commit that a revision names, or None."""
        answer = self.run("rev-parse", "--verify", "--quiet", "--end-of-options", f"{rev}^{{commit}}", ok=(0, 1, 128))
        return None if answer.code else answer.text.strip()

    def tree_of(self, rev: str) -> str:
        """The tree of a commit, a tag or a tree."""
        return self.run("rev-parse", "--verify", "--end-of-options", f"{rev}^{{tree}}").text.strip()

    def log(self, *arguments: str) -> list[Commit]:
        """Commits as `rev-list` finds them, along first parents."""
        options = ("--first-parent", "--no-commit-header", f"--format={COMMIT_FORMAT}")
        return parse_commits(self.run("rev-list", *options, *arguments, "--").out)

    def branch(self, ref: str) -> tuple[str | None, str]:
        """A branch's commit, and the work tree that has it checked out, if any."""
        out = self.run("for-each-ref", "--format=%(refname)%00%(objectname)%00%(worktreepath)", ref).text
        for line in out.splitlines():
            name, oid, worktree = line.split("\0")
            if name == ref:
                return oid, worktree
        return None, ""

    def listing(self, tree: str, paths: Sequence[str]) -> Mapping[str, Entry]:
        """Path -> entry of the files of a tree, or a revision, that are below `paths`."""
        if not _OBJECT_NAME.fullmatch(tree):  # only a full name always means the same
            return self._list(tree, paths)
        asked = tree, tuple(paths)
        if asked not in self._listings:
            if len(self._listings) >= _LISTINGS_KEPT:
                self._listings.clear()
            self._listings[asked] = self._list(tree, paths)
        return self._listings[asked]

    def _list(self, tree: str, paths: Sequence[str]) -> dict[str, Entry]:
        out = self.run("ls-tree", "-r", "-z", "--full-tree", tree, "--", *paths).text
        listing = {}
        for record in out.split("\0")[:-1]:
            meta, _, path = record.partition("\t")
            mode, _, oid = meta.split(" ")
            listing[path] = Entry(mode, oid)
        return listing

    def read(self, tree: str, paths: Sequence[str]) -> Files:
        """The regular files of a tree, or a revision, that are below `paths`."""
        files = {path: item.oid for path, item in self.listing(tree, paths).items() if item.mode in REGULAR}
        blobs = self._blobs(sorted(set(files.values())))
        return {path: blobs[oid] for path, oid in files.items()}

    def _blobs(self, oids: Sequence[str]) -> dict[str, bytes]:
        if not oids:
            return {}
        out = self.run("cat-file", "--batch", stdin="".join(f"{oid}\n" for oid in oids).encode()).out
        blobs, at = {}, 0
        for oid in oids:
            end = out.index(b"\n", at)
            _, kind, *size = out[at:end].split(b" ")
            if kind != b"blob":
                raise RecordBroken(f"git object {oid} cannot be read: {kind.decode()}")
            at = end + 1 + int(size[0]) + 1
            blobs[oid] = out[end + 1 : at - 1]
        return blobs

    # ------------------------------------------------------------------------------ writing

    def write(self, base_tree: str, old: Mapping[str, Entry], files: Files) -> str:
        """A tree in which `files` replace the files `old` of `base_tree` (a full object name).

        A file keeps the mode that it has in `old`; a new one is not executable. Raises RecordBroken.
        """
        oids = self._store(files, old, "sha1" if len(base_tree) == _SHA1_DIGITS else "sha256")
        gone = [f"0 {'0' * len(base_tree)}\t{path}" for path in old if path not in files]
        kept = [f"{_mode(old.get(path))} {oids[path]}\t{path}" for path in files]
        with scratch() as folder:
            env = {"GIT_INDEX_FILE": str(folder / "index")}
            self.run("read-tree", base_tree, env=env)
            lines = "".join(f"{line}\0" for line in (*gone, *kept)).encode("utf-8", "surrogateescape")
            self.run("update-index", "-z", "--index-info", stdin=lines, env=env)
            return self.run("write-tree", env=env).text.strip()

    def _store(self, files: Files, old: Mapping[str, Entry], algorithm: str) -> dict[str, str]:
        """Write the blobs that the old tree does not hold yet; all object names by path."""
        oids = {path: _object_name(data, algorithm) for path, data in files.items()}
        known = {entry.oid for entry in old.values()}
        new = {oid: files[path] for path, oid in oids.items() if oid not in known}
        if new:
            with scratch() as folder:
                for oid, data in new.items():
                    (folder / oid).write_bytes(data)
                names = "".join(f"{folder / oid}\n" for oid in new).encode()
                self.run("hash-object", "-w", "--no-filters", "--stdin-paths", stdin=names)
        return oids

    def commit_tree(self, tree: str, parent: str | None, text: str, style: CommitStyle = PLAIN) -> str:
        """A commit of ours that no ref names yet.

        Raises:
            UserError: it cannot be signed.
        """
        date = f"@{int(time.time())} +0000"
        people = {"AUTHOR": style.author or IDENTITY, "COMMITTER": IDENTITY}
        env = {f"GIT_{role}_DATE": date for role in people}
        for role, (name, email) in people.items():
            env |= {f"GIT_{role}_NAME": name, f"GIT_{role}_EMAIL": email}
        signing = () if style.sign is None else (f"-S{style.sign}",)
        parents = () if parent is None else ("-p", parent)
        stdin, ok = text.encode(errors="replace"), (0,) if style.sign is None else (0, 1, 128)
        answer = self.run("commit-tree", *signing, tree, *parents, stdin=stdin, env=env, ok=ok)
        if answer.code:
            problem = f"git cannot sign a commit ({answer.error})"
            raise UserError("commit.sign", problem, "Set user.signingKey and gpg.format for git, or leave the key out.")
        return answer.text.strip()

    def merge(self, base_tree: str, ours_tree: str, theirs_tree: str) -> str:
        """The tree of a three-way merge.

        Raises:
            Refused: both sides changed the same lines.
        """
        base = self.commit_tree(base_tree, None, "base")
        ours, theirs = (self.commit_tree(tree, base, "side") for tree in (ours_tree, theirs_tree))
        with scratch() as folder:
            # An empty folder and index: no attribute of the user's files may choose a merge driver.
            env = {"GIT_WORK_TREE": str(folder), "GIT_INDEX_FILE": str(folder / "index")}
            options = ("--write-tree", "-z", "--name-only", "--no-messages")
            answer = self.run("-C", str(folder), "merge-tree", *options, ours, theirs, env=env, ok=(0, 1))
        tree, *conflicts = answer.text.rstrip("\0").split("\0")
        if answer.code:
            names = ", ".join(clean_line(path) for path in dict.fromkeys(conflicts))
            raise Refused(f"conflict with the champion in {names}")
        return tree

    def compare(self, before: Files, after: Files) -> str:
        """The patch between two sets of files, whose paths must be plain; undecodable bytes are replaced."""
        with scratch() as folder:
            for side, files in {"a": before, "b": after}.items():
                (folder / side).mkdir()
                for path, body in files.items():
                    with suppress(OSError):  # names that this file system does not tell apart
                        (folder / side / path).parent.mkdir(parents=True, exist_ok=True)
                        (folder / side / path).write_bytes(body)
            options = ("--no-index", "--no-color", "--text", "--no-ext-diff", "--no-prefix")
            answer = self.run("-C", str(folder), "diff", *options, "a", "b", ok=(0, 1))
        return answer.out.decode(errors="replace")

    def move(self, ref: str, new: str, old: str | None, why: str) -> bool:
        """Compare-and-swap, None for a ref that must not exist yet; False if git refused, for any reason."""
        expected = "0" * len(new) if old is None else old
        return self.run("update-ref", "--no-deref", "-m", why, ref, new, expected, ok=(0, 1, 128)).code == 0

    def break_locks(self, found: Iterable[Path], patience: float) -> None:
        """Remove those of the lock files that are still the same after `patience` seconds. Raises RecordBroken."""
        seen = {path: stamp for path in found if (stamp := _stamp(path)) is not None}
        end = time.monotonic() + patience
        while seen and time.monotonic() < end:
            time.sleep(patience / 10)
            seen = {path: stamp for path, stamp in seen.items() if _stamp(path) == stamp}
        for path in seen:
            try:
                path.unlink(missing_ok=True)
            except OSError as fault:
                raise RecordBroken(f"the stale lock {path.name} cannot be removed: {fault.strerror}") from fault


# ------------------------------------------------------------------------------------ helpers


def _open_repo(path: Path) -> git.Repo:
    try:
        import git  # noqa: PLC0415 - GitPython looks for git when imported: no import-time side effects
    except ImportError as fault:
        raise UserError("git", "no `git` on the PATH", "Install it: `apt-get install git`.") from fault
    try:
        repo = git.Repo(path)
        if repo.git.version_info < MIN_GIT:
            raise UserError("git", f"{repo.git.version_info} is too old", "Install git 2.38 or newer.")
        # Without our own GIT_DIR: here git itself says whether it trusts this folder.
        repo.git.rev_parse("--git-dir")
    except (git.InvalidGitRepositoryError, git.NoSuchPathError) as fault:
        fix = "Name the top folder of a repository, or run `git init` there."
        raise UserError("scaffold.repo", f"{path} is not a git repository", fix) from fault
    except git.GitCommandError as fault:
        reason = clean_line(str(fault.stderr))
        raise UserError("scaffold.repo", f"git does not open {path}", f"It says: {reason}") from fault
    return repo


def _environment(repo: git.Repo) -> dict[str, str]:
    # Set, not unset: a variable of the calling process (a hook, say) must not lead git elsewhere.
    return {
        "GIT_DIR": str(repo.git_dir),
        "GIT_COMMON_DIR": str(repo.common_dir),
        "GIT_WORK_TREE": str(repo.working_tree_dir or repo.git_dir),
        "GIT_INDEX_FILE": str(Path(repo.git_dir) / "index"),
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_TERMINAL_PROMPT": "0",
    }


def _object_name(data: bytes, algorithm: str) -> str:
    return hashlib.new(algorithm, b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


def _mode(entry: Entry | None) -> str:
    return entry.mode if entry is not None and entry.mode in REGULAR else "100644"


def _stamp(path: Path) -> tuple[int, int] | None:
    """What tells a file from another one that later has its name."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns


@contextmanager
def scratch() -> Iterator[Path]:
    """A temporary folder that is gone afterwards. Raises RecordBroken if there is no room for it."""
    try:
        with tempfile.TemporaryDirectory(prefix=folder_prefix()) as folder:
            yield Path(folder)
    except OSError as fault:
        raise RecordBroken(f"no room for temporary files: {fault}") from fault
