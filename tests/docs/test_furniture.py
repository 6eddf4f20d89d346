"""Examples work as their pages say, and the files for other programs are well formed."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from agent.config.campaign import load_config

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted(path.parent for path in (ROOT / "examples").glob("*/README.md"))
CAMPAIGNS = sorted((ROOT / "examples").glob("*/campaign.yaml"))
YAML = [*ROOT.glob(".github/**/*.yml"), ROOT / "CITATION.cff", ROOT / ".pre-commit-config.yaml"]


def test_every_example_is_in_the_table() -> None:
    text = (ROOT / "examples" / "README.md").read_text()
    assert len(EXAMPLES) >= 3
    assert [one.name for one in EXAMPLES if f"[{one.name}]({one.name})" not in text] == []


@pytest.mark.parametrize("path", CAMPAIGNS, ids=lambda one: one.parent.name)
def test_the_configuration_of_an_example_is_valid(path: Path) -> None:
    load_config(path)


@pytest.mark.slow
@pytest.mark.docker
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda one: one.name)
def test_an_example_runs_as_its_page_says(path: Path, tmp_path: Path) -> None:
    shutil.copytree(path, tmp_path / "mine")
    block = re.search(r"^```\n(.*?)^```", (path / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    assert block is not None
    script = 'set -e\nratchet() { python -P -m agent.cli "$@"; }\n'
    script += "git init -q && git add -A && git -c user.name=u -c user.email=u@x commit -qm Start\n"
    limited = block[1].replace("ratchet run", "ratchet run --max-trials 8")
    path_variable = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    env = {**os.environ, "PATH": path_variable, "PYTHONPATH": str(ROOT)}
    argv = ["bash", "-c", script + limited]
    done = subprocess.run(argv, cwd=tmp_path / "mine", env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    "path", [*ROOT.glob(".github/**/*.yml"), ROOT / "CITATION.cff", ROOT / ".pre-commit-config.yaml"]
)
def test_a_file_for_another_program_is_yaml(path: Path) -> None:
    assert isinstance(yaml.safe_load(path.read_text()), dict)


def test_the_versions_of_package_changelog_and_citation_are_one() -> None:
    version = re.search(r'^version = "(.*)"', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert version is not None
    assert re.search(rf"^## {re.escape(version[1])}\b", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert str(yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"]) == version[1]


def test_the_devcontainer_is_json() -> None:
    assert json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text())["postCreateCommand"]


def test_pictures_are_small_and_load_nothing_from_elsewhere() -> None:
    pictures = [*(ROOT / "docs" / "pictures").iterdir()]
    assert {"terminal.svg", "report.png"} <= {path.name for path in pictures}
    assert [path.name for path in pictures if path.stat().st_size > 200_000] == []
    assert [path.name for path in pictures if path.suffix == ".svg" and "url(" + '"http' in path.read_text()] == []
