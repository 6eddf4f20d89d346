"""What is installed with Ratchet is found by name, wherever the configuration is."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.config.campaign import load_config
from agent.config.shipped import INSTALLED, suite_names

FILE = "suite: starter\nmodels:\n  solver: {provider: embedded}\n"


def suite_of(folder: Path) -> Path:
    (folder / "campaign.yaml").write_text(FILE, encoding="utf-8")
    return load_config(folder / "campaign.yaml").suite


def test_the_shipped_suites_are_known_by_name() -> None:
    assert suite_names() == ["agentic", "polyglot-mini", "starter"]


def test_a_name_finds_the_shipped_suite_from_any_folder(tmp_path: Path) -> None:
    assert suite_of(tmp_path) == INSTALLED / "tasks" / "starter"


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_what_lies_beside_the_file_wins_over_the_name(tmp_path: Path, kind: str) -> None:
    (tmp_path / "starter").mkdir() if kind == "folder" else (tmp_path / "starter").write_text("")
    assert suite_of(tmp_path) == tmp_path / "starter"


@pytest.mark.parametrize("name", ["self-improvement", "no-such-suite", "../tasks/starter"])
def test_only_the_name_of_a_suite_is_a_name(tmp_path: Path, name: str) -> None:
    text = FILE.replace("starter", name)
    (tmp_path / "campaign.yaml").write_text(text, encoding="utf-8")
    assert load_config(tmp_path / "campaign.yaml").suite == (tmp_path / name).resolve()
