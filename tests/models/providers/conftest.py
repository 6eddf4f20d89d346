"""Raw loopback servers, as fixtures."""

from __future__ import annotations

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
