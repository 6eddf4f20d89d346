"""Programs of Debian packages that tests and benchmarks drive.

python -m bench.packages    install those of the slow tests where that is possible: as root, with apt-get
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

SLOW = {
    "crun": "crun",
    "faketime": "faketime",
    "ip": "iproute2",
    "openssl": "openssl",
    "podman": "podman",
    "runsc": "runsc",
    "sshd": "openssh-server",
}
"""Programs of the slow tests, and the packages that have them."""
FOLDERS = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"


def missing(programs: Mapping[str, str]) -> list[str]:
    """The packages whose program is not there."""
    return [package for program, package in programs.items() if shutil.which(program, path=FOLDERS) is None]


def install(*packages: str) -> None:
    """Install packages if this process may."""
    if os.geteuid() or not shutil.which("apt-get"):
        return
    print(f"packages: installing {', '.join(packages)} (about a minute)", flush=True)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update", "-qq"], ["install", "-y", "-qq", "--no-install-recommends", *packages]):
        subprocess.run(["apt-get", *command], check=False, stdout=subprocess.DEVNULL, env=environment)


def main() -> None:
    """Install what is missing, and name what still is."""
    wanted = missing(SLOW)
    if "openssh-server" in wanted and Path("/run/systemd/system").exists():
        wanted.remove("openssh-server")  # systemd would start a server that nobody asked for
    if wanted:
        install(*wanted)
    for package in missing(SLOW):
        print(f"packages: {package} is not installed: slow tests that need it are skipped", file=sys.stderr)


if __name__ == "__main__":
    main()
