"""Ratchet's own process runs on Linux and macOS: what only Linux has is asked for in the files named here, guarded."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.structure.trees import TRUSTED, name

LINUX_ONLY = {
    *("sched_getaffinity", "sched_setaffinity", "pidfd_open", "memfd_create", "setns", "unshare", "prctl", "epoll"),
    *("PR_SET_PDEATHSIG", "PR_SET_DUMPABLE", "RLIMIT_NPROC", "SO_PEERCRED", "CLOCK_BOOTTIME", "inotify_init", "splice"),
}
LINUX_PATHS = ("/proc", "/sys", "/dev/shm", "/etc/machine-id", "/run/")
IN_A_BOX = {
    *(f"sandbox/{file}.py" for file in ("runner", "carry", "forward", "workspace", "install", "limits", "areas")),
    *(f"sandbox/{file}.py" for file in ("copying", "light", "machine", "privileges")),
    "sandbox/check/ratchet_check.py",
    "agent/suites/in_box_leaks.py",
}
"""They run in a box, or say what a box has: boxes are Linux everywhere."""

GUARDED = {
    "agent/base/machine.py": "asks the system in another way",
    "agent/base/owner.py": "an empty text where a file is missing",
    "agent/kernel/decide/flags.py": "patterns to look for in patches",
    "agent/kernel/loop/answering.py": "the error of a missing file is ignored",
    "agent/models/providers/embedded.py": "the error of a missing file is ignored, or there is no limit",
    "agent/suites/importing/folders.py": "paths in an image",
    "agent/trials/heartbeat.py": "asks the system in another way",
    "sandbox/engine.py": "systemd, and a log, where dockerd is started on Debian",
    "sandbox/folders.py": "looked at only if it exists",
    "sandbox/load.py": "watches only where the engine is on this Linux; the line of pressure is left out",
    "sandbox/oci/bundle.py": "says what a box has",
    "sandbox/oci/containers.py": "runs only where find_program passes, which asks for Linux first",
    "sandbox/oci/groups.py": "runs only where find_program passes, which asks for Linux first",
    "sandbox/oci/mounts.py": "runs only where find_program passes, which asks for Linux first",
    "sandbox/others.py": "runs only where the engine is on this Linux",
    "sandbox/users.py": "the error of a missing file is ignored",
}
"""Why such a file still runs where what it asks for is missing. tests/base/test_machine.py runs parts of it so."""


def linux_only(path: Path) -> Iterator[str]:
    """What in a source file only Linux has."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    texts = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}  # docstrings are no paths
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute | ast.Name):
            word = node.attr if isinstance(node, ast.Attribute) else node.id
            if word in LINUX_ONLY:
                yield word
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in texts:
            yield from (node.value for start in LINUX_PATHS if node.value.startswith(start) or node.value in LINUX_ONLY)


def test_the_hosts_side_asks_for_nothing_that_only_linux_has() -> None:
    everywhere = [path for path in TRUSTED if name(path) not in IN_A_BOX | set(GUARDED)]
    assert [f"{name(path)}: {asked}" for path in everywhere for asked in linux_only(path)] == []


def test_a_file_that_is_excepted_needs_it() -> None:
    needing = {name(path) for path in TRUSTED if name(path) in GUARDED and any(linux_only(path))}
    assert needing == set(GUARDED)
