"""A small repository with a bug, its fix in a later commit, and the row of a SWE-bench-like set about it."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

BROKEN = 'def mean(numbers):\n    """The mean of numbers, 0.0 of none."""\n    return sum(numbers) / len(numbers)\n'
FIXED = BROKEN.replace("    return", "    if not numbers:\n        return 0.0\n    return")
TESTS = "from stats import mean\n\n\ndef test_two():\n    assert mean([1, 3]) == 2\n"
MORE_TESTS = TESTS + "\n\ndef test_none():\n    assert mean([]) == 0.0\n"


@dataclass(frozen=True, slots=True)
class Fixed:
    """A repository whose last commit fixes a bug, and the commit before it."""

    folder: Path
    base: str
    patch: str
    test_patch: str

    def row(self, **changes: Any) -> dict[str, Any]:
        """The row as SWE-bench has it."""
        return {
            "repo": "acme/stats",
            "instance_id": "acme__stats-1",
            "base_commit": self.base,
            "patch": self.patch,
            "test_patch": self.test_patch,
            "problem_statement": "mean([]) raises ZeroDivisionError; it should be 0.0.",
            "version": "1.0",
            "FAIL_TO_PASS": json.dumps(["tests/test_stats.py::test_none"]),
            "PASS_TO_PASS": json.dumps(["tests/test_stats.py::test_two"]),
            **changes,
        }


def git(folder: Path, *words: str) -> str:
    """What git says, under an identity of its own."""
    who = ["-c", "user.name=t", "-c", "user.email=t@localhost", "-c", "commit.gpgsign=false"]
    return subprocess.run(["git", "-C", str(folder), *who, *words], check=True, capture_output=True, text=True).stdout


def fixed_repository(clones: Path) -> Fixed:
    """The repository `acme/stats` below a folder of clones."""
    folder = clones / "acme" / "stats"
    (folder / "tests").mkdir(parents=True)
    git(folder, "init", "-q")
    for name, text in (
        ("stats.py", BROKEN),
        ("tests/test_stats.py", TESTS),
        ("conftest.py", ""),
        (".gitignore", "x\n"),
    ):
        (folder / name).write_text(text, encoding="utf-8")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "Add mean")
    base = git(folder, "rev-parse", "HEAD").strip()
    (folder / "stats.py").write_text(FIXED, encoding="utf-8")
    (folder / "tests/test_stats.py").write_text(MORE_TESTS, encoding="utf-8")
    git(folder, "commit", "-qam", "Fix the mean of nothing")
    git(folder, "tag", "v2")
    return Fixed(folder, base, git(folder, "diff", base, "--", "stats.py"), git(folder, "diff", base, "--", "tests"))


def repository_of_paths_out(folder: Path, files: dict[str, str], inside: str) -> str:
    """A repository that holds files, and one whose path leads three folders up from `inside`; returns its commit."""
    folder.mkdir(parents=True)
    git(folder, "init", "-q")
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "One")
    body = bytes.fromhex(git(folder, "rev-parse", f"HEAD:{next(iter(files))}").strip())
    tree = _raw_tree(folder, b"100644 planted-by-the-repository\0" + body)
    for own in (b"", b"", _tree_bytes(folder, f"HEAD:{inside}")):
        tree = _raw_tree(folder, b"40000 ..\0" + bytes.fromhex(tree) + own)
    for part in reversed(inside.split("/")):
        tree = _raw_tree(folder, f"40000 {part}\0".encode() + bytes.fromhex(tree))
    commit = git(folder, "commit-tree", tree, "-m", "Lead out").strip()
    git(folder, "update-ref", "HEAD", commit)
    return commit


def _tree_bytes(folder: Path, name: str) -> bytes:
    command = ["git", "-C", str(folder), "cat-file", "tree", name]
    return subprocess.run(command, check=True, capture_output=True).stdout


def _raw_tree(folder: Path, entries: bytes) -> str:
    """A tree that git itself would not make."""
    command = ["git", "-C", str(folder), "hash-object", "--literally", "-t", "tree", "-w", "--stdin"]
    return subprocess.run(command, check=True, capture_output=True, input=entries).stdout.decode().strip()
