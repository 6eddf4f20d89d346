"""What COPY brings from a build context, without copies of hidden files, which no solver may read.

Some published tasks copy their whole folder, tests and reference included, into the image. Such a copy is left out of
every layer. Their scripts may run the copied tests where the image has them, so grading puts those back.
"""

from __future__ import annotations

import fnmatch
import json
import posixpath
import re
from collections.abc import Mapping

from pathspec import GitIgnoreSpec

from agent.base.types import Files
from agent.suites.rules import TELLING_BYTES
from agent.trials.grading import WORKSPACE

CONTEXT, TESTS, SOLUTION = "environment/", "tests/", "solution/"
IGNORE = ".dockerignore"
_PROGRAMS = (".py", ".sh")


class Hidden(bytes):
    """Content of a file that is hidden from solvers."""

    __slots__ = ()


def marked(files: Files, every: Files, instruction: str) -> dict[str, bytes]:
    """A task's files, those of its build context Hidden that are copies of its tests or its reference.

    A copy stands at the same path below `tests/` or `solution/`, or is a reference script anywhere; line ends do not
    count. Data of the tests that the instruction names is there to be worked with. `every` has the files that a
    `.harborignore` leaves out as well.
    """
    scripts = {
        plain
        for path, body in every.items()
        if path.startswith(SOLUTION) and path.endswith(".sh") and len(plain := _plain(body)) >= TELLING_BYTES
    }

    def hidden(path: str, body: bytes) -> bool:
        inside, plain = path.removeprefix(CONTEXT), _plain(body)
        given = inside.startswith(TESTS) and not inside.endswith(_PROGRAMS) and _named(inside, instruction)
        same = inside.startswith((TESTS, SOLUTION)) and plain == _plain(every.get(inside, b""))
        return plain in scripts or (bool(plain) and same and not given)

    return {p: Hidden(body) if p.startswith(CONTEXT) and hidden(p, body) else body for p, body in files.items()}


def _plain(body: bytes) -> bytes:
    return body.replace(b"\r\n", b"\n").strip()


def _named(path: str, text: str) -> bool:
    return re.search(rf"(?<![\w.-]){re.escape(posixpath.basename(path))}(?![\w-])", text) is not None


def sent(context: Files) -> Files:
    """What Docker sends to the build of a context: not what its .dockerignore names."""
    if IGNORE not in context:
        return context
    lines = context[IGNORE].decode(errors="replace").splitlines()
    rules = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    spec = GitIgnoreSpec.from_lines([_from_the_top(rule) for rule in rules])
    return {path: body for path, body in context.items() if path == "Dockerfile" or not spec.match_file(path)}


def _from_the_top(rule: str) -> str:
    again, rule = ("!", rule[1:]) if rule.startswith("!") else ("", rule)
    return f"{again}/{rule.removeprefix('./').strip('/')}"


def brought(context: Files, plain: str, target: str, *, into: bool) -> dict[str, str]:
    """Paths in the build context that one source of a COPY names, by those in the image; `into` means into a folder."""
    if plain == ".":
        return {posixpath.join(target, path): path for path in context if path != "Dockerfile"}
    if plain in context:
        return {posixpath.join(target, posixpath.basename(plain)) if into else target: plain}
    below = [path for path in context if path.startswith(plain + "/")]
    if below or not any(char in plain for char in "*?["):
        return {posixpath.join(target, path.removeprefix(plain + "/")): path for path in below}
    names = [path for path in context if "/" not in path and fnmatch.fnmatchcase(path, plain)]
    return {posixpath.join(target, name): name for name in names}


def laid(target: str, source: str) -> bool:
    """Whether grading, or a reference that is run, has a hidden file at this place of the image anyway."""
    return target == f"/{source}" or (not source.startswith(TESTS) and target.startswith("/solution/"))


def returning(left_out: Mapping[str, str]) -> dict[str, str]:
    """Of the copies that were left out, those of tests that come back to their place."""
    return {at: path for at, path in left_out.items() if path.startswith(TESTS) and not laid(at, path)}


def mentioned(left_out: Mapping[str, str], command: str) -> str | None:
    """A hidden test that a command names, or whose folder it names."""
    for target in returning(left_out):
        if _named(target, command) or _named(posixpath.dirname(target), command):
            return target
    return None


def asked_for(left_out: Mapping[str, str], instruction: str) -> str | None:
    """A hidden test that an instruction names, or whose folder it names with a slash: the task is to work on it."""
    for target in returning(left_out):
        folder = re.escape(posixpath.basename(posixpath.dirname(target)))
        if _named(target, instruction) or re.search(rf"(?<![\w.-]){folder}/", instruction):
            return target
    return None


def told(left_out: Mapping[str, str], where: str) -> list[str]:
    """The remark on hidden files, which are left out: their paths in the build context, by those in the image."""
    if not left_out:
        return []
    folders = ", ".join(sorted({posixpath.dirname(path) for path in left_out}))
    return [f"{where}: copies of hidden files in {folders} are left out of the image"]


def put_back(left_out: Mapping[str, str], top: str, *, machine: bool) -> bytes:
    """What `back.py` reads: files below `/tests`, and the places of a box where the image would have copies of them."""
    places = {at: at if machine else WORKSPACE + at.removeprefix(f"{top}/") for at in left_out}
    return json.dumps([[f"/{path}", places[at]] for at, path in left_out.items()]).encode()
