"""`ratchet doctor` finds whatever `ratchet run` refuses: both go through one list of checks."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from agent.base.errors import UserError
from agent.config.campaign import load_config
from agent.kernel.loop.starting import Start
from agent.kernel.loop.tripwires import pass_tripwire
from agent.kernel.record.ledger import Ledger
from agent.review.terminal.folding import folded

ROOT = Path(__file__).parents[2]
CONFIG = """name: night
suite: starter
models: {solver: {provider: embedded}, improver: {provider: embedded}}
budget: {hours: null, trials: 400}
"""
NO_ENGINE = {"DOCKER_HOST": "unix:///nonexistent/docker.sock"}


def ratchet(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "80", **NO_ENGINE}
    env = {name: value for name, value in env.items() if name not in {"OPENAI_API_KEY", "RATCHET_HOOK"}}
    argv = [sys.executable, "-m", "agent.cli", *arguments]
    return subprocess.run(argv, cwd=folder, env=env, capture_output=True, text=True, check=False, timeout=120)


def git(folder: Path, *arguments: str) -> None:
    command = ["git", "-c", "user.name=u", "-c", "user.email=u@x", *arguments]
    subprocess.run(command, cwd=folder, capture_output=True, check=True)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    for name in ("agent/scaffold", "prompts"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "x.txt").write_text("x\n")
    (tmp_path / "campaign.yaml").write_text(CONFIG)
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-qm", "start")
    return tmp_path


def add(text: str) -> Callable[[Path], object]:
    return lambda home: (home / "campaign.yaml").write_text(CONFIG + text)


def change(old: str, new: str) -> Callable[[Path], object]:
    return lambda home: (home / "campaign.yaml").write_text(CONFIG.replace(old, new))


def another_seed(home: Path) -> None:
    (home / "runs" / "night").mkdir(parents=True)
    with Ledger(home / "runs" / "night" / "ledger.sqlite") as ledger:
        ledger.remember("seed", 7)


def tripped(home: Path) -> None:
    (home / "runs" / "night").mkdir(parents=True)
    with Ledger(home / "runs" / "night" / "ledger.sqlite") as ledger:
        ledger.remember("tripwire", {"name": "dollars_per_point", "figure": 3.0, "text": "$3.00 were spent"})


@pytest.mark.parametrize(
    ("broken", "named"),
    [
        (add("warm_start: runs/other\n"), "warm_start: no campaign in "),
        (add("notify: {webhook: $RATCHET_HOOK}\n"), "notify.webhook: the variable RATCHET_HOOK is not a web address"),
        (add("notify: {command: [mial-me]}\n"), "notify.command: there is no program 'mial-me'"),
        (add("commit: {sign: no-such-key}\n"), "commit.sign: git cannot sign a commit"),
        (add("scaffold: {include: [lib]}\n"), "scaffold.include: `lib` is not in commit"),
        (change("suite: starter", "suite: nowhere"), "there is no such suite"),
        (change("improver: {provider: embedded}", "improver: {provider: openai, model: m}"), "OPENAI_API_KEY is not"),
        (change("improver: {", "other: {"), "models: no role named 'improver'"),
        (change("trials: 400}", "trials: 400, dollars: 1}\nruns: campaign.yaml"), "runs: "),
        (lambda home: (home / "prompts" / "x.txt").write_text("new\n"), "scaffold.repo: prompts/x.txt has changes"),
        (lambda home: git(home, "branch", "ratchet"), "campaign: refs/heads/ratchet is in the way"),
        (another_seed, "seed: was 7 when campaign night started"),
        (tripped, "tripwires: $3.00 were spent"),
    ],
)
def test_every_check_of_the_start_refuses_in_words(
    home: Path, monkeypatch: pytest.MonkeyPatch, broken: Callable[[Path], object], named: str
) -> None:
    for name in ("OPENAI_API_KEY", "RATCHET_HOOK"):
        monkeypatch.delenv(name, raising=False)
    broken(home)
    config = load_config(home / "campaign.yaml")
    with ExitStack() as opened:
        file = config.folder / "ledger.sqlite"
        ledger = opened.enter_context(Ledger(file)) if file.exists() else None
        with pytest.raises(UserError) as error:
            [check.look() for check in Start(config, ledger).checks()]
    assert named in str(error.value)


def test_what_run_refuses_is_a_failure_of_doctor_in_the_same_words(home: Path) -> None:
    add("notify: {webhook: $RATCHET_HOOK}\nwarm_start: runs/other\n")(home)
    run, doctor = ratchet(home, "run"), ratchet(home, "doctor")
    assert (run.returncode, doctor.returncode) == (2, 2)
    assert "notify.webhook: the variable RATCHET_HOOK is not a web address" in run.stderr
    assert "FAIL warm     warm_start: no campaign in" in doctor.stdout
    assert "FAIL notify   notify.webhook: the variable RATCHET_HOOK is not a web" in doctor.stdout
    assert max(len(line) for line in doctor.stdout.splitlines() if str(home) not in line) <= 80


def test_a_folder_without_a_campaign_is_a_note_in_one_line(tmp_path: Path, home: Path) -> None:
    (tmp_path / "empty").mkdir()
    note = "note config   no campaign.yaml here: suite, repository, models, agent unchecked\n"
    assert note in ratchet(tmp_path / "empty", "doctor").stdout
    assert "no campaign.yaml here" not in ratchet(home, "doctor").stdout


def test_every_check_says_what_it_found(home: Path) -> None:
    config = load_config(home / "campaign.yaml")
    found = {check.what: check.look() for check in Start(config, None).checks()}
    assert found["repo"].startswith("ratchet/night starts from ")
    assert found["keys"] == "none needed"
    assert "24 search, 36 gate, 24 holdout tasks" in found["suite"]


def test_a_campaign_that_a_person_let_continue_passes(home: Path) -> None:
    tripped(home)
    config = load_config(home / "campaign.yaml")
    with Ledger(home / "runs" / "night" / "ledger.sqlite") as ledger:
        resume = next(check for check in Start(config, ledger).checks() if check.what == "resume")
        with pytest.raises(UserError, match="tripwires"):
            resume.look()
        pass_tripwire(ledger, "alice")
        assert resume.look().startswith("0 trials are recorded")


def test_folded_lines_fit_and_commands_stay_in_one_piece() -> None:
    text = "first, then run `ratchet run --detach --max-hours 8` and look at it; " * 3
    lines = [*folded(text, 60, 4)]
    assert max(map(len, lines)) <= 60
    assert sum(line.count("`ratchet run --detach --max-hours 8`") for line in lines) == 3
    assert all(line.startswith("    ") for line in lines[1:])
    assert [*folded("a:\n  b: 1", 60, 2)] == ["a:", "    b: 1"]
