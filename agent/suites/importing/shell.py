"""Reads test scripts for two things: what needs a network, and the usual lines that only install and run pytest."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass

from agent.suites.importing.draft import Unsupported

_LOCAL = r"(?:localhost|127\.0\.0\.1|\[::1\]|0\.0\.0\.0)"
NETWORK = re.compile(
    rf"""\b(?:apt|apt-get|apk|yum|dnf)\s+(?:-\S+\s+)*(?:install|update|add|upgrade)\b
    | \bpip3?\s+(?:-\S+\s+)*(?:install|download)\b | \b(?:uv\s+(?:add|sync|pip|tool|init|venv|run)|uvx|pipx|poetry)\b
    | \b(?:npm|pnpm|yarn)\s+(?:ci|i|install|add)\b | \bnpx\b | \b(?:cargo\s+(?:install|fetch)|go\s+(?:get|install))\b
    | \bgit\s+(?:clone|pull|fetch|push)\b | \b(?:curl|wget)\b(?!.*{_LOCAL}) | \b(?:ssh|scp|rsync)\s""",
    re.VERBOSE,
)
_PACKAGE = r"(?:[A-Za-z0-9_.-]+(?:\[[a-z,]+\])?(?:[=~<>!]=?=?[\w.*]+)?)"
_SETUP = re.compile(
    rf"""apt(?:-get)?\s+update(?:\s+-\w+)*
    | apt(?:-get)?\s+install(?:\s+-\S+)*(?:\s+(?:curl|ca-certificates))+(?:\s+-\w+)*
    | curl\s+\S+\s+https://astral\.sh/uv/\S*install\.sh\s*\|\s*sh | (?:source|\.)\s+["']?\$HOME/\.local/bin/env["']?
    | uv\s+init(?:\s+-\S+)* | uv\s+venv\s*\S* | (?:source|\.)\s+\S*\.venv/bin/activate
    | uv\s+(?:add|pip\s+install)\s+{_PACKAGE}(?:\s+{_PACKAGE})* | pip3?\s+install(?:\s+-\S+)*(?:\s+{_PACKAGE})+
    | set\s+[-+][euxo]+(?:\s+pipefail)? | export\s+PATH=.* | cd\s+/app
    | (?:source|bash|\.)\s+["']?\$\{{?(?:TEST_DIR|T_BENCH_TEST_DIR)\}}?["']?/(?:setup-uv-pytest|run-uv-pytest)\.sh""",
    re.VERBOSE,
)
_INSTALLED = re.compile(r"(?:uv\s+(?:add|pip\s+install)|pip3?\s+install)((?:\s+\S+)+)")
_ALLOWED = frozenset({"pytest", "pytest-json-ctrf"})
_GUARD = 'if [ "$PWD" = "/" ]; then'
_FILE = r"""[\"']?/logs/verifier/reward\.txt[\"']?"""
_VERDICT = re.compile(
    rf"""if\ \[\ \$\?\ -eq\ 0\ \];?\ then\ echo\ ["']?1(?:\.0)?["']?\ *>\ *{_FILE}
    \ else\ echo\ ["']?0(?:\.0)?["']?\ *>\ *{_FILE}\ fi(?:\ exit\ (?:0|\$\?))?""",
    re.VERBOSE,
)
_RUNS = re.compile(
    r"""(?:uv\s+run\s+|uvx\s+(?P<with>(?:(?:-\S+|--\S+)(?:\s+(?!pytest\s)\S+)?\s+)*)|python3?\s+-m\s+)?pytest\s+(?P<args>.*)""",
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class PytestRun:
    """What a script of the usual kind comes down to: pytest over these files of the tests' folder."""

    files: tuple[str, ...]


def refuse_network(script: str, where: str) -> None:
    """Raises Unsupported for the first line that cannot work in a box without a network."""
    for number, line in logical_lines(script):
        if found := NETWORK.search(line):
            raise Unsupported(f"{where} line {number}: needs a network ({' '.join(found[0].split()):.40})")


def usual_pytest(script: str, *, reward: bool, baked: bool = False) -> PytestRun | None:
    """The one run of pytest that a script amounts to, or None if it does anything else.

    `reward` says whether the script has to write reward.txt from pytest's exit code, as Harbor's do; `baked`, whether
    other packages that it installs are in the image.
    """
    guarded = False
    lines = [line for _, line in logical_lines(script)]
    for number, line in enumerate(lines):
        run, tail = _asked(line, " ".join(lines[number + 1 :]))
        if line == _GUARD or guarded:
            guarded = line != "fi"
        elif (files := _run_files(run, baked=baked)) is not None:
            tail = _without_name(tail)
            same = _VERDICT.fullmatch(tail) if reward else tail in {"", "exit $?"}
            return PytestRun(files) if files and same else None
        elif not _harmless(line, baked=baked):
            return None
    return None


def _asked(line: str, tail: str) -> tuple[str, str]:
    """`if pytest ...; then` as pytest, followed by a question for its exit code."""
    asked = re.fullmatch(r"if\s+((?:uvx|uv run|pytest|python3?)\s.*?)(;\s*then)?", line)
    return (asked[1], f"if [ $? -eq 0 ]{asked[2] or ''} {tail}") if asked else (line, tail)


def _without_name(tail: str) -> str:
    """What follows pytest, where its exit code is first given a name, as if it were not."""
    if not (named := re.match(r"([A-Za-z_]\w*)=\$\?;?\s+", tail)):
        return tail
    return re.sub(rf"\"?\$(?:{named[1]}\b|\{{{named[1]}\}})\"?", "$?", tail[named.end() :])


def _run_files(line: str, *, baked: bool) -> tuple[str, ...] | None:
    """The files that a line runs pytest over; none at all if it does so in a way of its own; None if it does not."""
    if run := _RUNS.fullmatch(line):
        return _given(run, baked=baked)
    return ("test_outputs.py",) if "run-uv-pytest.sh" in line and _SETUP.fullmatch(line) else None


def _harmless(line: str, *, baked: bool) -> bool:
    """Whether a line only brings pytest, or what is in the image already, into a machine."""
    if not _SETUP.fullmatch(line):
        return False
    if not baked and (installs := _INSTALLED.fullmatch(line)):
        return all(_plain_name(word) in _ALLOWED for word in installs[1].split() if not word.startswith("-"))
    return True


def _given(run: re.Match[str], *, baked: bool) -> tuple[str, ...]:
    """The test files of a pytest command; none if it is given anything that could change what runs."""
    brought = re.findall(r"(?:--with|-w)[ =](\S+)", run["with"] or "")
    if not baked and any(_plain_name(package) not in _ALLOWED for package in brought):
        return ()
    try:
        words = shlex.split(run["args"])
    except ValueError:
        return ()
    files = []
    while words:
        word = words.pop(0)
        if word == "--ctrf" and words:
            words.pop(0)
        elif path := re.fullmatch(r"(?:/tests|\$\{?(?:TEST_DIR|T_BENCH_TEST_DIR)\}?)/([\w./-]+\.py)", word):
            files.append(path[1])
        elif word not in {"-rA", "-v", "-q", "-vv", "-s"}:
            return ()
    return tuple(files)


def _plain_name(package: str) -> str:
    return re.split(r"[\[=~<>!]", package.strip("'\""))[0]


def logical_lines(script: str) -> list[tuple[int, str]]:
    """Lines that do something, continued ones joined, each with its number."""
    found: list[tuple[int, str]] = []
    begun = None
    for number, raw in enumerate(script.splitlines(), 1):
        line = raw.strip()
        if begun is None and (not line or line.startswith("#")):
            continue
        start, before = begun or (number, "")
        if line.endswith("\\"):
            begun = (start, f"{before}{line[:-1]} ")
            continue
        found.append((start, f"{before}{line}".strip()))
        begun = None
    return [*found, *([begun] if begun else [])]
