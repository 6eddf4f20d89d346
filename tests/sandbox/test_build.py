"""Builds see the host's certificates and proxies, leave nothing of them, and show what a failed line printed."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import docker
import pytest
import pytest_asyncio

from agent.base.errors import UserError
from agent.base.executable import Executable
from agent.base.types import BoxSpec
from agent.config.copies import with_copies
from agent.config.layers import Layers, Stage
from sandbox.build import CERTIFICATE_FOLDER, CERTIFICATES, EXTRA_CERTIFICATES, PROXIES, build
from sandbox.docker_sandbox import DockerSandbox
from sandbox.image import STABLE, ensure_image

pytestmark = pytest.mark.docker
NAMES = (*CERTIFICATES, EXTRA_CERTIFICATES)


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A machine without certificates and proxies of its own."""
    for name in (*NAMES, *PROXIES, *map(str.lower, PROXIES)):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


@pytest.fixture
def tag(engine: docker.APIClient) -> Iterator[str]:
    name = f"ratchet-test:{uuid.uuid4().hex[:12]}"
    yield name
    if engine.images(name):
        engine.remove_image(name, force=True)


@pytest.fixture
def said(engine: docker.APIClient) -> Iterator[list[str]]:
    """What `ensure_image` says; the images that it names are removed at the end."""
    lines: list[str] = []
    yield lines
    for name in re.findall("ratchet-b[a-z]+:[0-9a-f]{12}", lines[-1] if lines else ""):
        engine.remove_image(name, force=True)


