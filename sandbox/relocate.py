"""Runs once inside our own base image: makes a copy of its Python that runs in any Linux image.

The copy holds the interpreter, the standard library, every shared library that these load, and the loader itself. All
of it lies below one folder and names nothing outside of it, so it works beside another libc, or none. Beside it lie a
shell and small tools, made in the same way, and pytest: where a candidate may change the whole image, checks run by
them. Needs `patchelf` and `ldd`. Standard library only.
"""

# Runs once, in a builder image:
# ruff: noqa: PTH103, PTH110, PTH112, PTH119, PTH123, PTH207, PTH211

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
TOOLS = (
    *("awk", "basename", "bash", "cat", "chmod", "cmp", "cp", "cut", "date", "diff", "dirname", "echo", "env", "expr"),
    *("false", "find", "grep", "head", "ls", "mkdir", "mktemp", "mv", "printf", "readlink", "realpath", "rm", "rmdir"),
    *("sed", "seq", "sha256sum", "sleep", "sort", "stat", "tail", "tee", "test", "touch", "tr", "true", "uniq", "wc"),
    "xargs",
)
PYTEST = (
    "pytest", "_pytest", "pluggy", "iniconfig", "packaging", "attr", "attrs", "pygments", "py.py", "exceptiongroup",
)  # fmt: skip
"""pytest and what it imports, in old and new versions."""

HOOKS = {b"/etc/ld.so.preload": b"/usr/lib/ratchet/x", b"/etc/nsswitch.conf": b"/usr/lib/ratchet/n"}
"""Files by which an image brings code into every program, and paths of the same length at which there is nothing."""

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
    tools = {name: path for name in TOOLS if (path := shutil.which(name))}
    libraries, loader = closure([python, *tools.values(), *glob.glob(f"{target}/lib-dynload/*.so")])
    for path in {*libraries, *known(UNLINKED), loader}:
        unhooked(shutil.copy(path, LIBRARIES))
    make_independent(f"{HOME}/bin/python3", loader)
    lay_tools(tools, loader)
    lay_pytest(own_packages())
    # By hash and unchecked: a builder that changes file times must not make every start compile again.
    mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
    compileall.compile_dir(target, quiet=1, invalidation_mode=mode)


def make_independent(program: str, loader: str) -> None:
    """Change where a copied program looks for its loader and libraries, before all that the image names."""
    own = f"{LIBRARIES}/{os.path.basename(loader)}"
    options = ("--set-interpreter", own, "--force-rpath", "--set-rpath", LIBRARIES)
    subprocess.run(["patchelf", *options, program], check=True)


def unhooked(library: str) -> None:
    """Lead a library past the files by which an image could put code into our programs."""
    with open(library, "r+b") as file:
        content = file.read()
        for path, nothing in HOOKS.items():
            content = content.replace(path + b"\0", nothing + b"\0")
        file.seek(0)
        file.write(content)


def lay_tools(tools: dict[str, str], loader: str) -> None:
    """Copy programs; `sh` is bash."""
    os.makedirs(f"{HOME}/tools")
    for name, path in tools.items():
        shutil.copy(os.path.realpath(path), f"{HOME}/tools/{name}")
        make_independent(f"{HOME}/tools/{name}", loader)
    os.symlink("bash", f"{HOME}/tools/sh")


def own_packages() -> str:
    """Where the copied interpreter looks for packages, as install.py will find it."""
    ask = (f"{HOME}/bin/python3", "-I", "-c", "import site; print(site.getsitepackages()[-1])")
    return subprocess.run(ask, check=True, capture_output=True, text=True).stdout.strip()


def lay_pytest(packages: str) -> None:
    """Copy pytest from wherever this Python has it."""
    os.makedirs(packages, exist_ok=True)
    for name in PYTEST:
        found = next((f"{path}/{name}" for path in sys.path if os.path.exists(f"{path}/{name}")), None)
        if found and os.path.isdir(found):
            shutil.copytree(found, f"{packages}/{name}", ignore=shutil.ignore_patterns("__pycache__"))
        elif found:
            shutil.copy(found, packages)
    compileall.compile_dir(packages, quiet=1, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)


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
