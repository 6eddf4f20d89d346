"""Shared by all rooms: where the checkout is, and a guard that tests never leave boxes behind."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def checkout() -> Path:
    """The top of the checkout."""
    return Path(__file__).parents[1]
