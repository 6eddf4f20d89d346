"""Git by plumbing: trees in and out, candidate refs, champion commits.

The user's HEAD, index, working tree, hooks and configuration are never touched: trees are built in a
temporary index, commits made by `commit-tree`, refs moved by compare-and-swap, hooks off. Every method blocks
for a few git processes and may be called from any thread.
"""

from __future__ import annotations

import hashlib
import re
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Self

from agent.base.errors import RecordBroken, Refused, UserError
from agent.base.owner import folder_prefix
from agent.base.text import clean_line
from agent.base.trust import inside
from agent.base.types import Files
from agent.kernel.decide.boundary import Boundary, path_fault

if TYPE_CHECKING:
    import git

MIN_GIT = (2, 38, 0)
"""`merge-tree --write-tree` came with git 2.38."""

STALE_LOCK_SECONDS = 5.0
"""How long a ref's lock must stand unchanged before nobody is taken to hold it."""

IDENTITY = ("Ratchet", "ratchet@localhost")
CAMPAIGN_TRAILER = "Ratchet-Campaign"

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
_REGULAR = ("100644", "100755")
_TRAILER_KEY = re.compile(r"[A-Za-z][A-Za-z0-9-]*")
_COMMIT_FORMAT = "%H%x00%T%x00%P%x00%at%x00%ae%x00%B%x00%(trailers:only,unfold)%x00"
_COMMIT_FIELDS = 7
_BATCH = 128
_LISTINGS_KEPT = 256
_OBJECT_NAME = re.compile("[0-9a-f]{40}|[0-9a-f]{64}")


