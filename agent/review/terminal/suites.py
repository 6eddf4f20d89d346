"""What the suite commands print: tables for people, JSON for programs."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from agent.base.text import visible_lines
from agent.base.types import Split, Suite, Task
from agent.suites.check import REFERENCES, Proof

_KEPT, _SHOWN = 4000, 12
"""Characters of a failed reference's output for programs, lines of them for people."""


def print_stdout(said: dict[str, Any]) -> None:
    """JSON, and nothing else, on standard output."""
    sys.stdout.write(json.dumps(said, indent=2) + "\n")


def listed(suite: Suite, tasks: Sequence[Task]) -> dict[str, Any]:
    """The tasks of a suite as plain data."""
    fields = ("id", "split", "tags", "weight", "image", "solve_timeout", "check_timeout")
    return {
        "suite": suite.name,
        "hash": suite.hash,
        "description": suite.description,
        "quarantined": list(suite.quarantined),
        "tasks": [{name: getattr(task, name) for name in fields} for task in tasks],
    }


def print_list(suite: Suite, tasks: Sequence[Task], console: Console) -> None:
    """The tasks of a suite, a line each."""
    if suite.description:
        console.print(suite.description, markup=False)
    for task in tasks:
        console.print(f"{task.id:<32} {task.split:<8} {' '.join(task.tags)}", markup=False, soft_wrap=True)
    count = Counter(task.split for task in tasks)
    splits = ", ".join(f"{count[split]} {split}" for split in Split)
    away = f", {len(suite.quarantined)} more in quarantine" if suite.quarantined else ""
    console.print(f"{len(tasks)} tasks ({splits}){away}; {suite.name}@{suite.hash}", markup=False, soft_wrap=True)


def proven(suite: Suite, proofs: Sequence[Proof]) -> dict[str, Any]:
    """What a check found, as plain data."""
    return {
        "suite": suite.name,
        "hash": suite.hash,
        "proven": sum(not proof.findings for proof in proofs),
        "quarantined": list(suite.quarantined),
        "tasks": [
            {
                "id": proof.task.id,
                "split": proof.task.split,
                "findings": [{"kind": kind, "detail": said} for kind, said in proof.findings],
                "grades": {
                    name: {"score": grade.score, "reason": grade.reason, "seconds": round(grade.seconds, 3)}
                    for name, grade in proof.grades.items()
                },
                **({"output": output[-_KEPT:]} if (output := _of_failed_reference(proof)) else {}),
            }
            for proof in proofs
        ],
    }


def _of_failed_reference(proof: Proof) -> str:
    """What the check printed for a reference that does not score 1; "" without one."""
    graded = [proof.grades[name] for name in REFERENCES if name in proof.grades]
    return next((grade.output for grade in graded if grade.score != 1), "")


def print_proofs(proofs: Sequence[Proof], console: Console) -> None:
    """What is wrong with which task, and how many are proven."""
    bad = [proof for proof in proofs if proof.findings]
    if bad:
        table = Table("task", "split", "finding", "what was seen", box=None, pad_edge=False)
        for proof in bad:
            for kind, said in proof.findings:
                table.add_row(*map(Text, (proof.task.id, proof.task.split, kind, said)))
        console.print(table)
    for proof in bad:
        if said := _of_failed_reference(proof)[-_KEPT:].strip():
            lines = visible_lines(said)[-_SHOWN:]
            console.print(f"{proof.task.id}: the check of its reference ends with", markup=False, soft_wrap=True)
            console.print(Text("\n".join(f"  {line}" for line in lines)), soft_wrap=True)
    good = "starter, emptied and broken files score 0, reference 1, twice"
    console.print(f"{len(proofs) - len(bad)} of {len(proofs)} tasks proven: {good}", markup=False, soft_wrap=True)
