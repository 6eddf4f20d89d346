"""Layers that put files and packages into an image: the native format has no COPY, so files are written by RUN."""

from __future__ import annotations

import base64
import posixpath
import shlex
from collections.abc import Sequence
from hashlib import sha256

from agent.base.types import Files

MAX_BYTES = 1 << 19
MAX_MACHINE_BYTES = 2 << 20
"""Of all copied files together, where the whole root of a box can be written."""

_GROUP = 60
CHANGED = "RUN changed the copied file"
"""What a build says that ends because of it; it marks the layers of `removed`."""

_CHUNK = 36 << 10
"""Bytes a layer: a line of a Dockerfile holds at most 64 KiB."""

PIP = (
    "RUN python3 -m pip --version || (apt-get update && apt-get install -y --no-install-recommends python3 python3-pip)"
)
"""Makes sure that an image has Python and pip."""


def layers(files: Files) -> list[str]:
    """Instructions that write files at their absolute paths; small ones share a layer."""
    found: list[str] = []
    commands: list[str] = []
    size = 0
    for path, body in files.items():
        for start in range(0, len(body) or 1, _CHUNK):
            part = body[start : start + _CHUNK]
            if commands and size + len(part) > _CHUNK:
                found.append(f"RUN {' && '.join(commands)}")
                commands, size = [], 0
            commands.append(_write(path, part, first=start == 0))
            size += len(part) + 2 * len(path) + 80
    return [*found, *([f"RUN {' && '.join(commands)}"] if commands else [])]


def _write(path: str, part: bytes, *, first: bool) -> str:
    at = shlex.quote(path)
    # Printable text and base64 hold nothing that Docker's own variables could change.
    text = base64.b64encode(part).decode()
    if not first:
        return f"echo {text} | base64 -d >> {at}"
    # The mode that a file had is not known; what is a program by its first bytes can be run.
    runs = f" && chmod 755 {at}" if part.startswith((b"#!", b"\x7fELF")) else ""
    return f"mkdir -p {shlex.quote(posixpath.dirname(path))} && echo {text} | base64 -d > {at}{runs}"


def removed(files: Files) -> list[list[str]]:
    """Commands, grouped by layer, that take baked files out again; they fail if a RUN changed one of them."""
    commands = []
    for path, body in files.items():
        at = shlex.quote(path)
        same = f'[ "$(sha256sum < {at} | cut -c1-64)" = {sha256(body).hexdigest()} ]'
        commands.append(f"{{ {same} || {{ echo {CHANGED} {at}; exit 1; }}; }} && rm {at}")
    return [commands[start : start + _GROUP] for start in range(0, len(commands), _GROUP)]


def pip_install(packages: Sequence[str]) -> str:
    """A layer of Python packages, for old and new versions of pip."""
    words = " ".join(f"'{package}'" for package in packages)
    return (
        f"RUN python3 -m pip install --no-cache-dir --break-system-packages {words}"
        f" || python3 -m pip install --no-cache-dir {words}"
    )


def apt_install(packages: Sequence[str]) -> str:
    """A layer of Debian packages."""
    return f"RUN apt-get update && apt-get install -y --no-install-recommends {' '.join(packages)}"


def as_user(user: str, command: str) -> str:
    """A shell command as another user runs it; as it is for root."""
    if not user:
        return command
    script = shlex.quote(command)
    if user.isdigit():
        return f"setpriv --reuid={user} --regid={user} --clear-groups sh -c {script}"
    return f"su -s /bin/sh {user} -c {script}"


def install_uv(version: str | None) -> list[str]:
    """Layers that bring uv by pip, in place of a copy from its own image."""
    package = f"uv=={version}" if version and version.count(".") == 2 else "uv"  # noqa: PLR2004 - a whole version
    return [PIP, pip_install([package])]
