"""Images that hold no Python, another one, or no libc: our runner and checker work in each of them."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Callable, Iterator

import docker
import pytest
import pytest_asyncio

from agent.base.types import BoxSpec, Split, Task
from agent.trials.grading import grade
from sandbox.build import build
from sandbox.docker_sandbox import DockerSandbox
from sandbox.image import ensure_image, own_base
from sandbox.install import INTERPRETER

pytestmark = [pytest.mark.docker, pytest.mark.asyncio(loop_scope="session")]

NO_PYTHON = "RUN rm -rf /usr/bin/py* /usr/lib/python3* /usr/local/lib/python3*"
TESTS = """from ratchet_check import remote
add = remote("solution.py", "add", seconds=60)
def test_add(): assert add(1, 2) == 3
"""
GOOD, BAD = "def add(a, b): return a + b\n", "def add(a, b): return a - b\n"

Made = Callable[..., str]


@pytest.fixture
def made(engine: docker.APIClient) -> Iterator[Made]:
    """Makes an image from Dockerfile lines on our own base, then the image of its boxes; removes both at the end."""
    tags: list[str] = []

    base, _ = own_base(engine, print)

    def make(*lines: str, online: bool = False) -> str:
        tags.append(build(engine, base, lines, {}, f"ratchet-test:{uuid.uuid4().hex[:12]}", online=online))
        tags.append(ensure_image(tags[-1], say=lambda _: None))
        return tags[-1]

    yield make
    for tag in reversed(tags):
        engine.remove_image(tag, force=True)


@pytest_asyncio.fixture(loop_scope="session")
async def sandbox(made: Made, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[DockerSandbox]:  # noqa: ARG001
    """Boxes of a test's own, none kept ready: nothing holds an image when `made` removes it."""
    folder = tmp_path_factory.mktemp("i")
    async with DockerSandbox("images", f"test-{uuid.uuid4().hex[:8]}", folder, ready=0) as opened:
        yield opened


async def run(sandbox: DockerSandbox, image: str, *argv: str) -> str:
    """What a command prints in a box."""
    box = await sandbox.open(BoxSpec(image=image, gateway=True))
    try:
        return (await box.run(argv, env={}, timeout=30)).output.decode().strip()
    finally:
        await box.close()


async def scores(sandbox: DockerSandbox, image: str, tests: str = TESTS, good: str = GOOD) -> tuple[float, float]:
    """How a right and a wrong solution are graded."""
    task = Task(
        id="add",
        split=Split.SEARCH,
        instruction="",
        files={},
        submit=("solution.py",),
        tests={"test_solution.py": tests.encode()},
        check=("python3", "-I", "-m", "ratchet_check", "test_solution.py"),
        junit=1,
        check_timeout=120.0,
    )
    right, wrong = [await grade(sandbox, image, task, {"solution.py": text.encode()}, 1.0) for text in (good, BAD)]
    assert right.score == 1, right
    return right.score, wrong.score


async def test_an_image_without_python_with_another_user_and_library_path_grades(
    sandbox: DockerSandbox, made: Made
) -> None:
    broken = "RUN mkdir /wrong && for name in libc.so.6 libm.so.6 libz.so.1; do echo no > /wrong/$name; done"
    image = made(NO_PYTHON, broken, "ENV LD_LIBRARY_PATH=/wrong", "USER 65534")
    said = await run(sandbox, image, "python3", "-c", "import sqlite3, ssl, sys; print(sys.prefix)")
    assert said == INTERPRETER.removesuffix("/bin/python3")
    assert await run(sandbox, image, "python", "-P", "-c", "print(7)") == "7"
    assert await scores(sandbox, image) == (1, 0)


@pytest.mark.slow
async def test_an_image_whose_python_does_not_run_is_graded_by_ours(sandbox: DockerSandbox, made: Made) -> None:
    image = made(NO_PYTHON, "RUN echo '#!/bin/sh\\nexit 3' > /usr/bin/python3 && chmod +x /usr/bin/python3")
    assert await run(sandbox, image, "sh", "-c", "python3; echo $?") == "3"
    assert await scores(sandbox, image) == (1, 0)


async def test_the_submission_and_tests_that_need_a_package_of_the_image_run_by_its_python(
    sandbox: DockerSandbox, made: Made
) -> None:
    image = made(
        "RUN mkdir -p /usr/lib/python3/dist-packages/summing && cd /usr/lib/python3/dist-packages/summing"
        " && echo 'def add(a, b): return a + b' > __init__.py"
    )
    assert await scores(sandbox, image, good="from summing import add\n") == (1, 0)
    assert await scores(sandbox, image, tests=f"import summing\n{TESTS}") == (1, 0)


@pytest.mark.slow
@pytest.mark.parametrize("package", ["", "musl"])
async def test_an_image_of_busybox_with_musl_or_without_any_libc_grades(
    sandbox: DockerSandbox, made: Made, package: str
) -> None:
    image = made(
        f"RUN apt-get update && apt-get install -y --no-install-recommends busybox-static {package}",
        "RUN mkdir -p /r/bin /r/lib && cp /bin/busybox /r/bin/ && cp -L /lib/ld-musl* /r/lib/; ls /r/bin /r/lib",
        "RUN for name in $(busybox --list); do ln -s busybox /r/bin/$name; done",
        "FROM scratch",
        "COPY --from=0 /r /",
        online=True,
    )
    said = await run(sandbox, image, "sh", "-c", "ls /lib; for libc in /lib/ld-musl*; do $libc 2>&1 | head -n 1; done")
    assert ("musl libc" in said) == bool(package)
    assert "libc.so.6" not in said
    assert await scores(sandbox, image) == (1, 0)
