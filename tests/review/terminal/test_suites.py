"""What `ratchet tasks check` says of tasks that are not proven."""

from __future__ import annotations

import io

from rich.console import Console

from agent.base.types import Grade, Suite
from agent.review.terminal.suites import print_proofs, proven
from agent.suites.check import Proof, judge
from tests.suites.test_check import GRADES, TASK, ZERO

SAID = (
    "collected 2 items\n"
    + "".join(f"line {n}\n" for n in range(40))
    + "\x1b[31mE  FileNotFoundError: data.csv\x1b[0m\n"
)


def failed() -> Proof:
    ends = dict.fromkeys(("reference", "reference again"), Grade(score=0.0, reason="exit code 1", output=SAID))
    return judge(TASK, GRADES | ends)


def test_the_end_of_what_the_check_of_a_failed_reference_printed_is_shown() -> None:
    console = Console(file=io.StringIO(), width=80)
    print_proofs([failed()], console)
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    start = lines.index(f"{TASK.id}: the check of its reference ends with")
    assert len(lines[start + 1 : -1]) == 12
    assert "FileNotFoundError: data.csv" in lines[-2]
    assert "\x1b" not in lines[-2]


def test_a_task_without_a_reference_has_no_such_end() -> None:
    console = Console(file=io.StringIO(), width=80)
    print_proofs([judge(TASK, {"starter": ZERO})], console)
    assert "no reference" in (said := console.file.getvalue())  # type: ignore[attr-defined]
    assert "ends with" not in said


def test_programs_get_more_of_it_and_nothing_for_proven_tasks() -> None:
    good = judge(TASK, GRADES)
    bad, proof = proven(Suite(name="s", hash="h", tasks=(TASK,)), [failed(), good])["tasks"]
    assert bad["output"] == SAID
    assert "output" not in proof
    assert judge(TASK, GRADES | {"starter": ZERO}).findings == good.findings
