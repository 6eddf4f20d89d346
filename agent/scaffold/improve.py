"""Self-improvement: a ladder of ways to edit, each within reach of a weaker model than the one before."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from agent.scaffold import constants, edits, loop
from agent.scaffold.extract import compiles
from agent.scaffold.model import Model
from agent.scaffold.place import Place, clip, say
from agent.scaffold.prompting import render

SETTINGS = "agent/scaffold/settings.py"
ENTRY = "agent/scaffold/__main__.py"
NOTE = "PATCH.md"
LESSONS = "LESSONS.md"  # for the next improver; no part of the patch
SUBJECT_CHARS = 72
REPLY_TOKENS = 4096  # the least room for an edit written as text
CHANGE_TOKENS = 60  # room for one constant and its value
TEMPERATURE = 1.0  # proposals should differ from one another
TRANSCRIPTS = 3
ATTEMPTS = 5  # shown to a small model; a capable one sees all of them
EXCERPT_CHARS = 600


@dataclass(frozen=True, kw_only=True)
class Job:
    """One self-improvement: the model, the place, what the kernel tells, and the files as they were."""

    model: Model
    place: Place
    window: int | None
    brief: dict[str, Any]
    before: dict[str, str]


@dataclass(frozen=True, kw_only=True)
class Note:
    """What PATCH.md says: the subject and the body of the commit."""

    subject: str
    body: str

    @property
    def text(self) -> str:
        """The file's content; the subject fits one line of a log."""
        subject = " ".join(self.subject.split()) or "Change the scaffold"
        if len(subject) > SUBJECT_CHARS:
            subject = subject[: SUBJECT_CHARS - 3] + "..."
        return f"{subject}\n\n{self.body.strip()}\n"


Rung = Callable[[Job], Note]


def improve(model: Model, place: Place, mode: str, window: int | None) -> None:
    """Climb down the ladder until a way of editing leaves a usable change; write it and its PATCH.md."""
    brief = json.loads((place.context / "brief.json").read_text(encoding="utf-8"))
    job = Job(model=model, place=place, window=window, brief=brief, before=place.files())
    for rung in ladder(mode, window):
        note = rung(job)
        fault = unusable(job)
        if not fault:
            if NOTE not in place.files():
                place.write(NOTE, note.text)
            say(NOTE, place.files()[NOTE])
            return
        say("Not usable", fault)
        restore(job)
    say("No change", "no way of editing left a usable change")


def ladder(mode: str, window: int | None) -> list[Rung]:
    """The ways to edit that are within the model's reach, the freest first."""
    if mode == "agent":
        return [by_agent, by_text, by_constant]
    if window is None or window > 2 * REPLY_TOKENS:
        return [by_text, by_constant]
    return [by_constant]


def unusable(job: Job) -> str:
    """Why the workspace cannot be handed in as an improvement, or nothing."""
    after = {name: text for name, text in job.place.files().items() if name not in {NOTE, LESSONS}}
    if after == {name: text for name, text in job.before.items() if name != LESSONS}:
        return "nothing is changed"
    if ENTRY in job.before and ENTRY not in after:
        return f"{ENTRY} is gone: the program could not run"
    broken = [name for name, text in after.items() if name.endswith(".py") and text and not compiles(text, name)]
    return f"not valid Python: {', '.join(broken)}" if broken else ""


def restore(job: Job) -> None:
    """Put the workspace back as it was."""
    for name in job.place.files():
        if name not in job.before:
            (job.place.workspace / name).unlink()
    for name, text in job.before.items():
        job.place.write(name, text)


def by_agent(job: Job) -> Note:
    """The agent loop, in the workspace."""
    question = render("agent_improve", instruction=job.place.instruction, files="\n".join(job.before))
    summary = loop.work(job.model, job.place, question, job.window)
    subject, _, body = summary.partition("\n")
    return Note(subject=subject, body=body)


