"""Each recipe in a real box, through the real gateway, with a scripted model: the agent works as it is."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from fnmatch import fnmatch

import pytest
import pytest_asyncio

from agent.base.types import Caps, Ending, Files
from agent.config.models import ModelsConfig
from agent.models.gateway.record import MemoryRecord
from agent.models.gateway.server import GatewayServer
from agent.models.ports import Question
from agent.models.providers.scripted import ScriptedProvider
from sandbox.docker_sandbox import DockerSandbox
from tests.clients import boxes, recipes
from tests.clients.acting import solving
from tests.clients.known import CLIENTS, improving
from tests.clients.recipes import Recipe
from tests.clients.server import Json, Step, completion, in_turn

pytestmark = [pytest.mark.slow, pytest.mark.docker, pytest.mark.asyncio(loop_scope="module")]
NAMES = recipes.names()
MODELS = {"solver": {"provider": "replay", "context_window": 200_000, "max_output": 64_000}}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def sandbox(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[DockerSandbox]:
    folder = tmp_path_factory.mktemp("b")
    async with DockerSandbox("boxes", f"recipes-{folder.name}", folder, ready=0) as opened:
        yield opened


def model(choose: Callable[[Json], Step]) -> ScriptedProvider:
    """A scripted model that speaks Chat Completions, whatever the client speaks."""
    numbers = iter(range(1, 100))
    return ScriptedProvider(lambda body: completion(choose(body), next(numbers), "scripted"))


def wanted(files: Files, recipe: Recipe) -> Files:
    """What was left in the workspace, without the leftovers that the recipe names."""
    globs = recipe.data["leftovers"]
    return {path: content for path, content in files.items() if not any(fnmatch(path, glob) for glob in globs)}


@pytest.mark.parametrize("name", NAMES)
async def test_an_agent_solves_a_task_in_a_box(name: str, sandbox: DockerSandbox) -> None:
    client, recipe = CLIENTS[name], recipes.load(name)
    provider = model(in_turn(client.steps, client.aside))
    record = MemoryRecord()
    async with GatewayServer(ModelsConfig.model_validate(MODELS), record, providers={"solver": provider}) as gateway:
        visited = await boxes.visit(sandbox, gateway, recipe)
    said = visited.run.output.decode()
    assert visited.run.exit_code == 0, said[-3000:]
    assert set(wanted(visited.files, recipe)) == {"solution.py"}
    assert visited.files["solution.py"].startswith(b"x")
    assert visited.usage.calls == len(client.steps)
    assert [call.status for call in record.calls] == [200] * len(client.steps)
    if recipe.data["transcript"]["format"] == "jsonl":
        events = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
        assert len(events) >= 2
    assert "Done." in said or name == "aider"


@pytest.mark.parametrize("name", NAMES)
async def test_an_agent_rewrites_its_own_scaffold_and_leaves_nothing_else(name: str, sandbox: DockerSandbox) -> None:
    recipe, line, patch = recipes.load(name), "# Be exact.\n", "Ask for exact work\n\nBecause.\n"
    prompt = next(path for path in recipe.files if path.endswith((".md", ".yaml")))
    steps = improving(name, prompt, line, patch)
    models = ModelsConfig.model_validate(MODELS)
    async with GatewayServer(models, MemoryRecord(), providers={"solver": model(in_turn(steps))}) as gateway:
        visited = await boxes.visit(
            sandbox, gateway, recipe, workspace=recipe.files, task="Improve yourself.", context={"brief.json": b"{}"}
        )
    assert visited.run.exit_code == 0, visited.run.output.decode()[-3000:]
    assert wanted(visited.files, recipe) == {
        **recipe.files,
        prompt: recipe.files[prompt] + line.encode(),
        "PATCH.md": patch.encode(),
    }


@pytest.mark.parametrize("name", NAMES)
async def test_the_second_box_of_a_pair_gets_the_answers_of_the_first(name: str, sandbox: DockerSandbox) -> None:
    client, record = CLIENTS[name], MemoryRecord()
    steps = solving(name, "x = 1")
    left = iter([*steps, *steps])
    provider = model(lambda body: Step(text=client.aside) if client.aside and not body.get("tools") else next(left))
    models = ModelsConfig.model_validate(MODELS)
    async with GatewayServer(models, record, providers={"solver": provider}) as gateway:
        first, second = [
            await boxes.visit(sandbox, gateway, client.recipe, trial=side, answers="pair") for side in ("a", "b")
        ]
    assert first.usage.fresh_calls == first.usage.calls >= len(steps)
    assert (second.usage.calls, second.usage.fresh_calls) == (first.usage.calls, 0), [
        call.request.decode()[:3000] for call in record.calls if call.fresh
    ]


@pytest.mark.parametrize("name", NAMES)
async def test_what_runs_is_the_candidate(name: str, sandbox: DockerSandbox) -> None:
    recipe = recipes.load(name)
    entry = recipe.command[-1].removeprefix("/scaffold/")
    assert entry in recipe.files
    broken = replace(recipe, files={**recipe.files, entry: b"exit 3\n"})
    models = ModelsConfig.model_validate(MODELS)
    provider = model(lambda _: Step(text="never"))
    async with GatewayServer(models, MemoryRecord(), providers={"solver": provider}) as gateway:
        visited = await boxes.visit(sandbox, gateway, broken)
    assert visited.run.exit_code == 3
    assert not visited.files
    assert visited.usage.calls == 0


class Silent(ScriptedProvider):
    """A model that never answers."""

    async def ask(self, question: Question) -> Json:  # noqa: ARG002 - whatever is asked
        await asyncio.sleep(3600)
        return {}


async def test_an_agent_whose_model_is_silent_ends_before_its_box_does(sandbox: DockerSandbox) -> None:
    turn = asyncio.Semaphore(3)
    providers = {"solver": Silent(lambda _: "")}
    models = ModelsConfig.model_validate(MODELS)

    async def ending(name: str) -> tuple[str, Ending]:
        async with turn:
            return name, (await boxes.visit(sandbox, gateway, recipes.load(name), seconds=40)).run.ending

    async with GatewayServer(models, MemoryRecord(), providers=providers) as gateway:
        endings = await asyncio.gather(*map(ending, NAMES))
    assert dict(endings) == dict.fromkeys(NAMES, Ending.EXITED)


RETRIES_ALL = {"mini-swe-agent"}
"""Retries whatever fails, a wrong request included, until its box ends."""


@pytest.mark.parametrize("name", NAMES)
async def test_an_agent_that_meets_a_cap_shows_a_cap_and_stops(name: str, sandbox: DockerSandbox) -> None:
    record, limits = MemoryRecord(), Caps(calls=0)
    seconds = 100 if name in RETRIES_ALL else boxes.SECONDS
    providers = {"solver": model(lambda _: Step(text="never"))}
    async with GatewayServer(ModelsConfig.model_validate(MODELS), record, providers=providers) as gateway:
        visited = await boxes.visit(sandbox, gateway, recipes.load(name), seconds=seconds, caps=limits)
    said = visited.run.output.decode(errors="replace")
    assert "cap on calls" in " ".join(said.split()), said[-2000:]
    assert not re.search(r"authenticat|log.?in|api key", said.replace("allow the call", ""), re.IGNORECASE)
    asked = sum(one.times for one in record.refusals if one.code == "cap_exhausted")
    assert asked <= 3 or name in RETRIES_ALL, asked
