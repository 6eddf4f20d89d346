"""Does the agent keep the contract of docs/scaffold.md? It is tried in two boxes, with models that cost nothing.

In the first box the model does what it can to make the agent write a file (`obliging`); in the second it never answers.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator
from dataclasses import dataclass

from agent.base.errors import RatchetError
from agent.base.types import Call, CallScope, Caps, Ending
from agent.cli.findings import Finding, failed
from agent.models.providers.obliging import FILE, Obliging
from agent.trials.evaluator import MODEL_ALIAS
from agent.trials.executor import Visited, Wanted
from agent.wiring.program import OBLIGING, SILENT, Program

OBLIGING_SECONDS, SILENT_SECONDS = 60.0, 25.0
MOST_CALLS = 12
CANNOT_START = (126, 127)
STOPPED = 124
"""What `timeout` says, by which programs end themselves before their deadline."""
LAST_WORDS = 200
OK = 200


@dataclass(frozen=True, kw_only=True, slots=True)
class Attempt:
    """What came of a program in both boxes. `word` stood in its instruction."""

    who: str
    word: str
    obliged: Visited
    ignored: Visited
    model: Obliging
    calls: tuple[Call, ...]


async def conform(program: Program, who: str) -> list[Finding]:
    """Try one program; a finding for each promise that it has to keep."""
    try:
        return [*judge(await attempt(program, who))]
    except RatchetError as error:
        return [failed(who, error)]


async def attempt(program: Program, who: str) -> Attempt:
    """Run a program in both boxes at once.

    Raises:
        InfrastructureError: a box failed.
    """
    word = f"ratchet-{secrets.token_hex(4)}"
    program.model.asked.clear()
    obliged, ignored = await asyncio.gather(
        _visit(program, OBLIGING, word, OBLIGING_SECONDS), _visit(program, SILENT, word, SILENT_SECONDS)
    )
    calls = tuple(call for call in program.record.calls if call.trial == f"{OBLIGING} {word}")
    return Attempt(who=who, word=word, obliged=obliged, ignored=ignored, model=program.model, calls=calls)


async def _visit(program: Program, role: str, word: str, seconds: float) -> Visited:
    task = f"Write a file {FILE} that holds the line `x = 1`. The name of this task is {word}.\n"
    return await program.visit(
        scope=CallScope(trial=f"{role} {word}", models={MODEL_ALIAS: role}, caps=Caps(calls=MOST_CALLS)),
        scaffold=program.files,
        task={"instruction.md": task.encode(), **program.task},
        workspace=program.workspace,
        take=Wanted(globs=[FILE]),
        timeout=seconds,
        seed=1,
        env={},
    )


def judge(made: Attempt) -> Iterator[Finding]:
    """What an attempt shows, in the order of the contract; nothing more where the program does not even start."""
    run = made.obliged.run
    if not made.calls and run.exit_code:
        yield _not_started(made)
        return
    yield Finding(what=made.who, ok=True, text="starts")
    if made.calls:
        yield _found_task(made)
        yield _calls_pass(made)
    else:
        fix = "the model's address is in OPENAI_BASE_URL and ANTHROPIC_BASE_URL, its name in RATCHET_MODEL"
        yield Finding(what=made.who, ok=None, text="asked no model", fix=fix)
    yield _edits_kept(made)
    yield _ends(made)
    yield _speaks(made)


def _not_started(made: Attempt) -> Finding:
    code, words = made.obliged.run.exit_code, _last_words(made)
    if code in CANNOT_START:
        text = f"the command cannot start (exit code {code}): {words}"
        fix = "correct `command`, install the program by `build`, or name its files in `mutable` or `include`"
        return Finding(what=made.who, ok=False, text=text, fix=fix)
    if code == STOPPED:
        text = f"asked no model within its {OBLIGING_SECONDS:.0f} s (exit code {code}): {words}"
        fix = "run `ratchet doctor` again when the machine is less busy; else let the program start sooner"
        return Finding(what=made.who, ok=False, text=text, fix=fix)
    text = f"ends with exit code {code} before it asks the model: {words}"
    fix = "its files lie below /scaffold as in the repository (`mutable`, `include`), its libraries come from `build`"
    return Finding(what=made.who, ok=False, text=text, fix=fix)


def _found_task(made: Attempt) -> Finding:
    if made.model.heard(made.word):
        return Finding(what=made.who, ok=True, text="finds its task")
    fix = "let it read /task/instruction.md, or pass the text: sh -c 'exec agent \"$(cat /task/instruction.md)\"'"
    return Finding(what=made.who, ok=False, text="never told the model what the task asks", fix=fix)


def _calls_pass(made: Attempt) -> Finding:
    refused = [call for call in made.calls if call.status != OK]
    if not refused:
        return Finding(what=made.who, ok=True, text=f"its model calls pass ({len(made.calls)})")
    said = refused[0].response.decode(errors="replace")[:LAST_WORDS]
    text = f"{len(refused)} of {len(made.calls)} model calls were refused: {said}"
    fix = "`ratchet docs models` says what the gateway takes; `switches` in the recipes show how known agents are set"
    return Finding(what=made.who, ok=None if len(refused) < len(made.calls) else False, text=text, fix=fix)


def _edits_kept(made: Attempt) -> Finding:
    if FILE in made.obliged.files:
        return Finding(what=made.who, ok=True, text="its edits are kept")
    if made.model.wrote:
        fix = "let it work in the current folder, /workspace, and leave its files there"
        return Finding(what=made.who, ok=False, text=f"was told to write {FILE}, which is not in /workspace", fix=fix)
    fix = "`ratchet eval` shows whether its work is kept"
    text = "offered the model no tool that doctor knows, so that its edits could not be tried"
    return Finding(what=made.who, ok=None, text=text, fix=fix)


def _ends(made: Attempt) -> Finding:
    if made.ignored.run.ending is Ending.EXITED:
        return Finding(what=made.who, ok=True, text="ends before its deadline")
    fix = "let it end some seconds before RATCHET_SECONDS are over; a box that is stopped loses its last words"
    text = f"was stopped at its deadline ({SILENT_SECONDS:.0f} s) when the model did not answer"
    return Finding(what=made.who, ok=None, text=text, fix=fix)


def _speaks(made: Attempt) -> Finding:
    if made.obliged.run.output.strip():
        return Finding(what=made.who, ok=True, text="prints a transcript")
    fix = "let it print the conversation: it is what the improver learns from"
    return Finding(what=made.who, ok=None, text="prints nothing", fix=fix)


def _last_words(made: Attempt) -> str:
    words = " ".join(made.obliged.run.output.decode(errors="replace").split())
    return words[-LAST_WORDS:] or "it printed nothing"