def by_text(job: Job) -> Note:
    """One reply with SEARCH/REPLACE blocks or whole files."""
    most = max(REPLY_TOKENS, loop.reply_tokens(job.window))
    room = ((job.window or loop.DEFAULT_WINDOW) - most) * loop.CHARS_PER_TOKEN
    question = partial(
        render,
        "improve",
        instruction=job.place.instruction,
        brief=clip(json.dumps(job.brief, indent=1), room // 6),
        transcripts=clip("\n\n".join(transcripts(job, TRANSCRIPTS)), room // 6),
    )
    prompt = question(sources=sources(job.before, room - len(question(sources=""))))
    say("Prompt", prompt)
    message = job.model.chat([{"role": "user", "content": prompt}], max_tokens=most)
    reply = message.get("content") or ""
    say("Reply", reply)
    changed, errors = edits.apply(reply, job.before)
    say("Edits", "\n".join([*(f"{name} is changed" for name in changed), *errors]))
    for name, text in changed.items():
        job.place.write(name, text)
    subject, body = edits.headline(reply)
    return Note(subject=subject, body=body)


def by_constant(job: Job) -> Note:
    """One constant and its new value, under a JSON schema that admits nothing else; no patch is brought over so."""
    if "bring_over" in job.brief:
        return Note(subject="", body="")
    source = job.before[SETTINGS]
    known = constants.parse(source)
    attempts = job.brief["attempts"]
    past = constants.tried([attempt["diff"] for attempt in attempts])
    choices = constants.untried(known, past, random.Random(job.place.seed))  # noqa: S311 no secret
    if not choices:
        return Note(subject="", body="")
    by_name = {item.name: item for item in known}
    listed = [by_name[name] for name in choices]
    schema = constants.schema(choices)
    prompt = render(
        "improve_constant",
        constants="\n".join(f"{c.name} = {c.value} ({c.range}): {c.meaning}" for c in listed),
        score=percent(job.brief["scores"]["parent"]),
        attempts="\n".join(fate(attempt) for attempt in attempts[-ATTEMPTS:]) or "none yet",
        excerpt="\n".join(text[-EXCERPT_CHARS:] for text in transcripts(job, 1)) or "none",
    )
    say("Prompt", prompt)
    form = {"type": "json_schema", "json_schema": {"name": "change", "strict": True, "schema": schema}}
    message = job.model.chat(
        [{"role": "user", "content": prompt}],
        max_tokens=CHANGE_TOKENS,
        temperature=TEMPERATURE,
        top_p=1,
        response_format=form,
    )
    say("Reply", message.get("content") or "")
    return set_constant(job, known, choices, message.get("content") or "")


def set_constant(
    job: Job, known: list[constants.Constant], choices: dict[str, list[constants.Value]], reply: str
) -> Note:
    """Write the settings file with the constant that the reply names changed."""
    try:
        answer = json.loads(reply)
        name, value = answer["change"]["constant"], answer["change"]["value"]
        allowed = value in choices[name]
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        say("Reply does not fit the schema", repr(error))
        return Note(subject="", body="")
    if not allowed:
        say("Reply does not fit the schema", f"{name} may not become {value}")
        return Note(subject="", body="")
    item = next(item for item in known if item.name == name)
    job.place.write(SETTINGS, constants.change(job.before[SETTINGS], item, value))
    numbers = isinstance(value, int) and isinstance(item.value, int)
    verb = ("Raise" if value > item.value else "Lower") if numbers else "Set"
    body = (
        f"{name} ({item.range}): {item.meaning}.\n\nChosen by the model among values not tried yet; it gave no reason."
    )
    return Note(subject=f"{verb} {name} from {item.value} to {value}", body=body)


def fate(attempt: dict[str, Any]) -> str:
    """One past attempt in a line."""
    score = "" if attempt["score"] is None else f", score {percent(attempt['score'])}"
    return f"- {attempt['subject']}: {attempt['fate']}{score}"


def percent(score: float | None) -> str:
    """A score for people and small models."""
    return "unknown" if score is None else f"{score:.0%}"


def transcripts(job: Job, count: int) -> list[str]:
    """Some transcripts of failed trials, another choice for each seed."""
    names = [failure["file"] for failure in job.brief["failures"]]
    random.Random(job.place.seed).shuffle(names)  # noqa: S311 no secret
    return [(job.place.context / name).read_text(encoding="utf-8") for name in names[:count]]


def sources(files: dict[str, str], room: int) -> str:
    """As many whole files as fit, prompts and small ones first."""
    shown, left = [], room
    for name in sorted(files, key=lambda name: (name != SETTINGS, len(files[name]))):
        text = f"{name}\n````\n{files[name].rstrip()}\n````\n"
        if len(text) <= left:
            shown.append(text)
            left -= len(text)
    return "\n".join(shown)
