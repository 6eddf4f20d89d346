"""The visible examples of a task: doctests in its instruction, run in a process of their own."""

from __future__ import annotations

import doctest
import json
import os
import re
import runpy
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

SECONDS = 5.0
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
                timeout=SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return Report(passed=0, total=total, failure=f"no result after {SECONDS:.0f} seconds")
    _, mark, verdict = done.stdout.decode(errors="replace").rpartition(MARK)
    if not mark:
        return Report(passed=0, total=total, failure="\n".join(verdict.strip().splitlines()[-3:]))
    result = json.loads(verdict.splitlines()[0])
    return Report(passed=result["passed"], total=total, failure=result["failure"])


def _main(target: str, examples: str) -> None:
    names = runpy.run_path(target)
    text = Path(examples).read_text(encoding="utf-8")
    test = doctest.DocTestParser().get_doctest(text, names, "examples", None, None)
    failures: list[str] = []
    runner = doctest.DocTestRunner(verbose=False, optionflags=doctest.REPORT_ONLY_FIRST_FAILURE)
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
