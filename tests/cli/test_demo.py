"""`ratchet demo --replay`: the recorded campaign again, in real boxes, with real git and the real gate."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from agent.cli.creating import REPLAY, create_replay
from agent.config.campaign import load_config
from tests.cli.test_init import NO_ENGINE, git, ratchet

OUTCOME = json.loads((REPLAY / "outcome.json").read_text())


def test_the_recording_is_small_and_holds_a_proven_patch_of_several_files(tmp_path: Path) -> None:
    assert sum(path.stat().st_size for path in REPLAY.iterdir()) < 1 << 20
    assert OUTCOME["commits"]
    create_replay(tmp_path / "demo")
    assert git(tmp_path / "demo", "log", "--format=%an %s").splitlines() == ["Ratchet Start with the shipped scaffold"]
    assert git(tmp_path / "demo", "status", "--short") == ""


def test_what_could_not_be_created_leaves_nothing_that_the_next_time_takes_for_a_demo(tmp_path: Path) -> None:
    (tmp_path / "settings").write_text("[broken\n")
    broken = {"GIT_CONFIG_GLOBAL": str(tmp_path / "settings"), **NO_ENGINE}
    failed = ratchet(tmp_path, "demo", "--replay", **broken)
    assert failed.returncode == 2
    assert "git failed" in failed.stderr
    assert list((tmp_path / "ratchet-demo").iterdir()) == []


def test_a_recorded_demo_begins_whatever_hash_the_users_git_prefers(tmp_path: Path) -> None:
    done = ratchet(tmp_path, "demo", "--replay", GIT_DEFAULT_HASH="sha256", **NO_ENGINE)
    assert "docker" in done.stderr
    assert len(git(tmp_path / "ratchet-demo", "rev-parse", "HEAD").strip()) == 40


def test_a_folder_in_use_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    done = ratchet(tmp_path, "demo", "--replay", ".")
    assert (done.returncode, [path.name for path in tmp_path.iterdir()]) == (2, ["mine"])
    assert "Name a new folder" in done.stderr


@pytest.mark.parametrize("options", [[], ["--replay"]])
def test_the_same_command_resumes_what_it_began(tmp_path: Path, options: list[str]) -> None:
    for _ in range(2):
        done = ratchet(tmp_path, "demo", *options, **NO_ENGINE)
        assert done.returncode == 2
        assert "docker" in done.stderr
    campaign = tmp_path / "ratchet-demo" / "campaign.yaml"
    assert load_config(campaign).models.of("solver")[0].provider == ("replay" if options else "embedded")


@pytest.mark.docker
def test_a_question_that_was_not_recorded_ends_the_replay_and_says_what_differs(tmp_path: Path) -> None:
    demo = tmp_path / "demo"
    create_replay(demo)
    prompt = demo / "prompts" / "solve.md"
    prompt.write_text(prompt.read_text().replace("Write the complete file", "Please write the complete file"))
    git(demo, "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qam", "Say please")
    done = ratchet(demo, "run")
    assert done.returncode == 1
    assert "the recording has no answer: search:" in done.stderr
    assert "Please write" in done.stderr
    assert "`ratchet docs models` says how to record it again" in done.stderr


@pytest.mark.slow
@pytest.mark.docker
def test_the_recorded_campaign_comes_out_the_same(tmp_path: Path) -> None:
    done = ratchet(tmp_path, "demo", "--replay", seconds=600)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "As recorded, with the same trees and evidence: patches 2, gate tests 1, commits 1." in done.stdout
    demo = tmp_path / "ratchet-demo"
    assert "  git -C ratchet-demo log ratchet/shown\n" in done.stdout
    committed = git(demo, "log", "--reverse", "--format=%T", "main..ratchet/shown").split()
    assert committed == [commit["tree"] for commit in OUTCOME["commits"]]
    for commit in OUTCOME["commits"]:
        candidate = OUTCOME["candidates"][commit["candidate"]]
        assert candidate["subject"] in done.stdout
    first = git(demo, "log", "--reverse", "--format=%H", "main..ratchet/shown").split()[0]
    changed = git(demo, "show", "--format=", "--name-only", first).split()
    assert len(changed) > 1
    assert "Ratchet-Evidence: e-value 20.4, threshold 20\n" in git(demo, "show", "-s", "--format=%B", first)
    subprocess.run(["git", "-C", demo, "fsck", "--strict"], check=True, capture_output=True)
