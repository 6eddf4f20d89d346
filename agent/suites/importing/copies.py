"""What COPY brings from a build context, without the copies of hidden files, which no solver may read.

Some published tasks copy their whole folder, tests and reference included, into the image. Such a copy is left out of
every layer. Their scripts may run the copied tests where the image has them, so grading puts those back.
"""

from __future__ import annotations

import fnmatch
import posixpath
import shlex
from collections.abc import Mapping

from agent.base.types import Files

CONTEXT, TESTS = "environment/", "tests/"
_HIDDEN = (TESTS, "solution/")
OF_GRADING = ("/tests/", "/solution/")
"""Where grading and the reference lay hidden files themselves."""


class Hidden(bytes):
    """Content of a file that is hidden from solvers."""

    __slots__ = ()


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


def context_of(files: Files) -> dict[str, bytes]:
    """The build context of a task's files; what is the same in its `tests/` or `solution/` is Hidden."""
    context = {path.removeprefix(CONTEXT): body for path, body in files.items() if path.startswith(CONTEXT)}
    return {path: Hidden(body) if _is_hidden(files, path, body) else body for path, body in context.items()}


def _is_hidden(files: Files, path: str, body: bytes) -> bool:
    return path.startswith(_HIDDEN) and bool(body.strip()) and files.get(path) == body


def told(left_out: Mapping[str, str], where: str) -> list[str]:
    """The remark on hidden files, which are left out: their paths in the build context, by those in the image."""
    if not left_out:
        return []
    folders = ", ".join(sorted({posixpath.dirname(path) for path in left_out}))
    return [
        f"{where}: copies of hidden files in {folders} are left out of the image; those of tests come back to grade"
    ]


def put_back(left_out: Mapping[str, str]) -> bytes:
    """The script that copies tests from `/tests` to where the image would have them; empty if there are none."""
    lines = []
    for target, source in left_out.items():
        if source.startswith(TESTS) and not target.startswith(OF_GRADING):
            at, folder = shlex.quote(target), shlex.quote(posixpath.dirname(target))
            lines.append(f"rm -rf {at}; mkdir -p {folder} && cp {shlex.quote('/' + source)} {at}\n")
    return "".join(lines).encode()
