"""What the doctor says of an agent that breaks a promise, and of one that keeps all of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agent.base.types import Call, Ending
from agent.base.usage import Usage
from agent.cli.conformance import Attempt, judge
from agent.models.ports import Question
from agent.models.providers.obliging import Obliging
from agent.trials.executor import Visited
from sandbox.fake import ran
from tests.cli.test_init import ratchet

BASH = {"name": "bash", "parameters": {"properties": {"command": {"type": "string"}}}}


def call(status: int = 200, said: bytes = b"{}") -> Call:
    return Call(
        trial="t", role="r", model="m", key="k", k=0, answer_scope=None, fresh=True, request=b"{}", response=said,
        status=status, tokens_in=0, tokens_out=0, dollars=None, seconds=0.0, retries=0,
    )  # fmt: skip


def question(body: dict[str, object]) -> Question:
    return Question(body=body, trial="t", answer_scope=None, key="k", k=0)


def visited(
    output: str = "said", code: int | None = 0, ending: Ending = Ending.EXITED, *, wrote: bool = True
) -> Visited:
    files = {"solution.py": b"x = 1\n"} if wrote else {}
    return Visited(run=ran(output, code, ending), files=files, fault=None, usage=Usage())


async def said(
    obliged: Visited, *calls: Call, ignored: Visited | None = None, prompt: str = "the word", tools: bool = True
) -> dict[str, bool | None]:
    model = Obliging()
    if calls:
        messages = [{"role": "user", "content": prompt}]
        await model.ask(question({"messages": messages, "tools": [{"function": BASH}] if tools else []}))
    made = Attempt(who="agent", word="word", obliged=obliged, ignored=ignored or visited(), model=model, calls=calls)
    findings = [*judge(made)]
    assert all(finding.fix for finding in findings if not finding.ok)
    return {finding.text: finding.ok for finding in findings}


async def test_an_agent_that_keeps_the_contract_has_nothing_to_fix() -> None:
    found = await said(visited(), call(), call())
    assert set(found.values()) == {True}
    assert "its model calls pass (2)" in found


@pytest.mark.parametrize(
    ("obliged", "text"),
    [
        (visited("cannot start 'my-agent'", 127), "cannot start (exit code 127): cannot start 'my-agent'"),
        (visited("ImportError: no openai", 1), "before it asks the model: ImportError: no openai"),
        (visited("", 3), "it printed nothing"),
        (visited("starting", 124), "asked no model within its 60 s (exit code 124): starting"),
    ],
)
async def test_one_that_does_not_start_is_a_failure_and_nothing_more_is_said(obliged: Visited, text: str) -> None:
    found = await said(obliged)
    assert [*found.values()] == [False]
    assert text in next(iter(found))


async def test_each_broken_promise_is_named() -> None:
    lost = await said(visited(wrote=False), call(), prompt="something else")
    assert lost["never told the model what the task asks"] is False
    assert lost["was told to write solution.py, which is not in /workspace"] is False
    refused = await said(visited(), call(400, b"no such tool"))
    assert refused["1 of 1 model calls were refused: no such tool"] is False
    partly = await said(visited(), call(), call(400, b"no"))
    assert partly["1 of 2 model calls were refused: no"] is None


async def test_what_may_be_meant_is_a_note() -> None:
    stopped = visited("", None, Ending.TIMEOUT)
    found = await said(visited("", wrote=False), call(), ignored=stopped, tools=False)
    assert found["prints nothing"] is None
    assert found["was stopped at its deadline (25 s) when the model did not answer"] is None
    assert [ok for text, ok in found.items() if "could not be tried" in text] == [None]
    assert (await said(visited()))["asked no model"] is None


def shell_agent(folder: Path, **scaffold: object) -> Path:
    """A repository with the recipe of a shell script, and a scripted model."""
    assert ratchet(folder, "init", "--agent", "shell", "mine").returncode == 0
    home = folder / "mine"
    text = (home / "campaign.yaml").read_text().replace("{provider: embedded}", "{provider: scripted, script: s.yaml}")
    lines = "".join(f"\n  {key}: {json.dumps(value)}" for key, value in scaffold.items())
    (home / "campaign.yaml").write_text(text.replace("\nscaffold:", f"\nscaffold:{lines}"))
    (home / "s.yaml").write_text("rules: [{reply: ready}]\n")
    return home


@pytest.mark.slow
@pytest.mark.docker
def test_an_agent_is_tried_in_real_boxes(tmp_path: Path) -> None:
    done = ratchet(shell_agent(tmp_path), "doctor", seconds=600)
    assert done.returncode == 0, done.stdout
    promises = ("starts", "finds its task", "its model calls pass (2)", "its edits are kept", "ends before", "prints a")
    for text in promises:
        assert f"ok   agent    {text}" in done.stdout, done.stdout
    assert "FAIL" not in done.stdout


@pytest.mark.slow
@pytest.mark.docker
def test_a_misspelt_include_or_a_command_that_cannot_start_fails(tmp_path: Path) -> None:
    home = shell_agent(tmp_path, include=["agnet"])
    done = ratchet(home, "doctor", seconds=600)
    assert done.returncode == 2
    assert "scaffold.include: `agnet` is not in commit" in done.stdout
    text = (home / "campaign.yaml").read_text().replace('"agnet"', "").replace('"sh", "/scaffold', '"shh", "/scaffold')
    (home / "campaign.yaml").write_text(text)
    done = ratchet(home, "doctor", seconds=600)
    assert done.returncode == 2, done.stdout
    assert "FAIL agent    the command cannot start (exit code 127)" in done.stdout
