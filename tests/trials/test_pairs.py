"""A pair of trials: neither side's time depends on the other's calls, and a void names who had calls under way."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import httpx2

from agent.base.types import BoxSpec, Caps, Purpose, Side, Split, Task, Trial
from agent.config.models import ModelsConfig
from agent.models.gateway.record import MemoryRecord
from agent.models.gateway.server import GatewayServer
from agent.models.ports import Blame, Json, Question, Trouble
from agent.models.providers.scripted import ScriptedProvider
from agent.trials.evaluator import Evaluator, Visit, Void, both
from agent.trials.executor import Job
from sandbox.fake import FakeRun, FakeSandbox, ran

TASK = Task(
    id="t",
    split=Split.GATE,
    instruction="Answer.",
    files={"answer": b"?"},
    submit=("answer",),
    tests={"hidden": b"ok"},
    check=("check", "$RATCHET_JUNIT"),
    junit=1,
    solve_timeout=6.0,
)
Program = Callable[[FakeRun, httpx2.AsyncClient], Coroutine[Any, Any, None]]


async def say(client: httpx2.AsyncClient, text: str) -> bytes:
    body = {"model": "ratchet", "messages": [{"role": "user", "content": text}]}
    reply = await client.post("/v1/chat/completions", json=body)
    return str(reply.json().get("choices", [{}])[0].get("message", {}).get("content")).encode()


def check(scene: FakeRun) -> object:
    path = scene.env["RATCHET_JUNIT"].removeprefix("/workspace/")
    right = scene.workspace["answer"] == scene.workspace["hidden"]
    scene.workspace[path] = b"<testsuite><testcase/></testsuite>" if right else b""
    return ran()


async def pair(
    folder: Path, provider: ScriptedProvider, champion: Program, candidate: Program, **model: Any
) -> tuple[Trial, Trial] | Void:
    """Both sides at once, each a program of its own."""
    programs = {b"champion": champion, b"candidate": candidate}

    async def scaffold(scene: FakeRun) -> str:
        transport = httpx2.AsyncHTTPTransport(uds=str(scene.socket), limits=httpx2.Limits(max_connections=100))
        async with httpx2.AsyncClient(transport=transport, base_url="http://box", timeout=60) as client:
            await programs[scene.scaffold["who"]](scene, client)
        return "done"

    described = {"provider": "openai", "model": "m", "base_url": "http://127.0.0.1:1/v1", "timeout": 5, **model}
    models = ModelsConfig.model_validate({"solver": described})
    gateway = GatewayServer(models, MemoryRecord(), providers={"solver": provider})
    async with gateway, FakeSandbox({"scaffold": scaffold, "check": check}, folder=folder) as sandbox:  # type: ignore[dict-item]
        evaluator = Evaluator(
            sandbox=sandbox,
            visit=Visit(sandbox, gateway, BoxSpec(image="common", gateway=True), ("scaffold",)),
            image="common",
            scaffolds={who: {"who": who.encode()} for who in ("champion", "candidate")},
            caps=Caps(),
            parallel=2,
        )
        jobs = [
            Job(tree=who, task=TASK, purpose=Purpose.GATE, seed=1, answer_scope="pair")
            for who in ("champion", "candidate")
        ]
        return await both(evaluator, *jobs, order_seed=1)


async def test_a_side_that_floods_neither_scores_the_other_0_nor_wins_time(tmp_path: Path) -> None:
    class Slow(ScriptedProvider):
        async def ask(self, question: Question) -> Json:
            await asyncio.sleep(0.8)
            return await super().ask(question)

    async def champion(scene: FakeRun, client: httpx2.AsyncClient) -> None:
        await asyncio.sleep(0.3)
        for step in range(4):  # 3.2 s with the provider, and as much again behind the other side's calls
            scene.workspace["answer"] = await say(client, f"step {step}")

    async def candidate(_: FakeRun, client: httpx2.AsyncClient) -> None:
        await asyncio.gather(*(say(client, f"junk {i}") for i in range(40)), return_exceptions=True)

    outcome = await pair(tmp_path, Slow(lambda _: "ok"), champion, candidate, concurrency=1)
    assert isinstance(outcome, tuple)
    first, second = outcome
    assert (first.score, second.score) == (1.0, 0.0)
    assert first.seconds > TASK.solve_timeout, "its clock stood still behind the other side's calls"


class Falls(ScriptedProvider):
    """Is gone from its first call on."""

    def __init__(self) -> None:
        super().__init__(lambda _: "ok")
        self.fallen = asyncio.Event()

    async def ask(self, question: Question) -> Json:  # noqa: ARG002
        self.fallen.set()
        raise Trouble("no connection")

    async def probe(self) -> None:
        if self.fallen.is_set():
            raise Trouble("no connection")


async def test_a_void_names_the_side_whose_calls_were_under_way_even_if_the_other_meets_it_later(
    tmp_path: Path,
) -> None:
    falls = Falls()

    async def champion(_: FakeRun, client: httpx2.AsyncClient) -> None:
        await falls.fallen.wait()
        await asyncio.sleep(0.4)
        await say(client, "later")

    async def candidate(_: FakeRun, client: httpx2.AsyncClient) -> None:
        await say(client, "poison")

    outcome = await pair(tmp_path, falls, champion, candidate, attempts=1)
    assert isinstance(outcome, Void)
    assert outcome.side is Side.CANDIDATE


async def test_a_void_in_which_both_sides_had_calls_under_way_is_nobody_s(tmp_path: Path) -> None:
    class Together(Falls):
        calls = 0

        async def ask(self, question: Question) -> Json:
            self.calls += 1
            while self.calls < 2:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            return await super().ask(question)

    async def asks(scene: FakeRun, client: httpx2.AsyncClient) -> None:
        await say(client, f"of {scene.scaffold['who'].decode()}")

    outcome = await pair(tmp_path, Together(), asks, asks, attempts=1)
    assert isinstance(outcome, Void)
    assert outcome.side is Side.BOTH


async def test_a_busy_provider_that_works_voids_nothing(tmp_path: Path) -> None:
    class Busy(ScriptedProvider):
        async def ask(self, question: Question) -> Json:
            if "junk" in str(question.body):
                raise Trouble("HTTP 429", blame=Blame.BUSY, retry_after=0.05)
            return await super().ask(question)

    async def champion(scene: FakeRun, client: httpx2.AsyncClient) -> None:
        scene.workspace["answer"] = await say(client, "honest")

    async def candidate(_: FakeRun, client: httpx2.AsyncClient) -> None:
        await asyncio.gather(*(say(client, f"junk {i}") for i in range(20)), return_exceptions=True)

    outcome = await pair(tmp_path, Busy(lambda _: "ok"), champion, candidate)
    assert isinstance(outcome, tuple)
    assert (outcome[0].score, outcome[1].score) == (1.0, 0.0)
