"""Which tasks of a container format need a whole machine: found in what they say, not in what their image does.

A task that is taken for one of those runs in a box whose whole root can be written, and hands in all that it changed.
That is never wrong, only slower to start, so a sign is enough.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping

from agent.suites.importing.harbor_fates import CONFIG, DISK, OWN_USER
from agent.suites.importing.heredocs import unfolded
from agent.suites.importing.shell import logical_lines

_TOPS = "etc|root|home|usr|var|opt|srv|run|mnt|media|boot|lib|tmp|data|sys"
_PATH = re.compile(rf"(?<![\w.$}}/~:-])/(?:{_TOPS})(?:/[\w.+@-]+)*/?(?![\w-])")
_COMMON = re.compile(
    r"/(?:usr/(?:local/)?)?bin/(?:env|bash|sh|python[\d.]*)/?|/(?:usr|tmp|data|run|lib)/?"
    r"|/var/(?:lib|cache)/apt(?:/[\w./-]*)?"
)
"""Paths that every image has, or that name no file."""

_CHANGES = re.compile(
    r"(?<![\w./-])(?:apt-get|apt|apk|dpkg|systemctl|service|useradd|adduser|usermod|groupadd|crontab|update-alternatives|"
    r"chown|pip3?\s+install|-m\s+pip\s+install|npm\s+(?:install|i)\s+-g|make\s+install|git\s+(?:init|commit|config))\b"
)
_PLAIN_RUN = re.compile(
    r"(?:apt-get|apt|apk|dpkg|pip3?|python3?\s+-m\s+pip|mkdir|chmod|set|useradd|adduser|groupadd|usermod|locale-gen|"
    r"true|export|npm\s+(?:install|i)\s+-g|corepack|rm\s+-r?f|rm\s+-fr)\b|rm\s+/|ln\s+-s\S*\s+/\S+\s+/"
)
_BREAK = re.compile(r"&&|\|\||[;|\n]")
AGENT_USER = f"{CONFIG}: agent.user: "
AS_ROOT = "commands of a machine run as root"
_STAGE = re.compile(r"(?:--\S+\s+)*--from=(?!ghcr\.io/astral-sh/uv)")
_GIT = re.compile(r"\bgit\s+(?:init|clone|commit)\b")


def needs_machine(
    *, instruction: str, tests: Mapping[str, bytes], reference: Iterable[bytes], dockerfile: str, workdir: str
) -> str | None:
    """What shows that a task needs more than its working directory; None if nothing does."""
    scripts = "\n".join(_text(body) for body in reference)
    if found := _CHANGES.search(scripts):
        return f"its reference runs {' '.join(found[0].split())}"
    hidden = "\n".join(_text(body) for body in tests.values())
    for what, text in (("instruction names", instruction), ("tests name", hidden), ("reference names", scripts)):
        temporary = what.startswith("reference")
        if path := next(_outside(text, workdir, temporary=temporary), None):
            return f"its {what} {path}"
    return _built(dockerfile, workdir)


def _text(body: bytes) -> str:
    return body.decode(errors="replace")


def _outside(text: str, workdir: str, *, temporary: bool) -> Iterator[str]:
    """Paths outside of the working directory; `temporary` ones count for nothing in a script that ends."""
    top = workdir.rstrip("/")
    for found in _PATH.finditer(text):
        path = found[0].rstrip("/.")
        inside = bool(top) and (path == top or path.startswith(f"{top}/"))
        if not inside and not _COMMON.fullmatch(path) and not (temporary and path.startswith("/tmp/")):  # noqa: S108
            yield path


def _built(dockerfile: str, workdir: str) -> str | None:
    """What the build of the image leaves in the working directory, as far as its lines tell."""
    here = "/"
    for _, line in logical_lines(unfolded(dockerfile, "Dockerfile")[0]):
        word, _, value = line.partition(" ")
        if word.upper() == "WORKDIR":
            here = value.strip()
        if word.upper() == "COPY" and _STAGE.match(value) and _at(value, here).startswith(f"{workdir}/"):
            return "the build of its image copies from another stage into the working directory"
        if word.upper() != "RUN":
            continue
        if _GIT.search(value):
            return "its image is built with git"
        leaves = any(part.strip() and not _PLAIN_RUN.match(part.strip()) for part in _BREAK.split(value))
        if leaves and (here != "/" or f"{workdir}/" in value):
            return "the build of its image works in the working directory"
    return None


def _at(value: str, here: str) -> str:
    """The folder or file that a COPY makes, as a folder."""
    return posixpath.normpath(posixpath.join(here, value.rsplit(maxsplit=1)[-1].strip("\"'[]"))) + "/"


def last_workdir(dockerfile: str) -> str:
    """The working directory that a Dockerfile ends with."""
    said = re.findall(r"(?mi)^\s*WORKDIR\s+(\S+)\s*$", dockerfile)
    return str(said[-1]) if said else "/"


def on_a_machine(remarks: Iterable[str]) -> list[str]:
    """Remarks on a task as they hold in a machine, which has the task's own limit of the disk and its agent's user."""
    kept = [remark for remark in remarks if not remark.endswith(DISK) and not remark.startswith(AGENT_USER)]
    return [remark.replace(OWN_USER, AS_ROOT) for remark in kept]
