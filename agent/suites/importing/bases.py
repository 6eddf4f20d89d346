"""`--image`: what it puts in place of the images that a Dockerfile names.

`own` lays on Ratchet's own image what a well-known one has, so that the lines after FROM find it.

It is Debian with Python 3, git and pytest. Versions are Debian's, whatever the tag of the image says.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from agent.config.layers import OWN_BASE
from agent.suites.importing.draft import OWN_IMAGE, Options
from agent.suites.importing.environment import Environment

_APT = "RUN apt-get update && apt-get install -y --no-install-recommends"
_COMPILER = "build-essential curl"
_PYTHON = (
    f"{_APT} python3-pip python3-venv && rm -f /usr/lib/python3*/EXTERNALLY-MANAGED"
    " && if [ ! -e /usr/bin/python ]; then ln -s python3 /usr/bin/python; fi"
)
"""pip may install beside Debian's packages, as it may in Docker's image of Python."""

_TOOLS = {
    "python": ("pip", (_PYTHON,)),
    "uv": ("pip and uv", (_PYTHON, "RUN pip install --no-cache-dir uv")),
    "node": ("Node.js and npm", (f"{_APT} nodejs npm",)),
    "gcc": ("a C and C++ compiler", (f"{_APT} {_COMPILER}",)),
    "golang": ("Go", (f"{_APT} golang",)),
    "rust": ("Rust and cargo", (f"{_APT} cargo rustc {_COMPILER}",)),
}
_IMAGE = re.compile(r"(?:[^@]*/)?(?P<name>[a-z]+)(?:-\d[\d.-]*)?(?P<tag>:[^@]*)?(?:@.*)?")
_BUILDS = re.compile(r"\b(?:pip3?|python|venv|uv|gcc|make)\b")
"""What shows that a build needs more than the Python of Ratchet's own image."""

_SMALL = re.compile(r"slim|alpine")


def replaced(found: Environment, options: Options) -> Environment:
    """The same on the image that `--image` names, stages as well; as it is without that option."""
    if options.image is None:
        return found
    if options.image != OWN_IMAGE:
        stages = {name: (f"FROM {options.image}", *lines[1:]) for name, lines in found.stages.items()}
        return replace(found, stages=stages)
    stages = {name: (f"FROM {OWN_BASE}", *_layers(lines), *lines[1:]) for name, lines in found.stages.items()}
    layers, remark = in_place_of(found.image, found.build)
    return replace(found, build=(*layers, *found.build), stages=stages, remarks=(*found.remarks, remark))


def _layers(stage: Sequence[str]) -> tuple[str, ...]:
    return in_place_of(stage[0].removeprefix("FROM "), stage[1:])[0]


def in_place_of(image: str, build: Sequence[str]) -> tuple[tuple[str, ...], str]:
    """Layers on Ratchet's own image that bring the tools of another one, and a remark; none for an unknown one.

    A `build` that needs no more than Python gets none either, so that it needs no network.
    """
    found = _IMAGE.fullmatch(image)
    plain = found is None or (found["name"] == "python" and not any(map(_BUILDS.search, build)))
    if found is None or plain or (known := _TOOLS.get(found["name"])) is None:
        return (), f"{image.partition('@')[0]} is replaced by Ratchet's own image"
    what, layers = known
    if found["name"] == "python" and not _SMALL.search(found["tag"] or ""):
        what, layers = f"{what} and a C compiler", (*layers, f"{_APT} {_COMPILER}")
    return layers, f"{image.partition('@')[0]} is replaced by Ratchet's own image with {what}, in Debian's versions"
