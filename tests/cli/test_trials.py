"""`ratchet eval` and `ratchet try` as their user sees them: real boxes, and a scripted model."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from agent.base.errors import UserError
from agent.base.refusal import Aside, Refusal
from agent.base.types import Suite
from agent.cli.app import app
from agent.cli.keeping import Tree, keeping
from agent.cli.measuring import find_tasks
from agent.cli.trying import View
from agent.kernel.record.ledger import Ledger
from agent.models.gateway.record import MemoryRecord, WatchedRecord
from tests.cli.home import write_home
from tests.kernel.lab import git
from tests.kernel.records import call

AGENT = """\
import json, os, sys, time, urllib.error, urllib.request
from pathlib import Path
task = Path("/task/instruction.md").read_text()
print("I read:", task.strip(), flush=True)
time.sleep(0.5)  # what is printed and what is asked reach the host by different ways
if "wait" in task:
    time.sleep(60)
body = {"model": os.environ["RATCHET_MODEL"], "messages": [{"role": "user", "content": task}]}
headers = {"content-type": "application/json"}
def ask():
    url = os.environ["OPENAI_BASE_URL"] + "/chat/completions"
    with urllib.request.urlopen(urllib.request.Request(url, json.dumps(body).encode(), headers)) as reply:
        return json.load(reply)["choices"][0]["message"]["content"]
Path("answer.txt").write_text(ask())
body["messages"].append({"role": "user", "content": "sure?"})
print("it said:", ask(), "\\x1b[2J")
"""
SCRIPT = """\
rules:
  - {match: "sure?", reply: "quite sure"}
  - {match: "right", reply: "yes"}
  - {reply: "no"}
