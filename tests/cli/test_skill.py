"""The skill for coding agents: its form is the open one, and each of its commands works."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest
import typer
import yaml
from typer.testing import CliRunner

from agent.cli.app import app
from agent.cli.skill import SKILL

ROOT = Path(__file__).parents[2]


def commands() -> list[list[str]]:
    """The commands in the skill's blocks of code, in order."""
    found, inside = [], False
    for line in SKILL.read_text().splitlines():
        if line.startswith("```"):
            inside = not inside
        elif inside:
            found.append(shlex.split(line))
    return found


def test_the_skill_has_the_front_matter_of_the_open_format() -> None:
    _, front, body = SKILL.read_text().split("---\n", 2)
    facts = yaml.safe_load(front)
    assert facts["name"] == "ratchet"
    assert 100 < len(facts["description"]) <= 1024
    assert len(body.splitlines()) < 500


def test_every_command_of_the_skill_is_a_command_with_these_options() -> None:
    assert len(commands()) > 12
    for program, *words in commands():
        assert program == "ratchet"
        command: click.Command = typer.main.get_command(app)
        while inner := getattr(command, "commands", None):
            command = inner[words.pop(0)]
        known = {option for parameter in command.params for option in parameter.opts}
        assert {word for word in words if word.startswith("-")} <= known, words


def test_the_command_writes_the_skill_once(tmp_path: Path) -> None:
    runner = CliRunner()
    assert runner.invoke(app, ["skill", str(tmp_path)]).exit_code == 0
    assert (tmp_path / "ratchet" / "SKILL.md").read_text() == SKILL.read_text()
    again = runner.invoke(app, ["skill", str(tmp_path)])
    assert "the file exists" in str(again.exception)
    assert runner.invoke(app, ["skill", str(tmp_path), "--force"]).exit_code == 0
    assert runner.invoke(app, ["skill", "--show"]).stdout == SKILL.read_text()


@pytest.mark.slow
@pytest.mark.docker
def test_the_commands_of_the_skill_run_one_after_the_other(tmp_path: Path) -> None:
    folder = tmp_path
    for _, *words in commands():
        argv = [sys.executable, "-P", "-m", "agent.cli", *words]
        env = {**os.environ, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(argv, cwd=folder, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, (words, done.stdout, done.stderr)
        if words[0] == "init":
            folder = tmp_path / words[-1]
