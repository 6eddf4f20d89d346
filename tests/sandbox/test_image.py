"""The image: built once, named by its inputs, and able to carry layers of a suite."""

from __future__ import annotations

import docker
import pytest

from agent.base.errors import UserError
from agent.base.types import BoxSpec
from agent.config.layers import Layers
from sandbox.docker_sandbox import DockerSandbox
from sandbox.image import ensure_image

pytestmark = pytest.mark.docker


def test_an_image_is_built_once_and_said_in_one_line(image: str) -> None:
    said: list[str] = []
    assert ensure_image(say=said.append) == image
    assert said == []


@pytest.mark.asyncio(loop_scope="session")
async def test_a_named_image_and_the_layers_of_a_suite_become_a_box(
    docker_sandbox: DockerSandbox, image: str, engine: docker.APIClient
) -> None:
    base = f"ratchet-test:{image.partition(':')[2]}"
    engine.tag(image, *base.split(":"))
    said: list[str] = []
    layers = Layers(lines=("RUN rm -rf /usr/lib/ratchet && echo layered > /layered",))
    try:
        built = ensure_image(base, layers=layers, say=said.append)
        assert ensure_image(base, layers=layers) == built
        assert built != image
        box = await docker_sandbox.open(BoxSpec(image=built, gateway=False))
        assert (await box.run(["cat", "/layered"], env={}, timeout=10)).output == b"layered\n"
        await box.close()
    finally:
        engine.remove_image(base, noprune=True)


def test_an_image_that_does_not_exist_is_the_users_to_fix() -> None:
    with pytest.raises(UserError, match="neither here"):
        ensure_image("ratchet-no-such-image:none", say=lambda _: None)


def test_a_layer_that_fails_is_the_users_to_fix(image: str) -> None:
    with pytest.raises(UserError, match="layer"):
        ensure_image(image, layers=Layers(lines=("RUN exit 3",)), say=lambda _: None)
