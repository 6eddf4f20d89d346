"""Fixtures of the kernel's tests."""

from __future__ import annotations

import pytest

from tests.kernel.lab import Improver, Lab, MakeLab


@pytest.fixture
def make_lab(tmp_path_factory: pytest.TempPathFactory) -> MakeLab:
    # Short: a Unix socket's path has room for about a hundred characters.
    def make(improve: Improver, **options: object) -> Lab:
        return Lab(tmp_path_factory.mktemp("lab"), improve, **options)

    return make
