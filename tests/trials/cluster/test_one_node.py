"""Ray with one node, this machine: what a job carries arrives there, and a proposal's box is answered by the head."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from agent.base.tools import Clock
from agent.base.types import CallScope, Caps, Purpose
from agent.trials.executor import Job, Visitor
from bench.scale.work import SCAFFOLDS, gateway, orders, pairs, tasks
from sandbox.image import ensure_image

ray = pytest.importorskip("ray")

from agent.trials.cluster.executor import RayExecutor, cluster  # noqa: E402 - need the extra `ray`
from agent.trials.cluster.node import Seen  # noqa: E402
from agent.trials.cluster.seats import Need  # noqa: E402

pytestmark = [pytest.mark.docker, pytest.mark.slow]

ASK = b"""
import os, urllib.request
url = os.environ["OPENAI_BASE_URL"].removesuffix("/v1") + "/ratchet/try"
open("said", "wb").write(urllib.request.urlopen(urllib.request.Request(url, data=b"{}")).read())
"""
JOB = Job(tree="tree", task=tasks()[0], purpose=Purpose.EVAL, seed=1, answer_scope=None)
SOLUTION = {"solution.py": b"def add(a, b): return a + b\n"}


@asynccontextmanager
async def one_node() -> AsyncIterator[tuple[RayExecutor, Visitor]]:
    """A cluster with room for two boxes."""
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    need = Need(cpus=1, memory=256 << 20, custom={})
    told = orders(ensure_image(), "one")
    async with (
        gateway() as server,
        cluster(
            told, address="auto", need=need, gateway=server, scaffolds=SCAFFOLDS, parallel=2, say=lambda _: None
        ) as found,
    ):
        yield found


class Tries:
    """A tool that runs a trial, as `ratchet-try` does."""

    def __init__(self, executor: RayExecutor) -> None:
        self._executor = executor

    async def use(self, name: str, body: bytes, clock: Clock) -> Mapping[str, object]:  # noqa: ARG002
        """The trial's score."""
        return {"score": (await self._executor.trial(JOB)).score}


async def test_caps_watchers_and_tries_work_on_a_node_and_a_try_has_room_where_its_proposal_runs() -> None:
    async with one_node() as (executor, visit):
        assert (await pairs(executor, 2, 2)).verdicts == {0: (1.0, 1.0), 1: (0.0, 0.0)}
        seen, begun = Seen(), list[str]()
        await executor.trial(replace(JOB, watcher=seen), lambda: begun.append("begun"))
        assert begun == ["begun"]
        assert seen.last is not None
        assert (seen.last[0], seen.last[1].score) == (SOLUTION, 1)
        assert (await executor.trial(replace(JOB, caps=Caps(calls=1)))).usage.calls == 1
        scope = CallScope(trial="p1", models={"ratchet": "solver"}, tools=Tries(executor))
        async with asyncio.timeout(120):
            visited = await visit(
                scope=scope,
                scaffold={"main.py": ASK},
                task={},
                workspace={},
                take=["said"],
                timeout=60,
                seed=1,
                env={},
            )
        assert visited.files == {"said": b'{"score":1.0}'}
