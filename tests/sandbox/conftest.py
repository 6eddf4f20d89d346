"""One Docker sandbox for the whole session; each test gets its own box, and the host is looked at afterwards."""

from __future__ import annotations

import os
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import docker
import pytest
import pytest_asyncio

from agent.base.types import BoxSpec, RunResult
from sandbox.box import DockerBox
from sandbox.docker_sandbox import DockerSandbox
from sandbox.engine import connect, engine_name
from sandbox.image import ensure_image

Attack = Callable[..., Awaitable[RunResult]]


@pytest.fixture(scope="session")
def image() -> str:
    return ensure_image()


@pytest.fixture(scope="session")
def machine_image() -> str:
    return ensure_image(machine=True)


@pytest.fixture(scope="session")
def engine() -> docker.APIClient:
    return connect()


@pytest.fixture(scope="session")
def podman(engine: docker.APIClient) -> bool:
    """Whether the engine is Podman; tests/sandbox/test_podman.py leads to it."""
    return "Podman" in engine_name(engine.version())


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def docker_sandbox(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[DockerSandbox]:
    campaign = f"test-{os.getpid()}-{secrets.token_hex(3)}"
    runtime = os.environ.get("RATCHET_TEST_RUNTIME")  # tests/sandbox/test_gvisor.py sets it
    async with DockerSandbox("session", campaign, tmp_path_factory.mktemp("c"), ready=1, runtime=runtime) as sandbox:
        yield sandbox


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def streamed_sandbox(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[DockerSandbox]:
    """Treats the engine as one that shares nothing."""
    async with DockerSandbox("session", "streamed", tmp_path_factory.mktemp("s"), ready=1, stream=True) as sandbox:
        yield sandbox


@pytest.fixture(params=["docker_sandbox", "streamed_sandbox"], ids=["as found", "stream"])
def either_sandbox(request: pytest.FixtureRequest) -> DockerSandbox:
    """Both ways to the gateway and to the read-only areas."""
    sandbox: DockerSandbox = request.getfixturevalue(request.param)
    return sandbox


@pytest.fixture
def spec(image: str) -> BoxSpec:
    return BoxSpec(image=image, gateway=False)


@pytest_asyncio.fixture(loop_scope="session")
async def box(docker_sandbox: DockerSandbox, spec: BoxSpec) -> AsyncIterator[DockerBox]:
    opened = await docker_sandbox.open(spec)
    yield opened
    await opened.close()


def pids(box: DockerBox) -> list[int]:
    """The processes that the host sees in a box, told by their control groups, whichever engine made these."""
    seen = []
    for entry in Path("/proc").glob("[0-9]*/cgroup"):
        with suppress(OSError):  # it has just ended
            groups = entry.read_text()
            if box.container in groups and "conmon" not in groups:
                seen.append(int(entry.parent.name))
    return seen


def processes(box: DockerBox) -> int:
    """How many processes the host sees in a box."""
    return len(pids(box))


def written(box: DockerBox) -> list[Path]:
    """What lies in the host's side of a box."""
    return sorted(path for path in box.folder.rglob("*") if not path.is_dir())


@pytest.fixture
def attack(box: DockerBox) -> Attack:
    """Run hostile Python in a box; afterwards the host must see only the runner, and the box must still serve."""

    async def run(source: str, *, timeout: float = 10.0, limit: int = 1 << 16) -> RunResult:
        before = written(box)
        result = await box.run(["python3", "-c", source], env={}, timeout=timeout, output_limit=limit)
        assert processes(box) == 1
        assert written(box) == before
        after = await box.run(["echo", "still here"], env={}, timeout=30)
        assert after.output == b"still here\n"
        return result

    return run
