"""Images are built for one kind of processor; engines of another run them slowly by emulation, or not at all."""

from __future__ import annotations

import docker

from agent.base.errors import SandboxDown
from sandbox.engine import ENGINE_ERRORS, brief, connect


def mismatch(client: docker.APIClient, image: str) -> str:
    """What is wrong if an image is for another processor than the engine's; empty if it fits, or is not known.

    Raises one of `ENGINE_ERRORS`.
    """
    built, runs = client.inspect_image(image).get("Architecture"), client.version().get("Arch")  # type: ignore[no-untyped-call]
    return (
        "" if not built or not runs or built == runs else f"{image} is built for {built}, and the engine runs on {runs}"
    )


def foreign_images(images: set[str]) -> list[str]:
    """One line for each image that is for another processor than the engine's. Raises SandboxDown."""
    client = connect()
    try:
        return [
            f"image: {text}: at best it is emulated, several times slower"
            for one in sorted(images)
            if (text := mismatch(client, one))
        ]
    except ENGINE_ERRORS as error:
        raise SandboxDown(f"the images cannot be inspected: {brief(error)}") from error
    finally:
        client.close()
