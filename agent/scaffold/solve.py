"""The single-shot path: draw answers one after another until one passes the visible examples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from agent.scaffold import examples, settings
from agent.scaffold.extract import compiles, extract
from agent.scaffold.model import Model, text_of
from agent.scaffold.place import Place, clip, say
from agent.scaffold.prompting import render, shot

CHARS_PER_TOKEN = 3  # cautious, so that a prompt does not overflow the window
FEEDBACK_CHARS = 800  # of the wrong answer, and of its failure, shown in a retry
STOP = ["\n```\n"]  # nothing after the first code block is of use


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One reply of the model, the code in it, and what the visible examples say."""

    reply: str
    code: str
    valid: bool
    report: examples.Report

    @property
    def rank(self) -> tuple[bool, int]:
        """Greater is better."""
        return self.valid, self.report.passed


def solve(model: Model, place: Place, window: int | None) -> None:
    """Write the best answer over the starting file; a better one replaces it as soon as it is there."""
    files, instruction = place.files(), place.instruction
    name = target(files, instruction)
    question = opening(instruction, name, files.get(name, ""), window)
    say("Prompt", question[-1]["content"])
    best: Answer | None = None
    for number in range(settings.SAMPLES + settings.RETRIES):
        retrying = best is not None and number >= settings.SAMPLES
        messages = question + feedback(best) if best and retrying else question
        say(f"Retry {number - settings.SAMPLES + 1}" if retrying else f"Sample {number + 1}")
        answer = draw(model, place, messages, name)
        if best is None or answer.rank > best.rank:
            best = answer
            if answer.valid:
                place.write(name, answer.code)
        if answer.report.good:
            break
    handed = best is not None and best.valid
    say("End", f"{name} is written" if handed else f"{name} is left as it was: no answer is valid code")


def draw(model: Model, place: Place, messages: list[dict[str, Any]], name: str) -> Answer:
    """Ask once and try the answer on the visible examples."""
    message = model.chat(messages, max_tokens=settings.MAX_TOKENS, temperature=settings.TEMPERATURE / 100, stop=STOP)
    reply = text_of(message.get("content"))
    say("Reply", reply)
    code = extract(reply, settings.EXTRACT)
    valid = compiles(code, name)
    report = examples.run(code, name, place.instruction, place.workspace)
    say("Examples", f"{report.passed} of {report.total} visible examples pass\n\n{report.failure}")
    return Answer(reply=reply, code=code, valid=valid, report=report)


def opening(instruction: str, name: str, stub: str, window: int | None) -> list[dict[str, Any]]:
    """The worked example and the question; a question too long for the window loses its middle."""
    shots = shot() if settings.SHOT else []
    start = render("stub", path=name, code=stub.strip()) if settings.INCLUDE_STUB and stub.strip() else ""
    if window is not None:
        used = len(start) + sum(len(message["content"]) for message in shots)
        room = (window - settings.MAX_TOKENS) * CHARS_PER_TOKEN - used - 2 * FEEDBACK_CHARS
        instruction = clip(instruction, max(room, FEEDBACK_CHARS))
    question = render("solve", instruction=instruction.strip(), stub=start, path=name)
    return [*shots, {"role": "user", "content": question.strip()}]


def feedback(answer: Answer) -> list[dict[str, Any]]:
    """The wrong answer and what is wrong with it."""
    failure = answer.report.failure or ("" if answer.valid else "SyntaxError")
    return [
        {"role": "assistant", "content": clip(answer.reply, FEEDBACK_CHARS)},
        {"role": "user", "content": render("retry", failure=clip(failure, FEEDBACK_CHARS))},
    ]


def target(files: dict[str, str], instruction: str) -> str:
    """The file to write: the only one there is, else the first that the instruction names."""
    if len(files) == 1:
        return next(iter(files))
    return next((name for name in files if name in instruction), "solution.py")
