"""The Python that runs our runner and checker in a box: the same in every image, whatever the image itself holds.

In Ratchet's own images it is the one that these were made with. Any other image, with an older Python, another libc or
none of either, gets a copy with its own loader and libraries, in one layer; see `relocate.py`.
"""

from __future__ import annotations

from pathlib import Path

import docker

from agent.base.errors import UserError
from sandbox.build import build
from sandbox.install import HERE, INTERPRETER

RECIPE = Path(__file__).parent / "relocate.py"
NEEDS = (
    "RUN apt-get update && apt-get install -y --no-install-recommends patchelf"
    " && rm -rf /var/lib/apt/lists/* /var/cache/apt/*"
)


def recipe() -> bytes:
    """What makes the copy."""
    return RECIPE.read_bytes()


def make_copy(client: docker.APIClient, ground: str, python: str, tag: str) -> str:
    """Build an image that holds the copy, from our own base and its Python; returns its tag.

    Raises:
        UserError: the build failed; it needs a network.
    """
    lines = (NEEDS, "COPY relocate.py /relocate.py", f'RUN ["{python}", "-I", "/relocate.py"]')
    try:
        return build(client, ground, lines, {"relocate.py": recipe()}, tag, online=True)
    except UserError as error:
        problem = f"the Python for images of other origin could not be prepared: {error.problem}"
        raise UserError("image", problem, "Give the build a network once, or use Ratchet's own image") from error


def install_lines(python: str, copy: str | None) -> tuple[str, ...]:
    """Dockerfile lines that install our files: with a copy of our Python, or on the `python` that is there."""
    carried = (f"COPY --from={copy} {HERE}/python {HERE}/python",) if copy else ()
    return (
        "USER 0:0",
        *carried,
        f"COPY . {HERE}/",
        f'RUN ["{INTERPRETER if copy else python}", "-I", "{HERE}/install.py"]',
    )
