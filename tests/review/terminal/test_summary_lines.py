"""The end of a campaign on one screen: what is said of each group of candidates is true."""

from __future__ import annotations

import json
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from agent.base.types import Candidate, Fate
from agent.cli.options import git_in
from agent.review.summary import Room, Summary, summarise
from agent.review.terminal.summary import print_summary
from tests.review.conftest import Night


def test_a_candidate_without_a_trial_is_not_called_unpromising(night: Night) -> None:
    with night.ledger() as ledger:
        summary = summarise(ledger)
    tree = summary.candidates[0].tree
    new = [Candidate(id=n, parent=0, tree=tree, subject="s", body="", fate=Fate.OPEN, reason="") for n in (901, 902)]
    summary = replace(summary, candidates=(summary.candidates[0], *new), untried=frozenset({902}))
    console = Console(file=StringIO(), width=80)
    print_summary(summary, name="night", hint=lambda command: f"ratchet {command}", console=console)
    said = console.file.getvalue()  # type: ignore[attr-defined]
    assert "search tasks each time" not in said
    assert "2 patches proposed: 0 accepted, 0 rejected, 2 not at the gate (1 without a" in said
    assert max(map(len, said.splitlines())) <= 80


def test_a_long_command_of_another_improver_is_cut_to_one_line(night: Night) -> None:
    with night.ledger() as ledger:
        summary = replace(
            summarise(ledger), improver="./agent --prompt 'Read all of it.\nThen write' " + "and so on " * 50
        )
    console = Console(file=StringIO(), width=80)
    print_summary(summary, name="night", hint=lambda command: f"ratchet {command}", console=console)
    said = console.file.getvalue()  # type: ignore[attr-defined]
    [line] = [line for line in said.splitlines() if "agent" in line or "scaffold itself" in line]
    assert line == "patches were written by ./agent --prompt 'Read all of it. Then write'…, not by the scaffold itself"
    assert len(line) <= 100


def next_commands(summary: Summary, git: str) -> list[str]:
    console = Console(file=StringIO(), width=80)
    print_summary(summary, name="night", hint=lambda command: f"ratchet {command}", console=console, git=git)
    said = console.file.getvalue()  # type: ignore[attr-defined]
    return [line.strip() for line in said.partition("Next:")[2].strip().splitlines()]


def test_the_next_git_commands_name_the_repository_where_it_is_not_this_folder(
    night: Night, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with night.ledger() as ledger:
        summary = summarise(ledger)
    (tmp_path / "my demo").mkdir()
    monkeypatch.chdir(tmp_path)
    assert next_commands(summary, git_in(tmp_path / "my demo"))[:2] == [
        "git -C 'my demo' log ratchet/night",
        "git -C 'my demo' diff HEAD ratchet/night",
    ]
    monkeypatch.chdir(tmp_path / "my demo")
    assert next_commands(summary, git_in(tmp_path / "my demo"))[0] == "git log ratchet/night"
    assert next_commands(summary, git_in(tmp_path))[0] == f"git -C {tmp_path} log ratchet/night"


def test_no_git_command_is_next_where_no_commit_was_made(night: Night) -> None:
    with night.ledger() as ledger:
        summary = replace(summarise(ledger), champion_id=0)
    assert next_commands(summary, "git") == ["ratchet log", "ratchet report"]


def test_a_campaign_that_has_no_room_left_says_so_at_its_end_and_in_its_status(night: Night) -> None:
    with night.ledger() as ledger:
        summary = replace(summarise(ledger), room=Room(tasks=10, open=1))
        tried, unsolved = summarise(ledger).room.tasks, summarise(ledger).room.open
    console = Console(file=StringIO(), width=80)
    print_summary(summary, name="night", hint=lambda command: f"ratchet {command}", console=console)
    assert "the champion solves 9 of 10 search tasks each time" in console.file.getvalue()  # type: ignore[attr-defined]
    known = json.loads(night.ratchet("status", "--json").stdout)["search_tasks"]
    assert (known["tasks"], known["open"]) == (tried, unsolved)
    assert tried == 10
    assert (known["warning"] is not None) == ("search tasks each time" in night.ratchet("status").stdout)
