"""A pair of trials: neither side's time depends on the other's calls, and a void names who had calls under way."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import httpx2
import pytest

from agent.base.errors import BudgetSpent, InfrastructureError
from agent.base.types import BoxSpec, Caps, Purpose, Side, Split, Task, Trial
from agent.config.models import ModelsConfig
from agent.kernel.decide.budget import Budget, Limits, Spent
from agent.models.gateway.record import MemoryRecord
from agent.models.gateway.server import GatewayServer
from agent.models.ports import Blame, Json, Question, Trouble
from agent.models.providers.scripted import ScriptedProvider
from agent.trials.evaluator import Evaluator, Visit
from agent.trials.executor import Executor, Job
from agent.trials.pairs import Void, both
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
    folder: Path,
    provider: ScriptedProvider,
    champion: Program,
    candidate: Program,
    *,
    budget: Budget | None = None,
    before: Callable[[GatewayServer], Coroutine[Any, Any, None]] | None = None,
    **model: Any,
) -> tuple[Trial, Trial] | Void:
    """Both sides at once, each a program of its own; `before` is done to the gateway first."""
    programs = {b"champion": champion, b"candidate": candidate}

    async def scaffold(scene: FakeRun) -> str:
        transport = httpx2.AsyncHTTPTransport(uds=str(scene.socket), limits=httpx2.Limits(max_connections=100))
        async with httpx2.AsyncClient(transport=transport, base_url="http://box", timeout=60) as client:
            await programs[scene.scaffold["who"]](scene, client)
        return "done"

    described = {"provider": "openai", "model": "m", "base_url": "http://127.0.0.1:1/v1", "timeout": 5, **model}
    models = ModelsConfig.model_validate({"solver": described})
    gateway = GatewayServer(models, MemoryRecord(), budget, providers={"solver": provider})
    async with gateway, FakeSandbox({"scaffold": scaffold, "check": check}, folder=folder) as sandbox:  # type: ignore[dict-item]
        if before is not None:
            await before(gateway)
        evaluator = Evaluator(
            sandbox=sandbox,
            visit=Visit(sandbox, gateway, BoxSpec(image="common", gateway=True), ("scaffold",)),
            image="common",
            caps=Caps(),
        )
        scaffolds = {who: {"who": who.encode()} for who in ("champion", "candidate")}
        jobs = [
            Job(tree=who, task=TASK, purpose=Purpose.GATE, seed=1, answer_scope="pair")
            for who in ("champion", "candidate")
        ]
        return await both(Executor(evaluator, scaffolds, 2), *jobs, order_seed=1)


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


async def test_a_provider_that_is_known_to_be_down_runs_no_scaffold_and_voids_no_pair(tmp_path: Path) -> None:
    falls, ran_at_all = Falls(), asyncio.Event()

    async def runs(*_: object) -> None:
        ran_at_all.set()

    async def fall(gateway: GatewayServer) -> None:
        falls.fallen.set()
        gateway.upstreams("solver")[0].health.trip(Trouble("no connection"))

    with pytest.raises(InfrastructureError, match="no connection"):
        await pair(tmp_path, falls, runs, runs, before=fall)
    assert not ran_at_all.is_set()


async def test_a_side_that_meets_the_end_of_the_budget_ends_the_other_at_once(tmp_path: Path) -> None:
    async def spends(_: FakeRun, client: httpx2.AsyncClient) -> None:
        await say(client, "more")

    async def works_on(*_: object) -> None:
        await asyncio.sleep(3600)

    budget = Budget(Limits(tokens=1_000), Spent(tokens=1_000))
    async with asyncio.timeout(5):
        with pytest.raises(BudgetSpent):
            await pair(tmp_path, ScriptedProvider(lambda _: "ok"), works_on, spends, budget=budget)


class SharedSpeed(ScriptedProvider):
    """A model on one machine: each call is the slower the more are in service."""

    running = 0

    async def ask(self, question: Question) -> Json:
        self.running += 1
        left = 0.3
        try:
            while left > 0:
                await asyncio.sleep(0.02)
                left -= 0.02 / self.running
        finally:
            self.running -= 1
        return await super().ask(question)


async def test_a_side_that_fills_a_model_on_this_machine_does_not_slow_the_other_down_to_nothing(
    tmp_path: Path,
) -> None:
    """Alone the champion needs 1.2 s of its 6 s, beside an equal 2.4 s, and beside 15 calls of the other 19 s."""

    async def champion(scene: FakeRun, client: httpx2.AsyncClient) -> None:
        for step in range(4):
            scene.workspace["answer"] = await say(client, f"step {step}")

    async def candidate(scene: FakeRun, client: httpx2.AsyncClient) -> None:
        scene.workspace["answer"] = await say(client, "mine")
        await asyncio.gather(*(say(client, f"junk {i}") for i in range(60)), return_exceptions=True)

    outcome = await pair(tmp_path, SharedSpeed(lambda _: "ok"), champion, candidate)
    assert isinstance(outcome, tuple)
    assert [trial.score for trial in outcome] == [1.0, 1.0]
