"""A finished campaign with two accepted patches, made once by the kernel's own lab; each test gets a copy."""

from __future__ import annotations

import asyncio
import copy
import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import Result
from typer.testing import CliRunner

from agent.base.trust import DEFAULT_MUTABLE
from agent.cli.app import app
from agent.kernel.decide.gate import GateSettings
from agent.kernel.git.messages import Commit
from agent.kernel.git.repository import Repository
from agent.kernel.loop.match import Opening
from agent.kernel.record.ledger import Ledger
from agent.review.audit.verify import Evidence
from bench.review.chromium import FIX, find
from sandbox.fake import FakeRun
from tests.kernel import lab as kernel_lab
from tests.kernel.lab import SETTINGS, Lab, git
from tests.kernel.tamper import tampering

if TYPE_CHECKING:
    from playwright.sync_api import Browser

MISSING = "Chromium is missing"
PROMPT = "prompts/solve.md"


def pytest_unconfigure(config: pytest.Config) -> None:
    """The last line says that no browser was tested: a count of skips is easily overlooked."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    skips = reporter.stats.get("skipped", []) if reporter is not None else []
    missed = sum(MISSING in str(report.longrepr) for report in skips)
    if missed:
        reporter.write_line(f"{missed} browser tests were SKIPPED: {MISSING}. {FIX}", red=True)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The system's own Chromium."""
    if (chromium := find()) is None:
        pytest.skip(f"{MISSING}. {FIX}")
    from playwright.sync_api import sync_playwright  # noqa: PLC0415  half a second that most tests do not need

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield browser
        browser.close()


def improve(scene: FakeRun) -> None:
    """First the skill, then the prompt: two patches that do not touch each other; after that nothing more."""
    if b"SKILL = 20" in scene.workspace[SETTINGS]:
        scene.workspace[SETTINGS] = b"SKILL = 60\n"
        scene.workspace["PATCH.md"] = b"Raise SKILL to 60\n\nMore tasks are solved at the first try.\n"
    elif b'"accepted"' in scene.task["context/brief.json"] and b"BONUS" not in scene.workspace[PROMPT]:
        scene.workspace[PROMPT] = b"do it\nBONUS = 38\n"
        scene.workspace["PATCH.md"] = b"Say how in the prompt\n"


def solve(scene: FakeRun) -> str:
    """Skill and bonus add up."""
    bonus = re.search(rb"BONUS = (\d+)", scene.scaffold.get(PROMPT, b""))
    skill = kernel_lab.skill_of(scene) + (int(bonus[1]) if bonus else 0)
    luck = kernel_lab.luck_of(scene)
    scene.workspace["solution.py"] = b"right" if luck < skill else b"wrong"
    return f"skill {skill}, luck {luck}"


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    lab = Lab(tmp_path_factory.mktemp("lab"), improve, trials=900, solve=solve)
    asyncio.run(lab.run())
    subjects = git(lab.repo, "log", "--format=%s", "main..ratchet/night").splitlines()
    assert subjects == ["Say how in the prompt", "Raise SKILL to 60"]
    return lab


@dataclass
class Night:
    """One copy of the finished campaign, as its user has it on disk."""

    lab: Lab
    config: Path

    @property
    def repo(self) -> Path:
        return self.lab.repo

    def git(self, *arguments: str) -> str:
        return git(self.repo, *arguments)

    def ledger(self, *, write: bool = False) -> Ledger:
        return Ledger(self.lab.folder / "ledger.sqlite", read_only=not write)

    def sql(self, statement: str, *values: object) -> None:
        """What somebody does who has a database tool and no scruples; $TRIAL is one of the first test's."""
        statement = statement.replace("$TRIAL", "(SELECT champion_trial FROM pairs WHERE test = 1 AND pair_index = 3)")
        with tampering(self.lab.folder / "ledger.sqlite") as database:
            assert database.execute(statement, values).rowcount > 0

    def repository(self, repo: Path | None = None) -> Repository:
        with self.ledger() as ledger:
            return Repository.open(repo or self.repo, "night", DEFAULT_MUTABLE, ledger.recollect("base"))

    def evidence(self, ledger: Ledger, repo: Path | None = None) -> Evidence:
        suite, opening = kernel_lab.suite(), Opening(settings=GateSettings(), runs=10)
        return Evidence(ledger=ledger, repository=self.repository(repo), opening=opening, seed=0, suite=suite)

    def commits(self) -> list[Commit]:
        """Oldest first."""
        return self.repository().accepted()[::-1]

    def ratchet(self, command: str, *arguments: str) -> Result:
        """A command as its user would give it, with campaign.yaml put last."""
        return CliRunner().invoke(app, [command, *arguments, str(self.config)])


@pytest.fixture
def night(finished: Lab, tmp_path_factory: pytest.TempPathFactory, checkout: Path) -> Night:
    return copied(finished, tmp_path_factory.mktemp("n") / "night", checkout)


def copied(finished: Lab, folder: Path, checkout: Path) -> Night:
    """A copy of a finished campaign in a folder of its own."""
    shutil.copytree(finished.folder, folder, ignore=shutil.ignore_patterns("boxes"))
    lab = copy.copy(finished)
    lab.folder, lab.repo = folder, folder / "repo"
    model = {"provider": "scripted", "script": "unused.yaml"}
    config = {
        "name": "night",
        "suite": str(checkout / "tasks" / "starter"),
        "runs": str(folder.parent),
        "scaffold": {"repo": str(lab.repo)},
        "models": {"solver": model, "improver": model},
    }
    git(lab.repo, "config", "user.name", "u")
    git(lab.repo, "config", "user.email", "u@x")
    path = folder / "campaign.yaml"
    path.write_text(json.dumps(config))  # JSON is YAML without aliases
    return Night(lab, path)
