"""The one definition of what is mutable, and the only way in for what a box left there.

Covered: paths outside the mutable ones, absolute, relative, control and invisible characters, names that
git reads or reserves (in every spelling that a file system folds to one), names that collide where case or
accents are folded; content that is not plain UTF-8 text, that gains control or bidirectional override
characters, or that declares another encoding; number and size of files; Python that does not parse; the
words that a model puts into a commit message, so that it cannot forge evidence or drive a terminal.

Not covered: what the code does when it runs (that is the box's work) and whether it is any good (the
gate's). Links and devices never get here: files are taken out of a box as plain content. Of modes only the executable
bit does: a file keeps the one that it has, a new file has what the box gave it. Python is
judged by the grammar of the interpreter that runs the kernel, which may differ from the image's. Words that
merely look like others (homoglyphs) pass. A scaffold may delete its own entry point: it then scores 0.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from agent.base.errors import Refused, UserError
from agent.base.text import HIDDEN, clean_line, clean_lines, cut, escaped
from agent.base.trust import DEFAULT_MUTABLE, WHOLE, inside
from agent.base.types import Files
from agent.kernel.decide.parsing import Readings

MAX_PATH_BYTES = 512
MAX_NAME_BYTES = 200
SUBJECT_CHARS = 72
BODY_BYTES = 4096
MOST_FAULTS = 40

# What tools drop beside the code they run; never part of a patch, so no reason to refuse one.
LEFTOVER_FOLDERS = frozenset({"__pycache__", ".pytest_cache", ".mypy_cache", ".ruff_cache"})
_HIDDEN_IN_PATHS = HIDDEN | {"Zs"}
# 8.3 names of .git, .gitmodules, .gitattributes and the like on NTFS: GIT~1, GITMOD~1, GI7EBA~1.
_SHORT_NAME = re.compile(r"gi[a-z0-9]{0,4}~[0-9]")
# Characters that make a terminal or an editor show another text than the one that runs.
_DECEPTIVE = re.compile("[\x01-\x08\x0b\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]|\r(?!\n)")

# A forged trailer of ours, one that names a person, or a line at which `git am` and `git interpret-trailers` stop.
_LOADED_LINE = re.compile(
    r"\W*ratchet\s*-[\w\s-]*[:=#]|\W*(?:\w+[\s-]+){1,3}by\s*[:=#]|\W*(?:cc|change-id)\s*[:=#]|---|diff -|index:",
    re.IGNORECASE,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """An admitted patch: sorted paths by what happened to them, and all mutable files after it."""

    changed: tuple[str, ...]
    added: tuple[str, ...]
    removed: tuple[str, ...]
    files: Files

    @property
    def paths(self) -> tuple[str, ...]:
        """Every path that the patch touches, sorted."""
        return tuple(sorted((*self.changed, *self.added, *self.removed)))


def path_fault(path: str) -> str | None:
    """Why a path can never be part of a tree that we write, in words; None if it can."""
    hidden = next((c for c in path if c != " " and unicodedata.category(c) in _HIDDEN_IN_PATHS), None)
    if hidden is not None:
        return f"holds the character U+{ord(hidden):04X}"
    if "\\" in path:
        return "holds a backslash"
    if len(path.encode()) > MAX_PATH_BYTES:
        return f"is longer than {MAX_PATH_BYTES} bytes"
    if unicodedata.normalize("NFC", path) != path:
        return "is not in Unicode normal form C"
    return _shape_fault(path) or next((fault for name in path.split("/") if (fault := _name_fault(name))), None)


def _shape_fault(path: str) -> str | None:
    odd = not {"", ".", ".."}.isdisjoint(path.split("/"))
    return "is absolute or holds an empty, `.` or `..` component" if odd else None


def _name_fault(name: str) -> str | None:
    if len(name.encode()) > MAX_NAME_BYTES:
        return f"has a component longer than {MAX_NAME_BYTES} bytes"
    folded = name.casefold()
    if folded.startswith(".git") or _SHORT_NAME.match(folded):
        return f"holds `{name}`, a name that git reads or reserves"
    if name[-1] in ". ":
        return "has a component that ends in a dot or a space"
    return None


@dataclass(frozen=True, kw_only=True, slots=True)
class Boundary:
    """What may be rewritten and how much of it. Sizes in bytes; `max_patch_bytes` sums all touched files.

    Raises:
        UserError: a mutable path is not a plain relative path.
    """

    mutable: tuple[str, ...] = DEFAULT_MUTABLE
    frozen: tuple[str, ...] = ()
    max_files_changed: int = 64
    max_file_bytes: int = 256 << 10
    max_patch_bytes: int = 512 << 10
    max_total_files: int = 1024
    max_total_bytes: int = 4 << 20

    def __post_init__(self) -> None:
        if not self.mutable:
            raise UserError("scaffold.mutable", "is empty", "Name the folders that the campaign may rewrite.")
        faults = [("scaffold.mutable", e, path_fault(e)) for e in self.mutable if e != WHOLE]
        faults += [("scaffold.frozen", e, _shape_fault(e)) for e in self.frozen]
        for field, entry, fault in faults:
            if fault:
                fix = "Write folders relative to the repository, such as `agent/scaffold`."
                raise UserError(field, f"`{escaped(entry)}` {fault}", fix)

    def covers(self, path: str) -> bool:
        """Whether a patch may change a path."""
        return inside(path, self.mutable, self.frozen)

    @property
    def shown(self) -> str:
        """The mutable paths in words."""
        return ", ".join(self.mutable) + (f", except {', '.join(self.frozen)}" if self.frozen else "")

    def check_seed(self, files: Files) -> None:
        """Check, before money is spent, that the files which a campaign starts from leave room for a patch.

        Raises:
            UserError: there are none, or they are over the limits.
        """
        where = self.shown
        if not files:
            raise UserError("scaffold.mutable", f"no file in {where}", "Commit the scaffold first: `git commit`.")
        if reason := self._total_fault(files):
            fix = "Name fewer or smaller folders, or exceptions in `scaffold.frozen`."
            raise UserError("scaffold.mutable", f"{where}: {reason}", fix)

    def admit(self, before: Files, after: Files) -> Change:
        """Compute the patch that leads from the parent's mutable files to what a box left.

        Python is not parsed here: `check_python` judges it once a child process has read it.

        Raises:
            Refused: with the reason in words. Nothing of the patch may then be used.
        """
        change = _change(before, after)
        for fault in self._faults(_without_leftovers(before), change):
            raise Refused(fault)
        return change

    def faults(self, before: Files, after: Files) -> tuple[Change, list[str]]:
        """The same patch, and every reason to refuse it, `MOST_FAULTS` at most, where `admit` stops at the first."""
        change = _change(before, after)
        return change, list(islice(self._faults(_without_leftovers(before), change), MOST_FAULTS))

    def _faults(self, before: Files, change: Change) -> Iterator[str]:
        after = change.files
        yield from self._path_faults(before, after)
        if not change.paths:
            yield "the patch changes nothing"
        if not after:
            yield "the patch deletes every file"
        yield from self._size_faults(before, change)
        for path in (*change.changed, *change.added):
            yield from _content_faults(path, before.get(path, b""), after[path])

    def _path_faults(self, before: Files, after: Files) -> Iterator[str]:
        for path in sorted(after.keys() - before.keys()):
            if fault := path_fault(path):
                yield f"path `{escaped(path)}` {fault}"
            elif not self.covers(path):
                yield f"path `{path}` is outside the mutable paths ({self.shown})"
            elif any(entry.startswith(f"{path}/") for entry in self.frozen):
                yield f"path `{path}` would replace a folder with files that may not change"
        for path in sorted(p for p in before.keys() & after.keys() if before[p] != after[p]):
            if fault := path_fault(path):
                yield f"path `{escaped(path)}` may not change: it {fault}"
        yield from _collisions(before, after)

    def _size_faults(self, before: Files, change: Change) -> Iterator[str]:
        if len(change.paths) > self.max_files_changed:
            yield f"the patch touches {len(change.paths)} files; at most {self.max_files_changed} are allowed"
        written = {path: len(change.files[path]) for path in (*change.changed, *change.added)}
        for path, size in written.items():
            if size > self.max_file_bytes:
                yield f"{path} has {size} bytes; at most {self.max_file_bytes} are allowed"
        if (total := sum(written.values())) > self.max_patch_bytes:
            yield f"the touched files have {total} bytes; at most {self.max_patch_bytes} are allowed"
        if (reason := self._total_fault(change.files)) and _bytes(change.files) >= _bytes(before):
            yield f"after the patch, {reason}"

    def _total_fault(self, files: Files) -> str | None:
        if len(files) > self.max_total_files:
            return f"the mutable paths hold {len(files)} files; at most {self.max_total_files} are allowed"
        if (total := _bytes(files)) > self.max_total_bytes:
            return f"the mutable paths hold {total} bytes; at most {self.max_total_bytes} are allowed"
        return None


def check_python(change: Change, readings: Readings) -> None:
    """Check that the Python which a patch writes parses, by how a child process read it.

    Raises:
        Refused: a file does not parse, or declares another encoding than UTF-8.
    """
    for fault in python_faults(change, readings):
        raise Refused(fault)


def python_faults(change: Change, readings: Readings) -> Iterator[str]:
    """Every file of a patch that does not parse, and where."""
    for path in sorted((*change.changed, *change.added)):
        reading = readings[change.files[path]] if path.endswith(".py") else None
        if reading is not None and reading.fault is not None:
            where = f" line {reading.line}" if reading.line else ""
            yield f"{path}{where} {reading.fault}"


def _change(before: Files, after: Files) -> Change:
    before, after = _without_leftovers(before), _without_leftovers(after)
    return Change(
        changed=tuple(sorted(p for p in after if p in before and after[p] != before[p])),
        added=tuple(sorted(after.keys() - before.keys())),
        removed=tuple(sorted(before.keys() - after.keys())),
        files=after,
    )


def _bytes(files: Files) -> int:
    return sum(map(len, files.values()))


def _without_leftovers(files: Files) -> Files:
    return {
        path: data
        for path, data in files.items()
        if not path.endswith(".pyc") and LEFTOVER_FOLDERS.isdisjoint(path.split("/"))
    }


def _collisions(before: Files, after: Files) -> Iterator[str]:
    # Folder names count too: `A/x` and `a/y` are one folder on a file system that folds case.
    spelling: dict[str, str] = {}
    for path in sorted(after, key=lambda p: (p not in before, p)):
        for name in _prefixes(path):
            folded = unicodedata.normalize("NFC", unicodedata.normalize("NFD", name).casefold())
            known = spelling.setdefault(folded, name)
            if known != name and path not in before:
                yield f"path `{name}` collides with `{known}` where case or accents are folded"
    folders = {name for path in after for name in _prefixes(path) if name != path}
    if clash := next((path for path in sorted(after) if path in folders), None):
        yield f"path `{clash}` is a file and a folder at once"


def _prefixes(path: str) -> Iterator[str]:
    parts = path.split("/")
    return ("/".join(parts[:n]) for n in range(1, len(parts) + 1))


def _content_faults(path: str, before: bytes, after: bytes) -> Iterator[str]:
    try:
        text = after.decode()
    except UnicodeDecodeError as error:
        yield f"{path} is not UTF-8 text (byte {error.start})"
        return
    if "\0" in text:
        yield f"{path} holds a NUL byte"
    # A character that the parent's file already holds is not the patch's doing.
    known = set(_DECEPTIVE.findall(before.decode(errors="replace")))
    for match in _DECEPTIVE.finditer(text):
        if match[0] not in known:
            line = text.count("\n", 0, match.start()) + 1
            yield f"{path} line {line} holds the control character U+{ord(match[0]):04X}"
            return


# --------------------------------------------------------------------------------- messages


def message(raw: bytes | None, change: Change) -> tuple[str, str]:
    """Commit subject and body out of a `PATCH.md`; words of a stranger, cleaned and cut.

    The subject is one line of 1 to 72 characters, the body at most 4 KiB of UTF-8, possibly empty. No line of
    either can be read as a `Ratchet-` trailer, or as one by which a person signs or approves.
    """
    lines = [" ".join(line.split()) if n == 0 else line for n, line in enumerate(clean_lines(raw or b""))]
    subject = cut(lines[0].lstrip("#").strip(), SUBJECT_CHARS) if lines else ""
    if not subject or _LOADED_LINE.match(_folded(subject)):
        subject = cut(_fallback(change), SUBJECT_CHARS)
    body = "\n".join(f"> {line.strip()}" if _LOADED_LINE.match(_folded(line)) else line for line in lines[1:])
    return subject, _bounded(re.sub(r"\n{3,}", "\n\n", body).strip("\n"))


def _folded(line: str) -> str:
    # Full-width letters and the many dashes read as the plain ones.
    return re.sub("[\u2010-\u2015\u2212]", "-", unicodedata.normalize("NFKC", line))


def _fallback(change: Change) -> str:
    first, *rest = (clean_line(path) for path in change.paths)
    return f"Change {first}" + (f" and {len(rest)} more" if rest else "")


def _bounded(body: str) -> str:
    raw = body.encode()
    if len(raw) <= BODY_BYTES:
        return body
    mark = "\n[cut]"
    return raw[: BODY_BYTES - len(mark)].decode(errors="ignore").rstrip() + mark
