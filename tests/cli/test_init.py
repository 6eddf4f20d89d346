"""`ratchet init`: a repository that runs at once, or an explanation; never a file that the doctor rejects."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from agent.config.campaign import load_config
from agent.config.recipes import load_recipe, recipe_names

SCRIPTED = "{provider: scripted, script: script.yaml}"
NO_ENGINE = {"DOCKER_HOST": "unix:///nonexistent/docker.sock"}


def ratchet(folder: Path, *arguments: str, seconds: float = 120, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "agent.cli", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), **env},
        capture_output=True,
        text=True,
        check=False,
        timeout=seconds,
    )


def git(folder: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=True).stdout


def test_without_options_it_explains_the_other_ways_where_the_scaffold_is_missing(tmp_path: Path) -> None:
    done = ratchet(tmp_path, "init")
    assert done.returncode == 2
    assert "ratchet init --starter DIR" in done.stderr
    assert "ratchet init --agent NAME DIR" in done.stderr
    assert "mini-swe-agent" in done.stderr
    assert not list(tmp_path.iterdir())


def test_without_options_a_terminal_is_asked_what_to_improve(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "COLUMNS": "200"}
    argv = [sys.executable, "-m", "agent.cli", "init", "mine"]
    with subprocess.Popen(argv, cwd=tmp_path, env=env, stdin=theirs, stdout=theirs, stderr=theirs) as run:
        os.close(theirs)
        os.write(ours, b"shell\n")
        assert run.wait(timeout=120) == 0
    said = os.read(ours, 1 << 16).decode()
    os.close(ours)
    assert "What is improved?" in said
    assert load_config(tmp_path / "mine/campaign.yaml").scaffold.build == load_recipe("shell").layers


def test_the_starter_is_a_clean_repository_with_the_shipped_scaffold(tmp_path: Path) -> None:
    home = {"HOME": str(tmp_path / "nobody"), "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null"}
    done = ratchet(tmp_path, "init", "--starter", "mine", **home)
    assert done.returncode == 0, done.stderr
    assert "ratchet run mine/campaign.yaml" in done.stdout
    assert "models" not in done.stdout, "it runs as it is"
    folder = tmp_path / "mine"
    assert git(folder, "status", "--porcelain") == ""
    assert {"agent/scaffold/__main__.py", "prompts/solve.md", "campaign.yaml"} <= set(git(folder, "ls-files").split())
    assert "__pycache__" not in git(folder, "ls-files")
    doctor = ratchet(folder, "doctor", **NO_ENGINE)
    assert [line.split()[:2] for line in doctor.stdout.splitlines() if line.startswith("FAIL")] == [["FAIL", "docker"]]


def test_an_agent_is_a_clean_repository_with_the_recipes_files(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    done = ratchet(tmp_path / "mine", "init", "--agent", "pi")
    assert done.returncode == 0, done.stderr
    next_steps = "next: ratchet doctor, then name your models in it (`ratchet docs models`), then: ratchet run\n"
    assert done.stdout.endswith(next_steps), "the embedded model is too small for this agent"
    folder = tmp_path / "mine"
    assert git(folder, "log", "--format=%s") == "Start with the recipe pi\n"
    assert git(folder, "status", "--porcelain") == ""
    recipe = load_recipe("pi")
    assert {path: (folder / path).read_bytes() for path in recipe.files} == dict(recipe.files)
    assert load_config(folder / "campaign.yaml").scaffold.build == recipe.layers


def test_a_proprietary_agent_is_named_as_one(tmp_path: Path) -> None:
    done = ratchet(tmp_path, "init", "--agent", "claude-code", "mine")
    assert "Claude Code: Proprietary." in done.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--agent", "nobody", "mine"], "there is no recipe 'nobody'"),
        (["--agent", "pi", "full"], "the folder is not empty"),
        (["--starter", "full/x"], "cannot write there"),
        (["--starter", "--agent", "pi", "mine"], "exclude each other"),
        (["--starter", "--force", "mine"], "exclude each other"),
    ],
)
def test_what_cannot_be_made_is_one_line_and_leaves_nothing(tmp_path: Path, arguments: list[str], said: str) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").write_text("")
    done = ratchet(tmp_path, "init", *arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["full", "x"]


def test_config_prints_every_key_of_a_campaign_or_its_default(tmp_path: Path) -> None:
    plain = ratchet(tmp_path, "config")
    assert "command: [" in plain.stdout
    assert "memory_mb: 512" in plain.stdout
    ratchet(tmp_path, "init", "--agent", "aider", "mine")
    full = ratchet(tmp_path, "config", "mine/campaign.yaml")
    assert "memory_mb: 768" in full.stdout
    assert "starved: 0.5" in full.stdout
    assert ratchet(tmp_path, "config", "missing.yaml").returncode == 2


@pytest.mark.slow
@pytest.mark.docker
@pytest.mark.parametrize("name", ["starter", *recipe_names()])
def test_the_doctor_accepts_what_init_wrote(tmp_path: Path, name: str) -> None:
    given = ["--starter"] if name == "starter" else ["--agent", name]
    assert ratchet(tmp_path, "init", *given, "mine").returncode == 0
    # Recipes get a model that answers at once, however busy the machine is; the starter keeps the embedded one.
    text = (tmp_path / "mine" / "campaign.yaml").read_text().replace("{provider: embedded}", SCRIPTED)
    (tmp_path / "mine" / "campaign.yaml").write_text(text)
    (tmp_path / "mine" / "script.yaml").write_text("rules: [{reply: ready}]\n")
    doctor = ratchet(tmp_path / "mine", "doctor", seconds=1800)
    assert doctor.returncode == 0, doctor.stdout + doctor.stderr
    assert " MB" in next(line for line in doctor.stdout.splitlines() if line.startswith("ok   image"))


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """A repository of the user's with a file, where a hook would run."""
    folder = tmp_path / "other"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main", "--template=")
    (folder / "mine.txt").write_text("mine")
    git(folder, "add", "-A")
    git(folder, "-c", "user.name=u", "-c", "user.email=u@x", "commit", "-qm", "mine")
    return folder


@pytest.mark.parametrize("arguments", [("--starter",), ("--agent", "shell")])
def test_a_calling_hooks_repository_is_left_alone(other: Path, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    hook = {"GIT_DIR": str(other / ".git"), "GIT_INDEX_FILE": str(other / ".git/index"), "GIT_WORK_TREE": str(other)}
    done = ratchet(tmp_path, "init", *arguments, "new", **hook)
    assert done.returncode == 0, done.stderr
    assert "campaign.yaml" in git(tmp_path / "new", "ls-files").split()
    assert git(other, "log", "--format=%s") == "mine\n"
    assert git(other, "ls-files") == "mine.txt\n"
    assert git(other, "status", "--porcelain") == ""