class BranchMoved(RecordBroken):
    """Somebody else moved the champion's branch, or has it checked out; nothing was changed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Commit:
    """One commit as it is reviewed. `time` is in Unix seconds; `body` is without the trailers."""

    sha: str
    tree: str
    parents: tuple[str, ...]
    time: int
    email: str
    subject: str
    body: str
    trailers: Mapping[str, str]


@dataclass(frozen=True, kw_only=True, slots=True)
class SavedCandidate:
    """One ref of the archive: `refs/ratchet/<campaign>/candidates/<id>`."""

    id: int
    commit: str
    tree: str


@dataclass(frozen=True, slots=True)
class _Entry:
    mode: str
    oid: str


@dataclass(frozen=True, slots=True)
class _Answer:
    code: int
    out: bytes
    error: str

    @property
    def text(self) -> str:
        return self.out.decode("utf-8", "surrogateescape")


class Repository:
    """The user's repository as one campaign sees it. Made by `Repository.open`."""

    def __init__(self, repo: git.Repo, root: Path, campaign: str, mutable: tuple[str, ...]) -> None:
        self._repo = repo
        self._env = _environment(repo)
        self._listings: dict[str, dict[str, _Entry]] = {}
        self.root = root
        self.campaign = campaign
        self.mutable = mutable
        self.branch = f"ratchet/{campaign}"
        self.base = ""
        self._base_is_head = False

    @property
    def _ref(self) -> str:
        return f"refs/heads/{self.branch}"

    @property
    def _archive(self) -> str:
        return f"refs/ratchet/{self.campaign}/candidates"

    # ------------------------------------------------------------------------------ opening

    @classmethod
    def open(cls, path: Path, campaign: str, mutable: tuple[str, ...], base: str = "HEAD") -> Self:
        """Open a repository for reading. A campaign that writes calls `claim` next.

        Args:
            path: top folder of a work tree (linked ones and submodules too), or a bare repository.
            campaign: its name, one component of a branch name.
            mutable: the paths that may be rewritten, relative to the repository's top.
            base: what the campaign starts from; on resume, the recorded commit.

        Raises:
            UserError: no git, no repository, no commit, unknown base, bad campaign name.
        """
        Boundary(mutable=mutable)  # says what is wrong with a mutable path
        self = cls(_open_repo(path), path.resolve(), campaign, mutable)
        self._check_names()
        if self._git("rev-parse", "--verify", "--quiet", "HEAD^{commit}", ok=(0, 1, 128)).code and base == "HEAD":
            raise UserError("scaffold.repo", f"{path} has no commit yet", 'Run `git commit -am "Start"` there.')
        self.base = self._resolve(base)
        self._base_is_head = base == "HEAD"
        return self

    def _check_names(self) -> None:
        good = "/" not in self.campaign and not self.campaign.startswith("-")
        good = good and self._git("check-ref-format", self._ref, ok=(0, 1)).code == 0
        if not good or not self.campaign.isprintable():
            fix = "Use letters, digits, `-`, `_` and `.`."
            raise UserError("campaign", f"`{clean_line(self.campaign)}` cannot be part of a branch name", fix)

    def _resolve(self, rev: str, field: str = "scaffold.base") -> str:
        answer = self._git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{rev}^{{commit}}", ok=(0, 1, 128))
        if answer.code:
            fix = "Name a branch, a tag or a commit that `git log` knows."
            raise UserError(field, f"`{clean_line(rev)}` is no commit of {self.root}", fix)
        return answer.text.strip()

    def claim(self) -> None:
        """Check that this campaign may write here, before any money is spent.

        Raises:
            UserError: a mutable path is missing, dirty or no plain file; the branch is somebody else's or is
                checked out.
        """
        self.check_mutable(self.base)
        tip, worktree = self._tip()
        if tip is None:
            self._check_branch_is_possible()
            if self._base_is_head and not self._repo.bare:
                self._check_clean()
            return
        if worktree:
            fix = f"Run `git -C {worktree} switch --detach`, so that it can move."
            raise UserError("campaign", f"branch {self.branch} is checked out in {worktree}", fix)
        start = self._start_of(tip)
        if start != self.base:
            problem = f"branch {self.branch} exists and holds {start[:12]}, which this campaign did not make"
            fix = f"Choose another name, or run `git branch -m {self.branch} NEW-NAME`."
            raise UserError("campaign", problem, fix)

    def check_mutable(self, rev: str) -> None:
        """Raise UserError unless every mutable path exists in a revision and holds regular files only."""
        listing = self._listing(rev)
        for entry in self.mutable:
            if not any(inside(path, (entry,)) for path in listing):
                problem = f"`{entry}` is not in commit {rev[:12]}"
                raise UserError("scaffold.mutable", problem, f"Run `git add {entry} && git commit`, or fix the path.")
        for path, item in listing.items():
            if item.mode not in _REGULAR:
                kind = "submodule" if item.mode == "160000" else "symbolic link"
                raise UserError("scaffold.mutable", f"`{path}` is a {kind}", "Put a plain file there and commit it.")

    def _check_clean(self) -> None:
        out = self._git("status", "--porcelain", "-z", "--untracked-files=all", "--", *self.mutable).text
        if dirty := [line[3:] for line in out.split("\0") if line]:
            more = f" and {len(dirty) - 1} more" if len(dirty) > 1 else ""
            problem = f"{clean_line(dirty[0])}{more} has changes that are not committed"
            raise UserError("scaffold.repo", problem, "Run `git commit` or `git stash` first.")

    def _check_branch_is_possible(self) -> None:
        for taken in ("refs/heads/ratchet", f"refs/ratchet/{self.campaign}"):
            if self._git("rev-parse", "--verify", "--quiet", taken, ok=(0, 1, 128)).code == 0:
                fix = f"Rename {taken}, for example with `git branch -m`."
                raise UserError("campaign", f"{taken} is in the way of branch {self.branch}", fix)

    def _start_of(self, tip: str) -> str:
        """The first commit, from a tip downwards, that this campaign did not make."""
        below = tip
        for commit in self._walk(tip):
            if not self._is_ours(commit):
                break
            below = commit.parents[0]
        return below

    def _is_ours(self, commit: Commit) -> bool:
        return commit.trailers.get(CAMPAIGN_TRAILER) == self.campaign and len(commit.parents) == 1

    # ------------------------------------------------------------------------------ reading

    def champion(self) -> str:
        """The tip of the campaign's branch; the base while there is no branch."""
        return self._tip()[0] or self.base

    def branch_exists(self) -> bool:
        """Whether the campaign's branch was created."""
        return self._tip()[0] is not None

    def tree_of(self, rev: str) -> str:
        """The tree of a commit, a tag or a tree."""
        return self._git("rev-parse", "--verify", "--end-of-options", f"{rev}^{{tree}}").text.strip()

    def read(self, tree: str, paths: Sequence[str] | None = None) -> Files:
        """The mutable files of a tree or a commit, or those below `paths`; regular files only."""
        listing = self._listing(tree) if paths is None else self._list(tree, paths)
        files = {path: item.oid for path, item in listing.items() if item.mode in _REGULAR}
        blobs = self._blobs(sorted(set(files.values())))
        return {path: blobs[oid] for path, oid in files.items()}

    def candidates(self) -> dict[int, SavedCandidate]:
        """Every candidate of the archive by its id."""
        return dict(sorted((one.id, one) for one in self._saved(self._archive)))

    def candidate(self, candidate: int) -> SavedCandidate | None:
        """One candidate of the archive, or None."""
        return next(self._saved(f"{self._archive}/{candidate}"), None)

    def _saved(self, pattern: str) -> Iterator[SavedCandidate]:
        out = self._git("for-each-ref", "--format=%(refname:lstrip=4) %(objectname) %(tree)", pattern).text
        rows = (line.split(" ") for line in out.splitlines())
        return (SavedCandidate(id=int(name), commit=oid, tree=tree) for name, oid, tree in rows if name.isdigit())

    def accepted(self) -> list[Commit]:
        """The campaign's commits on its branch, newest first."""
        tip = self._tip()[0]
        if tip is None:
            return []
        return [commit for commit in self._walk(tip) if self._is_ours(commit)]

    def commit(self, rev: str, field: str = "scaffold.base") -> Commit:
        """One commit with its trailers. Raises UserError, which names `field`, if there is no such commit."""
        return self._log("--max-count=1", self._resolve(rev, field))[0]

    def diff(self, before: str, after: str) -> str:
        """The patch between two commits or trees, as git shows it; undecodable bytes are replaced."""
        options = ("-p", "-r", "--text", "--no-color", "--find-renames")
        return self._git("diff-tree", *options, before, after).out.decode(errors="replace")

    def outside(self, before: str, after: str) -> list[str]:
        """The cleaned paths outside the mutable ones in which two commits or trees differ."""
        touched = self._git("diff-tree", "-r", "-z", "--name-only", "--no-renames", before, after).text.split("\0")
        return [clean_line(path) for path in touched[:-1] if not inside(path, self.mutable)]

    def graph(self, tips: Sequence[str]) -> list[tuple[str, str]]:
        """What `git log --graph` draws of commits down to the base: (its lines, the commit or "")."""
        if not tips:
            return []
        below = [f"^{parent}" for parent in self._log("--max-count=1", self.base)[0].parents]
        options = ("--graph", "--no-color", "--format=%x00%H")
        revs = "".join(f"{rev}\n" for rev in (*tips, self.base, *below)).encode()
        out = self._git("log", *options, "--stdin", stdin=revs).text
        return [(line.partition("\0")[0], line.partition("\0")[2]) for line in out.splitlines()]

    def _walk(self, tip: str) -> Iterator[Commit]:
        # In batches, and no further than one without a commit of ours: histories can be very long.
        for skip in count(step=_BATCH):
            batch = self._log(tip, f"--max-count={_BATCH}", f"--skip={skip}")
            yield from batch
            if not any(map(self._is_ours, batch)):
                return

    def _log(self, *arguments: str) -> list[Commit]:
        options = ("--first-parent", "--no-commit-header", f"--format={_COMMIT_FORMAT}")
        fields = self._git("rev-list", *options, *arguments, "--").out.decode(errors="replace").split("\0")
        return [_commit(fields[at : at + _COMMIT_FIELDS]) for at in range(0, len(fields) - 1, _COMMIT_FIELDS)]

    def _tip(self) -> tuple[str | None, str]:
        """The branch's commit, and the work tree that has it checked out, if any."""
        out = self._git("for-each-ref", "--format=%(refname)%00%(objectname)%00%(worktreepath)", self._ref).text
        for line in out.splitlines():
            name, oid, worktree = line.split("\0")
            if name == self._ref:
                return oid, worktree
        return None, ""

    def _listing(self, tree: str) -> dict[str, _Entry]:
        if not _OBJECT_NAME.fullmatch(tree):  # a full name alone never changes its meaning
            return self._list(tree, self.mutable)
        if tree not in self._listings:
            if len(self._listings) >= _LISTINGS_KEPT:
                self._listings.clear()
            self._listings[tree] = self._list(tree, self.mutable)
        return self._listings[tree]

    def _list(self, tree: str, paths: Sequence[str]) -> dict[str, _Entry]:
        out = self._git("ls-tree", "-r", "-z", "--full-tree", tree, "--", *paths).text
        listing = {}
        for record in out.split("\0")[:-1]:
            meta, _, path = record.partition("\t")
            mode, _, oid = meta.split(" ")
            listing[path] = _Entry(mode, oid)
        return listing

    def _blobs(self, oids: Sequence[str]) -> dict[str, bytes]:
        if not oids:
            return {}
        out = self._git("cat-file", "--batch", stdin="".join(f"{oid}\n" for oid in oids).encode()).out
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

    def write(self, base_tree: str, files: Files) -> str:
        """Write a tree: in the mutable paths exactly `files`, elsewhere what `base_tree` (a full object name) holds.

        A file keeps the mode that it has in `base_tree`; a new one is not executable.

        Raises:
            Refused: a path is outside the mutable ones, or git does not take it.
            RecordBroken: the repository cannot be written.
        """
        old = self._listing(base_tree)
        for path in files.keys() - old.keys():
            if path_fault(path) or not inside(path, self.mutable):
                raise Refused(f"path `{clean_line(path)}` is outside the mutable paths, or git does not take it")
        oids = self._store(files, old, "sha1" if len(base_tree) == _SHA1_DIGITS else "sha256")
        gone = [f"0 {'0' * len(base_tree)}\t{path}" for path in old if path not in files]
        kept = [f"{_mode(old.get(path))} {oids[path]}\t{path}" for path in files]
        with _scratch() as folder:
            env = {"GIT_INDEX_FILE": str(folder / "index")}
            self._git("read-tree", base_tree, env=env)
            lines = "".join(f"{line}\0" for line in (*gone, *kept)).encode("utf-8", "surrogateescape")
            self._git("update-index", "-z", "--index-info", stdin=lines, env=env)
            return self._git("write-tree", env=env).text.strip()

    def _store(self, files: Files, old: Mapping[str, _Entry], algorithm: str) -> dict[str, str]:
        """Write the blobs that the old tree does not hold yet; all object names by path."""
        oids = {path: _object_name(data, algorithm) for path, data in files.items()}
        known = {entry.oid for entry in old.values()}
        new = {oid: files[path] for path, oid in oids.items() if oid not in known}
        if new:
            with _scratch() as folder:
                for oid, data in new.items():
                    (folder / oid).write_bytes(data)
                names = "".join(f"{folder / oid}\n" for oid in new).encode()
                self._git("hash-object", "-w", "--no-filters", "--stdin-paths", stdin=names)
        return oids

    def save_candidate(self, candidate: int, tree: str, parent_commit: str | None, text: str) -> str:
        """Keep a candidate that the ledger does not have yet under its ref; the same tree again is the same commit.

        Another tree under this id is what a run left that ended before it wrote its ledger: it is replaced.

        Raises:
            RecordBroken: the ref cannot be written.
        """
        ref, why = f"{self._archive}/{candidate}", f"ratchet: candidate {candidate}"
        commit = self._commit_tree(tree, parent_commit, text)
        if self._move(ref, commit, "0" * len(commit), why):
            return commit
        saved = self.candidate(candidate)
        if saved is not None and saved.tree == tree:
            return saved.commit
        if saved is None or not self._move(ref, commit, saved.commit, why):
            raise RecordBroken(f"{ref} cannot be written")
        return commit

    def create_branch(self) -> None:
        """Create the campaign's branch at the base; no effect if it exists already."""
        made = self._move(self._ref, self.base, "0" * len(self.base), "ratchet: campaign starts")
        if not made and not self.branch_exists():
            raise RecordBroken(f"branch {self.branch} cannot be created")

    def prepare(self, tree: str, text: str, expected: str) -> str:
        """Make the commit that would follow the champion `expected`; no ref moves yet.

        Raises:
            BranchMoved: the branch's tip is another one, or the branch is checked out somewhere.
            Refused: the tree differs from the champion's outside the mutable paths.
            RecordBroken: the repository cannot be written.
        """
        tip, worktree = self._tip()
        if tip != expected:
            where = f"is at {tip[:12]}" if tip else "is gone"
            fix = f"`git branch -f {self.branch} {expected[:12]}` puts it back"
            raise BranchMoved(f"branch {self.branch} {where}, not at {expected[:12]}: somebody moved it; {fix}")
        if worktree:
            raise BranchMoved(f"branch {self.branch} is checked out in {worktree}: `git switch` away from it")
        if outside := self.outside(expected, tree):
            raise Refused(f"the tree differs outside the mutable paths, in `{outside[0]}`")
        return self._commit_tree(tree, expected, text)

    def advance(self, commit: str, expected: str, why: str = "patch accepted") -> None:
        """Move the champion's branch from `expected` to a prepared commit, by compare-and-swap.

        Raises:
            BranchMoved: somebody else moved it in between.
            RecordBroken: the repository cannot be written.
        """
        if self._move(self._ref, commit, expected, f"ratchet: {why}"):
            return
        if self._tip()[0] != expected:
            raise BranchMoved(f"branch {self.branch} was moved by somebody else")
        raise RecordBroken(f"branch {self.branch} cannot be moved")

    def reconcile(self, commits: Sequence[tuple[str, str]], candidates: int) -> None:
        """Finish or undo what a killed run began.

        Args:
            commits: (commit, parent) as the ledger has them, oldest first.
            candidates: how many the ledger has, from id 0. A ref under the next id is what a killed run left.

        Raises:
            UserError: the archive holds candidates of a campaign whose ledger is gone.
            BranchMoved: the branch is neither where the ledger left it nor one recorded commit behind.
            RecordBroken: the repository cannot be written.
        """
        self.break_locks()
        self._drop_unrecorded(candidates)
        sha, parent = commits[-1] if commits else (self.base, self.base)
        if commits and not self.branch_exists():
            self._move(self._ref, sha, "0" * len(sha), "ratchet: a deleted branch is restored")
        self.create_branch()
        tip = self.champion()
        if tip == sha:
            return
        if tip != parent or not commits:
            raise BranchMoved(f"branch {self.branch} is at {tip[:12]}, the ledger says {sha[:12]}: somebody moved it")
        self.advance(sha, parent)

    def _drop_unrecorded(self, candidates: int) -> None:
        unknown = [one for one in self.candidates().values() if one.id >= candidates]
        if any(one.id > candidates for one in unknown):
            problem = f"{self._archive} holds {len(unknown)} candidates that this campaign's ledger does not have"
            raise UserError("name", problem, "Choose another name, or put the ledger back.")
        for one in unknown:
            self._git("update-ref", "-d", f"{self._archive}/{one.id}", one.commit)

    def break_locks(self, patience: float = STALE_LOCK_SECONDS) -> None:
        """Remove locks of this campaign's refs that a git killed together with its campaign left behind.

        Only for whoever holds the campaign. A git that lives holds such a lock for milliseconds, so one that is still
        the same after `patience` seconds has no owner.

        Raises:
            RecordBroken: a lock cannot be removed.
        """
        common = Path(self._repo.common_dir)
        found = [common / f"{self._ref}.lock", *(common / self._archive).glob("*.lock")]
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

    def merge(self, base_tree: str, ours_tree: str, theirs_tree: str) -> str:
        """Three-way merge of trees. The result is a new patch: it must pass the boundary again.

        Raises:
            Refused: both sides changed the same place.
        """
        base = self._commit_tree(base_tree, None, "base")
        ours, theirs = (self._commit_tree(tree, base, "side") for tree in (ours_tree, theirs_tree))
        with _scratch() as folder:
            # An empty folder and index: no attribute of the user's files may choose a merge driver.
            env = {"GIT_WORK_TREE": str(folder), "GIT_INDEX_FILE": str(folder / "index")}
            options = ("--write-tree", "-z", "--name-only", "--no-messages")
            answer = self._git("-C", str(folder), "merge-tree", *options, ours, theirs, env=env, ok=(0, 1))
        tree, *conflicts = answer.text.rstrip("\0").split("\0")
        if answer.code:
            names = ", ".join(clean_line(path) for path in dict.fromkeys(conflicts))
            raise Refused(f"conflict with the champion in {names}")
        return tree

    def _commit_tree(self, tree: str, parent: str | None, text: str) -> str:
        name, email = IDENTITY
        date = f"@{int(time.time())} +0000"
        who = {"NAME": name, "EMAIL": email, "DATE": date}
        env = {f"GIT_{role}_{what}": value for role in ("AUTHOR", "COMMITTER") for what, value in who.items()}
        parents = () if parent is None else ("-p", parent)
        return self._git("commit-tree", tree, *parents, stdin=text.encode(errors="replace"), env=env).text.strip()

    def _move(self, ref: str, new: str, old: str, why: str) -> bool:
        """Compare-and-swap; False if git refused, for whatever reason."""
        return self._git("update-ref", "--no-deref", "-m", why, ref, new, old, ok=(0, 1, 128)).code == 0

    # ------------------------------------------------------------------------------ git itself

    def _git(
        self,
        *arguments: str,
        stdin: bytes = b"",
        env: Mapping[str, str] | None = None,
        ok: Sequence[int] = (0,),
    ) -> _Answer:
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
        return _Answer(code, out, said)


