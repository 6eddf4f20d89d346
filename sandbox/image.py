"""The image of the boxes: chosen or built once, reused until an input changes.

Base: the image that the user names, any Linux image; else python:3.12-slim, pinned by digest, where a registry answers;
else the same things from a Debian mirror. On it our runner and checker are laid, and on an image of other origin a
Python of our own that runs them. The tag is a hash over all inputs, so an image is never built for a candidate.
"""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import docker
from docker.errors import DockerException, ImageNotFound
from filelock import FileLock
from requests.exceptions import RequestException

from agent.base.errors import SandboxDown, UserError
from agent.config.layers import OWN_BASE, Layers, Stage
from sandbox.build import build
from sandbox.engine import ENGINE_ERRORS, apt_install, brief, connect
from sandbox.install import CHECKER, PACKAGE
from sandbox.interpreter import install_lines, make_copy, recipe

REGISTRY_BASE = "python:3.12-slim@sha256:78387bc3881b8273120a12ebe6c1ab22b018ccc2c9adf565ae1ac9b536e184ea"
REGISTRY_LAYERS = (
    "RUN apt-get update && apt-get install -y --no-install-recommends git && rm -rf /var/lib/apt/lists/*",
    "RUN pip install --no-cache-dir pytest",
)
DEBIAN_SUITE = "bookworm"
DEBIAN_PACKAGES = ("python3", "python3-pytest", "git", "ca-certificates")
DEBIAN_RECIPE = 1
REGISTRY_PYTHON, DEBIAN_PYTHON = "/usr/local/bin/python3", "/usr/bin/python3"
REGISTRY_SECONDS = 20
BUILD_SECONDS = 1800
LABEL = "ratchet.box"
BOX_FILES = (*PACKAGE, "install.py", *(f"check/{file}" for file in CHECKER))
_PRUNE = (
    "usr/share/doc",
    "usr/share/man",
    "usr/share/info",
    "usr/share/locale",
    "usr/share/i18n",
    "var/lib/apt/lists",
    "var/cache/apt",
    "var/cache/debconf",
    "var/log",
)

Say = Callable[[str], None]
NO_LAYERS = Layers()
STABLE = OWN_BASE
"""What Dockerfiles of users name in FROM: our own image, as the version made it that looked last."""


def ensure_image(
    base: str | None = None,
    *,
    layers: Layers = NO_LAYERS,
    machine: bool = False,
    say: Say = print,
    client: docker.APIClient | None = None,
) -> str:
    """The tag of an image that is ready for boxes; builds it if it is not there yet.

    Args:
        base: a Linux image that the engine has or can pull; it needs no Python. None chooses one. One that this
            version made itself is used as it is.
        layers: what a scaffold or a suite wants on top of the base.
        machine: whether it is for boxes whose whole root can be changed, which need tools of our own in any image.
        client: of the engine; None connects.
        say: told in one line what was chosen, and what takes long.

    Raises:
        UserError: the named base does not exist, a layer fails, or a tool to build with is missing.
        SandboxDown: the engine failed.
    """
    client = client or connect(timeout=BUILD_SECONDS)
    lock = Path(tempfile.gettempdir()) / f"ratchet-image-{os.geteuid()}.lock"
    with FileLock(lock):
        try:
            return _ensure(client, base, layers, say, machine=machine)
        except (DockerException, RequestException) as error:
            raise SandboxDown(f"the image could not be built: {brief(error)}") from error


def _ensure(client: docker.APIClient, base: str | None, layers: Layers, say: Say, *, machine: bool) -> str:
    origin = _named(client, base, say) if base else "default:" + _hash(REGISTRY_BASE, DEBIAN_SUITE, str(DEBIAN_RECIPE))
    content = _hash(*(f"{name}={content!r}" for name, content in _box_files().items()), repr(recipe()))
    if base and not layers.lines and not machine and _label(client, base) == content:
        return origin
    layers = _tagged(client, layers, say)
    tag = "ratchet-box:" + _hash(origin, *layers.lines, content, *(["machine"] if machine else []))
    if not _exists(client, tag):
        ground, lines = _ground(client, base, layers, origin, say, machine=machine)
        build(client, ground, (*lines, f"LABEL {LABEL}={content}"), _box_files(), tag, online=False)
        say(f"image: {tag} is ready, {_megabytes(client, tag)} MB, made from {ground.partition('@')[0]}")
    if base is None and not layers.lines and not machine:
        client.tag(tag, STABLE, "latest")
    return tag


