"""One sandbox of each engine for the whole session; each test has a box, and the host is looked at afterwards."""

from __future__ import annotations

import os
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import docker
import pytest
import pytest_asyncio

from agent.base.errors import UserError
from agent.base.types import BoxSpec, RunResult
from sandbox.box import DockerBox
from sandbox.docker_sandbox import DockerSandbox
from sandbox.engine import connect, engine_name
from sandbox.engine_sandbox import EngineSandbox
from sandbox.image import ensure_image
from sandbox.oci.program import find_program
from sandbox.oci.sandbox import OciSandbox
from tests.sandbox.outside import Outside, OutsideDocker, OutsideOci

Attack = Callable[..., Awaitable[RunResult]]
Sandboxes = type[DockerSandbox] | type[OciSandbox]


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


@pytest.fixture(scope="session")
def oci() -> None:
    """Skips where no boxes can run without an engine, and where another engine than Docker's own is to be tested."""
    if os.environ.get("RATCHET_TEST_RUNTIME") or os.environ.get("DOCKER_HOST"):
        pytest.skip("another engine is tested")
    try:
        find_program(None)
    except UserError as error:
        pytest.skip(str(error))


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def oci_sandbox(oci: None, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[OciSandbox]:
    """Boxes without an engine."""
    del oci
    async with OciSandbox("session", f"oci-{os.getpid()}", tmp_path_factory.mktemp("o"), ready=1) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def kind() -> str:
    """Which engine runs the boxes: `docker` or `oci`."""
    return "docker"


@pytest.fixture(scope="module")
def sandboxes(kind: str) -> Sandboxes:
    """The class of that engine's sandboxes."""
    return OciSandbox if kind == "oci" else DockerSandbox


@pytest.fixture(scope="module")
def any_sandbox(kind: str, request: pytest.FixtureRequest) -> EngineSandbox:
    """The session's sandbox of that engine."""
    sandbox: EngineSandbox = request.getfixturevalue(f"{kind}_sandbox")
    return sandbox


@pytest.fixture(scope="module")
def outside(kind: str, engine: docker.APIClient) -> Outside:
    """That engine, as others use it."""
    return OutsideOci() if kind == "oci" else OutsideDocker(engine)


@pytest.fixture(params=["docker_sandbox", "streamed_sandbox", "oci_sandbox"], ids=["as found", "stream", "oci"])
def either_sandbox(request: pytest.FixtureRequest) -> EngineSandbox:
    """Every way to the gateway and to the read-only areas."""
    sandbox: EngineSandbox = request.getfixturevalue(request.param)
    return sandbox


@pytest.fixture
def spec(image: str) -> BoxSpec:
    return BoxSpec(image=image, gateway=False)


@pytest_asyncio.fixture(loop_scope="session")
async def box(any_sandbox: EngineSandbox, spec: BoxSpec) -> AsyncIterator[DockerBox]:
    opened = await any_sandbox.open(spec)
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
