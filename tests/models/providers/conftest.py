"""Raw loopback servers, as fixtures."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.models import servers


@pytest.fixture
def serve() -> Any:
    return servers.serving


@pytest.fixture
def chat() -> Any:
    return servers.chat


@pytest.fixture
def at() -> Any:
    return servers.at


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A self-signed certificate of this machine, with its key in the same file."""
    path = tmp_path / "cert.pem"
    argv = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=local"
    argv += f" -addext subjectAltName=IP:127.0.0.1 -keyout {path} -out {tmp_path / 'only.pem'}"
    subprocess.run(argv.split(), check=True, capture_output=True)
    path.write_text(path.read_text() + (tmp_path / "only.pem").read_text())
    return path