def _ground(
    client: docker.APIClient, base: str | None, layers: Layers, origin: str, say: Say, *, machine: bool
) -> tuple[str, Sequence[str]]:
    """The image on which our own files go, and the lines that put them there."""
    own, python = own_base(client, say)
    copy = _copy(client, own, python, say) if base or machine else None
    ground = base or own
    if layers.lines:
        ground = _layered(client, ground, layers, "ratchet-base:" + _hash(origin, *layers.lines), say)
    return ground, install_lines(python, copy)


def _copy(client: docker.APIClient, ground: str, python: str, say: Say) -> str:
    """An image that holds a Python for images of other origin, built once from our own."""
    tag = "ratchet-python:" + _hash(ground, repr(recipe()))
    if not _exists(client, tag):
        say("image: copying Ratchet's own Python, for images of other origin")
        make_copy(client, ground, python, tag)
    return tag


def _tagged(client: docker.APIClient, layers: Layers, say: Say) -> Layers:
    """The layers with the images of their stages in place of names; those images need not be there yet."""
    if not layers.stages:
        return layers
    tags, stages = {}, {}
    for name, stage in layers.stages.items():
        whole = replace(stage, layers=_tagged(client, stage.layers, say))
        origin = STABLE if stage.base == STABLE else _named(client, stage.base, say)
        tags[f"--from={name}"] = tag = "ratchet-stage:" + _hash(origin, *whole.layers.lines)
        stages[tag] = whole
    lines = [" ".join(_with_tag(word, tags) for word in line.split(" ")) for line in layers.lines]
    return replace(layers, lines=tuple(lines), stages=stages)


def _with_tag(word: str, tags: Mapping[str, str]) -> str:
    return f"--from={tags[word]}" if word in tags else word


def _stage(client: docker.APIClient, stage: Stage, tag: str, say: Say) -> None:
    """Build an image to copy from, if it is not there."""
    ground = own_base(client, say)[0] if stage.base == STABLE else stage.base
    if stage.layers.lines:
        _layered(client, ground, stage.layers, tag, say)
    elif not _exists(client, tag):
        name, _, version = tag.partition(":")
        client.tag(ground, name, version)


def _layered(client: docker.APIClient, ground: str, layers: Layers, tag: str, say: Say) -> str:
    """An image with further layers, built once for their content, after the stages that they copy from."""
    if not _exists(client, tag):
        for name, stage in layers.stages.items():
            _stage(client, stage, name, say)
        say(f"image: building {len(layers.lines)} extra layers")
        build(client, ground, layers.lines, layers.files, tag, online=True)
    return tag


def _box_files() -> dict[str, bytes]:
    here = Path(__file__).parent
    return {Path(name).name: (here / name).read_bytes() for name in BOX_FILES}


def _hash(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]


def _exists(client: docker.APIClient, tag: str) -> bool:
    return bool(_inspect(client, tag))


def _inspect(client: docker.APIClient, tag: str) -> dict[str, Any]:
    """What the engine knows of an image; empty if it has none of that name."""
    try:
        found: dict[str, Any] = client.inspect_image(tag)  # type: ignore[no-untyped-call]
    except ImageNotFound:
        return {}
    return found


def _label(client: docker.APIClient, tag: str) -> str | None:
    """Which version of our own files an image holds, if it is one of ours."""
    labels: dict[str, str] = (_inspect(client, tag).get("Config") or {}).get("Labels") or {}
    return labels.get(LABEL)


def _megabytes(client: docker.APIClient, tag: str) -> int:
    return int(_inspect(client, tag).get("Size", 0)) // 1_000_000


