"""Ray with one node, this machine: what a job carries arrives there, and a proposal's box is answered by the head."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from agent.base.tools import Clock
from agent.base.types import BoxSpec, CallScope, Caps, Purpose
from agent.config.campaign import ExecutorConfig
from agent.trials.executor import Executor, Job, Visitor
from agent.trials.preparing import Prepared, PrepareFailed, Recipe
from bench.scale.work import SCAFFOLDS, gateway, orders, pairs, tasks
from sandbox.image import ensure_image

ray = pytest.importorskip("ray")

from agent.trials.cluster.backend import cluster  # noqa: E402 - need the extra `ray`
from agent.trials.cluster.node import Seen  # noqa: E402
from agent.trials.cluster.nodes import survey  # noqa: E402

pytestmark = [pytest.mark.docker, pytest.mark.slow]

ASK = b"""
import os, urllib.request
url = os.environ["OPENAI_BASE_URL"].removesuffix("/v1") + "/ratchet/try"
open("said", "wb").write(urllib.request.urlopen(urllib.request.Request(url, data=b"{}")).read())
"""
JOB = Job(tree="tree", task=tasks()[0], purpose=Purpose.EVAL, seed=1, answer_scope=None)
SOLUTION = {"solution.py": b"def add(a, b): return a + b\n"}
TREES = {**SCAFFOLDS, "broken": {"other.py": b""}}
BUILD = ("/bin/sh", "-c", "test -e main.py || { echo there is no main.py; exit 3; }; echo built > mark")


@asynccontextmanager
async def one_node(folder: Path, **changes: object) -> AsyncIterator[tuple[Executor, Visitor]]:
    """A cluster with room for two boxes."""
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    told = replace(orders(ensure_image(), "one"), **changes)  # type: ignore[arg-type]
    async with (
        gateway() as server,
        cluster(told, {told.spec}, ExecutorConfig(), server, parallel=2, say=lambda _: None) as (machines, visit),
    ):
        prepared = Prepared(machines.build, TREES, told.recipe.key, folder) if told.recipe else None
        yield Executor(machines, TREES, 2, prepared), visit


class Tries:
    """A tool that runs a trial, as `ratchet-try` does."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    async def use(self, name: str, body: bytes, clock: Clock) -> Mapping[str, object]:  # noqa: ARG002
        """The trial's score."""
        return {"score": (await self._executor.trial(JOB)).score}


async def test_caps_watchers_and_tries_work_on_a_node_and_a_try_has_room_where_its_proposal_runs(
    tmp_path: Path,
) -> None:
    async with one_node(tmp_path) as (executor, visit):
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


async def test_a_node_builds_a_scaffold_once_and_says_what_a_box_sees_of_it(tmp_path: Path) -> None:
    spec = orders(ensure_image(), "one").spec
    recipe = Recipe(command=BUILD, spec=replace(spec, gateway=False), timeout=60, starved=1)
    async with one_node(tmp_path, recipe=recipe) as (executor, _):
        async with asyncio.timeout(120):
            outcome = await pairs(executor, 1, 2)
            found = await executor.seen("tree")
        assert outcome.verdicts == {0: (1.0, 1.0)}
        assert dict(await executor.scaffold("tree")) == {**SCAFFOLDS["tree"], "mark": b"built\n"}
        assert found["mark"] == hashlib.sha256(b"built\n").hexdigest()
        unbuilt = await executor.trial(replace(JOB, tree="broken"))
        assert (unbuilt.score, unbuilt.transcript) == (0, "there is no main.py\n")
        with pytest.raises(PrepareFailed, match="exit code 3"):
            await executor.scaffold("broken")


def test_doctor_learns_how_many_boxes_the_nodes_can_hold_and_leaves_the_cluster() -> None:
    ray.init(num_cpus=3, resources={"ratchet": 2}, include_dashboard=False, log_to_driver=False)
    spec = BoxSpec(image="i", gateway=True, memory_mb=64)
    found = survey(ExecutorConfig(resources={"ratchet": 1}), {spec}, spec)
    assert found == [2], "the custom resource bounds it"
    assert not ray.is_initialized()
