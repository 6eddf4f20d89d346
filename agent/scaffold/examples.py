"""The visible examples of a task: doctests in its instruction, run in a process of their own."""

from __future__ import annotations

import ast
import doctest
import json
import os
import re
import resource
import runpy
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

SECONDS = 2.0  # of processor time, whole ones: a busy machine must not make an answer wrong
WALL_SECONDS = 30.0  # for an answer that waits for something
MARK = "RATCHET-EXAMPLES "
FENCE = re.compile(r"^\s*(```|~~~).*$", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class Report:
    """How many visible examples pass, and what the first failure looks like."""

    passed: int
    total: int
    failure: str = ""

    @property
    def good(self) -> bool:
        """Whether there are examples and all of them pass."""
        return self.passed == self.total > 0


def run(code: str, name: str, instruction: str, workspace: Path) -> Report:
    """Try code, as the file `name` beside the rest of the workspace, on the examples of an instruction."""
    text = FENCE.sub("", instruction)  # else a closing fence would belong to the expected output
    total = len(doctest.DocTestParser().get_examples(text))
    if not total or not name.endswith(".py"):
        return Report(passed=0, total=0)
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder, Path(name).name)
        target.write_text(code, encoding="utf-8")
        Path(folder, "examples.txt").write_text(text, encoding="utf-8")
        path = os.pathsep.join([folder, str(workspace)])
        try:
            done = subprocess.run(
                [sys.executable, "-B", "-P", __file__, str(target), str(Path(folder, "examples.txt"))],
                cwd=folder,
                env={**os.environ, "PYTHONPATH": path},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=WALL_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return Report(passed=0, total=total, failure=f"no result after {WALL_SECONDS:.0f} seconds")
    _, mark, verdict = done.stdout.decode(errors="replace").rpartition(MARK)
    if done.returncode == -signal.SIGXCPU:
        return Report(passed=0, total=total, failure=f"no result after {SECONDS:.0f} seconds")
    if not mark:
        return Report(passed=0, total=total, failure="\n".join(verdict.strip().splitlines()[-3:]))
    result = json.loads(verdict.splitlines()[0])
    return Report(passed=result["passed"], total=total, failure=result["failure"])


class Wanted(str):
    """What an example should show, together with its source."""

    __slots__ = ("source",)

    source: str


class Checker(doctest.OutputChecker):
    """Compares as doctest does, but a value that should be returned does not count where it is only printed."""

    def __init__(self) -> None:
        self.returned = True
        display = sys.__displayhook__

        def shown(value: object) -> None:
            self.returned = value is not None
            display(value)

        sys.__displayhook__ = shown  # doctest puts this one in place for the examples

    def check_output(self, want: str, got: str, optionflags: int) -> bool:
        """Whether an example passes."""
        only_printed = not self.returned and isinstance(want, Wanted) and is_value(want)
        self.returned = True
        return super().check_output(want, got, optionflags) and not only_printed

    def output_difference(self, example: doctest.Example, got: str, optionflags: int) -> str:
        """How the result differs from what was expected."""
        if super().check_output(example.want, got, optionflags):
            return f"Expected:\n    {example.want.strip()}\nGot:\n    None, for it is printed and not returned\n"
        return super().output_difference(example, got, optionflags)


def is_value(want: Wanted) -> bool:
    """Whether an example that does not print itself expects the text of one value."""
    try:
        ast.literal_eval(want.strip())
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return False
    return "print" not in want.source


def _main(target: str, examples: str) -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (int(SECONDS), int(SECONDS) + 1))
    names = runpy.run_path(target)
    text = Path(examples).read_text(encoding="utf-8")
    test = doctest.DocTestParser().get_doctest(text, names, "examples", None, None)
    for example in test.examples:
        want = Wanted(example.want)
        want.source = example.source
        example.want = want
    failures: list[str] = []
    runner = doctest.DocTestRunner(Checker(), verbose=False, optionflags=doctest.REPORT_ONLY_FIRST_FAILURE)
    result = runner.run(test, out=failures.append)
    first = "".join(failures).partition("Failed example:\n")[2].partition("*" * 70)[0]
    verdict = {"passed": result.attempted - result.failed, "failure": _tidy(first)}
    sys.stdout.write(f"\n{MARK}{json.dumps(verdict)}\n")


def _tidy(failure: str) -> str:
    """A doctest failure without the inside of its traceback."""
    kept = [line for line in failure.splitlines() if not line.startswith(("        File ", "          "))]
    return "\n".join(line.removeprefix("    ") for line in kept).strip()


if __name__ == "__main__":
    _main(*sys.argv[1:])
