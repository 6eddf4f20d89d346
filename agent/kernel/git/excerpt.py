"""A small repository made of another one: the mutable paths of candidates as branches, their results as notes.

It is made of plain files, so that it can be put into a box. git's plumbing makes it in a temporary folder: objects are
read from the user's repository and none is written there. No other path, commit or author of its history gets in.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from agent.base.types import Files
from agent.kernel.git.plumbing import IDENTITY, REGULAR, Entry, Git, scratch

WORK = "proposal"
"""The branch that is checked out in the box."""

_IGNORED = ("/PATCH.md", "/LESSONS.md", "__pycache__/")
_CONFIG = """\
[core]
\trepositoryformatversion = {version}
\tbare = false
\tfileMode = false
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
    """Makes repositories for boxes, of those files below `paths` that `shown` lets in."""

    def __init__(self, git: Git, paths: Sequence[str], shown: Callable[[str], bool]) -> None:
        self._git, self._paths, self._shown = git, tuple(paths), shown

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
        with scratch() as folder:
            env = self._begin(folder, len(branches[0].tree))
            self._git.run("fast-import", "--quiet", "--force", stdin=b"".join(self._stream(branches)), env=env)
            refs = dict(_split(line) for line in self._refs(env))
            tips = {name: refs[f"refs/heads/{at}"] for name, at in {**others, WORK: head}.items() if _at(at) in refs}
            refs |= {_at(name): commit for name, commit in tips.items()}
            wanted = "".join(f"{commit}\n" for commit in dict.fromkeys(refs.values())).encode()
            (folder / "out").mkdir()
            self._git.run("pack-objects", "--revs", "-q", str(folder / "out" / "pack"), stdin=wanted, env=env)
            self._git.run("read-tree", refs[_at(WORK)], env={**env, "GIT_INDEX_FILE": str(folder / "index")})
            return {
                **_packs(folder / "out"),
                **_plain(refs, (folder / "config").read_bytes(), (folder / "index").read_bytes()),
            }

    def _begin(self, folder: Path, digits: int) -> dict[str, str]:
        """An empty repository by hand: `git init` would ask the user's templates."""
        sha256 = digits == 64  # noqa: PLR2004 - hex digits of SHA-256
        (folder / "objects" / "pack").mkdir(parents=True)
        (folder / "refs").mkdir()
        (folder / "HEAD").write_text(f"ref: {_at(WORK)}\n", encoding="utf-8")
        config = _CONFIG.format(version=int(sha256), format="\tobjectFormat = sha256\n" if sha256 else "")
        (folder / "config").write_text(config, encoding="utf-8")
        return {
            "GIT_DIR": str(folder),
            "GIT_COMMON_DIR": str(folder),
            "GIT_OBJECT_DIRECTORY": str(folder / "objects"),
            "GIT_ALTERNATE_OBJECT_DIRECTORIES": str(self._git.common / "objects"),
        }

    def _stream(self, branches: Sequence[Branch]) -> Iterator[bytes]:
        """What git fast-import reads: one commit a candidate, then one note a commit."""
        marks = {branch.name: number for number, branch in enumerate(branches, start=1)}
        for branch in branches:
            yield _commit(_at(branch.name), branch.message, mark=marks[branch.name])
            if branch.parent in marks:
                yield f"from :{marks[branch.parent]}\n".encode()
            yield b"deleteall\n"
            listing = self._git.listing(branch.tree, self._paths)
            yield from (_modify(path, entry) for path, entry in listing.items() if self._shown(path))
        yield _commit("refs/notes/commits", "Results of the campaign so far")
        for branch in branches:
            yield b"N inline :%d\n" % marks[branch.name] + _data(branch.note)

    def _refs(self, env: Mapping[str, str]) -> Iterable[str]:
        return self._git.run("for-each-ref", "--format=%(refname) %(objectname)", env=env).text.splitlines()


def _at(name: str) -> str:
    return f"refs/heads/{name}"


def _split(line: str) -> tuple[str, str]:
    name, _, commit = line.partition(" ")
    return name, commit


def _commit(ref: str, message: str, mark: int | None = None) -> bytes:
    name, email = IDENTITY
    marked = "" if mark is None else f"mark :{mark}\n"
    return f"commit {ref}\n{marked}committer {name} <{email}> {int(time.time())} +0000\n".encode() + _data(message)


def _data(text: str) -> bytes:
    raw = text.encode(errors="replace")
    return b"data %d\n" % len(raw) + raw + b"\n"


def _modify(path: str, entry: Entry) -> bytes:
    quoted = path.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    known = entry.mode in REGULAR
    return f'M {entry.mode} {entry.oid} "{quoted}"\n'.encode("utf-8", "surrogateescape") if known else b""


def _packs(folder: Path) -> Files:
    found = (path for path in folder.iterdir() if path.suffix in {".pack", ".idx"})
    return {f".git/objects/pack/{path.name}": path.read_bytes() for path in found}


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
