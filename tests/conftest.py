"""Shared by all rooms: where the checkout is, and an engine of our own to break."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from tests.kernel.lab import Improver, Lab, MakeLab

if TYPE_CHECKING:
    from bench.faults.engine import Engine


settings.register_profile("untimed", deadline=None)  # how long an example takes says more of the machine than of us
settings.load_profile("untimed")


@pytest.fixture(scope="session")
def checkout() -> Path:
    """The top of the checkout."""
    return Path(__file__).parents[1]


@pytest.fixture(scope="module")
def second() -> Iterator[Engine]:
    """A Docker engine to be killed and filled at will, instead of the machine's own."""
    from bench.faults.engine import possible, second_engine  # noqa: PLC0415  most tests need no Docker client
    from sandbox.engine import connect  # noqa: PLC0415
    from sandbox.image import ensure_image  # noqa: PLC0415

    if not possible():
        pytest.skip("a second engine takes root and dockerd")
    with second_engine(ensure_image(), connect()) as made:
        yield made


@pytest.fixture
def make_lab(tmp_path_factory: pytest.TempPathFactory) -> MakeLab:
    # Short: a Unix socket's path has room for about a hundred characters.
    def make(improve: Improver, **options: object) -> Lab:
        return Lab(tmp_path_factory.mktemp("lab"), improve, **options)

    return make
