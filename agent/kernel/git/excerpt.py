"""A small repository made of another one: the mutable paths of candidates as branches, their results as notes.

It is made of plain files (`packing`), so that it can be put into a box. Files are read from the user's repository and
nothing is written there. No other path, commit or author of its history gets in.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from agent.base.types import Files
from agent.kernel.git.objects import SHA1_DIGITS, Entry
from agent.kernel.git.packing import Pack, Packed, add_tree, work_tree_index
from agent.kernel.git.plumbing import REGULAR, Git, commit_text

WORK = "proposal"
"""The branch that is checked out in the box."""

KEPT_NOTES = 4096
KEPT_BYTES = 32 << 20
"""Notes, and bytes of all objects, that are held in memory."""

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


Asked = tuple[str, str | None, str]


@dataclass(frozen=True, slots=True)
class Piece:
    """A candidate as a commit, and all objects that this takes but those of its parent."""

    commit: str
    objects: Mapping[str, Packed]


class Kept:
    """What was made so far and most of the next repository consists of: nothing is read, named or compressed twice.

    `packed`: name -> object. `pieces`: (tree of the user's repository, parent's commit, message) -> the commit that is
    made of them. `notes`: text -> its object.
    """

    def __init__(self) -> None:
        self.packed: dict[str, Packed] = {}
        self.pieces: dict[Asked, Piece] = {}
        self.notes: dict[str, str] = {}
        self._size, self._changing = 0, threading.Lock()

    def add(self, packed: Mapping[str, Packed], pieces: Mapping[Asked, Piece], notes: Mapping[str, str]) -> None:
        """Keep these too; where all of it is too much, these alone."""
        with self._changing:
            if len(self.notes) > KEPT_NOTES or self._size > KEPT_BYTES:
                self.packed, self.pieces, self.notes, self._size = {}, {}, {}, 0
            fresh = {oid: one for oid, one in packed.items() if oid not in self.packed}
            self._size += sum(len(one.body) for one in fresh.values())
            self.packed.update(fresh)
            self.pieces.update(pieces)
            self.notes.update(notes)


class Excerpt:
    """Makes repositories for boxes, of those files below `paths` that `shown` lets in; any thread may ask."""

    def __init__(self, git: Git, paths: Sequence[str], shown: Callable[[str], bool]) -> None:
        self._git, self._paths, self._shown = git, tuple(paths), shown
        self._kept = Kept()

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
        algorithm = "sha1" if len(branches[0].tree) == SHA1_DIGITS else "sha256"
        kept, now, refs = self._kept, int(time.time()), dict[str, str]()
        pack, pieces, notes = Pack(algorithm, kept.packed), dict[Asked, Piece](), dict[str, str]()
        for one in branches:
            asked = one.tree, refs.get(_at(one.parent or "")), one.message
            piece = pieces[asked] = kept.pieces.get(asked) or self._piece(pack, *asked, now)
            pack.packed |= piece.objects
            refs[_at(one.name)] = piece.commit
            note = kept.notes.get(one.note)
            notes[one.note] = note if note is not None and pack.keep(note) else pack.add("blob", one.note.encode())
        noted = {refs[_at(one.name)]: Entry("100644", notes[one.note]) for one in branches}
        refs |= {_at(name): refs[_at(at)] for name, at in {**others, WORK: head}.items() if _at(at) in refs}
        kept.add(pack.packed, pieces, notes)
        results = commit_text(add_tree(pack, noted), None, "Results of the campaign so far", now)
        refs["refs/notes/commits"] = pack.add("commit", results)
        index = work_tree_index(self._listed(next(one.tree for one in branches if one.name == head)), algorithm)
        packs = {f".git/objects/pack/{name}": body for name, body in pack.files().items()}
        return {**packs, **_plain(refs, _config(algorithm), index)}

    def _listed(self, tree: str) -> dict[str, Entry]:
        """The regular files of a candidate that are shown."""
        listing = self._git.listing(tree, self._paths)
        return {path: entry for path, entry in listing.items() if entry.mode in REGULAR and self._shown(path)}

    def _piece(self, made: Pack, tree: str, parent: str | None, message: str, now: int) -> Piece:
        """What is shown of a candidate, by the objects that `made` holds or knows where it does."""
        pack, files = made.like(), self._listed(tree)
        missing = sorted({entry.oid for entry in files.values() if not pack.keep(entry.oid)})
        for body in self._git.objects.blobs(missing).values():
            pack.add("blob", body)
        commit = pack.add("commit", commit_text(add_tree(pack, files), parent, message, now))
        return Piece(commit, pack.packed)


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
