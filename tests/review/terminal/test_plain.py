"""Every command that prints does so on a terminal that knows no more than ASCII, in a folder with any name."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from tests.kernel.records import REFUSAL, call
from tests.review.conftest import Night

STRANGE = "Größe 漢字 \N{ROCKET} \ud800"
COMMANDS = [
    ["status"], ["status", "--json"], ["log"], ["log", "--rejected"], ["log", "--graph"], ["log", "--json"],
    ["show", "1", "--transcripts", "--proposal"], ["diff", "seed", "champion"], ["calls"], ["calls", "--trial", "t1"],
    ["report"], ["export"], ["verify", "--ledger"], ["verify", "--ledger", "--json"], ["config"], ["show", "99999"],
]  # fmt: skip
"""The last one fails, and says so."""
PROGRAM = """
import json, sys
from agent.cli.app import main
for command in json.loads(sys.argv[1]):
    sys.argv = ["ratchet", *command]
    try:
        main()
        code = 0
    except SystemExit as error:
        code = error.code or 0
    except BaseException as error:
        code = repr(error)
    sys.stderr.write("\\ncode " + repr(code) + " " + repr(command) + "\\n")
"""


def test_every_command_prints_on_a_terminal_that_knows_only_ascii(night: Night, tmp_path: Path) -> None:
    odd = tmp_path / f"läufe 2026:11 {'x' * 60}"
    odd.mkdir()
    text = STRANGE.encode("utf-8", "replace").decode()
    with night.ledger(write=True) as ledger:
        ledger.note("models", text)
        said = json.dumps({"messages": [{"role": "user", "content": text}]}).encode()
        answer = json.dumps({"choices": [{"message": {"content": STRANGE}}]}).encode()
        ledger.record_call(replace(call(said), response=answer, left_out=(text,)))
        ledger.record_refusal(replace(REFUSAL, reason=text))
    config = json.loads(night.config.read_text()) | {"runs": str(night.config.parent.parent)}
    path = odd / "campaign.yaml"
    path.write_text(json.dumps(config))
    commands = [[*command, str(path)] for command in COMMANDS]
    plain = {"PYTHONIOENCODING": "ascii", "LANG": "C", "LC_ALL": "C", "TMPDIR": str(odd), "COLUMNS": "80"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(commands)],
        env={**os.environ, **plain},
        capture_output=True,
        check=False,
    )
    codes = [line for line in done.stderr.decode("ascii").splitlines() if line.startswith("code ")]
    assert [line.split()[1] for line in codes] == ["0"] * (len(COMMANDS) - 1) + ["2"], done.stderr.decode()[-3000:]
    printed = done.stdout.decode("ascii")
    assert "Gr\\xf6\\xdfe" in printed
    assert "Raise SKILL to 60" in printed


def test_status_and_calls_fit_80_columns_and_an_unknown_trial_is_an_error(night: Night) -> None:
    for command in (["status"], ["calls"], ["calls", "--last", "3"]):
        shown = night.ratchet(*command)
        assert shown.exit_code == 0
        assert max(len(line) for line in shown.stdout.splitlines()) <= 80, command
    assert "patches" in night.ratchet("status").stdout
    done = night.ratchet("calls", "--trial", "nothing")
    assert "there is no trial or proposal 'nothing' with calls" in str(done.exception)
