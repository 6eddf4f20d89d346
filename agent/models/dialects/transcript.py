"""A transcript of a trial, made from the record of its model calls.

What an agent prints is up to the agent; what it asked its model, what tools it called and what they returned is in
the record. Each call sends the whole conversation again, so a message is shown where it was first sent.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from agent.base.refusal import Refusal
from agent.base.types import Call
from agent.models.dialects import turns
from agent.models.dialects.turns import Role, Turn

MESSAGE_CHARS = 8_000
"""Characters of one message that a transcript shows."""
TRANSCRIPT_CHARS = 64_000
"""Characters of all calls of one transcript."""

_Key = tuple[str, str, tuple[tuple[str, str], ...]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """One call: the messages that no earlier call had sent or got, how many it sent again, and what came back.

    `refusal` says why there is no answer; empty where there is one.
    """

    call: Call
    new: tuple[Turn, ...]
    again: int
    answers: tuple[Turn, ...]
    refusal: str


class Talk:
    """The calls of one trial as they come."""

    def __init__(self) -> None:
        self._known: Counter[_Key] = Counter()

    def add(self, call: Call) -> Step:
        """The next call, with what is new in it."""
        sent, answers, seen, new = turns.asked(call), turns.answered(call), Counter[_Key](), list[Turn]()
        for turn in sent:
            seen[key := _key(turn)] += 1
            if seen[key] > self._known[key]:
                new.append(turn)
        self._known |= seen
        for key in map(_key, answers):
            self._known[key] = max(self._known[key], seen[key] + 1)
        again, refusal = len(sent) - len(new), turns.refusal(call)
        return Step(call=call, new=tuple(new), again=again, answers=tuple(answers), refusal=refusal)


def steps(calls: Sequence[Call]) -> Iterator[Step]:
    """The calls of one trial in order, each with what is new in it."""
    talk = Talk()
    return map(talk.add, calls)


def _key(turn: Turn) -> _Key:
    """What a message says. Clients leave thoughts out when they send an answer again, and trim white space."""
    return turn.role, turn.text.strip(), tuple((tool.name, tool.arguments) for tool in turn.tools)


def transcript(calls: Sequence[Call], *, chars: int = TRANSCRIPT_CHARS) -> str:
    """The calls of one trial as text: at most about `chars` characters, calls in the middle left out first."""
    parts = [_part(number, step) for number, step in enumerate(steps(calls), 1)]
    return "\n\n".join(_within(parts, chars))


def with_output(
    calls: Sequence[Call], refusals: Sequence[Refusal], output: str, *, chars: int = TRANSCRIPT_CHARS
) -> str:
    """The calls of one trial, then what its agent printed; that alone where it holds the whole conversation.

    `refusals` are the calls that the gateway refused without asking a model.
    """
    if not refusals and (not calls or _holds(output, calls)):
        return output
    parts = [transcript(calls, chars=chars)] if calls else []
    parts += ["=== refused without asking a model\n" + "\n".join(map(refused, refusals))] if refusals else []
    recorded = "## Model calls, from the record\n\n" + "\n\n".join(parts) + "\n"
    return f"{recorded}\n## What the agent printed\n\n{output}" if output.strip() else recorded


def _holds(output: str, calls: Sequence[Call]) -> bool:
    """Whether an agent printed every message and every tool call in full, and no call was refused."""
    for step in steps(calls):
        said = [turn.text.strip() for turn in (*step.new, *step.answers)]
        said += [tool.arguments for turn in step.answers for tool in turn.tools]
        if step.refusal or not all(text in output for text in said):
            return False
    return True


def refused(refusal: Refusal) -> str:
    """A call that the gateway refused, in a line."""
    times = f" ({refusal.times} times)" if refusal.times > 1 else ""
    return f"{refusal.status} {refusal.code}: {refusal.reason}{times}"


def headline(number: int, call: Call) -> str:
    """One call in a line."""
    source = "" if call.fresh else ", shared answer"
    return f"call {number}: {call.role}, {call.tokens_in}+{call.tokens_out} tokens, {call.seconds:.2f} s{source}"


def body(step: Step) -> list[str]:
    """What is new in a call, a block for each message, and its answer or refusal."""
    head = [f"[{step.again} message{'s' if step.again > 1 else ''} as before]"] if step.again else []
    blocks = [_block(turn.role, turn) for turn in step.new]
    blocks += [_block("answer", turn) for turn in step.answers]
    return [*head, *blocks, *([f"--- refused\n{step.refusal}"] if step.refusal else [])]


def _part(number: int, step: Step) -> str:
    return "\n".join([f"=== {headline(number, step.call)}", *body(step)])


def _block(name: str, turn: Turn) -> str:
    label = f"{name} (result of {turn.answers})" if turn.role is Role.TOOL and turn.answers else name
    lines = [f"--- {label}"]
    lines += [f"[thinking] {middle_out(turn.thinking, MESSAGE_CHARS)}"] if turn.thinking else []
    lines += [middle_out(turn.text, MESSAGE_CHARS)] if turn.text else []
    lines += [f"[calls {tool.name}] {middle_out(tool.arguments, MESSAGE_CHARS)}" for tool in turn.tools]
    return "\n".join(lines)


def _within(parts: Sequence[str], chars: int) -> list[str]:
    """The first part and as many of the last ones as fit; those two are cut where they alone are too long."""
    if sum(map(len, parts)) <= chars:
        return [*parts]
    first, *rest = parts
    first = middle_out(first, chars // 2)
    left, last = chars - len(first), list[str]()
    while rest and (len(rest[-1]) <= left or not last):
        last.insert(0, middle_out(rest.pop(), left))
        left -= len(last[0])
    return [first, *([f"… {len(rest)} calls left out …"] if rest else []), *last]


def middle_out(text: str, limit: int) -> str:
    """The beginning and the end of a text."""
    if len(text) <= limit:
        return text
    head = limit // 3
    return f"{text[:head]}\n… ({len(text) - limit} characters left out) …\n{text[len(text) - limit + head :]}"
