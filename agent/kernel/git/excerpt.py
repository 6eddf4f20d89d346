"""A small repository made of another one: the mutable paths of candidates as branches, their results as notes.

It is made of plain files (`packing`), so that it can be put into a box. Files are read from the user's repository and
nothing is written there. No other path, commit or author of its history gets in.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from agent.base.types import Files
from agent.kernel.git.objects import Entry
from agent.kernel.git.packing import Pack, Packed, add_tree, work_tree_index
from agent.kernel.git.plumbing import REGULAR, Git, commit_text

WORK = "proposal"
"""The branch that is checked out in the box."""

_IGNORED = ("/PATCH.md", "/LESSONS.md", "__pycache__/")
_CONFIG = """\
[core]
\trepositoryformatversion = {version}
\tbare = false
\tfileMode = true
[extensions]
{format}[user]
\tname = improver
\temail = improver@localhost
[gc]
\tauto = 0
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Branch:
    """One candidate: its tree in the user's repository, its message, and the note with its results."""

    name: str
    tree: str
    parent: str | None
    message: str
    note: str


class Excerpt:
    """Makes repositories for boxes, of those files below `paths` that `shown` lets in; any thread may ask.

    What the last repository held is kept, compressed: the next one holds most of it too.
    """

    def __init__(self, git: Git, paths: Sequence[str], shown: Callable[[str], bool]) -> None:
        self._git, self._paths, self._shown = git, tuple(paths), shown
        self._known: Mapping[str, Packed] = {}
        self._roots: Mapping[str, tuple[str, Mapping[str, Packed]]] = {}
        """Tree of the user's repository -> what of it is shown, as a tree, and all objects of that."""

    def files(self, branches: Sequence[Branch], head: str, others: Mapping[str, str], most_bytes: int) -> Files:
        """The files of a `.git` folder whose work tree is the candidate `head`.

        Args:
            branches: candidates, parents before children; the first ones are left out where the files grow too large.
            head: the branch that `proposal` starts from; it is never left out.
            others: further branches, each at one of the candidates.
            most_bytes: how large the files may be.

        Raises:
            RecordBroken: an object cannot be read, or there is no room for temporary files.
        """
        while True:
            made = self._made(branches, head, others)
            if len(branches) == 1 or sum(map(len, made.values())) <= most_bytes:
                return made
            rest = [branch for branch in branches if branch.name != head]
            gone = {branch.name for branch in rest[: (len(rest) + 1) // 2]}
            branches = [branch for branch in branches if branch.name not in gone]

    def _made(self, branches: Sequence[Branch], head: str, others: Mapping[str, str]) -> Files:
        algorithm = "sha256" if len(branches[0].tree) == 64 else "sha1"  # noqa: PLR2004 - hex digits of SHA-256
        pack, now, refs = Pack(algorithm, self._known), int(time.time()), dict[str, str]()
        roots = dict[str, tuple[str, Mapping[str, Packed]]]()
        for branch in branches:
            tree, objects = roots[branch.tree] = self._root(algorithm, branch.tree, pack.packed)
            pack.packed |= objects
            parent = refs.get(_at(branch.parent)) if branch.parent is not None else None
            refs[_at(branch.name)] = pack.add("commit", commit_text(tree, parent, branch.message, now))
        notes = {refs[_at(one.name)]: Entry("100644", pack.add("blob", one.note.encode())) for one in branches}
        refs |= {_at(name): refs[_at(at)] for name, at in {**others, WORK: head}.items() if _at(at) in refs}
        results = commit_text(add_tree(pack, notes), None, "Results of the campaign so far", now)
        refs["refs/notes/commits"] = pack.add("commit", results)
        self._known, self._roots = pack.packed, roots
        index = work_tree_index(self._listed(next(one.tree for one in branches if one.name == head)), algorithm)
        packs = {f".git/objects/pack/{name}": body for name, body in pack.files().items()}
        return {**packs, **_plain(refs, _config(algorithm), index)}

    def _listed(self, tree: str) -> dict[str, Entry]:
        """The regular files of a candidate that are shown."""
        listing = self._git.listing(tree, self._paths)
        return {path: entry for path, entry in listing.items() if entry.mode in REGULAR and self._shown(path)}

    def _root(self, algorithm: str, tree: str, known: Mapping[str, Packed]) -> tuple[str, Mapping[str, Packed]]:
        """What is shown of a candidate; objects that are `known` are not compressed again."""
        if tree in self._roots:
            return self._roots[tree]
        pack, files = Pack(algorithm, {**self._known, **known}), self._listed(tree)
        missing = sorted({entry.oid for entry in files.values() if not pack.keep(entry.oid)})
        for body in self._git.objects.blobs(missing).values():
            pack.add("blob", body)
        return add_tree(pack, files), pack.packed


def _at(name: str) -> str:
    return f"refs/heads/{name}"


def _config(algorithm: str) -> bytes:
    sha256 = algorithm == "sha256"
    return _CONFIG.format(version=int(sha256), format="\tobjectFormat = sha256\n" if sha256 else "").encode()


def _plain(refs: Mapping[str, str], config: bytes, index: bytes) -> Files:
    head = refs[_at(WORK)]
    packed = "".join(f"{commit} {name}\n" for name, commit in sorted(refs.items()) if name != _at(WORK))
    return {
        ".git/HEAD": f"ref: {_at(WORK)}\n".encode(),
        f".git/{_at(WORK)}": f"{head}\n".encode(),  # a loose one, since git wants the folder
        ".git/packed-refs": packed.encode(),
        ".git/config": config,
        ".git/index": index,
        ".git/info/exclude": "".join(f"{line}\n" for line in _IGNORED).encode(),
    }
