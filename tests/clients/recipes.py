"""Recipes as the tests read them: data from recipes/, the layers of their images, and the files of their scaffolds."""

from __future__ import annotations

import base64
import gzip
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from agent.base.types import Files

ROOT = Path(__file__).parents[2] / "recipes"
_LINE = 60_000
_CA = "/usr/local/share/host-ca.crt"
_CA_VARIABLES = ("SSL_CERT_FILE", "PIP_CERT", "NODE_EXTRA_CA_CERTS", "REQUESTS_CA_BUNDLE")


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """One recipe: `data` is recipe.yaml as recipes/recipe.schema.json describes it."""

    name: str
    data: dict[str, Any]
    files: Files

    @property
    def layers(self) -> tuple[str, ...]:
        """Dockerfile instructions of its image, after those that let the host's certificates reach the build."""
        return (*_certificates(), *self.data["image"]["layers"])

    @property
    def command(self) -> tuple[str, ...]:
        """The command as campaign.yaml takes it: fixed variables go in front."""
        variables = [f"{name}={value}" for name, value in self.data["env"].items()]
        return (*(("env", *variables) if variables else ()), *self.data["scaffold"]["command"])


def names() -> list[str]:
    """All recipes."""
    return sorted(path.parent.name for path in ROOT.glob("*/recipe.yaml"))


def load(name: str, root: Path = ROOT) -> Recipe:
    """One recipe from its folder."""
    folder = root / name
    data = yaml.safe_load((folder / "recipe.yaml").read_text(encoding="utf-8"))
    files = {
        path.relative_to(folder / "files").as_posix(): path.read_bytes()
        for path in sorted((folder / "files").rglob("*"))
        if path.is_file()
    }
    return Recipe(name=name, data=data, files=files)


def _certificates() -> tuple[str, ...]:
    """Layers for a host whose registries have certificates of their own; none elsewhere.

    A Dockerfile line has 65,535 bytes at most, so the bundle comes in pieces.
    """
    bundle = next((os.environ[name] for name in _CA_VARIABLES if os.environ.get(name)), None)
    if bundle is None:
        return ()
    packed = base64.b64encode(gzip.compress(Path(bundle).read_bytes(), mtime=0)).decode()
    pieces = [packed[at : at + _LINE] for at in range(0, len(packed), _LINE)]
    unpack = f"RUN base64 -d /tmp/ca | gzip -d > {_CA} && rm /tmp/ca"
    known = " ".join(f"{name}={_CA}" for name in _CA_VARIABLES)
    return (*(f"RUN printf %s {piece} >> /tmp/ca" for piece in pieces), unpack, f"ENV {known}")
