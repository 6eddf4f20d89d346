"""An image for another processor than the engine's is named, and is the user's to fix."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from agent.base.errors import UserError
from agent.base.types import BoxSpec
from sandbox.architecture import foreign_images
from sandbox.docker_sandbox import DockerSandbox

pytestmark = pytest.mark.docker

OTHER = {"amd64": ("arm64", 183), "arm64": ("amd64", 62)}
"""By an engine's processor: another one, and its number in the header of a program."""


def archive(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for path, content in files.items():
            member = tarfile.TarInfo(path)
            member.size, member.mode = len(content), 0o755
            tar.addfile(member, io.BytesIO(content))
    return out.getvalue()


@pytest.fixture
def foreign(engine: docker.APIClient) -> Iterator[tuple[str, str]]:
    """An image whose `python3` is for another processor, and that processor's name."""
    known = engine.version()["Arch"]
    if known not in OTHER:
        pytest.skip("knows no other processor than this one's")
    other, number = OTHER[known]
    header = b"\x7fELF\2\1\1" + bytes(9) + (2).to_bytes(2, "little") + number.to_bytes(2, "little") + bytes(44)
    layer = archive({"usr/bin/python3": header, "run/ratchet/x": b"", "workspace/x": b""})
    tag = f"ratchet-test-foreign:{uuid.uuid4().hex[:8]}"
    config = json.dumps({"architecture": other, "os": "linux", "rootfs": {"type": "layers", "diff_ids": []}}).encode()
    config = config.replace(b"[]", json.dumps([f"sha256:{hashlib.sha256(layer).hexdigest()}"]).encode())
    manifest = json.dumps([{"Config": "c.json", "RepoTags": [tag], "Layers": ["layer.tar"]}]).encode()
    engine.load_image(archive({"c.json": config, "layer.tar": layer, "manifest.json": manifest}))
    yield tag, other
    engine.remove_image(tag, force=True)


def test_it_is_named_before_the_start(foreign: tuple[str, str], image: str) -> None:
    tag, other = foreign
    (line,) = foreign_images({tag, image})
    assert tag in line
    assert f"built for {other}" in line


async def test_a_box_that_cannot_start_for_it_is_the_users_to_fix(foreign: tuple[str, str], tmp_path: Path) -> None:
    tag, other = foreign
    async with DockerSandbox("r", "foreign", tmp_path, ready=0) as sandbox:
        with pytest.raises(UserError, match=f"built for {other}"):
            await sandbox.open(BoxSpec(image=tag, gateway=False))
