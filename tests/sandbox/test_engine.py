"""What is said when there is no engine."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.base.errors import UserError
from sandbox.engine import engine_status, start_engine


@pytest.mark.docker
def test_a_running_engine_is_ok_and_left_alone() -> None:
    assert engine_status().ok
    assert start_engine().ok


def test_a_missing_engine_is_said_with_what_helps(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    status = engine_status()
    assert not status.ok
    assert "no container engine answers" in status.line
    assert status.fix


def test_an_engine_that_the_user_names_is_not_started_for_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    with pytest.raises(UserError, match="DOCKER_HOST"):
        start_engine()
