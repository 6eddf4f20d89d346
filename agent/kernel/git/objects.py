"""Objects of a repository, read and written by git processes that live on (see `lasting`).

git itself writes every object, so its format, permissions and settings are git's. What was read or written is kept in
memory, up to a bound: an object's name tells its content.
"""

from __future__ import annotations

import hashlib
import secrets
import shutil
import tempfile
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import IO, TypeVar

from agent.base.errors import RecordBroken, Refused
from agent.base.owner import folder_prefix
from agent.base.text import clean_line
from agent.kernel.git.lasting import Lasting, exactly, line

E = TypeVar("E")
FOLDER_MODE = "40000"
SHA1_DIGITS = 40
_GITLINK_MODE = "160000"
_BATCH = 256
"""Objects asked for at once: their names must fit into a pipe."""
_KEPT_BYTES = 64 << 20
_KEPT_TREES = 1 << 14


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a tree: its mode and its object name."""

    mode: str
    oid: str


Changes = Mapping[str, Entry | None]
"""Path -> the file that is to be there; None: none."""


class Objects:
    """`start` makes a process of git that runs a command. Every method raises RecordBroken, from any thread."""

    def __init__(self, start: Callable[..., Lasting]) -> None:
        self._reader = start("cat-file", "--batch")
        self._blob_writer, self._commit_writer = (
            start("hash-object", "-w", "--no-filters", "-t", kind, "--stdin-paths") for kind in ("blob", "commit")
        )
        self._tree_writer = start("mktree", "-z", "--batch")
        self._differ = start("diff-tree", "--stdin", "-p", "-r", "--text", "--no-color", "--find-renames")
        self._blobs, self._trees = dict[str, bytes](), dict[str, Mapping[str, Entry]]()
        self._scratch: Path | None = None
        self._size, self._keeping, self._writing = 0, threading.Lock(), threading.Lock()

    # ------------------------------------------------------------------------------ reading

    def find(self, name: str) -> tuple[str, bytes, bytes] | None:
        """(object name, kind, body) of whatever a name without line breaks stands for, or None."""
        return self._reader.ask(name.encode("utf-8", "surrogateescape") + b"\n", _object)

    def tree(self, oid: str) -> Mapping[str, Entry]:
        """Name -> entry of one folder."""
        if (known := self._trees.get(oid)) is not None:
            return known
        found = self.find(f"{oid}^{{tree}}")
        if found is None:
            raise RecordBroken(f"git object {oid} cannot be read: it is missing")
        known = dict(_entries(found[2], len(oid) // 2))
        self._keep_trees({oid: known})
        return known

    def _keep_trees(self, found: Mapping[str, Mapping[str, Entry]]) -> None:
        with self._keeping:
            if len(self._trees) >= _KEPT_TREES:
                self._trees.clear()
            self._trees |= found

    def files(self, tree: str, wanted: Callable[[str], bool], prefix: str = "") -> Iterator[tuple[str, Entry]]:
        """Path -> entry of whatever is not a folder; `wanted` is asked for each path, of a folder with a final /."""
        for name, entry in self.tree(tree).items():
            path = prefix + name
            if entry.mode != FOLDER_MODE:
                if wanted(path):
                    yield path, entry
            elif wanted(f"{path}/"):
                yield from self.files(entry.oid, wanted, f"{path}/")

    def blobs(self, oids: Sequence[str]) -> dict[str, bytes]:
        """The contents of files by their object names."""
        known = {oid: body for oid in oids if (body := self._blobs.get(oid)) is not None}
        missing, found = iter([oid for oid in oids if oid not in known]), dict[str, bytes]()
        while batch := list(islice(missing, _BATCH)):
            names = "".join(f"{oid}\n" for oid in batch).encode()
            for oid, read in zip(batch, self._reader.ask(names, partial(_some, len(batch))), strict=True):
                if read is None or read[1] != b"blob":
                    kind = "it is missing" if read is None else f"it is a {read[1].decode()}"
                    raise RecordBroken(f"git object {oid} cannot be read: {kind}")
                found[oid] = read[2]
        self._keep(found)
        return known | found

    def _keep(self, found: Mapping[str, bytes]) -> None:
        with self._keeping:
            self._size += sum(len(body) for oid, body in found.items() if oid not in self._blobs)
            self._blobs.update(found)
            if self._size > _KEPT_BYTES:
                self._blobs.clear()
                self._size = 0

    def diff(self, before: str, after: str) -> bytes:
        """The patch between two trees, as git shows it."""
        mark = f"end {secrets.token_hex(16)}"  # git repeats a line that names no object
        return self._differ.ask(f"{before} {after}\n{mark}\n".encode(), lambda out: _until(out, mark.encode()))

    # ------------------------------------------------------------------------------ writing

    def blob(self, data: bytes) -> str:
        """Write a file's content."""
        oid = self._hashed(self._blob_writer, data)
        self._keep({oid: bytes(data)})
        return oid

    def holds(self, oid: str, data: bytes) -> bool:
        """Whether a file is known to have just this content; False if that is not known without git."""
        return self._blobs.get(oid) == data

    def knows(self, oid: str) -> bool:
        """Whether a name is known, without git, to be that of a folder."""
        return oid in self._trees

    def commit(self, body: bytes) -> str:
        """Write a commit, of which `body` is everything."""
        return self._hashed(self._commit_writer, body)

    def _hashed(self, writer: Lasting, data: bytes) -> str:
        with self._writing:
            file = self._folder() / "object"
            try:
                file.write_bytes(data)
            except OSError as fault:
                raise RecordBroken(f"no room for temporary files: {fault}") from fault
            return writer.ask(f"{file}\n".encode("utf-8", "surrogateescape"), line).decode()

    def _folder(self) -> Path:
        if self._scratch is None or not self._scratch.exists():
            try:
                self._scratch = Path(tempfile.mkdtemp(prefix=folder_prefix()))
            except OSError as fault:
                raise RecordBroken(f"no room for temporary files: {fault}") from fault
            weakref.finalize(self, shutil.rmtree, self._scratch, ignore_errors=True)
        return self._scratch

    def change(self, tree: str, changes: Changes) -> str:
        """The tree in which some files were changed, added or removed; folders that get empty are gone.

        Raises:
            Refused: a file would take the place of a folder that still holds others.
        """
        made = dict[str, Mapping[str, Entry]]()
        top = self._changed(tree, changes, len(tree), made) or _named({}, len(tree), made)
        self._write_trees(made)
        return top

    def _changed(
        self, tree: str | None, changes: Changes, digits: int, made: dict[str, Mapping[str, Entry]]
    ) -> str | None:
        """The name of a changed folder, None for an empty one; it and those below it are put into `made`, last."""
        entries = dict(self.tree(tree)) if tree is not None else {}
        here, below = by_folder(changes)
        for name in (name for name, entry in here.items() if entry is None):
            entries.pop(name, None)
        for name, inner in below.items():
            old = entries.pop(name, None)
            folder = old.oid if old is not None and old.mode == FOLDER_MODE else None
            if (inside := self._changed(folder, inner, digits, made)) is not None:
                entries[name] = Entry(FOLDER_MODE, inside)
            elif old is not None and folder is None:
                entries[name] = old  # nothing was to be there below a file
        for name, entry in here.items():
            if entry is not None and name in entries and entries[name].mode == FOLDER_MODE:
                raise Refused(f"`{clean_line(name)}` would replace a folder with files that may not change")
            if entry is not None:
                entries[name] = entry
        return _named(entries, digits, made) if entries else None

    def _write_trees(self, made: Mapping[str, Mapping[str, Entry]]) -> None:
        """Let git write folders, those below before those above; what git calls them must be what we do."""
        left = iter(made.items())
        while batch := dict(islice(left, _BATCH)):
            request = b"".join(map(_request, batch.values()))
            names = self._tree_writer.ask(request, partial(_lines, len(batch)))
            if names != [*batch]:
                raise RecordBroken("git wrote other folders than it was given")
            self._keep_trees(batch)


