"""Runs once inside our own base image: makes a copy of its Python that runs in any Linux image.

The copy holds the interpreter, the standard library, every shared library that these load, and the loader itself. All
of it lies below one folder and names nothing outside of it, so it works beside another libc, or none. Needs `patchelf`
and `ldd`. Standard library only.
"""

# Runs once, in a builder image:
# ruff: noqa: PTH103, PTH119, PTH207

from __future__ import annotations

import compileall
import glob
import os
import py_compile
import shutil
import subprocess
import sys
import sysconfig

HOME = "/usr/lib/ratchet/python"
LIBRARIES = f"{HOME}/lib"
DROP = (
    "__pycache__", "config-*", "dist-packages", "distutils", "ensurepip", "idlelib", "lib2to3", "pydoc_data",
    "site-packages", "test", "tests", "tkinter", "turtledemo", "_test*.so", "_tkinter*.so", "_xx*.so", "xx*.so",
)  # fmt: skip
UNLINKED = ("libgcc_s.so.1",)
"""Libraries that libc itself loads by name when a thread ends."""


def main() -> None:
    """Make the copy; any failure stops the build."""
    python = os.path.realpath(sys.executable)
    standard = sysconfig.get_path("stdlib")
    target = f"{LIBRARIES}/{os.path.basename(standard)}"
    shutil.copytree(standard, target, ignore=shutil.ignore_patterns(*DROP))
    os.makedirs(f"{HOME}/bin")
    shutil.copy(python, f"{HOME}/bin/python3")
    libraries, loader = closure([python, *glob.glob(f"{target}/lib-dynload/*.so")])
    for path in {*libraries, *known(UNLINKED), loader}:
        shutil.copy(path, LIBRARIES)
    patch("--set-interpreter", f"{LIBRARIES}/{os.path.basename(loader)}", "--force-rpath", "--set-rpath", LIBRARIES)
    # By hash and unchecked: a builder that changes file times must not make every start compile again.
    mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
    compileall.compile_dir(target, quiet=1, invalidation_mode=mode)


def patch(*options: str) -> None:
    """Change where the copied interpreter looks for its loader and libraries, before all that the image names."""
    subprocess.run(["patchelf", *options, f"{HOME}/bin/python3"], check=True)


def closure(files: list[str]) -> tuple[set[str], str]:
    """The shared libraries that these files load, and their loader."""
    libraries, loaders = set(), set()
    for file in files:
        said = subprocess.run(["ldd", file], check=True, capture_output=True, text=True).stdout
        for line in said.splitlines():
            name, _, rest = line.strip().partition(" => ")
            path = (rest or name).rpartition(" (")[0]
            if "/ld-" in path or "/ld64" in path:
                loaders.add(path)
            elif path.startswith("/"):
                libraries.add(path)
            elif rest:
                sys.exit(f"{file} needs {name}: {rest}")
    return libraries, loaders.pop()


def known(names: tuple[str, ...]) -> list[str]:
    """Where the loader would find libraries of these names."""
    said = subprocess.run(["ldconfig", "-p"], check=True, capture_output=True, text=True).stdout
    paths = {line.split()[0]: line.rpartition(" => ")[2] for line in said.splitlines() if " => " in line}
    return [paths[name] for name in names]


if __name__ == "__main__":
    main()