# ------------------------------------------------------------------------------------ messages


def format_message(subject: str, body: str, trailers: Mapping[str, str]) -> str:
    """Join a cleaned subject and body with trailers that `git interpret-trailers` reads back.

    Raises:
        ValueError: a key is no trailer token.
    """
    for key in trailers:
        if not _TRAILER_KEY.fullmatch(key):
            raise ValueError(f"{key!r} is no trailer token")
    block = "\n".join(f"{key}: {clean_line(value)}" for key, value in trailers.items())
    return "\n\n".join(part for part in (subject, body.strip("\n"), block) if part) + "\n"


def _commit(fields: Sequence[str]) -> Commit:
    sha, tree, parents, when, email, text, raw = fields
    trailers = dict(line.split(": ", 1) for line in raw.split("\n") if ": " in line)
    subject, _, body = text.strip("\n").partition("\n")
    body = body.strip("\n")
    if trailers:
        body = body.rpartition("\n\n")[0]
    return Commit(
        sha=sha.strip(),
        tree=tree,
        parents=tuple(parents.split()),
        time=int(when),
        email=email,
        subject=subject,
        body=body.strip("\n"),
        trailers=trailers,
    )


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
        raise UserError("scaffold.repo", f"{path} is no git repository", fix) from fault
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


def _mode(entry: _Entry | None) -> str:
    return entry.mode if entry is not None and entry.mode in _REGULAR else "100644"


def _stamp(path: Path) -> tuple[int, int] | None:
    """What tells a file from another one that later has its name."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns


@contextmanager
def _scratch() -> Iterator[Path]:
    try:
        with tempfile.TemporaryDirectory(prefix=folder_prefix()) as folder:
            yield Path(folder)
    except OSError as fault:
        raise RecordBroken(f"no room for temporary files: {fault}") from fault
