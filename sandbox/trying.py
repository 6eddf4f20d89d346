"""Whether boxes start under a runtime of the engine, and how long that takes; for `ratchet doctor`."""

from __future__ import annotations

import tempfile
import time
import uuid
from dataclasses import dataclass
from pathlib import Path

from agent.base.errors import SandboxDown
from agent.base.types import BoxSpec, Ending
from sandbox.docker_sandbox import DockerSandbox
from sandbox.engine import ENGINE_ERRORS, brief, connect
from sandbox.engine_sandbox import EngineSandbox
from sandbox.install import INTERPRETER
from sandbox.oci.sandbox import OciSandbox

COMMAND = (INTERPRETER, "-c", "print('ready')")
TIMES = 3


def engine_runtimes() -> tuple[str, ...]:
    """The runtimes that the engine knows, by name. Raises SandboxDown."""
    client = connect()
    try:
        return tuple(sorted(client.info().get("Runtimes") or ()))
    except ENGINE_ERRORS as error:
        raise SandboxDown(f"the engine does not answer: {brief(error)}") from error
    finally:
        client.close()


@dataclass(frozen=True, kw_only=True, slots=True)
class Tried:
    """The shortest time that a box took, in seconds, and whether the engine shares the folders of this machine."""

    seconds: float
    shared: bool


async def try_boxes(image: str, runtime: str | None, *, engine: bool = True) -> Tried:
    """Start a few boxes one after the other, each for one command.

    Args:
        image: of the boxes.
        runtime: what runs them; None is the default.
        engine: whether a container engine is told to, or the runtime runs them directly.

    Raises:
        UserError: the engine does not know the runtime, or there is none.
        SandboxDown: a box did not start, or its command did not run.
    """
    with tempfile.TemporaryDirectory(prefix="ratchet-") as folder:
        kind = DockerSandbox if engine else OciSandbox
        async with kind(uuid.uuid4().hex[:8], "doctor", Path(folder), ready=0, runtime=runtime) as sandbox:
            seconds = min([await _one(sandbox, image) for _ in range(TIMES)])
            return Tried(seconds=seconds, shared=bool(sandbox.shared))


async def _one(sandbox: EngineSandbox, image: str) -> float:
    start = time.monotonic()
    box = await sandbox.open(BoxSpec(image=image, gateway=True))
    try:
        run = await box.run(COMMAND, env={}, timeout=30)
    finally:
        await box.close()
    if run.ending is not Ending.EXITED or run.output != b"ready\n":
        said = run.output.decode(errors="replace").strip()[-200:]
        raise SandboxDown(f"a box started, but a command in it did not run: {said or run.ending.value}")
    return time.monotonic() - start
