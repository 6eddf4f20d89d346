"""Harbor's files beside task.toml: what .harborignore leaves out, and what a verifier's own Dockerfile asks for."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pathspec import GitIgnoreSpec

from agent.suites.importing.bases import replaced
from agent.suites.importing.dockerfile import read_dockerfile
from agent.suites.importing.draft import Options, Unsupported
from agent.suites.importing.environment import Environment
from agent.suites.importing.harbor_config import Config
from agent.suites.importing.reading import text

IGNORE = ".harborignore"
VERIFIER = "tests/Dockerfile"
_SCOPES = ("tests/", "solution/")
_TESTS_COPIED = re.compile(r"(?m)^\s*(?:COPY|ADD)\s+(?!--from)[^\n]*\s/tests(?:/\S*)?\s*$")
"""A COPY that brings the tests: grading brings them itself."""

_MADE_TO_RUN = re.compile(r"(?m)^\s*RUN\s+chmod\s+\S+\s+/tests(?:/\S*)?\s*$")
"""A RUN that makes scripts among the tests executable: they are started by bash."""


def kept(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """The files of a task without those that its .harborignore files leave out of tests/ and solution/."""
    specs = {
        posixpath.dirname(path): GitIgnoreSpec.from_lines(body.decode(errors="replace").splitlines())
        for path, body in files.items()
        if posixpath.basename(path) == IGNORE and (path == IGNORE or path.startswith(_SCOPES))
    }
    if not specs:
        return dict(files)
    return {path: body for path, body in files.items() if not (path.startswith(_SCOPES) and _left_out(path, specs))}


def _left_out(path: str, specs: Mapping[str, GitIgnoreSpec]) -> bool:
    """Whether a file, or a folder above it, is left out; the last rule that matches wins."""
    if posixpath.basename(path) == IGNORE:
        return True
    parts = path.split("/")
    for depth in range(1, len(parts) + 1):
        candidate = "/".join(parts[:depth]) + ("/" if depth < len(parts) else "")
        verdict = False
        for above in range(depth):
            place = "/".join(parts[:above])
            if (spec := specs.get(place)) is not None:
                said = spec.check_file(candidate.removeprefix(f"{place}/") if place else candidate).include
                verdict = verdict if said is None else said
        if verdict:
            return True
    return False


@dataclass(frozen=True, slots=True)
class Verifier:
    """The image of a separate verifier, and the directory in which its tests start."""

    found: Environment
    start: str


def verifier_of(
    files: Mapping[str, bytes], config: Config, root: Path, workdir: str, options: Options
) -> Verifier | None:
    """The image that only grades, where a task has one; `workdir` is where the task's own files stand in both.

    Raises:
        Unsupported: the image cannot be made.
    """
    if not config.separate:
        return None
    if VERIFIER in files:
        context = {p.removeprefix("tests/"): body for p, body in files.items() if p.startswith("tests/")}
        written = _TESTS_COPIED.sub("", text(dict(files), VERIFIER, root))
        written = _MADE_TO_RUN.sub("", written)
        found = read_dockerfile(written, context, VERIFIER, workdir=workdir)
        inside = {path: body for path, body in found.files.items() if path not in found.checked}
        if inside:
            raise Unsupported(f"{VERIFIER}: COPY to {workdir}, which holds what is handed in")
        return Verifier(replaced(found, options), _start(written, workdir))
    if config.verifier_image and config.verifier_image != config.image:
        found = Environment(image=config.verifier_image, build=(), workdir=workdir, files={})
        return Verifier(replaced(found, options), workdir)
    return None


def _start(written: str, workdir: str) -> str:
    """The last WORKDIR, which need not be the task's; the tests' own folder is where grading lays them."""
    chosen = re.findall(r"(?mi)^\s*WORKDIR\s+(\S+)\s*$", written)
    return posixpath.normpath(posixpath.join("/", *chosen)) if chosen else workdir
