"""The system's Chromium, which the browser tests and benchmarks drive.

python -m bench.review.chromium    install it where that is possible: as root, with apt-get
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from bench.packages import install as install_packages

NAMES = ("chromium", "chromium-browser", "google-chrome")
FIX = "Run `apt-get install chromium` as root, or put a Chromium or Chrome on the PATH."


def find() -> Path | None:
    """Where Chromium is; None without one."""
    found = next((path for name in NAMES if (path := shutil.which(name)) is not None), None)
    return None if found is None else Path(found)


def install() -> bool:
    """Install Chromium if this process may; returns whether there is one."""
    if find() is None:
        install_packages("chromium", "fonts-liberation")
    return find() is not None


if __name__ == "__main__" and not install():
    # Not an error: the tests that need it are skipped, and say so.
    print(f"chromium: not installed, so the browser tests are skipped. {FIX}", file=sys.stderr)
