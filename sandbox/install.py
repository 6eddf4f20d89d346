"""Runs once inside an image under construction: puts the runner and the checker where they belong.

Works in any image that has Python 3.9 or later as `python3`. Standard library only.
"""

# Runs once, in an image of unknown Python:
# ruff: noqa: PTH102, PTH103, PTH123, PTH211, UP036

from __future__ import annotations

import compileall
import os
import py_compile
import shutil
import site
import sys

HERE = "/usr/lib/ratchet"
CERTIFICATES = "/usr/lib/ratchet-certificates"  # see build.py
AREAS = ("scaffold", "task", "tests")
PACKAGE = ("__init__.py", "frames.py", "forward.py", "runner.py", "workspace.py")
START = "from sandbox.runner import guarded\n\nguarded()\n"


def main() -> None:
    """Install; any failure stops the build."""
    if sys.version_info < (3, 9):
        sys.exit("the image needs Python 3.9 or later as python3")
    packages = next((path for path in site.getsitepackages() if path in sys.path), None)
    if packages is None:
        sys.exit("python3 of the image has no site-packages folder")
    checker = shutil.move(f"{HERE}/ratchet_check.py", f"{packages}/ratchet_check.py")
    py_compile.compile(checker, doraise=True)
    shutil.rmtree(f"{HERE}/sandbox", ignore_errors=True)  # of an image that an earlier version made
    os.mkdir(f"{HERE}/sandbox")
    for name in PACKAGE:
        shutil.move(f"{HERE}/{name}", f"{HERE}/sandbox/{name}")
    compileall.compile_dir(f"{HERE}/sandbox", quiet=1)
    with open(f"{HERE}/__main__.py", "w") as start:
        start.write(START)
    for folder in ("/workspace", "/run/ratchet"):
        os.makedirs(folder, exist_ok=True)
    for area in AREAS:
        if not os.path.lexists(f"/{area}"):
            os.symlink(f"/run/ratchet/{area}", f"/{area}")
    shutil.rmtree(CERTIFICATES, ignore_errors=True)
    if shutil.which("python") is None:
        os.symlink(sys.executable, "/usr/local/bin/python")


if __name__ == "__main__":
    main()
