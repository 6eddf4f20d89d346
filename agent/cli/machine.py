"""What `ratchet doctor` checks of the machine: programs, disk, load, the engine and its boxes, local model servers."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache

from agent.base.errors import RatchetError
from agent.cli.findings import Finding, tried
from agent.config.campaign import Config
from agent.models.providers.discovery import local_servers as servers
from sandbox.architecture import foreign_images
from sandbox.endpoint import endpoint
from sandbox.engine import engine_status, start_engine
from sandbox.load import host_load
from sandbox.oci.program import find_program
from sandbox.trying import engine_runtimes, try_boxes

WAYS = {
    True: "the engine shares this machine's folders: files and model calls go through one",
    False: "the engine is elsewhere (in a virtual machine, a container, another machine): files and calls go "
    "through its API, and load over there voids no trial",
}
"""By whether the engine shares folders: what kind of engine it is, and what that means."""
NEEDED_GIT = (2, 38)
NEEDED_DISK_GB = 2
FAST_RUNTIME = "crun"


def python() -> Finding:
    """Whether this Python is new enough."""
    version = ".".join(map(str, sys.version_info[:3]))
    return Finding(what="python", ok=sys.version_info >= (3, 11), text=version, fix="install Python 3.11 or later")


def git() -> Finding:
    """Whether git is there and new enough."""
    fix = "apt-get install git"
    if shutil.which("git") is None:
        return Finding(what="git", ok=False, text="not found", fix=fix)
    text = subprocess.run(["git", "--version"], capture_output=True, text=True, check=True).stdout.split()[2]
    version = tuple(int(part) for part in text.split(".")[:2])
    return Finding(what="git", ok=version >= NEEDED_GIT, text=text, fix=f"{fix}  (2.38 or later)")


def disk() -> Finding:
    """Whether there is room for temporary files."""
    free = shutil.disk_usage(tempfile.gettempdir()).free / 1e9
    text = f"{free:.1f} GB free for temporary files in {tempfile.gettempdir()}"
    return Finding(
        what="disk",
        ok=free >= NEEDED_DISK_GB,
        text=text,
        fix=f"free {NEEDED_DISK_GB} GB, or set TMPDIR to another disk",
    )


def load() -> Finding:
    """How busy the machine is."""
    now = host_load()
    fix = "stop other programs, or lower `boxes.parallel`: trials that others starve are void and retried"
    return Finding(what="load", ok=None if now.heavy else True, text=now.line, fix=fix)


def local_servers(config: Config | None) -> Iterator[Finding]:
    """Model servers on this machine that the configuration does not use yet, and how to use them."""
    used = {model.base_url for model in config.models.all()} if config else set()
    for found in servers():
        if found.base_url not in used:
            text = f"{found.server} at {found.base_url} offers {len(found.models)} models"
            yield Finding(what="local", ok=None, text=text, fix=f"to use it, write in campaign.yaml:\n{found.block()}")


def engine(*, repair: bool, say: Callable[[str], None]) -> Finding:
    """Whether a container engine answers; with `repair` it is started first."""
    try:
        status = start_engine(say) if repair else engine_status()
    except RatchetError as error:
        return Finding(what="docker", ok=False, text=str(error), fix=getattr(error, "fix", "see the line above"))
    return Finding(what="docker", ok=status.ok, text=status.line, fix=status.fix)


def boxes_start(runtime: str | None, image: str) -> Iterator[Finding]:
    """Whether boxes start under the runtime that is set, and whether crun, if the engine has it, would be faster."""
    start = cache(lambda name: asyncio.run(try_boxes(image, name)))
    named = f"runtime {runtime}" if runtime else "the engine's default runtime"
    yield (found := tried("boxes", lambda: f"one takes {start(runtime).seconds:.2f} s under {named}"))
    if found.ok:
        yield Finding(what="engine", ok=True, text=WAYS[start(runtime).shared])
    if not found.ok or runtime or FAST_RUNTIME not in engine_runtimes():
        return
    with_it = tried("boxes", lambda: f"one takes {start(FAST_RUNTIME).seconds:.2f} s under runtime {FAST_RUNTIME}")
    if not with_it.ok:
        with_it = replace(with_it, ok=None)
    elif start(FAST_RUNTIME).seconds < start(runtime).seconds:
        with_it = replace(
            with_it, ok=None, fix=f"to use it, write in campaign.yaml:\nboxes: {{runtime: {FAST_RUNTIME}}}"
        )
    yield with_it


def boxes_start_directly(runtime: str | None, image: str) -> Iterator[Finding]:
    """Whether boxes start without an engine, and by which runtime."""
    yield (found := tried("engine", lambda: f"oci: {find_program(runtime).line} runs the boxes; Docker made the image"))
    if found.ok:
        yield tried("boxes", lambda: f"one takes {asyncio.run(try_boxes(image, runtime, engine=False)).seconds:.2f} s")


def elsewhere(image: str) -> Iterator[Finding]:
    """What may go wrong with an engine elsewhere: another processor, a way there that everybody can take."""
    for line in foreign_images({image}):
        yield Finding(what="image", ok=None, text=line, fix="name an image for the engine's processor")
    if endpoint().plain:
        text = f"{endpoint().host} is neither encrypted nor protected: what reaches that port is root there"
        yield Finding(what="engine", ok=None, text=text, fix="use ssh://user@host, or TLS (DOCKER_TLS_VERIFY)")