def _request(entries: Mapping[str, Entry]) -> bytes:
    """A folder as `mktree -z --batch` reads it."""
    lines = (f"{item.mode} {_kind(item.mode)} {item.oid}\t{name}\0" for name, item in entries.items())
    return "".join(lines).encode("utf-8", "surrogateescape") + b"\0"


def _named(entries: Mapping[str, Entry], digits: int, made: dict[str, Mapping[str, Entry]]) -> str:
    """Put a folder into `made` under its name, of so many hexadecimal digits, in git's order."""
    body, ordered = tree_body(entries)
    oid = object_name("tree", body, "sha1" if digits == SHA1_DIGITS else "sha256")
    made[oid] = ordered
    return oid


def object_name(kind: str, body: bytes, algorithm: str) -> str:
    """What git calls an object; `algorithm` is sha1 or sha256."""
    return hashlib.new(algorithm, b"%b %d\0" % (kind.encode(), len(body)) + body, usedforsecurity=False).hexdigest()


def tree_body(entries: Mapping[str, Entry]) -> tuple[bytes, dict[str, Entry]]:
    """A folder as git stores it, and its entries in that order."""
    rows = {_raw(name, entry): (name, entry) for name, entry in entries.items()}
    ordered = {name: entry for _, (name, entry) in sorted(rows.items())}
    return b"".join(map(_row, ordered.items())), ordered


