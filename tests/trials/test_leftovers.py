"""What tools leave is passed over, unless the scaffold itself has files there."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.trials.leftovers import below, leftovers
from sandbox.globs import matcher


def passed_over(path: str, before: dict[str, bytes]) -> bool:
    skipped = matcher(leftovers(before, {"__pycache__"}))
    parts = path.split("/")
    return any(skipped("/".join(parts[:n])) for n in range(1, len(parts) + 1))


def test_folders_of_tools_are_passed_over_wherever_they_lie() -> None:
    for path in (
        "node_modules/a/b.js",
        "src/node_modules/x",
        ".git/config",
        "a/.git/HEAD",
        ".aider.history",
        ".venv/x",
    ):
        assert passed_over(path, {"src/a.py": b""}), path
    assert not passed_over("src/b.py", {"src/a.py": b""})


def test_what_the_scaffold_itself_holds_is_not() -> None:
    before = {"vendor/node_modules/x.js": b"", ".claude/rules.md": b""}
    assert not passed_over("vendor/node_modules/y.js", before)
    assert not passed_over(".claude/new.md", before)
    assert passed_over(".venv/x", before)


def test_its_own_ignore_file_counts_unless_it_has_exceptions() -> None:
    before = {".gitignore": b"# built\n/dist/\n*.log\nout/deep\nkept\n", "kept/a": b""}
    for path in ("dist/a.js", "src/a.log", "out/deep/x"):
        assert passed_over(path, before), path
    for path in ("src/dist/a.js", "out/x", "kept/b"):
        assert not passed_over(path, before), path
    assert not passed_over("dist/a.js", {".gitignore": b"/dist/\n!/dist/a.js\n"})


def test_a_path_and_all_below_it_are_taken_and_no_namesake() -> None:
    taken = matcher(below(["src", "a[1]/x.py"]))
    assert all(map(taken, ("src", "src/a.py", "src/b/c.py", "a[1]/x.py")))
    assert not any(map(taken, ("srcs/a.py", "a1/x.py", "x/src/a.py")))
    assert matcher(below(["src", "."]))("any/thing")


@pytest.mark.parametrize("broken", [b"*.[z-a]", b"x[!]y"])
def test_a_pattern_that_cannot_be_matched_is_left_out_and_the_others_count(broken: bytes) -> None:
    before = {".gitignore": broken + b"\n*.log\n"}
    assert passed_over("a.log", before)
    assert not passed_over("a.py", before)


@pytest.mark.parametrize("slow", ["*a" * 14 + "b", "**a" * 14 + "b", "**/" * 14 + "b", "x/" + "**/a/" * 14 + "b"])
def test_a_pattern_that_would_take_long_is_left_out(slow: str) -> None:
    before = {".gitignore": f"{slow}\n*.log\n".encode(), "a" * 30: b"", "a/" * 30 + "a": b""}
    start = time.process_time()
    assert passed_over("a.log", before)
    assert time.process_time() - start < 1


def test_usual_patterns_with_stars_are_taken() -> None:
    before = {".gitignore": b"*.py[cod]\n*-debug.log*\ncmake-build-*/\ndocs/**/*.tmp\n**/out/**\nlib**.so\n"}
    for path in ("a/b.pyc", "npm-debug.log.1", "cmake-build-x/y", "docs/a/b.tmp", "a/out/b", "lib1.so"):
        assert passed_over(path, before), path
    assert not passed_over("lib/1.so", before)


@given(st.text(alphabet="*?[]!/-za\\\n.", max_size=40))
def test_any_ignore_file_gives_globs_that_can_be_matched(text: str) -> None:
    assert passed_over(".git/x", {".gitignore": text.encode()})
