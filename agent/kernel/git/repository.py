"""The user's repository as one campaign sees it: checks before the start, candidates, champion commits."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Self

from agent.base.errors import RecordBroken, Refused, UserError
from agent.base.text import clean_line
from agent.base.trust import WHOLE, inside
from agent.base.types import Files
from agent.kernel.decide.boundary import Boundary, path_fault
from agent.kernel.git.history import History
from agent.kernel.git.messages import PLAIN, CommitStyle
from agent.kernel.git.plumbing import STALE_LOCK_SECONDS, Git


class BranchMoved(RecordBroken):
    """Somebody else moved the champion's branch, or has it checked out; nothing was changed."""


class Repository(History):
    """The user's repository as one campaign sees it. Made by `Repository.open`.

    The user's HEAD, index, working tree, hooks and configuration are never touched (see `plumbing`).
    """

    # ------------------------------------------------------------------------------ opening

    @classmethod
    def open(
        cls,
        path: Path,
        campaign: str,
        mutable: tuple[str, ...],
        base: str = "HEAD",
        *,
        style: CommitStyle = PLAIN,
        frozen: tuple[str, ...] = (),
    ) -> Self:
        """Open a repository for reading. A campaign that writes calls `claim` next.

        Args:
            path: top folder of a work tree (linked ones and submodules too), or a bare repository.
            campaign: its name, one component of a branch name.
            mutable: the paths that may be rewritten, relative to the repository's top.
            base: what the campaign starts from; on resume, the recorded commit.
            style: what the user chose about the campaign's commits.
            frozen: exceptions from the mutable paths.

        Raises:
            UserError: no git, no repository, no commit, unknown base, bad campaign name.
        """
        Boundary(mutable=mutable, frozen=frozen)  # says what is wrong with a path
        self = cls(Git.open(path), path.resolve(), campaign, mutable, frozen)
        self._check_name()
        if base == "HEAD" and self._git.resolve(base) is None:
            raise UserError("scaffold.repo", f"{path} has no commit yet", 'Run `git commit -am "Start"` there.')
        self.style = style
        self.base = self._resolve(base)
        self._base_is_head = base == "HEAD"
        return self

    def _check_name(self) -> None:
        good = "/" not in self.campaign and not self.campaign.startswith("-")
        good = good and self._git.run("check-ref-format", self._ref, ok=(0, 1)).code == 0
        if not good or not self.campaign.isprintable():
            fix = "Use letters, digits, `-`, `_` and `.`."
            raise UserError("campaign", f"`{clean_line(self.campaign)}` cannot be part of a branch name", fix)

    def claim(self) -> None:
        """Check that this campaign may write here, before any money is spent.

        Raises:
            UserError: a mutable path is missing, dirty or not a regular file; the branch belongs to something else or
                is checked out; a commit cannot be signed.
        """
        self.check_mutable(self.base)
        self.check_paths(
            self.base, "scaffold.frozen", [path for path in self.frozen if not (self.root / path).exists()]
        )
        if self.style.sign is not None:
            self._git.commit_tree(self._git.tree_of(self.base), None, "a trial of signing", self.style)
        tip, worktree = self._git.branch(self._ref)
        if tip is None:
            self._check_branch_is_possible()
            if self._base_is_head and not self._git.bare:
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
        self.check_paths(rev, "scaffold.mutable", self.mutable)
        for path, kind in self._not_plain(rev, self.mutable):
            if self.is_mutable(path):
                fix = "Put a plain file there and commit it, or name the path in `scaffold.frozen`."
                raise UserError("scaffold.mutable", f"`{path}` is a {kind}", fix)

    def check_paths(self, rev: str, field: str, paths: Sequence[str]) -> None:
        """Raise UserError, which names `field`, unless each path is in a revision."""
        listing = self._git.listing(rev, paths) if paths else {}
        for entry in paths:
            if not any(inside(path, (entry,)) for path in listing):
                problem = f"`{clean_line(entry)}` is not in commit {rev[:12]}"
                raise UserError(field, problem, f"Run `git add {entry} && git commit`, or fix the path.")

    def check_include(self, scaffold: Sequence[str], improver: Sequence[str]) -> None:
        """Raise UserError unless all paths that boxes see besides the mutable ones are in the base commit."""
        self.check_paths(self.base, "scaffold.include", scaffold)
        self.check_paths(self.base, "improve.include", improver)

    def _check_clean(self) -> None:
        # At the top of a repository lie notes, records and the like: there, files that git does not know do not count.
        untracked = "no" if WHOLE in self.mutable else "all"
        options = ("--porcelain", "-z", "--no-renames", f"--untracked-files={untracked}")
        out = self._git.run("status", *options, "--", *self.mutable).text
        if dirty := [line[3:] for line in out.split("\0") if line and self.is_mutable(line[3:])]:
            more = f" and {len(dirty) - 1} more" if len(dirty) > 1 else ""
            problem = f"{clean_line(dirty[0])}{more} has changes that are not committed"
            raise UserError("scaffold.repo", problem, "Run `git commit` or `git stash` first.")

    def _check_branch_is_possible(self) -> None:
        for taken in ("refs/heads/ratchet", f"refs/ratchet/{self.campaign}"):
            if self._git.run("rev-parse", "--verify", "--quiet", taken, ok=(0, 1, 128)).code == 0:
                fix = f"Rename {taken}, for example with `git branch -m`."
                raise UserError("campaign", f"{taken} is in the way of branch {self.branch}", fix)

    # ------------------------------------------------------------------------------ candidates

    def write(self, base_tree: str, files: Files) -> str:
        """Write a tree: in the mutable paths exactly `files`, elsewhere what `base_tree` (a full object name) holds.

        A file keeps the mode that it has in `base_tree`; a new one is executable if its content is an `Executable`.

        Raises:
            Refused: a path is outside the mutable ones, or git does not take it, or a folder with other files is there.
            RecordBroken: the repository cannot be written.
        """
        old = {path: item for path, item in self._git.listing(base_tree, self.mutable).items() if self.is_mutable(path)}
        for path in files.keys() - old.keys():
            if path_fault(path) or not self.is_mutable(path):
                raise Refused(f"path `{clean_line(path)}` is outside the mutable paths, or git does not take it")
        return self._git.write(base_tree, old, files)

    def save_candidate(
        self, candidate: int, tree: str, parent_commit: str | None, text: str, also: str | None = None
    ) -> str:
        """Keep a candidate that the ledger does not have yet under its ref; the same tree again is the same commit.

        `also` is the commit of the candidate whose patch was brought over, as a second parent.

        Another tree under this id is what a run left that ended before it wrote its ledger: it is replaced.

        Raises:
            RecordBroken: the ref cannot be written.
        """
        ref, why = f"{self._archive}/{candidate}", f"ratchet: candidate {candidate}"
        commit = self._git.commit_tree(tree, parent_commit, text, also=also)
        if self._git.create(ref, commit):
            return commit
        saved = self.candidate(candidate)
        if saved is not None and saved.tree == tree:
            return saved.commit
        if saved is None or not self._git.move(ref, commit, saved.commit, why):
            raise RecordBroken(f"{ref} cannot be written")
        return commit

    def merge(self, base_tree: str, ours_tree: str, theirs_tree: str) -> str:
        """Three-way merge of trees. The result is a new patch: it must pass the boundary again.

        Raises:
            Refused: both sides changed the same lines.
        """
        return self._git.merge(base_tree, ours_tree, theirs_tree)

    # ------------------------------------------------------------------------------ champion

    def create_branch(self) -> None:
        """Create the campaign's branch at the base; no effect if it exists already."""
        made = self._git.move(self._ref, self.base, None, "ratchet: campaign starts")
        if not made and not self.branch_exists():
            raise RecordBroken(f"branch {self.branch} cannot be created")

    def prepare(self, tree: str, text: str, expected: str, below: str | None = None) -> str:
        """Make the commit that would follow the champion `expected`; no ref moves yet.

        `below` is its parent where it is a later one of several commits that would follow.

        Raises:
            BranchMoved: the branch's tip is another one, or the branch is checked out somewhere.
            Refused: the tree differs from the champion's outside the mutable paths.
            RecordBroken: the repository cannot be written.
        """
        tip, worktree = self._git.branch(self._ref)
        if tip != expected:
            where = f"is at {tip[:12]}" if tip else "is gone"
            fix = f"`git branch -f {self.branch} {expected[:12]}` puts it back"
            raise BranchMoved(f"branch {self.branch} {where}, not at {expected[:12]}: somebody moved it; {fix}")
        if worktree:
            raise BranchMoved(f"branch {self.branch} is checked out in {worktree}: `git switch` away from it")
        if outside := self.outside(expected, tree):
            raise Refused(f"the tree differs outside the mutable paths, in `{outside[0]}`")
        return self._git.commit_tree(tree, below or expected, text, self.style)

    def advance(self, commit: str, expected: str, why: str = "patch accepted") -> None:
        """Move the champion's branch from `expected` to a prepared commit, by compare-and-swap.

        Raises:
            BranchMoved: somebody else moved it in between.
            RecordBroken: the repository cannot be written.
        """
        if self._git.move(self._ref, commit, expected, f"ratchet: {why}"):
            return
        if self._git.branch(self._ref)[0] != expected:
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
            self._git.move(self._ref, sha, None, "ratchet: a deleted branch is restored")
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
            self._git.run("update-ref", "-d", f"{self._archive}/{one.id}", one.commit)

    def break_locks(self, patience: float = STALE_LOCK_SECONDS) -> None:
        """Remove locks of this campaign's refs that a git killed together with its campaign left behind.

        Only for the process that holds the campaign. A lock that stays the same for `patience` seconds has no owner.

        Raises:
            RecordBroken: a lock cannot be removed.
        """
        archive = self._git.common / self._archive
        self._git.break_locks([self._git.common / f"{self._ref}.lock", *archive.glob("*.lock")], patience)