def image_megabytes(tag: str) -> int:
    """The size of an image that the engine has, in MB. Raises SandboxDown."""
    try:
        return _megabytes(connect(), tag)
    except ENGINE_ERRORS as error:
        raise SandboxDown(f"the image cannot be inspected: {brief(error)}") from error


def _named(client: docker.APIClient, base: str, say: Say) -> str:
    """The id of an image that the user names, pulled if it must be."""
    if not _exists(client, base):
        say(f"image: pulling {base}")
        fault = _pull(client, base)
        if fault:
            raise UserError("image", f"{base} is neither here nor can it be pulled ({fault})", "Name another image")
    return str(_inspect(client, base).get("Id", base))


def own_base(client: docker.APIClient, say: Say) -> tuple[str, str]:
    """Our own base and the path of its Python: from the registry, else from a Debian mirror."""
    registry = "ratchet-base:" + _hash(REGISTRY_BASE, *REGISTRY_LAYERS)
    debian = "ratchet-base:" + _hash(DEBIAN_SUITE, *DEBIAN_PACKAGES, str(DEBIAN_RECIPE))
    for known, python in ((registry, REGISTRY_PYTHON), (debian, DEBIAN_PYTHON)):
        if _exists(client, known):
            return known, python
    fault = _pull(client, REGISTRY_BASE)
    if fault is None:
        try:
            say("image: python:3.12-slim from the registry, with git and pytest")
            return build(client, REGISTRY_BASE, REGISTRY_LAYERS, {}, registry, online=True), REGISTRY_PYTHON
        except UserError as error:
            fault = error.problem
    say(f"image: no registry to build from ({fault[:80]}), so Debian {DEBIAN_SUITE} from a mirror; a minute or two")
    return _bootstrap(client, debian), DEBIAN_PYTHON


def _pull(client: docker.APIClient, name: str) -> str | None:
    """Pull an image; the reason if that is not possible. A registry must begin to answer within a time limit."""
    quick = connect(timeout=REGISTRY_SECONDS)
    try:
        for event in quick.pull(name, stream=True, decode=True):
            if "error" in event:
                return str(event["error"])
    except ENGINE_ERRORS as error:
        return brief(error)
    finally:
        quick.close()
    return None if _exists(client, name) else "it did not arrive"


def _bootstrap(client: docker.APIClient, tag: str) -> str:
    """Debian from a mirror as an image: mmdebstrap, or debootstrap where only that is there."""
    with tempfile.TemporaryDirectory(prefix="ratchet-image-") as folder:
        archive = Path(folder) / "root.tar"
        _debian_archive(archive, Path(folder))
        with archive.open("rb") as data:
            # The whole name as the repository: Podman does not look at the tag.
            answer = client.import_image_from_data(_chunks(data), repository=tag)
    if not _exists(client, tag):
        raise SandboxDown(f"the engine did not take the image: {answer[-200:]}")
    return tag


def _chunks(data: io.BufferedReader) -> Iterator[bytes]:
    while chunk := data.read(1 << 20):
        yield chunk


def _debian_archive(archive: Path, folder: Path) -> None:
    if shutil.which("mmdebstrap") is None and shutil.which("debootstrap") is None:
        apt_install("mmdebstrap", "debian-archive-keyring")
    packages = ",".join(DEBIAN_PACKAGES)
    if shutil.which("mmdebstrap"):
        drop = [f"--customize-hook=rm -rf $1/{path}/*" for path in _PRUNE]
        _tool("mmdebstrap", "--variant=minbase", f"--include={packages}", *drop, DEBIAN_SUITE, str(archive))
        return
    root = folder / "root"
    _tool("debootstrap", "--variant=minbase", f"--include={packages}", DEBIAN_SUITE, str(root))
    left_out = [f"--exclude=./{path}/*" for path in (*_PRUNE, "dev")]
    _tool("tar", "-C", str(root), *left_out, "--numeric-owner", "-cf", str(archive), ".")


def _tool(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise UserError("image", f"{command[0]} failed: {last[:200]}", "Check the network, or name an image")
