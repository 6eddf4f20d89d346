"""Boxes as containers that an OCI runtime of this machine runs, without an engine between."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from sandbox.engine_sandbox import EngineSandbox
from sandbox.oci.containers import HOME, OciContainers
from sandbox.oci.groups import Groups


class OciSandbox(EngineSandbox):
    """Use-once boxes that crun or runc runs.

    Args:
        run_id: this run of the campaign; a label of its boxes.
        campaign: as for every sandbox.
        folder: as for every sandbox.
        ready: as for every sandbox.
        parallel: as for every sandbox.
        runtime: `crun` or `runc`; None is the first that is installed.
        groups: makes the control groups; None has them below `/ratchet`.
        home: what is known of boxes that live; the same for all processes of this machine.
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
        groups: Groups | None = None,
        home: Path = HOME,
    ) -> None:
        engine = partial(OciContainers, run_id, runtime, groups or Groups(), home)
        super().__init__(engine, campaign, folder, ready=ready, parallel=parallel)
