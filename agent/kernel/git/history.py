"""What a campaign left in a repository: its branch, its commits, its archive of candidates."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from agent.base.errors import UserError
from agent.base.text import clean_line
from agent.base.trust import WHOLE, inside
from agent.base.types import Files
from agent.config.copies import with_copies
from agent.config.layers import Layers, copy_of
from agent.kernel.decide.boundary import path_fault
from agent.kernel.git.excerpt import Excerpt
from agent.kernel.git.messages import CAMPAIGN_TRAILER, PLAIN, Commit
from agent.kernel.git.plumbing import Git

_BATCH = 128
LFS_POINTER = b"version https://git-lfs.github.com/spec/"
_KINDS = {"160000": "submodule", "120000": "symbolic link"}


@dataclass(frozen=True, kw_only=True, slots=True)
class SavedCandidate:
    """One ref of the archive: `refs/ratchet/<campaign>/candidates/<id>`."""

    id: int
    commit: str
    tree: str


class History:
    """The reading half of a `Repository`. `base` is the commit that the campaign started from."""

    def __init__(
        self, git: Git, root: Path, campaign: str, mutable: tuple[str, ...], frozen: tuple[str, ...] = ()
    ) -> None:
        self._git = git
        self.root = root
        self.campaign = campaign
        self.mutable, self.frozen = mutable, frozen
        self.branch = f"ratchet/{campaign}"
        self.base = ""
        self._base_is_head = False
        self.style = PLAIN

    @property
    def _ref(self) -> str:
        return f"refs/heads/{self.branch}"

    @property
    def _archive(self) -> str:
        return f"refs/ratchet/{self.campaign}/candidates"

    def champion(self) -> str:
        """The tip of the campaign's branch; the base while there is no branch."""
        return self._git.branch(self._ref)[0] or self.base

    def branch_exists(self) -> bool:
        """Whether the campaign's branch was created."""
        return self._git.branch(self._ref)[0] is not None

    def tree_of(self, rev: str) -> str:
        """The tree of a commit, a tag or a tree."""
        return self._git.tree_of(rev)

    def read(self, tree: str, paths: Sequence[str] | None = None) -> Files:
        """The mutable files of a tree or a commit, or those below `paths`; regular files only."""
        if paths is not None:
            return self._git.read(tree, paths) if paths else {}
        files = self._git.read(tree, self.mutable)
        return {path: body for path, body in files.items() if self.is_mutable(path)}

    def is_mutable(self, path: str) -> bool:
        """Whether a patch may change a path."""
        return inside(path, self.mutable, self.frozen)

    def layers(self, lines: Sequence[str], field: str) -> Layers:
        """Layers of an image whose COPY lines take files of the base commit.

        Raises:
            UserError: names `field`; a file is not in the commit, or holds no content.
        """

        def read(paths: Sequence[str]) -> Files:
            for path, kind in self._not_plain(self.base, paths):
                fix = "COPY takes regular files: commit one there, or name others."
                raise UserError(field, f"`{clean_line(path)}` is a {kind}", fix)
            return self._git.read(self.base, paths)

        return with_copies(lines, self._git.listing(self.base, (WHOLE,)), read, field, f"commit {self.base[:12]}")

    def check_suite(self, suite: Path, scaffold: Sequence[str], improver: Sequence[str]) -> None:
        """Raise UserError if a box would see files of the suite: its hidden tests and its solutions."""
        if not suite.resolve().is_relative_to(self.root):
            return
        folder = suite.resolve().relative_to(self.root).as_posix()
        listing = _of_suite(folder, self._git.listing(self.base, (WHOLE,)))
        shown = {
            "scaffold.mutable": (self.mutable, self.frozen),
            "scaffold.include": (scaffold, ()),
            "improve.include": (improver, ()),
        }
        for field, (paths, but) in shown.items():
            if any(inside(path, paths, but) for path in listing):
                problem = f"boxes would see `{folder}`, the suite with its hidden tests and solutions"
                fix = "Name it in `scaffold.frozen`." if paths is self.mutable else "Name the other paths only."
                raise UserError(field, problem, fix)

    def remarks(self, include: Sequence[str], build: Sequence[str] = ()) -> list[str]:
        """What a box does not get of the paths that it sees read-only, or as a patch left it; one line each."""
        hollow = [
            f"scaffold.include: `{path}` is a {kind}; boxes do not get what it stands for"
            for path, kind in (self._not_plain(self.base, include) if include else ())
        ]
        copied = [source for copy in map(copy_of, build) if copy is not None for source in copy.sources]
        return hollow + [
            f"scaffold.build: `{path}` is mutable; the image keeps the seed's, whatever a patch makes of it"
            for path in copied
            if self.is_mutable(path)
        ]

    def _not_plain(self, rev: str, paths: Sequence[str]) -> list[tuple[str, str]]:
        """Paths of a revision that hold no content of their own, and what they are."""
        others = [(p, _KINDS[item.mode]) for p, item in self._git.listing(rev, paths).items() if item.mode in _KINDS]
        pointers = [path for path, data in self._git.read(rev, paths).items() if data.startswith(LFS_POINTER)]
        return [*others, *((path, "Git LFS pointer") for path in pointers)]

    def of(self, campaign: str) -> History:
        """The archive of another campaign in the same repository, for reading."""
        return History(self._git, self.root, campaign, self.mutable, self.frozen)

    def candidates(self) -> dict[int, SavedCandidate]:
        """Every candidate of the archive by its id."""
        return dict(sorted((one.id, one) for one in self._saved(self._archive)))

    def candidate(self, candidate: int) -> SavedCandidate | None:
        """One candidate of the archive, or None."""
        found = self._git.ref(f"{self._archive}/{candidate}")
        return None if found is None else SavedCandidate(id=candidate, commit=found[0], tree=found[1])

    def _saved(self, pattern: str) -> Iterator[SavedCandidate]:
        out = self._git.run("for-each-ref", "--format=%(refname:lstrip=4) %(objectname) %(tree)", pattern).text
        rows = (line.split(" ") for line in out.splitlines())
        return (SavedCandidate(id=int(name), commit=oid, tree=tree) for name, oid, tree in rows if name.isdigit())

    def accepted(self) -> list[Commit]:
        """The campaign's commits on its branch, newest first."""
        tip = self._git.branch(self._ref)[0]
        return [] if tip is None else [commit for commit in self._walk(tip) if self._is_ours(commit)]

    def commit(self, rev: str, field: str = "scaffold.base") -> Commit:
        """One commit with its trailers. Raises UserError, which names `field`, if there is no such commit."""
        return self._git.log("--max-count=1", self._resolve(rev, field))[0]

    def _resolve(self, rev: str, field: str = "scaffold.base") -> str:
        commit = self._git.resolve(rev)
        if commit is None:
            fix = "Name a branch, a tag or a commit that `git log` knows."
            raise UserError(field, f"`{clean_line(rev)}` is not a commit of {self.root}", fix)
        return commit

    def diff(self, before: str, after: str) -> str:
        """The patch between two commits or trees, as git shows it; undecodable bytes are replaced."""
        trees = [self._git.tree_of(name) for name in (before, after)]
        return self._git.objects.diff(*trees).decode(errors="replace")

    def merged(self, base_tree: str, ours_tree: str, theirs_tree: str) -> tuple[str, list[str]]:
        """The tree of a three-way merge as far as it goes, and the paths that conflict: git's marks stand in them."""
        return self._git.merged(base_tree, ours_tree, theirs_tree)

    def compare(self, before: Files, after: Files) -> str:
        """The patch between files that are in no tree, such as a refused one; odd paths are left out."""
        changed = [path for path in {*before, *after} if before.get(path) != after.get(path) and not path_fault(path)]
        sides = ({path: files[path] for path in changed if path in files} for files in (before, after))
        return self._git.compare(*sides)

    def excerpt(self) -> Excerpt:
        """What makes small repositories of candidates for boxes."""
        return Excerpt(self._git, self.mutable, self.is_mutable)

    def outside(self, before: str, after: str) -> list[str]:
        """The cleaned paths outside the mutable ones in which two commits or trees differ."""
        options = ("-r", "-z", "--name-only", "--no-renames")
        touched = self._git.run("diff-tree", *options, before, after).text.split("\0")
        return [clean_line(path) for path in touched[:-1] if not self.is_mutable(path)]

    def graph(self, tips: Sequence[str]) -> list[tuple[str, str]]:
        """What `git log --graph` draws of commits down to the base: (its lines, the commit or "")."""
        if not tips:
            return []
        below = [f"^{parent}" for parent in self._git.log("--max-count=1", self.base)[0].parents]
        options = ("--graph", "--no-color", "--format=%x00%H")
        revs = "".join(f"{rev}\n" for rev in (*tips, self.base, *below)).encode()
        out = self._git.run("log", *options, "--stdin", stdin=revs).text
        return [(line.partition("\0")[0], line.partition("\0")[2]) for line in out.splitlines()]

    def _walk(self, tip: str) -> Iterator[Commit]:
        # In batches, and no further than one without a commit of ours: histories can be very long.
        for skip in count(step=_BATCH):
            batch = self._git.log(tip, f"--max-count={_BATCH}", f"--skip={skip}")
            yield from batch
            if not any(map(self._is_ours, batch)):
                return

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


def _of_suite(place: str, paths: Iterable[str]) -> list[str]:
    """The files of a suite at a folder or a YAML file: that file, and all below folders of tasks beside it."""
    named = place.endswith((".yaml", ".yml"))
    folder = posixpath.dirname(place) if named else place.removeprefix(".")
    file = place if named else posixpath.join(folder, "suite.yaml")
    tasks = {posixpath.dirname(path) for path in paths if posixpath.basename(path) == "task.yaml"}
    below = [task for task in tasks if task != folder and (not folder or task.startswith(f"{folder}/"))]
    return [path for path in paths if path == file or inside(path, below)]
