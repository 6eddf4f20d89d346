"""A program as doctor tries it: in its box, with models that cost nothing."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from agent.base.types import Files
from agent.config.campaign import Config
from agent.config.improve import improver_of
from agent.config.models import ModelsConfig
from agent.kernel.git.excerpt import Branch
from agent.kernel.git.repository import Repository
from agent.kernel.loop.briefing import MOST_BYTES
from agent.kernel.loop.opening import open_repository, scaffold_layers
from agent.models.gateway.record import MemoryRecord
from agent.models.gateway.server import GatewayServer
from agent.models.providers.obliging import Obliging, Silent
from agent.trials.evaluator import Visit
from agent.trials.executor import Visitor
from agent.trials.places import recipe_of, sandbox_of
from agent.trials.preparing import build
from agent.wiring.trials import box_of, files_of, scaffolds_of
from sandbox.image import ensure_image

OBLIGING, SILENT = "obliging", "silent"
"""The roles of the models with which an agent is tried."""

_BRIEF = {"campaign": "doctor", "scores": {"champion": None, "parent": None}, "attempts": [], "failures": []}


@dataclass(frozen=True, kw_only=True, slots=True)
class Program:
    """A program as it is tried: its visits, what lies in its boxes, the model that obliges it, every call."""

    visit: Visitor
    files: Files
    task: Files
    workspace: Files
    model: Obliging
    record: MemoryRecord


@asynccontextmanager
async def programs(config: Config, say: Callable[[str], None]) -> AsyncIterator[Mapping[str, Program]]:
    """The agent, and its improver if that is another program, with models that cost nothing.

    Raises:
        PrepareFailed: the agent cannot be built.
        UserError: as `campaign_parts` does.
    """
    solver = config.models.as_replay().of("solver")[0]
    models = ModelsConfig(dict.fromkeys((OBLIGING, SILENT), (solver,)))
    scaffold, record, model = config.scaffold, MemoryRecord(), Obliging()
    repository = open_repository(config, None)
    layers = scaffold_layers(config, repository)
    image = await asyncio.to_thread(ensure_image, scaffold.image, layers=layers, say=say)
    with tempfile.TemporaryDirectory(prefix="ratchet-") as name:
        gateway = GatewayServer(models, record, providers={OBLIGING: model, SILENT: Silent()})
        async with gateway, sandbox_of(config, Path(name)) as sandbox:
            visit = Visit(sandbox, gateway, config.boxes.spec(image), scaffold.command)
            scaffolds, tree = scaffolds_of(config, repository), repository.tree_of(repository.base)
            recipe = recipe_of(config, image)
            files = scaffolds[tree] if recipe is None else await build(sandbox, recipe, scaffolds[tree])
            agent = Program(visit=visit, files=files, task={}, workspace={}, model=model, record=record)
            found = {"agent": agent}
            if (improver := improver_of(config.improve)) is not None:
                other = await box_of(improver, config, repository, say)
                found["improver"] = replace(
                    agent,
                    visit=partial(visit, spec=other, command=improver.command),
                    files=files_of(improver, repository),
                    task={"context/brief.json": json.dumps(_BRIEF).encode()},
                    workspace={**repository.read(tree), **_repository_of(repository, tree)},
                )
            yield found


def _repository_of(repository: Repository, tree: str) -> Files:
    """The `.git` folder that an improver gets, of the seed alone."""
    seed = Branch(name="candidate/0", tree=tree, parent=None, message="seed", note="")
    return repository.excerpt().files([seed], seed.name, {}, MOST_BYTES)
