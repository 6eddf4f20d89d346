"""Running git: objects in and out, refs by compare-and-swap, merges.

The user's HEAD, index, working tree, hooks and configuration are never touched: trees are built outside any index,
commits made by git's plumbing, refs moved by compare-and-swap, hooks off. What every candidate needs is asked of git
processes that live on (`lasting`), the rest of one process each. Every method blocks; any thread may call it.
"""

from __future__ import annotations

import os
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
from agent.base.executable import Executable
from agent.base.owner import folder_prefix
from agent.base.text import clean_line
from agent.base.trust import inside
from agent.base.types import Files
from agent.kernel.git.lasting import Lasting, line
from agent.kernel.git.messages import COMMIT_FORMAT, PLAIN, Commit, CommitStyle, parse_commits
from agent.kernel.git.objects import SHA1_DIGITS, Entry, Objects, object_name

if TYPE_CHECKING:
    import git

MIN_GIT = (2, 38, 0)
"""`merge-tree --write-tree` came with git 2.38."""

STALE_LOCK_SECONDS = 5.0
"""A ref's lock that has not changed for so long has no owner: a live git holds one for milliseconds."""

IDENTITY = ("Ratchet", "ratchet@localhost")

PLAIN_MODE, EXECUTABLE_MODE = REGULAR = ("100644", "100755")
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
_KEEPS_MEMORY = {"MALLOC_TRIM_THRESHOLD_": str(8 << 20)}
"""glibc gives back what zlib takes for an object, 256 KiB, and takes it again for the next: a quarter of the work."""
_LISTINGS_KEPT = 256
_OBJECT_NAME = re.compile("[0-9a-f]{40}|[0-9a-f]{64}")


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
        self.objects = Objects(self._lasting)
        self._refs = self._lasting("update-ref", "--no-deref", "-m", "ratchet: a candidate", "-z", "--stdin")

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
        command = ["git", *_options(), *arguments]
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

    def _lasting(self, *arguments: str) -> Lasting:
        """A git process that lives on; it is started when it is first asked."""
        command = [str(self._repo.git.GIT_PYTHON_GIT_EXECUTABLE), *_options(), *arguments]
        folder = Path(self._repo.working_tree_dir or self._repo.git_dir)
        return Lasting(arguments[0], command, folder, {**os.environ, **_KEEPS_MEMORY, "LC_ALL": "C", **self._env})

    # ------------------------------------------------------------------------------ reading

    def resolve(self, rev: str) -> str | None:
        """The commit that a revision names, or None."""
        answer = self.run("rev-parse", "--verify", "--quiet", "--end-of-options", f"{rev}^{{commit}}", ok=(0, 1, 128))
        return None if answer.code else answer.text.strip()

    def tree_of(self, rev: str) -> str:
        """The tree of a commit, a tag or a tree."""
        if not _OBJECT_NAME.fullmatch(rev):
            return self.run("rev-parse", "--verify", "--end-of-options", f"{rev}^{{tree}}").text.strip()
        if self.objects.knows(rev):
            return rev
        if (found := self.objects.find(f"{rev}^{{tree}}")) is None:
            raise RecordBroken(f"git object {rev} cannot be read: it is missing")
        return found[0]

    def ref(self, name: str) -> tuple[str, str] | None:
        """The commit that one of our own refs names, and its tree; None if there is no such ref."""
        found = self.objects.find(name)
        return None if found is None else (found[0], found[2].partition(b"\n")[0].removeprefix(b"tree ").decode())

    def log(self, *arguments: str) -> list[Commit]:
        """Commits as `rev-list` finds them, along first parents."""
        options = ("--first-parent", "--no-commit-header", f"--format={COMMIT_FORMAT}")
        return parse_commits(self.run("rev-list", *options, *arguments, "--").out)

    def branch(self, ref: str) -> tuple[str | None, str]:
        """A branch's commit, and the work tree that has it checked out, if any."""
        out = self.run("for-each-ref", "--format=%(refname)%00%(objectname)%00%(worktreepath)", ref).text
        for row in out.splitlines():
            name, oid, worktree = row.split("\0")
            if name == ref:
                return oid, worktree
        return None, ""

    def listing(self, tree: str, paths: Sequence[str]) -> Mapping[str, Entry]:
        """Path -> entry of the files of a tree, or a revision, that are below `paths`."""
        if not _OBJECT_NAME.fullmatch(tree):  # only a full name always means the same
            return self._list(tree, paths)
        asked = tree, tuple(paths)
        if (known := self._listings.get(asked)) is None:
            known = self._list(tree, paths)
            if len(self._listings) >= _LISTINGS_KEPT:
                self._listings.clear()
            self._listings[asked] = known
        return known

    def _list(self, tree: str, paths: Sequence[str]) -> dict[str, Entry]:
        def wanted(path: str) -> bool:
            return inside(path.rstrip("/"), paths) or (path.endswith("/") and any(p.startswith(path) for p in paths))

        return dict(self.objects.files(self.tree_of(tree), wanted))

    def read(self, tree: str, paths: Sequence[str]) -> Files:
        """The regular files of a tree, or a revision, that are below `paths`."""
        files = {path: item for path, item in self.listing(tree, paths).items() if item.mode in REGULAR}
        blobs = self.objects.blobs(sorted({item.oid for item in files.values()}))
        return {
            path: Executable(blobs[item.oid]) if item.mode == EXECUTABLE_MODE else blobs[item.oid]
            for path, item in files.items()
        }

    # ------------------------------------------------------------------------------ writing

    def write(self, base_tree: str, old: Mapping[str, Entry], files: Files) -> str:
        """A tree in which `files` replace the files `old` of `base_tree` (a full object name).

        A file keeps the mode that it has in `old`; a new one has that of its content. Raises RecordBroken.
        """
        algorithm = "sha1" if len(base_tree) == SHA1_DIGITS else "sha256"
        known, changes = {entry.oid for entry in old.values()}, dict[str, Entry | None](dict.fromkeys(old))
        for path, data in files.items():
            before = old.get(path)
            if before is not None and self.objects.holds(before.oid, data):
                oid = before.oid
            elif (oid := object_name("blob", data, algorithm)) not in known:
                oid = self.objects.blob(data)
            changes[path] = Entry(_mode(before, data), oid)
        changed = {path: entry for path, entry in changes.items() if entry != old.get(path)}
        return self.objects.change(base_tree, changed) if changed else base_tree

    def commit_tree(
        self, tree: str, parent: str | None, text: str, style: CommitStyle = PLAIN, also: str | None = None
    ) -> str:
        """A commit of ours that no ref names yet; `also` is a second parent.

        Raises:
            UserError: it cannot be signed.
        """
        if style == PLAIN:
            return self.objects.commit(commit_text(tree, parent, text, int(time.time()), also))
        date = f"@{int(time.time())} +0000"
        people = {"AUTHOR": style.author or IDENTITY, "COMMITTER": IDENTITY}
        env = {f"GIT_{role}_DATE": date for role in people}
        for role, (name, email) in people.items():
            env |= {f"GIT_{role}_NAME": name, f"GIT_{role}_EMAIL": email}
        signing = () if style.sign is None else (f"-S{style.sign}",)
        parents = [part for one in (parent, also) if one is not None for part in ("-p", one)]
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
        tree, conflicts = self.merged(base_tree, ours_tree, theirs_tree)
        if conflicts:
            names = ", ".join(clean_line(path) for path in conflicts)
            raise Refused(f"conflict with the champion in {names}")
        return tree

    def merged(self, base_tree: str, ours_tree: str, theirs_tree: str) -> tuple[str, list[str]]:
        """The tree of a three-way merge, and the paths that conflict; in the tree, marks stand in these."""
        base = self.commit_tree(base_tree, None, "base")
        ours, theirs = (self.commit_tree(tree, base, "side") for tree in (ours_tree, theirs_tree))
        with scratch() as folder:
            # An empty folder and index: no attribute of the user's files may choose a merge driver.
            env = {"GIT_WORK_TREE": str(folder), "GIT_INDEX_FILE": str(folder / "index")}
            options = ("--write-tree", "-z", "--name-only", "--no-messages")
            answer = self.run("-C", str(folder), "merge-tree", *options, ours, theirs, env=env, ok=(0, 1))
        tree, *conflicts = answer.text.rstrip("\0").split("\0")
        return tree, list(dict.fromkeys(conflicts)) if answer.code else []

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

    def create(self, ref: str, commit: str) -> bool:
        """Make a ref that does not exist yet; False if git refused, for any reason."""
        try:
            self._refs.ask(f"start\0create {ref}\0{commit}\0commit\0".encode(), lambda out: (line(out), line(out)))
        except RecordBroken:
            return False
        return True

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


def _options() -> list[str]:
    return ["--literal-pathspecs", *(part for option in _OPTIONS for part in ("-c", option))]


def commit_text(tree: str, parent: str | None, text: str, now: int, also: str | None = None) -> bytes:
    """A commit of ours as git stores it; `now` in Unix seconds, `also` is a second parent."""
    name, email = IDENTITY
    who = f"{name} <{email}> {now} +0000"
    parents = "".join(f"parent {one}\n" for one in (parent, also) if one is not None)
    return f"tree {tree}\n{parents}author {who}\ncommitter {who}\n\n{text}".encode(errors="replace")


def _mode(entry: Entry | None, data: bytes) -> str:
    if entry is not None and entry.mode in REGULAR:
        return entry.mode
    return EXECUTABLE_MODE if isinstance(data, Executable) else PLAIN_MODE


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
