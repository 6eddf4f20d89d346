"""Runs in the grading box of a SWE-bench task: lays the patch and the hidden tests over the repository, runs the tests.

python3 -I swe_check.py SPEC.json PATCH TEST.patch REPORT

The tests run in processes of their own. What they print is read by the rules of their runner, and REPORT (JUnit) holds
one case for each test that must pass; a test that is not named as passed has failed.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from xml.sax.saxutils import quoteattr

WORKSPACE = "/workspace"
MARK = "===== the tests begin ====="
_WORDS = ("PASSED", "FAILED", "ERROR", "SKIPPED", "XFAIL", "XPASS")
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def main(spec_file: str, patch: str, tests: str, report: str) -> str:
    """Write the report; returns what to tell."""
    spec = json.loads(Path(spec_file).read_text(encoding="utf-8"))
    said = ""
    if Path(patch).is_file() and not apply(patch):
        passed = set()
        said = "the patch does not apply"
    else:
        restore(spec["test_files"])
        if Path(tests).stat().st_size and not apply(tests):
            return "the hidden tests do not apply"
        passed = READERS[spec["parser"]](run(spec["command"]))
    wanted = spec["tests"]
    Path(report).write_text(as_junit(wanted, passed), encoding="utf-8")
    missing = [name for name in wanted if name not in passed]
    return said or f"{len(wanted) - len(missing)} of {len(wanted)} pass; not: {', '.join(missing[:20])}"


def git(*words: str) -> int:
    """Run git on the workspace without any configuration but the repository's own."""
    env = {**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"}
    return subprocess.run(["git", "-C", WORKSPACE, *words], env=env, check=False).returncode


def apply(patch: str) -> bool:
    """Whether a patch could be laid over the working tree, as strictly as git does, then as loosely as patch does."""
    if git("apply", "--whitespace=nowarn", patch) == 0:
        return True
    command = ["patch", "-d", WORKSPACE, "--batch", "--fuzz=5", "-p1", "-i", patch]
    try:
        dry = subprocess.run([*command, "--dry-run"], check=False).returncode
        return dry == 0 and subprocess.run(command, check=False).returncode == 0
    except OSError:
        return False


def restore(paths: list[str]) -> None:
    """Files that the hidden patch changes are as they were at the base commit."""
    for path in paths:
        if git("checkout", "-q", "HEAD", "--", path):
            Path(WORKSPACE, path).unlink(missing_ok=True)


def run(command: str) -> str:
    """What the test command prints; it is printed here, too."""
    argv = ["bash", "-c", f"cd {WORKSPACE} && {command}"]
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    said = done.stdout.decode(errors="replace")
    sys.stdout.write(f"{MARK}\n{said}")
    return said


def of_pytest(log: str) -> set[str]:
    """Tests that pytest's short summary (-rA), or its verbose lines, name as passed and as nothing else."""
    passed: set[str] = set()
    other: set[str] = set()
    for raw in log.splitlines():
        line = _COLOUR.sub("", raw).strip()
        first, _, rest = line.partition(" ")
        name, _, last = line.partition(" ")
        if first in _WORDS:
            names = {rest, rest.split(" - ", 1)[0], rest.split(" ", 1)[0]}
            word = first
        elif "::" in name and last.split(" ", 1)[0] in _WORDS:
            names, word = {name}, last.split(" ", 1)[0]
        else:
            continue
        (passed if word in ("PASSED", "XFAIL") else other).update(names)
    return passed - other


def of_unittest(log: str) -> set[str]:
    """Tests of Django's and unittest's verbose runners: `name ... ok`, also where output stands in between."""
    passed: set[str] = set()
    other: set[str] = set()
    last = None
    for raw in log.splitlines():
        line = raw.strip()
        name, dots, verdict = line.rpartition(" ... ")
        if dots:
            last = name if verdict not in ("ok", "OK") else None
            if verdict in ("ok", "OK"):
                passed.add(name)
            elif verdict in ("FAIL", "ERROR"):
                other.add(name)
        elif line == "ok" and last:
            passed.add(last)
            last = None
        elif line.startswith(("FAIL: ", "ERROR: ")):
            other.add(line.split(": ", 1)[1])
    return passed - other


def of_sympy(log: str) -> set[str]:
    """Tests of sympy's own runner: `test_name ok`."""
    passed: set[str] = set()
    other: set[str] = set()
    for raw in log.splitlines():
        words = raw.split()
        if words and words[0].startswith("test_") and len(words) > 1:
            (passed if words[1] == "ok" else other).add(words[0])
        elif raw.startswith("____") and len(words) > 1:
            other.add(words[1].rpartition(":")[2])
    return passed - other


READERS = {"pytest": of_pytest, "unittest": of_unittest, "sympy": of_sympy}


def as_junit(wanted: list[str], passed: set[str]) -> str:
    """One case for each test that must pass."""
    cases = []
    for name in wanted:
        inner = "" if name in passed else "<failure/>"
        cases.append(f"<testcase name={quoteattr(name)}>{inner}</testcase>")
    return f"<testsuite>{''.join(cases)}</testsuite>"


if __name__ == "__main__":
    sys.stdout.write(main(*sys.argv[1:5]) + "\n")