@pytest_asyncio.fixture(loop_scope="session")
async def sandbox(said: list[str], tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[DockerSandbox]:  # noqa: ARG001
    """Boxes of a test's own, none kept ready: nothing holds an image when `said` removes it."""
    folder = tmp_path_factory.mktemp("b")
    async with DockerSandbox("build", f"test-{uuid.uuid4().hex[:8]}", folder, ready=0) as opened:
        yield opened


def see(engine: docker.APIClient, image: str, tag: str, *lines: str) -> str:
    """What the lines print when the last one fails on purpose."""
    with pytest.raises(UserError) as error:
        build(engine, image, [*lines, "RUN exit 3"], {}, tag, online=True)
    return str(error.value)


def test_a_build_has_the_hosts_certificates_and_proxies_and_the_image_has_not(
    bare: pytest.MonkeyPatch, engine: docker.APIClient, image: str, tag: str, tmp_path: Path
) -> None:
    for name, text in ((CERTIFICATES[1], "private"), (EXTRA_CERTIFICATES, "extra")):
        (tmp_path / name).write_text(text)
        bare.setenv(name, str(tmp_path / name))
    bare.setenv("https_proxy", "http://proxy.invalid:3128")
    said = " && ".join(f"cat ${name} && echo" for name in NAMES)
    build(engine, image, [f"RUN ({said} && echo $https_proxy) > /seen"], {}, tag, online=True)
    host = engine.create_host_config(network_mode="none")
    box = engine.create_container(tag, ["sh", "-c", "cat /seen && env"], host_config=host)
    try:
        engine.start(box)
        engine.wait(box)
        lines = engine.logs(box).decode().splitlines()
    finally:
        engine.remove_container(box, force=True)
    assert lines[:5] == ["private", "private", "private", "extra", "http://proxy.invalid:3128"]
    assert not [line for line in lines[5:] if line.partition("=")[0] in {*NAMES, "https_proxy"}]
    recorded = json.dumps([engine.inspect_image(tag)["Config"], engine.history(tag)])
    assert "proxy.invalid" not in recorded


def test_a_bundle_that_only_adds_to_nodes_own_is_not_taken_for_a_whole_one(
    bare: pytest.MonkeyPatch, engine: docker.APIClient, image: str, tag: str, tmp_path: Path
) -> None:
    (tmp_path / "extra").write_text("extra")
    bare.setenv(EXTRA_CERTIFICATES, str(tmp_path / "extra"))
    bare.setenv("PIP_CERT", str(tmp_path / "missing"))
    said = see(engine, image, tag, "RUN echo =$PIP_CERT=$SSL_CERT_FILE= && cat $NODE_EXTRA_CA_CERTS && exit 1")
    assert "\n  ===" in said
    assert "\n  extra" in said


@pytest.mark.usefixtures("bare")
def test_a_failed_line_shows_the_last_lines_that_it_printed(engine: docker.APIClient, image: str, tag: str) -> None:
    said = see(engine, image, tag, "RUN echo before", "RUN seq 100 && printf 'no such \\033[31mpackage\\n' && exit 7")
    assert "`RUN seq 100" in said
    assert "non-zero code: 7" in said
    assert said.splitlines()[1:-1] == [*(f"  {n}" for n in range(82, 101)), "  no such package"]
    assert "before" not in said


def test_an_image_of_ours_is_used_as_it_is(image: str, engine: docker.APIClient) -> None:
    said: list[str] = []
    assert ensure_image(image, say=said.append) == engine.inspect_image(image)["Id"]
    assert said == []


@pytest.mark.asyncio(loop_scope="session")
async def test_layers_on_an_image_of_ours_become_a_box_without_the_builds_certificates(
    sandbox: DockerSandbox, image: str, bare: pytest.MonkeyPatch, tmp_path: Path, said: list[str]
) -> None:
    (tmp_path / "ca").write_text("private")
    bare.setenv("SSL_CERT_FILE", str(tmp_path / "ca"))
    layers = Layers(lines=(f"RUN echo {uuid.uuid4().hex} > /layered && cat $PIP_CERT >> /layered",))
    built = ensure_image(image, layers=layers, say=said.append)
    assert " MB, made from " in said[-1]
    box = await sandbox.open(BoxSpec(image=built, gateway=False))
    look = f"tail -n 1 /layered; ls {CERTIFICATE_FOLDER} 2>&1; env"
    output = (await box.run(["sh", "-c", look], env={}, timeout=10)).output.decode()
    await box.close()
    assert output.startswith("private")
    assert "No such file" in output
    assert "CERT" not in output.replace(CERTIFICATE_FOLDER, "")


@pytest.mark.usefixtures("image")
def test_an_image_that_users_make_from_ours_by_its_stable_name_is_used_as_it_is(
    engine: docker.APIClient, tag: str
) -> None:
    said: list[str] = []
    build(engine, STABLE, ["RUN echo theirs > /theirs"], {}, tag, online=False)
    assert ensure_image(tag, say=said.append) == engine.inspect_image(tag)["Id"]
    assert said == []


@pytest.mark.asyncio(loop_scope="session")
async def test_copied_files_are_in_the_box_and_the_image_changes_with_them(
    sandbox: DockerSandbox, image: str, said: list[str]
) -> None:
    name = uuid.uuid4().hex
    files = {"bin/run": Executable(b"#!/bin/sh\necho ran\n"), "lib/[id].txt": name.encode(), "lib/other": b"x"}

    def layers(**more: bytes) -> Layers:
        held = {**files, **more}
        lines = ["COPY bin/run lib/[id].txt /opt/", "COPY lib /opt/lib"]
        return with_copies(lines, held, lambda _: held, "build", "here")

    built = ensure_image(image, layers=layers(), say=said.append)
    assert ensure_image(image, layers=layers(), say=said.append) == built
    box = await sandbox.open(BoxSpec(image=built, gateway=False))
    run = await box.run(["sh", "-c", "/opt/run; cat '/opt/[id].txt'; ls /opt /opt/lib"], env={}, timeout=10)
    await box.close()
    assert run.output.decode() == f"ran\n{name}/opt:\n[id].txt\nlib\nrun\n\n/opt/lib:\n[id].txt\nother\n"
    assert layers(other=b"y").lines != layers().lines


@pytest.mark.asyncio(loop_scope="session")
async def test_stages_are_built_apart_and_only_what_is_copied_from_them_is_in_the_box(
    sandbox: DockerSandbox, engine: docker.APIClient, image: str, said: list[str]
) -> None:
    before = {tag for image in engine.images("ratchet-stage") for tag in image["RepoTags"]}
    name = uuid.uuid4().hex
    first = Stage(base=STABLE, layers=Layers(lines=(f"RUN mkdir /made && echo {name} > /made/one && echo > /secret",)))
    no_files = {}.keys()

    def layers(lines: list[str], stages: dict[str, Stage]) -> Layers:
        return with_copies(lines, no_files, lambda _: {}, "build", "here", stages)

    second = Stage(base=image, layers=layers(["COPY --from=first /made /second/"], {"first": first}))
    whole = layers(["COPY --from=second /second/one /opt/found"], {"second": second})
    built = ensure_image(image, layers=whole, say=said.append)
    assert ensure_image(image, layers=whole, say=said.append) == built
    box = await sandbox.open(BoxSpec(image=built, gateway=False))
    run = await box.run(["sh", "-c", "cat /opt/found; ls /secret /second 2>&1"], env={}, timeout=10)
    await box.close()
    for tag in {line for image in engine.images("ratchet-stage") for line in image["RepoTags"]} - before:
        engine.remove_image(tag, force=True)
    assert run.output.decode().startswith(f"{name}\n")
    assert run.output.decode().count("No such file") == 2


@pytest.mark.slow
@pytest.mark.asyncio(loop_scope="session")
async def test_a_package_from_a_registry_is_installed_through_the_hosts_certificates(
    sandbox: DockerSandbox, said: list[str]
) -> None:
    pip = "RUN python3 -m pip --version || { apt-get update && apt-get install -y python3-pip; }"
    install = "RUN PIP_BREAK_SYSTEM_PACKAGES=1 python3 -m pip install --no-cache-dir --no-deps iniconfig==2.1.0"
    built = ensure_image(layers=Layers(lines=(f"RUN echo {uuid.uuid4().hex}", pip, install)), say=said.append)
    box = await sandbox.open(BoxSpec(image=built, gateway=False))
    run = await box.run(["python3", "-c", "import iniconfig; print(iniconfig.__file__)"], env={}, timeout=20)
    await box.close()
    assert run.exit_code == 0, run.output
