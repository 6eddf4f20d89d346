"""What `ratchet init` writes: a campaign.yaml, or a new repository with a scaffold to improve."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from agent.base.errors import UserError
from agent.base.git_environment import git_environment
from agent.base.trust import DEFAULT_MUTABLE
from agent.config.recipes import RECIPES, load_recipe, recipe_names
from agent.config.shipped import INSTALLED
from agent.config.template import render_recipe, render_template
from agent.kernel.git.plumbing import IDENTITY
from agent.kernel.git.repository import Repository

CONFIG = "campaign.yaml"
STARTER = RECIPES / "starter.yaml"

REPLAY = RECIPES / "replay"
"""The recorded campaign: a bundle of its seed, its configuration, the models' answers, what came of it."""

_BESIDE = ("answers.jsonl.xz", CONFIG)


def write_config(path: Path, *, force: bool) -> None:
    """Write a commented campaign.yaml with every key at its default.

    Raises:
        UserError: the file exists or cannot be written, or the folder's repository does not hold the default scaffold.
    """
    if path.exists() and not force:
        raise UserError(str(path), "the file exists", "Choose another name, or add --force.")
    _check_scaffold(path.absolute().parent)
    try:
        path.write_text(render_template(), encoding="utf-8")
    except OSError as error:
        fix = "Choose a folder that you may write."
        raise UserError(str(path), f"cannot write the file ({error.strerror})", fix) from error


def holds_scaffold(folder: Path) -> bool:
    """Whether the folder's repository holds the default scaffold."""
    try:
        _check_scaffold(folder.absolute())
    except UserError:
        return False
    return True


def _check_scaffold(folder: Path) -> None:
    try:
        repository = Repository.open(folder, "init", DEFAULT_MUTABLE)
        repository.check_mutable(repository.base)
    except UserError as error:
        problem = f"the default scaffold is not in this folder's repository ({error.problem})"
        fix = (
            "Run `ratchet init --starter DIR` for a new repository with it, or `ratchet init --agent NAME DIR` for one"
            f" with an agent that you know: {', '.join(recipe_names())}; or `ratchet init --agent PATH` for an agent of"
            " yours."
        )
        raise UserError(str(folder), problem, fix) from error


def create_starter(folder: Path) -> list[str]:
    """Create a repository with the shipped scaffold, its prompts and a campaign for the embedded model.

    Returns what its user should know.

    Raises:
        UserError: the folder is not empty or cannot be written.
    """
    with _new_repository(folder, "Start with the shipped scaffold"):
        for name in DEFAULT_MUTABLE:
            _copy(INSTALLED / name, folder / name)
        shutil.copyfile(STARTER, folder / CONFIG)
    return ["a campaign of ten minutes with a model on this machine; it commits what is proven in that time"]


def create_from_recipe(name: str, folder: Path) -> list[str]:
    """Create a repository from the recipe of an agent; returns what its user should know.

    Raises:
        UserError: no such recipe; the folder is not empty or cannot be written.
    """
    recipe = load_recipe(name)
    with _new_repository(folder, f"Start with the recipe {name}"):
        _copy(RECIPES / name / "files", folder)
        (folder / CONFIG).write_text(render_recipe(recipe), encoding="utf-8")
    size = recipe.data["image"]["megabytes"]
    note = recipe.data["license"].get("note")
    return [
        *([f"{recipe.data['title']}: {note}"] if note else []),
        f"the image takes about {size} MB; doctor builds it",
    ]


def create_replay(folder: Path) -> list[str]:
    """Create the repository of the recorded campaign, with its answers beside it; returns what its user should know.

    The seed is the scaffold of the time of the recording, so a later change of ours does not make it useless.

    Raises:
        UserError: the folder is not empty or cannot be written.
    """
    with _new_folder(folder):
        _git(folder, "init", "-q", "--object-format=sha1", "-b", "main")
        _git(folder, "pull", "-q", str(REPLAY / "seed.bundle"), "main")
        for name in _BESIDE:
            shutil.copyfile(REPLAY / name, folder / name)
    return [
        "a recorded campaign: boxes, trials, gate tests and commits are real, only the models' answers are recorded",
        "its improver: a large language model that was given its requests by hand; its solver: SmolLM2-135M-Instruct",
    ]


def replayed_outcome() -> dict[str, Any]:
    """What came of the recorded campaign."""
    known: dict[str, Any] = json.loads((REPLAY / "outcome.json").read_text(encoding="utf-8"))
    return known


@contextmanager
def _new_repository(folder: Path, subject: str) -> Iterator[None]:
    """An empty folder that becomes a repository with one commit of what is put there."""
    with _new_folder(folder):
        yield
        (folder / ".gitignore").write_text("/runs/\n", encoding="utf-8")
        _git(folder, "init", "-q", "-b", "main")
        _git(folder, "add", "-A", "-f")
        _git(folder, *_identity(folder), "commit", "-q", "-m", subject)


@contextmanager
def _new_folder(folder: Path) -> Iterator[None]:
    """An empty folder, to be filled; it is empty again if that fails or is interrupted."""
    if shutil.which("git") is None:
        raise UserError("git", "not found", "Install git 2.38 or later.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise UserError(str(folder), "the folder is not empty", "Name a new folder.")
        try:
            yield
        except BaseException:
            _empty(folder)
            raise
    except OSError as error:
        fix = "Name a new folder where you may write."
        raise UserError(str(folder), f"cannot write there ({error.strerror})", fix) from error


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def _identity(folder: Path) -> list[str]:
    """Options that name an author, where the user has not set one."""
    if _known(folder, "user.name") and _known(folder, "user.email"):
        return []
    return ["-c", f"user.name={IDENTITY[0]}", "-c", f"user.email={IDENTITY[1]}"]


def _known(folder: Path, key: str) -> bool:
    command = ["git", "-C", str(folder), "config", key]
    return subprocess.run(command, env=git_environment(), capture_output=True, check=False).returncode == 0


def _git(folder: Path, *arguments: str) -> None:
    options = ["-c", "core.hooksPath=/dev/null", "-c", "commit.gpgSign=false", "-c", "core.autocrlf=false"]
    command = ["git", "-C", str(folder), *options, *arguments]
    done = subprocess.run(command, env=git_environment(), capture_output=True, text=True, check=False)
    if done.returncode:
        raise UserError(str(folder), f"git failed: {done.stderr.strip()[-200:]}", "Fix that, and try again.")


def _copy(source: Path, target: Path) -> None:
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
