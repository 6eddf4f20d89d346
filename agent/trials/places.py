"""Where the boxes of a configuration are: on this machine, with or without an engine, or on the nodes of a cluster."""

from __future__ import annotations

import asyncio
import importlib.util
import uuid
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from agent.base.errors import UserError
from agent.base.machine import cores
from agent.base.profile import Profile
from agent.base.types import BoxSpec, Suite
from agent.config.campaign import Config
from agent.config.improve import improver_of
from agent.trials.evaluator import Visit, boxes_of, evaluator_of
from agent.trials.executor import Backend, Orders, Sessions, Visitor
from agent.trials.preparing import Recipe
from sandbox.docker_sandbox import DockerSandbox
from sandbox.engine_sandbox import EngineSandbox
from sandbox.oci.roots import unpack_root
from sandbox.oci.sandbox import OciSandbox


def recipe_of(config: Config, image: str) -> Recipe | None:
    """What builds a candidate before its trials, if `scaffold.prepare` asks for it."""
    scaffold = config.scaffold
    if not scaffold.prepare:
        return None
    return Recipe(
        command=scaffold.prepare,
        spec=replace(config.boxes.spec(image), gateway=False),
        timeout=scaffold.prepare_timeout,
        starved=config.boxes.starved,
    )


def orders_of(config: Config, image: str, images: Mapping[str, str]) -> Orders:
    """What a backend has to know; `images` are those of tasks that have one of their own."""
    return Orders(
        run=uuid.uuid4().hex[:8],
        campaign=config.name,
        spec=config.boxes.spec(image),
        command=config.scaffold.command,
        runtime=config.boxes.runtime,
        images=images,
        caps=config.boxes.trial_caps(),
        starved=config.boxes.starved,
        recipe=recipe_of(config, image),
    )


def check_engine(config: Config, suite: Suite) -> None:
    """Raises UserError if the engine that is set has no boxes for a task of the suite."""
    machines = [task.id for task in suite.tasks if task.profile is Profile.MACHINE]
    if config.boxes.engine == "oci" and machines:
        problem = f"oci has no boxes for tasks of profile: machine ({len(machines)}, the first is {machines[0]})"
        raise UserError("boxes.engine", problem, "Use boxes.engine: docker, or leave out these tasks.")


async def unpack_images(config: Config, images: Collection[str], say: Callable[[str], None]) -> None:
    """Unpack images that boxes without an engine need; at once if they are unpacked. Raises SandboxDown."""
    for image in sorted(set(images)) if config.boxes.engine == "oci" else ():
        await asyncio.to_thread(unpack_root, image, say)


def sandbox_of(config: Config, folder: Path) -> EngineSandbox:
    """Boxes on this machine's engine, or without one; their sockets lie in a folder."""
    # Boxes are made as fast as the cores allow, however many trials run: more of them ready would only wait.
    ready = min(config.boxes.parallel, 2 * cores())
    kind = OciSandbox if config.boxes.engine == "oci" else DockerSandbox
    return kind(uuid.uuid4().hex[:8], config.name, folder, ready=ready, runtime=config.boxes.runtime)


@asynccontextmanager
async def on_this_machine(
    config: Config, orders: Orders, gateway: Sessions, folder: Path
) -> AsyncIterator[tuple[Backend, Visitor]]:
    """Boxes on this machine. Raises SandboxDown, UserError."""
    async with sandbox_of(config, folder) as sandbox:
        visit = Visit(sandbox, gateway, orders.spec, orders.command)
        yield evaluator_of(orders, sandbox, visit), visit


@asynccontextmanager
async def on_cluster(
    config: Config, orders: Orders, gateway: Sessions, kinds: Collection[BoxSpec], say: Callable[[str], None]
) -> AsyncIterator[tuple[Backend, Visitor]]:
    """The nodes of a Ray cluster, which need images and room for some kinds of boxes. Raises UserError, SandboxDown."""
    _check_extra()
    from agent.trials.cluster.backend import cluster  # noqa: PLC0415 - takes the extra `ray`

    async with cluster(orders, kinds, config.executor, gateway, parallel=config.boxes.parallel, say=say) as found:
        yield found


def cluster_seats(config: Config, suite: Suite) -> list[int]:
    """How many of the campaign's largest boxes each node of the configured cluster could hold at a time.

    Raises:
        UserError: there is no such cluster, or no node has room for two of them, as a pair needs.
    """
    _check_extra()
    from agent.trials.cluster.nodes import survey  # noqa: PLC0415 - takes the extra `ray`

    return survey(config.executor, sizes_of(config, suite), config.boxes.spec(""))


def sizes_of(config: Config, suite: Suite) -> set[BoxSpec]:
    """Every size of box that a campaign opens; without their images."""
    own, improver = config.boxes.spec(""), improver_of(config.improve)
    other = own if improver is None else replace(own, memory_mb=max(improver.memory_mb, own.memory_mb))
    return {own, other, *(kind for task in suite.tasks for kind in boxes_of(task, own, {}))}


def _check_extra() -> None:
    if importlib.util.find_spec("ray") is None:
        raise UserError(
            "executor.kind",
            "the package `ray` is not installed",
            "Install the wheel with its extra `ray` (`ratchet docs scale`).",
        )
