"""What tools leave is passed over, unless the scaffold itself has files there."""

from __future__ import annotations

from agent.trials.leftovers import below, leftovers
from sandbox.frames import matcher


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
