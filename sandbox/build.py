"""Runs small Dockerfiles with the proxies and private certificates of this machine; shows what a failed line printed.

A build that has a network sees the host's proxy variables, and certificates as files. Both exist during the build only:
the environment of the finished image has neither, and `install.py` removes the files.
"""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import docker

from agent.base.errors import UserError
from agent.base.executable import Executable
from agent.base.text import clean_line

EXTRA_CERTIFICATES = "NODE_EXTRA_CA_CERTS"
CERTIFICATES = ("SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE")
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "ALL_PROXY", "NO_PROXY")
CERTIFICATE_FOLDER = "/usr/lib/ratchet-certificates"
SHOWN_LINES = 20
_PROGRESS = (" --->", "Removing intermediate container")


def build(
    client: docker.APIClient, ground: str, lines: Sequence[str], files: Mapping[str, bytes], tag: str, *, online: bool
) -> str:
    """Run Dockerfile lines on an image; returns the tag of the result.

    `files` are the build context; `online` says whether the lines have a network.

    Raises:
        UserError: a line failed; shows the last lines that it printed.
    """
    certificates = _certificates(os.environ) if online else {}
    copied = [f"COPY {name}.crt {CERTIFICATE_FOLDER}/" for name in certificates]
    known = [f"ARG {name}={CERTIFICATE_FOLDER}/{name}.crt" for name in certificates]
    recipe = "\n".join([f"FROM {ground}", *copied, *known, *lines, ""]).encode()
    context = {f"{name}.crt": content for name, content in certificates.items()}
    events = client.build(
        fileobj=_archive({**context, **files, "Dockerfile": recipe, ".dockerignore": b"Dockerfile\n.dockerignore\n"}),
        custom_context=True,
        tag=tag,
        network_mode=None if online else "none",
        buildargs=_proxies(os.environ) if online else {},
        rm=True,
        forcerm=True,
        decode=True,
    )
    step, said = "", ""
    for event in events:
        text = event.get("stream", "")
        if text.startswith("Step "):
            step, said = text.partition(" : ")[2], ""
        elif not text.startswith(_PROGRESS):
            said += text
        if "error" in event:
            raise _failure(step or ground, said, event["error"])
    return tag


def _failure(step: str, said: str, error: str) -> UserError:
    lines = [line for raw in said.splitlines() if (line := clean_line(raw))]
    shown = "".join(f"\n  {line}" for line in lines[-SHOWN_LINES:])
    printed = f"; it printed at last:{shown}\n" if shown else ""
    problem = f"the layer `{clean_line(step)}` failed ({clean_line(error)}){printed}"
    return UserError("image", problem, "Fix that line, or what it needs from the network")


def _certificates(environment: Mapping[str, str]) -> dict[str, bytes]:
    """The contents of certificate files by the variable that names one; a variable that is not set takes another's.

    A bundle for Node comes on top of Node's own, so it never takes the place of a whole bundle.
    """
    names = (*CERTIFICATES, EXTRA_CERTIFICATES)
    found = {name: Path(environment[name]) for name in names if environment.get(name)}
    own = {name: path.read_bytes() for name, path in found.items() if path.is_file()}
    whole = next((own[name] for name in CERTIFICATES if name in own), None)
    return own if whole is None else {name: own.get(name, whole) for name in names}


def _proxies(environment: Mapping[str, str]) -> dict[str, str]:
    """The proxy variables that are set, in either spelling; engines know these names without an ARG line."""
    spelled = [*PROXIES, *map(str.lower, PROXIES)]
    return {name: environment[name] for name in spelled if environment.get(name)}


def _archive(files: Mapping[str, bytes]) -> io.BytesIO:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, content in sorted(files.items()):
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), 0o755 if isinstance(content, Executable) else 0o644
            tar.addfile(member, io.BytesIO(content))
    out.seek(0)
    return out
