"""Runs a scaffold on the task "improve yourself" in a box, and returns what it left in the mutable paths.

The kernel holds no prompt: what is asked is in `tasks/self-improvement/`, and how to do it is up to the program that is
asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from agent.base.errors import Refused
from agent.base.text import escaped
from agent.base.tools import Tools
from agent.base.types import NO_FILES, CallScope, Caps, Files
from agent.base.usage import Usage
from agent.kernel.decide.boundary import LEFTOVER_FOLDERS, Boundary, Change, check_python, message, python_faults
from agent.kernel.decide.parsing import Readings
from agent.kernel.loop.lessons import LESSONS
from agent.kernel.loop.reading import PythonReader
from agent.models.ports import proposal_name
from agent.trials.evaluator import MODEL_ALIAS
from agent.trials.executor import Visited, Visitor, Wanted
from agent.trials.heartbeat import unstopped
from agent.trials.leftovers import below, leftovers

PATCH_MESSAGE = "PATCH.md"
REPOSITORY = ".git/"
SHOWN_PATHS = 5


@dataclass(frozen=True, kw_only=True, slots=True)
class Proposal:
    """What came of one attempt: an admitted change, or the reason why there is none.

    `readings` holds all Python of the trees before and after the change; `lessons` is the file of that name, if any,
    and `left` what a refused attempt left in the mutable paths. `used` is what its model calls cost.
    """

    change: Change | None
    readings: Readings
    subject: str
    body: str
    refusal: str
    transcript: str
    lessons: bytes | None = None
    left: Files = field(default_factory=lambda: NO_FILES)
    used: Usage = field(default_factory=Usage)


class Proposer:
    """Asks a scaffold to improve itself; with `program`, another program's files, asks that one to do it.

    `bring_over` is what is asked besides `instruction` where a patch is to be brought over.
    """

    def __init__(
        self,
        *,
        visit: Visitor,
        instruction: str,
        boundary: Boundary,
        caps: Caps,
        timeout: float,
        program: Files | None = None,
        bring_over: str = "",
    ) -> None:
        self.reader = PythonReader()
        self._boundary = boundary
        self._visit, self._instruction = visit, instruction
        self._caps, self._timeout, self._program = caps, timeout, program
        self._bring_over = bring_over

    async def propose(
        self,
        *,
        scaffold: Files,
        mutable: Files,
        context: Files,
        beside: Files,
        tools: Tools,
        seed: int,
        bring_over: bool = False,
    ) -> Proposal:
        """One attempt of the scaffold `scaffold`, whose mutable files are `mutable`; `repository` is its `.git`.

        `context` is put below `/task`, `beside` into the workspace beside the mutable files; `tools` answer the box.
        `bring_over`: a patch is to be brought over, about which `context` has all that is known.

        Raises:
            InfrastructureError: the attempt is void.
        """
        asked = self._bring_over if bring_over else ""
        name, models = proposal_name(seed), {MODEL_ALIAS: "improver"}
        async with unstopped():
            visited = await self._visit(
                scope=CallScope(trial=name, models=models, caps=self._caps, tools=tools),
                scaffold=scaffold if self._program is None else self._program,
                task={"instruction.md": (self._instruction + asked).encode(), **context},
                workspace={**beside, **mutable},
                take=self.wanted(mutable),
                timeout=self._timeout,
                seed=seed,
                env={},
            )
        lessons = None if LESSONS in mutable else visited.files.get(LESSONS)
        left, note, ignored = self._sorted_out(mutable, visited)
        transcript = visited.run.output.decode(errors="replace") + (f"\n[{ignored}]\n" if ignored else "")
        try:
            _check_taken(visited)
            change, readings = await self.admitted(mutable, left)
        except Refused as refusal:
            ended = f" (exit code {visited.run.exit_code})" if visited.run.exit_code else ""
            reason = f"{refusal}{ended}" + (f"; {ignored}" if ignored else "")
            subject, body = _refused_message(note, _touched(mutable, left))
            return Proposal(
                change=None,
                readings={},
                subject=subject,
                body=body,
                refusal=reason,
                transcript=transcript,
                lessons=lessons,
                left=left,
                used=visited.usage,
            )
        subject, body = message(note, change)
        return Proposal(
            change=change,
            readings=readings,
            subject=subject,
            body=body,
            refusal="",
            transcript=transcript,
            lessons=lessons,
            used=visited.usage,
        )

    def wanted(self, before: Files) -> Wanted:
        """What is taken out of a box: the mutable paths, and the two notes at the top."""
        limits = self._boundary
        return Wanted(
            globs=[PATCH_MESSAGE, LESSONS, *below(limits.mutable)],
            without=[*below(limits.frozen), *leftovers(before, LEFTOVER_FOLDERS)],
            max_files=2 * limits.max_total_files,
            max_bytes=2 * limits.max_total_bytes,
            named=True,
        )

    def _sorted_out(self, before: Files, visited: Visited) -> tuple[Files, bytes | None, str]:
        """What a box left: files for the patch, the topmost new PATCH.md, and what is ignored, in words.

        Tools leave caches, histories and notes beside the mutable paths, and put PATCH.md beside the files they change.
        """
        after = {path: data for path, data in visited.files.items() if path != LESSONS or path in before}
        notes = [path for path in after if path.rpartition("/")[2] == PATCH_MESSAGE and path not in before]
        covers = self._boundary.covers
        notes = [path for path in notes if path == PATCH_MESSAGE or covers(path)]
        left = {path: data for path, data in after.items() if covers(path)}
        ignored = _ignored(sorted({*visited.names} - left.keys() - {*notes, LESSONS, REPOSITORY}))
        note = min(notes, key=lambda path: (path.count("/"), path), default=None)
        files = {path: data for path, data in left.items() if path not in notes}
        return files, after[note] if note is not None else None, ignored

    async def admitted(self, before: Files, after: Files) -> tuple[Change, Readings]:
        """The patch between two trees of mutable files, and how Python reads both; no Python is parsed in here.

        Raises:
            Refused: with the reason in words.
        """
        change = self._boundary.admit(before, after)
        readings = await self.reader.read(before, change.files)
        check_python(change, readings)
        return change, readings

    async def faults(self, before: Files, after: Files) -> tuple[list[str], Change, Readings]:
        """Every reason for which the patch between two trees would be refused, and how Python reads it."""
        change, faults = self._boundary.faults(before, after)
        try:
            readings = await self.reader.read(before, change.files)
        except Refused as unread:
            return [*faults, str(unread)], change, {}
        return [*faults, *python_faults(change, readings)], change, readings


def _touched(before: Files, after: Files) -> tuple[str, ...]:
    return tuple(sorted(path for path in {*before, *after} if before.get(path) != after.get(path)))


def _refused_message(note: bytes | None, touched: tuple[str, ...]) -> tuple[str, str]:
    """What the author of a refused patch says of it; without a word, what it touches."""
    if note is None and not touched:
        return "No patch", ""
    return message(note, Change(changed=touched or ("nothing",), added=(), removed=(), files=NO_FILES))


def _ignored(paths: Sequence[str]) -> str:
    """Names files that are not part of the patch; empty if there are none."""
    if not paths:
        return ""
    shown = ", ".join(f"`{escaped(path)}`" for path in paths[:SHOWN_PATHS])
    more = f" and {len(paths) - SHOWN_PATHS} more" if len(paths) > SHOWN_PATHS else ""
    return f"ignored outside the mutable paths: {shown}{more}"


def _check_taken(visited: Visited) -> None:
    if visited.fault is not None:
        raise Refused(visited.fault)