"""


def a_task(name: str, split: str, instruction: str) -> dict[str, object]:
    return {
        "id": name, "split": split, "instruction": instruction, "files": {"answer.txt": "?"}, "submit": ["answer.txt"],
        "tests": {"hidden.txt": "yes"}, "check": ["sh", "-c", "echo comparing; cmp answer.txt hidden.txt"],
        "reward": "exit", "solve_timeout": 90, "check_timeout": 20, "solution": {"answer.txt": "yes"},
    }  # fmt: skip


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trials")
    tasks = [
        a_task("say-right", "search", "the right answer, please"),
        a_task("say-right-too", "gate", "the right answer again, please"),
        a_task("say-wrong", "holdout", "any answer"),
        a_task("say-late", "holdout", "wait a minute"),
    ]
    write_home(folder, bot=AGENT, script=SCRIPT, tasks=tasks)
    return folder


def started(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "agent.cli", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # A shell that starts us in the background has Ctrl-C ignored, and that is inherited.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - no thread runs here
    )


def ratchet(folder: Path, *arguments: str) -> tuple[int, str, str]:
    with started(folder, *arguments) as process:
        out, err = process.communicate(timeout=300)
    return process.returncode, out, err


@pytest.mark.docker
def test_eval_shows_progress_off_a_terminal_and_keeps_what_it_ran(home: Path) -> None:
    code, out, err = ratchet(
        home, "eval", "--task", "say-right", "--task", "say-wrong", "--runs", "2", "--keep", "--json"
    )
    assert code == 0, err
    facts = json.loads(out)
    assert [(row["task"], row["score"], row["calls"]) for row in facts["trials"][0]] == [
        ("say-right", 1.0, 2), ("say-wrong", 0.0, 2), ("say-right", 1.0, 2), ("say-wrong", 0.0, 2),
    ]  # fmt: skip
    assert facts["sides"][0]["mean"] == 0.5
    assert "measuring: 0 of 4" in err
    assert "4 of 4: say-" in err
    folder = home / facts["folder"]
    rows = [json.loads(line) for line in (folder / "results.jsonl").read_text().splitlines()]
    assert sorted(rows, key=lambda row: row["id"]) == sorted(facts["trials"][0], key=lambda row: row["id"])
    shown = (folder / "transcripts" / "say-right-2.md").read_text()
    for words in ("# say-right: score 1", "the right answer, please", "quite sure", "[1 message as before]",
                  "What the agent printed", "it said: quite sure <U+001B>[2J"):  # fmt: skip
        assert words in shown
    assert (folder / "handed-in" / "say-wrong-1" / "files" / "answer.txt").read_text() == "no"
    assert "comparing" in (folder / "handed-in" / "say-wrong-1" / "check.txt").read_text()
    with Ledger(folder / "ledger.sqlite", read_only=True) as ledger:
        assert len(ledger.calls(rows[0]["id"])) == 2
        assert ledger.candidates()[0].subject.endswith("Start here")
    assert not (home / "runs" / "night" / "ledger.sqlite").exists(), "nothing is recorded for the campaign"


@pytest.mark.docker
def test_progress_off_a_terminal_says_whose_trial_it_is(home: Path) -> None:
    code, out, err = ratchet(home, "eval", "--task", "say-right", "--rev", "HEAD", "--against", "seed")
    assert code == 0, err
    name = git(home, "rev-parse", "--short=10", "HEAD").strip()
    assert out.count(f": say-right of {name} scored 1.00 in") == 2
    assert f"against: 1.000  [0.207, 1.000]  (1 trials)  {name} Start here" in out


@pytest.mark.docker
def test_ctrl_c_keeps_the_finished_trials_and_shows_them(home: Path) -> None:
    with started(home, "eval") as process:
        assert process.stdout is not None
        while "1 of 2: say-wrong" not in (line := process.stdout.readline()):
            assert line, process.stderr.read() if process.stderr else ""
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=300)
    assert process.returncode == 130, err
    assert " 0.00  say-wrong" in out
    assert "cut short: 1 of 2 trials count" in out
    folder = Path(out.split("transcripts and calls: ")[1].strip())
    assert [path.name for path in (home / folder / "transcripts").iterdir()] == ["say-wrong-1.md"]
    assert "Traceback" not in err


@pytest.mark.docker
def test_try_shows_one_trial_in_order_and_keeps_it_where_it_is_told_to(home: Path) -> None:
    code, out, err = ratchet(home, "try", "say-right", "--rev", "HEAD", "--keep")
    assert code == 0, err
    order = [
        "task say-right (search), scaffold", "I read: the right answer, please", "> call 1: solver",
        "--- user", "--- answer", "> call 2: solver", "[1 message as before]", "it said: quite sure", "> check",
        "comparing", "score 1: ", "2 model calls;", "kept in ",
    ]  # fmt: skip
    indices = [out.index(words) for words in order]
    assert indices == sorted(indices), out
    assert "\x1b" not in out, "what the agent prints is shown as text"
    folder = home / out.split("kept in ")[1].strip()
    assert (folder / "handed-in" / "say-right-1" / "files" / "answer.txt").read_text() == "yes"
    assert (folder / "transcripts" / "say-right-1.md").exists()


def test_a_refused_call_is_shown_while_the_trial_runs_and_a_call_that_no_box_made_is_not() -> None:
    screen = Console(file=io.StringIO(), width=200)
    record = WatchedRecord(MemoryRecord(), View(screen).called)
    record.record_refusal(Refusal(trial="t", path="/v1", status=403, code="cap_exhausted", reason="8 of 8 used"))
    record.record_call(replace(call(), trial=Aside.PREFLIGHT))
    said = screen.file.getvalue()
    assert said == "> refused without asking a model: 403 cap_exhausted: 8 of 8 used\n"


def test_a_trial_that_is_retried_says_why_and_starts_over() -> None:
    screen = Console(file=io.StringIO(), width=200)
    view = View(screen)
    view.printed(b"half a li")
    view.called(replace(call(), trial="t"))
    view.voided("other programs withheld 61 % of the box's time")
    view.called(replace(call(), trial="t"))
    said = screen.file.getvalue().splitlines()
    assert "discarded for an infrastructure error, and retried: other programs withheld 61 % of the box's time" in said
    assert "half a li" in said
    assert [line[:6] for line in said if line.startswith("> call")] == ["> call"] * 2
    assert len({line for line in said if line.startswith("> call")}) == 1, "numbered from 1 again"


def test_a_split_without_tasks_is_an_error_that_helps() -> None:
    with pytest.raises(UserError, match=r"--split: split holdout of suite s has no tasks. Name another split"):
        find_tasks(Suite(name="s", hash="h", tasks=()), (), None, "--task")


def test_a_measurement_without_a_finished_trial_or_not_for_good_leaves_nothing(tmp_path: Path) -> None:
    trees = [Tree(tree="t", label="here")]
    with keeping(tmp_path / "runs" / "night", trees, every=False) as kept:
        assert kept.folder.is_dir()
    assert not (tmp_path / "runs" / "night").exists()
    with keeping(tmp_path / "runs" / "night", trees, every=True, for_good=False) as kept:
        (kept.folder / "results.jsonl").write_text("{}\n")
    assert not (tmp_path / "runs" / "night").exists()
    with keeping(tmp_path / "runs" / "night", trees, every=True) as first:
        (first.folder / "results.jsonl").write_text("{}\n")
        with keeping(tmp_path / "runs" / "night", trees, every=True) as second:
            assert second.folder != first.folder
    assert first.folder.is_dir()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["eval", "--rev", "#12"], ["--rev", "`#12` is a candidate, and campaign night has not begun", "--name"]),
        (["eval", "--rev", "nothing"], ["--rev", "`nothing` is not a commit"]),
        (["eval", "--against", "#1"], ["--against", "has not begun"]),
        (["eval", "--task", "say-rihgt"], ["--task", "no task 'say-rihgt'", "say-right"]),
        (["eval", "--task", "say-right", "--split", "gate"], ["--task", "split gate of suite s has no task"]),
        (["eval", "--split", "all"], ["--split", "search, gate or holdout"]),
        (["try", "nothing"], ["TASK", "no task 'nothing'"]),
        (["try", "campaign.yaml", "say-right"], ["the configuration file comes last"]),
    ],
)
def test_a_wrong_name_is_an_error_that_helps(
    home: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], words: list[str]
) -> None:
    monkeypatch.chdir(home)
    with pytest.raises(UserError) as error:
        app(arguments, standalone_mode=False)
    for word in words:
        assert word in str(error.value)
