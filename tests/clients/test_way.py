"""The way of each recipe in real boxes: init, doctor, eval, then a patch by the agent itself and one by another CLI.

The model is a script behind the dialect that the agent speaks. Times are in the JUnit report: `seconds_to_first_trial`
is from the start of `ratchet init` to the end of the first trial of `ratchet eval`, the image included if it is built.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent.base import yaml
from agent.kernel.record.ledger import Ledger
from tests.agreed import task
from tests.cli.test_init import git, ratchet
from tests.clients import recipes
from tests.clients.acting import IMPROVER, MARK, SOLVER, acting, prompt_of, served

pytestmark = [pytest.mark.slow, pytest.mark.docker]
ROOT = Path(__file__).parents[2]
NAMES = recipes.names()
OTHER = dict(zip(NAMES, [*NAMES[1:], NAMES[0]], strict=True))
"""Which other agent improves each: every one of them improves another one."""

KEYS = {"OPENAI_API_KEY": "placeholder", "ANTHROPIC_API_KEY": "placeholder"}


def model(name: str, at: str, role: str) -> dict[str, object]:
    """A model of the provider whose dialect the agent speaks; an agent that speaks Responses has one that chats."""
    messages = recipes.load(name).data["dialect"] == "messages"
    where = {"provider": "anthropic", "base_url": at} if messages else {"provider": "openai", "base_url": f"{at}/v1"}
    return {**where, "model": role, "context_window": 200_000, "max_output": 16_000}


def configure(folder: Path, name: str, at: str, *, improver: str | None = None) -> Path:
    """What `init` wrote, with another suite, these models and a small budget."""
    tasks = [task(0, split, solve_timeout=120) for split in ("search", "gate", "holdout")]
    suite = {"name": "agreed", "tasks": tasks}
    (folder / "suite").mkdir(exist_ok=True)
    (folder / "suite/suite.yaml").write_text(json.dumps(suite))
    given: dict[str, Any] = yaml.load(folder / "campaign.yaml")
    given |= {
        "name": f"by-{improver or 'itself'}",
        "suite": "suite",
        "models": {"solver": model(name, at, SOLVER), "improver": model(improver or name, at, IMPROVER)},
        "gate": "better",  # what is proven needs more trials, of which each takes its time here
        "search": {"min_trials": 1, "min_z": 0, "parent_trials": 1, "shown": 1},
        "gate_options": {"same_pairs": 0, "share": 1.0, "runs": 1},
        "budget": {"trials": 3000, "hours": 0.5, "commits": 1},
        "proposals": {"tries": 0},
        "boxes": {**given.get("boxes", {}), "parallel": 1, "starved": 1, "canary": 0},
        **({"improve": {"recipe": improver}} if improver else {}),
    }
    file = folder / (f"{given['name']}.yaml" if improver else "campaign.yaml")
    file.write_text(json.dumps(given))
    return file


def measured(folder: Path) -> float:
    """`ratchet eval` of two tasks; returns when its first trial ended."""
    argv = [sys.executable, "-m", "agent.cli", "eval", "--task", "search-0", "--task", "holdout-0"]
    env, out = {**os.environ, **KEYS, "PYTHONPATH": str(ROOT)}, subprocess.PIPE
    with subprocess.Popen(argv, cwd=folder, env=env, stdout=out, stderr=subprocess.STDOUT, text=True) as run:
        assert run.stdout is not None
        lines = [(time.monotonic(), line) for line in run.stdout]
    text = "".join(line for _, line in lines)
    assert run.returncode == 0, text
    assert "2 of 2: " in text, text
    return next(at for at, line in lines if line.startswith("1 of 2: "))


@pytest.mark.parametrize("name", NAMES)
def test_the_way_from_init_to_patches_by_itself_and_by_another_cli(
    name: str, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    folder, begin = tmp_path / "mine", time.monotonic()
    assert ratchet(tmp_path, "init", "--agent", name, "mine").returncode == 0
    with served(acting(name, name)) as at:
        configure(folder, name, at)
        doctor = ratchet(folder, "doctor", seconds=1800, **KEYS)
        assert doctor.returncode == 0, doctor.stdout + doctor.stderr
        record_property("seconds_to_first_trial", round(measured(folder) - begin, 1))
        done = ratchet(folder, "run", seconds=1200, **KEYS)
    assert_improved(folder, name, "by-itself", done)
    other = OTHER[name]
    with served(acting(name, other)) as at:
        file = configure(folder, name, at, improver=other)
        done = ratchet(folder, "run", file.name, seconds=1800, **KEYS)
    assert_improved(folder, name, f"by-{other}", done)
    assert f"Ratchet-Improver: the recipe {other}" in git(folder, "log", "-1", "--format=%B", f"ratchet/by-{other}")
    record_property("seconds_of_all", round(time.monotonic() - begin, 1))


def assert_improved(folder: Path, name: str, campaign: str, done: subprocess.CompletedProcess[str]) -> None:
    """The campaign committed the patch, and what it scores is due to it."""
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    with Ledger(folder / "runs" / campaign / "ledger.sqlite", read_only=True) as record:
        transcript = record.candidate_texts(1)[1]
        scores = [{trial.score for trial in record.trials(candidate=one)} for one in (0, 1)]
    branch = f"ratchet/{campaign}"
    assert git(folder, "log", "-1", "--format=%s", branch) == "Ask for exact work\n", said + transcript[-3000:]
    path, _, new = prompt_of(name)
    assert new in git(folder, "show", f"{branch}:{path}")
    assert MARK not in git(folder, "show", f"HEAD:{path}")
    assert git(folder, "diff", "--name-only", "HEAD", branch) == f"{path}\n"
    assert scores == [{0.0}, {1.0}]
