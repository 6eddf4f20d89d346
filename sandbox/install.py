"""Runs once inside an image under construction: puts the runner and the checker where they belong.

Runs by the Python that the box will use: our own copy (see relocate.py), or that of our own base image. It uses nothing
but the standard library.
"""

# Runs once, in an image of unknown content:
# ruff: noqa: PTH102, PTH103, PTH123, PTH211

from __future__ import annotations

import compileall
import os
import py_compile
import shutil
import site
import subprocess
import sys

HERE = "/usr/lib/ratchet"
INTERPRETER = f"{HERE}/python/bin/python3"
"""The Python of every box that runs our own code, and that is there whatever the image holds."""

CERTIFICATES = "/usr/lib/ratchet-certificates"  # see build.py
AREAS = ("scaffold", "task", "tests")
PACKAGE = (
    "__init__.py",
    "frames.py",
    "channels.py",
    "carry.py",
    "forward.py",
    "globs.py",
    "light.py",
    "copying.py",
    "errands.py",
    "machine.py",
    "privileges.py",
    "runner.py",
    "snapshot.py",
    "workspace.py",
)
START = "from sandbox.runner import guarded\n\nguarded()\n"
COMMANDS = "/usr/local/bin"
CHECKER, IMAGE_PYTHON = ("ratchet_check.py", "ratchet_plain.py", "ratchet_serve.py"), "image_python"
CHECK = f"{HERE}/check.py"
START_CHECK = """\
import sys

from ratchet_check import end

if __name__ == "__main__":  # a test may start processes that import this file
    end(sys.argv[1:])
"""
ASK = (
    "import site, sys; print(*[p for p in site.getsitepackages() if p in sys.path and sys.version_info >= (3, 9)][:1])"
)


def main() -> None:
    """Install; any failure stops the build."""
    theirs = shutil.which("python3")
    own_interpreter()
    install_checker(theirs)
    install_runner()
    for folder in ("/workspace", "/run/ratchet", f"{HERE}/root", COMMANDS):
        os.makedirs(folder, exist_ok=True)
    for area in AREAS:
        if not os.path.lexists(f"/{area}"):
            os.symlink(f"/run/ratchet/{area}", f"/{area}")
    shutil.rmtree(CERTIFICATES, ignore_errors=True)
    for name in ("python3", "python"):
        if shutil.which(name) is None:
            os.symlink(theirs or INTERPRETER, f"{COMMANDS}/{name}")


def own_interpreter() -> None:
    """Without a copy of our own, the Python that runs this file is known by the name of the copy."""
    if sys.executable != INTERPRETER:
        os.makedirs(f"{HERE}/python/bin", exist_ok=True)
        remove(INTERPRETER)
        os.symlink(sys.executable, INTERPRETER)


def install_checker(theirs: str | None) -> None:
    """Give the checker to our Python and, beside it, to the image's own if that is recent enough."""
    folders = site.getsitepackages()
    lay_checker(next((path for path in folders if path in sys.path), folders[-1]))
    remove(f"{HERE}/{IMAGE_PYTHON}")
    if theirs and theirs != sys.executable and (packages := packages_of(theirs)):
        lay_checker(packages)
        with open(f"{HERE}/{IMAGE_PYTHON}", "w") as note:
            note.write(theirs)
    for name in CHECKER:
        remove(f"{HERE}/{name}")
    with open(CHECK, "w") as start:
        start.write(START_CHECK)


def remove(path: str) -> None:
    """Remove a file or a link that may be there."""
    if os.path.lexists(path):
        os.unlink(path)  # noqa: PTH108


def packages_of(python: str) -> str:
    """Where an interpreter looks for packages; empty if it is too old, or cannot run."""
    said = subprocess.run([python, "-I", "-c", ASK], capture_output=True, text=True, check=False)
    return said.stdout.strip() if said.returncode == 0 else ""


def lay_checker(packages: str) -> None:
    """Copy and compile the checker."""
    os.makedirs(packages, exist_ok=True)
    for name in CHECKER:
        py_compile.compile(shutil.copy(f"{HERE}/{name}", packages), doraise=True)


def install_runner() -> None:
    """Our package, and the file that starts it."""
    shutil.rmtree(f"{HERE}/sandbox", ignore_errors=True)  # of an image that an earlier version made
    os.mkdir(f"{HERE}/sandbox")
    for name in PACKAGE:
        shutil.move(f"{HERE}/{name}", f"{HERE}/sandbox/{name}")
    compileall.compile_dir(f"{HERE}/sandbox", quiet=1)
    with open(f"{HERE}/__main__.py", "w") as start:
        start.write(START)


if __name__ == "__main__":
    main()
