"""The repository that an improver works in: the archive's mutable files as commits, written for each box.

Nothing of the user's repository gets there but what the improver sees anyway: mutable files and words of proposals.
The format is git's own (gitformat-index, gitrepository-layout): loose objects, packed refs and an index, without a git
process for each of a few thousand proposals.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

from agent.base.executable import Executable
from agent.base.types import Files
from agent.kernel.git.plumbing import EXECUTABLE_MODE, IDENTITY, PLAIN_MODE

TOP = ".git"
HEAD = "refs/heads/main"
_FOLDER = "40000"
_CONFIG = b"[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = false\n"
_PACKED = "# pack-refs with: peeled fully-peeled sorted \n"
_NAME_BITS = 0xFFF
_ENTRY = struct.Struct(">10I20sH")
_ALIGN = 8


@dataclass(frozen=True, kw_only=True, slots=True)
class Snapshot:
    """One candidate as a commit: its mutable files, its parent if that is among the snapshots before it, its words."""

    id: int
    parent: int | None
    files: Files
    text: str


def clone(snapshots: Sequence[Snapshot], head: int, time: int) -> Files:
    """The files of a `.git` folder with a branch `candidate/<id>` for each snapshot, and `main` at `head`.

    Args:
        snapshots: parents before their children.
        head: the id of the snapshot that lies in the work tree.
        time: Unix seconds of the first commit; the others follow by a second each.
    """
    store, commits = _Store(), dict[int, str]()
    for number, one in enumerate(snapshots):
        parent = None if one.parent is None else commits.get(one.parent)
        commits[one.id] = store.commit(store.tree(one.files), parent, time + number, one.text)
    refs = sorted((f"refs/heads/candidate/{one}", oid) for one, oid in commits.items())
    checked_out = next(one.files for one in snapshots if one.id == head)
    files = {
        "HEAD": f"ref: {HEAD}\n".encode(),
        HEAD: f"{commits[head]}\n".encode(),
        "packed-refs": (_PACKED + "".join(f"{oid} {name}\n" for name, oid in refs)).encode(),
        "config": _CONFIG,
        "index": _index(checked_out),
    }
    return {f"{TOP}/{path}": body for path, body in {**files, **store.files}.items()}


class _Store:
    """Loose objects, by their path below `.git`."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}

    def add(self, kind: str, content: bytes) -> str:
        whole = _whole(kind, content)
        oid = _sha(whole).hex()
        path = f"objects/{oid[:2]}/{oid[2:]}"
        if path not in self.files:
            self.files[path] = zlib.compress(whole, level=1)
        return oid

    def tree(self, files: Files) -> str:
        entries: list[tuple[bytes, str, str]] = []
        folders: dict[str, dict[str, bytes]] = {}
        for path, body in files.items():
            name, slash, rest = path.partition("/")
            if slash:
                folders.setdefault(name, {})[rest] = body
            else:
                entries.append((_raw(name), _mode(body), self.add("blob", body)))
        entries += [(_raw(name), _FOLDER, self.tree(below)) for name, below in folders.items()]
        entries.sort(key=lambda entry: entry[0] + (b"/" if entry[1] == _FOLDER else b""))
        return self.add("tree", b"".join(b"%b %b\0%b" % (m.encode(), n, bytes.fromhex(o)) for n, m, o in entries))

    def commit(self, tree: str, parent: str | None, when: int, text: str) -> str:
        name, email = IDENTITY
        who = f"{name} <{email}> {when} +0000"
        parents = "" if parent is None else f"parent {parent}\n"
        head = f"tree {tree}\n{parents}author {who}\ncommitter {who}\n\n"
        return self.add("commit", (head + text).encode(errors="replace"))


def _index(files: Files) -> bytes:
    """The index of a work tree that holds these files; git looks at the files themselves, as no times are known."""
    entries = sorted((_raw(path), body) for path, body in files.items())
    raw = b"DIRC" + struct.pack(">2I", 2, len(entries)) + b"".join(_entry(path, body) for path, body in entries)
    return raw + _sha(raw)


def _entry(path: bytes, body: bytes) -> bytes:
    oid, size = _sha(_whole("blob", body)), len(body)
    times, device_and_inode, owner = (0, 0, 0, 0), (0, 0), (0, 0)
    numbers = (*times, *device_and_inode, int(_mode(body), 8), *owner, size)
    raw = _ENTRY.pack(*numbers, oid, min(len(path), _NAME_BITS)) + path
    return raw + bytes(_ALIGN - len(raw) % _ALIGN)


def _whole(kind: str, content: bytes) -> bytes:
    return b"%b %d\0%b" % (kind.encode(), len(content), content)


def _sha(raw: bytes) -> bytes:
    return hashlib.sha1(raw, usedforsecurity=False).digest()


def _mode(body: bytes) -> str:
    return EXECUTABLE_MODE if isinstance(body, Executable) else PLAIN_MODE


def _raw(path: str) -> bytes:
    return path.encode("utf-8", "surrogateescape")
