"""The system's Chromium, which the browser tests and benchmarks drive.

python -m bench.review.chromium    install it where that is possible: as root, with apt-get
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome")
FIX = "Run `apt-get install chromium` as root, or put a Chromium or Chrome on the PATH."


def find() -> Path | None:
    """Where Chromium is; None without one."""
    found = next((path for name in NAMES if (path := shutil.which(name)) is not None), None)
    return None if found is None else Path(found)


def install() -> bool:
    """Install Chromium if this process may; returns whether there is one."""
    if find() is None and os.geteuid() == 0 and shutil.which("apt-get"):
        print("chromium: installing (about a minute)", flush=True)
        _apt("update", "-qq")
        _apt("install", "-y", "-qq", "--no-install-recommends", "chromium", "fonts-liberation")
    return find() is not None


def _apt(*arguments: str) -> None:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(["apt-get", *arguments], check=False, stdout=subprocess.DEVNULL, env=environment)


if __name__ == "__main__" and not install():
    # Not an error: the tests that need it are skipped, and say so.
    print(f"chromium: not installed, so the browser tests are skipped. {FIX}", file=sys.stderr)
