"""Folders of a container by their names: what a box fills itself, what a RUN makes, and where a task is worked on."""

from __future__ import annotations

import posixpath
import re

from agent.base.types import Files

OURS = frozenset(
    {"/tmp", "/tests", "/logs", "/task", "/scaffold", "/proc", "/sys", "/dev", "/run"}  # noqa: S108
)
TASK = "/task"
"""Where a box has the instruction: as the working directory of an image it becomes the workspace, which gets a copy."""

MOUNTED = frozenset({"/tests", "/task", "/scaffold", "/proc", "/sys", "/dev"})
"""What a machine has from outside."""

EMPTIED = "/tmp"  # noqa: S108 - of a box
_SYSTEM = frozenset({"bin", "boot", "etc", "lib", "lib64", "media", "mnt", "root", "sbin", "usr", "var", "home", "opt"})
_PROGRAMS = ("/bin/", "/boot/", "/etc/", "/lib/", "/lib64/", "/sbin/", "/usr/")
_MENTIONED = re.compile(r"(?<![\w./-])/([A-Za-z][\w-]*)(?=[/\s`'\".,;:)]|$)")


def is_systems(folder: str) -> bool:
    """Whether an image without what is in a folder is another system."""
    return f"{folder}/".startswith(_PROGRAMS) or folder.strip("/") in _SYSTEM - {"media", "mnt"}


def made_folders(command: str, workdir: str) -> list[str]:
    """The folders that a RUN makes by a plain mkdir."""
    found = []
    for part in re.split(r"&&|\|\||[;|\n]", command):
        words = part.split()
        if words[:1] == ["mkdir"]:
            plain = [w.strip("'\"") for w in words[1:] if not w.startswith("-") and not set(w) & set("$*?{}()`<>\\")]
            found += [posixpath.normpath(posixpath.join(workdir, word)) for word in plain if word]
    return found


def work_folder(copied: Files, about: str) -> str | None:
    """The folder at the top that files are copied to or, else, that the instruction names most."""
    tops = [path.split("/")[1] for path in copied if path.count("/") > 1]
    for names in (tops, _MENTIONED.findall(about)):
        usable = [name for name in names if name not in _SYSTEM and f"/{name}" not in OURS]
        if usable:
            return "/" + max(dict.fromkeys(usable), key=usable.count)
    return None
