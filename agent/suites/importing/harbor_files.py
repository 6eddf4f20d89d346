"""Harbor's files beside task.toml: what .harborignore leaves out, and what a verifier's own Dockerfile asks for."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from pathlib import Path

from pathspec import GitIgnoreSpec

from agent.suites.importing.dockerfile import install_uv, read_dockerfile
from agent.suites.importing.draft import Unsupported
from agent.suites.importing.fetching import Fetched, commands, fetched, fetches
from agent.suites.importing.harbor_config import Config
from agent.suites.importing.reading import text

IGNORE = ".harborignore"
VERIFIER = "tests/Dockerfile"
_SCOPES = ("tests/", "solution/")
_HARMLESS = frozenset({"mkdir", "rm", "set", "true"})
_TESTS_COPIED = re.compile(r"(?m)^\s*(?:COPY|ADD)\s+(?!--from)[^\n]*\s/tests(?:/\S*)?\s*$")
"""A COPY that brings the tests: grading brings them itself."""


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


def verifier_needs(
    files: Mapping[str, bytes], config: Config, root: Path, remarks: list[str]
) -> tuple[Fetched, tuple[str, ...]]:
    """What a separate verifier's image has beside the task's: packages, and layers. Both boxes have one image here.

    Raises:
        Unsupported: the verifier's image has more than packages.
    """
    if config.verifier_image and config.verifier_image != config.image:
        raise Unsupported("task.toml: verifier.environment.docker_image: an image of its own for grading")
    if not config.separate or VERIFIER not in files:
        return Fetched(), ()
    context = {p.removeprefix("tests/"): body for p, body in files.items() if p.startswith("tests/")}
    written = _TESTS_COPIED.sub("", text(dict(files), VERIFIER, root))
    found = read_dockerfile(written, context, VERIFIER, workdir="/verifier")
    remarks.append(f"{VERIFIER}: both boxes have the task's image, with the verifier's packages")
    brought, layers = Fetched(), []
    for line in found.build:
        word, _, rest = line.partition(" ")
        if word == "ENV":
            layers.append(line)
        elif word == "RUN" and line not in install_uv(None) and " 'uv" not in line:
            brought += _packages(rest)
    return brought, tuple(layers)


def _packages(command: str) -> Fetched:
    """What a RUN of a verifier's Dockerfile installs. Raises Unsupported if it does anything else."""
    for words in commands(command):
        if not fetches(words) and words[0] not in _HARMLESS:
            raise Unsupported(f"{VERIFIER}: RUN {' '.join(words):.60}: an image of its own for grading")
    return fetched(command, VERIFIER)