def _raw(name: str, entry: Entry) -> bytes:
    """By what git orders the entries of a folder."""
    return f"{name}/".encode("utf-8", "surrogateescape") if entry.mode == FOLDER_MODE else raw(name)


def _row(one: tuple[str, Entry]) -> bytes:
    name, entry = one
    return b"%b %b\0" % (entry.mode.encode(), raw(name)) + bytes.fromhex(entry.oid)


def raw(path: str) -> bytes:
    """A path as git stores it."""
    return path.encode("utf-8", "surrogateescape")


def _kind(mode: str) -> str:
    return {FOLDER_MODE: "tree", _GITLINK_MODE: "commit"}.get(mode, "blob")


def by_folder(files: Mapping[str, E]) -> tuple[dict[str, E], dict[str, dict[str, E]]]:
    """What paths stand for in this folder, and by name in the folders below."""
    here, below = dict[str, E](), dict[str, dict[str, E]]()
    for path, entry in files.items():
        name, inside, rest = path.partition("/")
        if inside:
            below.setdefault(name, {})[rest] = entry
        else:
            here[name] = entry
    return here, below


def _object(out: IO[bytes]) -> tuple[str, bytes, bytes] | None:
    """One answer of `cat-file --batch`: (object name, kind, body), or None for what is not there."""
    *name, kind, size = line(out).split(b" ")
    if not size.isdigit() or not name:
        return None
    body = exactly(out, int(size))
    exactly(out, 1)
    return name[0].decode(), kind, body


def _lines(count: int, out: IO[bytes]) -> list[str]:
    return [line(out).decode() for _ in range(count)]


def _some(count: int, out: IO[bytes]) -> list[tuple[str, bytes, bytes] | None]:
    return [_object(out) for _ in range(count)]


def _until(out: IO[bytes], mark: bytes) -> bytes:
    """What `diff-tree --stdin` prints of two trees: their names, the patch, then the mark; the mark alone: EOFError."""
    if line(out) == mark:
        raise EOFError("one of the trees is missing")
    lines = list[bytes]()
    while (found := line(out)) != mark:
        lines.append(found)
    return b"".join(found + b"\n" for found in lines)


def _entries(body: bytes, digits: int) -> Iterator[tuple[str, Entry]]:
    """The entries of a tree object; `digits` is the length of a name in it, in bytes."""
    at = 0
    while at < len(body):
        end = body.index(b"\0", at)
        mode, _, name = body[at:end].partition(b" ")
        at = end + 1 + digits
        yield name.decode("utf-8", "surrogateescape"), Entry(mode.decode(), body[end + 1 : at].hex())
