"""Imports a task set: finds out its format, reads it task by task, and puts a suite in its place."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from agent.base.errors import UserError
from agent.base.text import escaped
from agent.suites.importing.draft import Draft, Importer, Options, Refusal
from agent.suites.importing.evals import Evals
from agent.suites.importing.exercism import Exercism
from agent.suites.importing.folder import PytestFolder
from agent.suites.importing.harbor import Harbor
from agent.suites.importing.harbor_sources import HUB, downloaded
from agent.suites.importing.jsonl import HumanEval, Mbpp
from agent.suites.importing.programs import EvalPlus, Programs
from agent.suites.importing.solving import script_of
from agent.suites.importing.swebench import SweBench
from agent.suites.importing.terminalbench import TerminalBench
from agent.suites.importing.write import SuiteWriter, grouped

IMPORTERS: Mapping[str, Importer] = {
    importer.kind: importer
    for importer in (
        Harbor(),
        TerminalBench(),
        Exercism(),
        SweBench(),
        HumanEval(),
        EvalPlus(),
        Mbpp(),
        Programs(),
        Evals(),
        PytestFolder(),
    )
}
"""By kind, in the order in which they are asked whether they recognise a source."""

AUTO = "auto"
Done = Callable[[Draft | Refusal], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Imported:
    """What came of an import. `changed` is False if exactly this suite stood there before.

    `reasons` groups the refusals, `remarks` the changes of meaning in what was taken, each with its count; `scripts`
    is the number of taken tasks whose only reference is a script.
    """

    kind: str
    dest: Path
    taken: int
    refused: Sequence[Refusal]
    changed: bool
    reasons: Sequence[Mapping[str, object]] = ()
    remarks: Sequence[Mapping[str, object]] = ()
    scripts: int = 0


def import_suite(
    kind: str,
    source: Path,
    dest: Path,
    *,
    options: Options,
    replace: bool = False,
    done: Done = lambda _: None,
    prepare: Callable[[Path], None] | None = None,
) -> Imported:
    """Make a suite in `dest` of the task set in `source`; `done` is told of each task, with its refusal if it has one.

    `prepare` is called with the whole suite before it is put in its place.

    Raises:
        UserError: broken input, named by file and line, or no task that can be taken; nothing is written then.
    """
    source, dest = Path(source), Path(dest)
    with downloaded(source) as there:
        importer = chosen(kind, there)
        _apart(there, dest)
        scripts = 0
        with SuiteWriter(dest, replace=replace) as writer:
            for read in importer.read(there, options):
                outcome = (writer.add(read) or read) if isinstance(read, Draft) else writer.refuse(read)
                scripts += isinstance(outcome, Draft) and not outcome.solution and script_of(outcome.meta) is not None
                done(outcome)
            changed = writer.finish(importer.kind, _said(source), prepare)
    return Imported(
        kind=importer.kind,
        dest=dest,
        taken=writer.taken,
        refused=writer.refusals,
        changed=changed,
        reasons=grouped(refusal.feature for refusal in writer.refusals),
        remarks=writer.remarks,
        scripts=scripts,
    )


def _said(source: Path) -> str:
    """What the report calls a source."""
    package = HUB.fullmatch(str(source))
    if package:
        return f"harbor://{package['package']}"
    name = source.resolve().name
    return name if name.isprintable() else escaped(name)  # bytes that are not UTF-8 are not printable


def chosen(kind: str, source: Path) -> Importer:
    """The importer of a kind, or the one that recognises the source. Raises UserError."""
    if not source.exists():
        raise UserError(str(source), "does not exist", "Name a folder, or a JSONL file.")
    if kind != AUTO:
        if kind not in IMPORTERS:
            raise UserError(kind, "is not a kind of task set", f"Use {', '.join([AUTO, *IMPORTERS])}.")
        return IMPORTERS[kind]
    found = next((importer for importer in IMPORTERS.values() if importer.recognises(source)), None)
    if found is None:
        raise UserError(str(source), "looks like no known task set", f"Say which: {', '.join(IMPORTERS)}.")
    return found


def _apart(source: Path, dest: Path) -> None:
    there, here = source.resolve(), dest.resolve()
    if there == here or there in here.parents or here in there.parents:
        raise UserError(str(dest), "lies in the source, or the other way round", "Name a folder elsewhere.")
