"""The OCI runtime on this machine that runs boxes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from agent.base.errors import UserError
from sandbox.oci.bundle import ARCHITECTURES

KNOWN = ("crun", "runc")
"""In the order of preference: crun takes less than half of the processor time."""

PLACES = "/usr/sbin:/sbin:/usr/local/sbin:/usr/local/bin:/usr/bin"
FIELD = "boxes.engine"


@dataclass(frozen=True, kw_only=True, slots=True)
class Program:
    """A runtime: its name, and where it is."""

    name: str
    path: Path

    @property
    def line(self) -> str:
        """Name, version and path."""
        said = subprocess.run([self.path, "--version"], capture_output=True, text=True, check=False).stdout
        version = said.partition("\n")[0].removeprefix(f"{self.name} version ").strip()
        return f"{self.name} {version or 'of unknown version'} ({self.path})"


def find_program(wanted: str | None, path: str | None = None, machine: str | None = None) -> Program:
    """The runtime for boxes: `wanted`, else the first of `KNOWN` that is installed.

    Args:
        wanted: its name.
        path: folders in which to look, with colons between; None is PATH, and where administrators' programs are.
        machine: the processor's architecture, as `uname` calls it; None is that of this machine.

    Raises:
        UserError: this machine cannot run boxes in this way; says what is missing.
    """
    if wanted is not None and wanted not in KNOWN:
        problem = f"{wanted} cannot be used with boxes.engine: oci"
        raise UserError("boxes.runtime", problem, f"Name one of {', '.join(KNOWN)}, or remove the key.")
    if sys.platform != "linux" or os.geteuid():
        raise UserError(FIELD, "oci takes root on Linux", "Run as root, or use boxes.engine: docker.")
    machine = machine or os.uname().machine
    if machine not in ARCHITECTURES:
        problem = f"oci runs on {', '.join(ARCHITECTURES)}, and this machine is {machine}"
        raise UserError(FIELD, problem, "Use boxes.engine: docker.")
    places = path or f"{os.environ.get('PATH', '')}:{PLACES}"
    for name in (wanted,) if wanted else KNOWN:
        if found := shutil.which(name, path=places):
            return Program(name=name, path=Path(found))
    missing = wanted or "neither crun nor runc"
    problem = f"oci needs a container runtime, and {missing} is {'not ' if wanted else ''}installed"
    raise UserError(FIELD, problem, f"As root: apt-get install {wanted or KNOWN[0]}")
