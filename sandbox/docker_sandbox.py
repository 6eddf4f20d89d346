"""Boxes as containers of Docker or Podman."""

from __future__ import annotations

import secrets
from functools import partial
from pathlib import Path

from sandbox.containers import Containers
from sandbox.engine_sandbox import EngineSandbox


class DockerSandbox(EngineSandbox):
    """Use-once boxes on the engine that DOCKER_HOST, or the current context, names.

    Args:
        run_id: this run of the campaign; a label of its boxes.
        campaign: as for every sandbox.
        folder: as for every sandbox.
        ready: as for every sandbox.
        parallel: as for every sandbox.
        runtime: the engine's runtime, as `runsc` for gVisor; None is the engine's default.
        stream: as for every sandbox.
    """

    def __init__(
        self,
        run_id: str,
        campaign: str,
        folder: Path,
        *,
        ready: int = 2,
        parallel: int | None = None,
        runtime: str | None = None,
        stream: bool = False,
    ) -> None:
        engine = partial(Containers, run_id, secrets.token_hex(6), runtime)
        super().__init__(engine, campaign, folder, ready=ready, parallel=parallel, stream=stream)
