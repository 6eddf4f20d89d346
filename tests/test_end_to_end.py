"""A whole campaign in which only the model is a fake: real boxes, real git, the shipped scaffold, a real SDK on HTTP.

The server on loopback answers well only when it is asked coolly, so lowering TEMPERATURE is a true improvement.
"""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import urllib.parse
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import docker
import pytest
import yaml

from sandbox.oci.containers import HOME
from tests.kernel.tamper import tampering

pytestmark = pytest.mark.docker

KEY = "sk-planted/secret+key=0123456789"
TASKS = 2


def answer(prompt: str, temperature: float, solutions: dict[str, str], *, schema: bool) -> str:
    if schema:
        return json.dumps({"change": {"constant": "TEMPERATURE", "value": 10}})
    name = re.search(r"`(\w+)\(", prompt)
    code = solutions[name[1]] if name and temperature < 0.3 else "def wrong():\n    return None\n"
    return f"```python\n{code}```"


class Server(BaseHTTPRequestHandler):
    solutions: dict[str, str]
    keys: set[str]
    asked: list[str]

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.keys.add(self.headers.get("authorization", ""))
        prompt = body["messages"][-1]["content"]
        self.asked.append(prompt)
        schema = "response_format" in body
        text = answer(prompt, body.get("temperature") or 0.0, self.solutions, schema=schema)
        choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}
        usage = {"prompt_tokens": 50, "completion_tokens": 20, "total_tokens": 70}
        reply = {
            "id": "1",
            "object": "chat.completion",
            "created": 1,
            "model": "m",
            "choices": [choice],
            "usage": usage,
        }
        raw = json.dumps(reply).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture(scope="module", params=["docker", pytest.param("oci", marks=pytest.mark.slow)])
def home(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, checkout: Path) -> Iterator[Path]:
    """A user's repository after one campaign, with each engine."""
    folder = tmp_path_factory.mktemp("e2e")
    shutil.copytree(checkout / "agent" / "scaffold", folder / "agent" / "scaffold")
    shutil.copytree(checkout / "prompts", folder / "prompts")
    whole = yaml.safe_load((checkout / "tasks" / "starter" / "suite.yaml").read_text())
    chosen = [
        task
        for split in ("search", "gate", "holdout")
        for task in [t for t in whole["tasks"] if t["split"] == split][:TASKS]
    ]
    (folder / "suite").mkdir()
    (folder / "suite" / "suite.yaml").write_text(yaml.safe_dump({**whole, "tasks": chosen}))
    names = [re.search(r"`(\w+)\(", task["instruction"])[1] for task in chosen]
    Server.solutions = {n: t["solution"]["solution.py"] for n, t in zip(names, chosen, strict=True)}
    Server.keys, Server.asked = set(), []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    model = {
        "provider": "openai", "model": "m", "base_url": f"http://127.0.0.1:{server.server_port}/v1",
        "api_key_env": "PLANTED_KEY", "context_window": 2048,
    }  # fmt: skip
    config = {
        "name": "e2e", "suite": "suite", "models": {"solver": model, "improver": model},
        "search": {"min_trials": 4, "min_z": 0}, "gate_options": {"spending": 1, "share": 1.0, "same_pairs": 1},
        "budget": {"trials": 3000, "commits": 1}, "boxes": {"parallel": 4, "starved": 1, "engine": request.param},
    }  # fmt: skip
    (folder / "campaign.yaml").write_text(json.dumps(config))  # JSON is YAML without aliases
    for arguments in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-qm", "start"]):
        git(folder, *arguments)
    done = ratchet(folder, "run")
    (folder / "run.log").write_text(done.stdout + done.stderr)
    assert done.returncode == 0, done.stdout + done.stderr
    yield folder
    server.shutdown()


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-c", "user.name=u", "-c", "user.email=u@x", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout.strip()


def ratchet(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1]), "PLANTED_KEY": KEY}
    command = [sys.executable, "-m", "agent.cli", *arguments]
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False, timeout=400)


def test_a_real_improvement_is_committed_with_its_evidence(home: Path) -> None:
    assert git(home, "log", "--format=%s", "main..ratchet/e2e") == "Lower TEMPERATURE from 80 to 10"
    message = git(home, "log", "-1", "--format=%B", "ratchet/e2e")
    assert re.search(r"Ratchet-Score: 0\.000 -> 1\.000 \(\d+ pairs\)", message)
    assert "Ratchet-Holdout: 1.000" in message
    assert re.search(r"Ratchet-Evidence: e-value [\d.]+, threshold [\d.]+", message)


def test_the_users_head_index_and_working_tree_are_untouched(home: Path) -> None:
    assert git(home, "symbolic-ref", "HEAD") == "refs/heads/main"
    assert git(home, "diff", "HEAD", "--stat") == ""
    assert "TEMPERATURE = 80" in (home / "agent" / "scaffold" / "settings.py").read_text()


def test_the_summary_shows_scores_patches_and_the_next_commands(home: Path) -> None:
    said = (home / "run.log").read_text()
    for words in (
        "baseline (seed)",
        "champion (#1)",
        "accepted: Lower TEMPERATURE",
        "git log ratchet/e2e",
        "ratchet show 1\n",
    ):
        assert words in said


def test_the_key_reached_the_provider_and_nothing_else(home: Path) -> None:
    assert Server.keys == {f"Bearer {KEY}"}
    raw = KEY.encode()
    forms = {raw, base64.b64encode(raw), urllib.parse.quote(KEY).encode(), urllib.parse.quote_plus(KEY).encode()}
    written = [path for path in home.rglob("*") if path.is_file()]
    assert len(written) > 20
    for path in written:
        content = path.read_bytes()
        assert not [form for form in forms if form in content], path
    everything = git(home, "log", "--all", "-p")
    for command in (
        ["log", "--rejected"],
        ["show", "1", "--transcripts", "--proposal"],
        ["calls"],
        ["status", "--json"],
    ):
        done = ratchet(home, *command)
        assert done.returncode == 0, done.stderr
        everything += done.stdout
    assert KEY not in everything


def test_status_is_json_for_programs(home: Path) -> None:
    facts = json.loads(ratchet(home, "status", "--json").stdout)
    assert (facts["state"], facts["accepted"], facts["champion"]) == ("stopped", 1, 1)
    assert facts["shared_calls"] > 0


def test_no_box_is_left(home: Path) -> None:
    assert not docker.from_env().api.containers(all=True, filters={"label": "ratchet.campaign=e2e"})
    assert not list((home / "runs" / "e2e").glob("boxes/*"))
    assert not [path for path in HOME.glob("*/config.json") if '"e2e"' in path.read_text()]


def test_running_an_ended_campaign_again_spends_nothing(home: Path) -> None:
    before = json.loads(ratchet(home, "status", "--json").stdout)
    done = ratchet(home, "run")
    assert done.returncode == 0, done.stderr
    after = json.loads(ratchet(home, "status", "--json").stdout)
    assert (after["trials"], after["tokens"], after["champion"]) == (before["trials"], before["tokens"], 1)


def test_the_verdict_is_recomputed_and_every_trial_scores_the_same_with_the_recorded_answers(home: Path) -> None:
    asked = len(Server.asked)
    done = ratchet(home, "verify", "champion", "--replay", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    found = {one["what"]: one for one in json.loads(done.stdout)["findings"]}
    assert "trials score as recorded" in found["replay"]["said"]
    assert found["draw"]["ok"]
    assert len(Server.asked) == asked, "a replay calls no model"


def test_eval_prints_nothing_but_json_for_programs(home: Path) -> None:
    done = ratchet(home, "eval", "--split", "search", "--json")
    facts = json.loads(done.stdout)
    assert [trial["score"] for trial in facts["trials"][0]] == [1.0, 1.0]
    assert facts["difference"] is None


@pytest.mark.slow
def test_a_replay_of_answers_that_were_never_given_is_found(home: Path) -> None:
    ledger = home / "runs" / "e2e" / "ledger.sqlite"
    shutil.copy(ledger, home / "kept.sqlite")
    with tampering(ledger) as database:
        trial = database.execute("SELECT candidate_trial FROM pairs WHERE test = 1 AND pair_index = 0").fetchone()[0]
        database.execute("UPDATE calls SET key = 'forged' WHERE trial = ?", (trial,))
    done = ratchet(home, "verify", "champion", "--replay")
    shutil.copy(home / "kept.sqlite", ledger)
    assert done.returncode == 3, done.stdout + done.stderr
    assert f"trial {trial}" in " ".join(done.stdout.split())
    assert "does NOT match the record: ledger chain, replay" in done.stdout


@pytest.mark.slow
def test_fresh_pairs_confirm_the_claim(home: Path) -> None:
    done = ratchet(home, "verify", "champion", "--fresh", "16")
    assert done.returncode == 0, done.stdout + done.stderr
    said = " ".join(done.stdout.split())
    pairs = re.search(r"(\d+) fresh pairs: 0\.000 before, 1\.000 after", said)
    void = re.search(r"whatever (\d+) more that were void", said)  # on a machine that other programs starve
    assert int(pairs[1]) + (int(void[1]) if void else 0) == 16, said
    assert "confirmed: it is better" in done.stdout


@pytest.mark.slow
def test_the_patch_is_promoted_and_taken_back_with_a_fresh_comparison(home: Path) -> None:
    done = ratchet(home, "promote", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "TEMPERATURE = 10" in (home / "agent" / "scaffold" / "settings.py").read_text()
    done = ratchet(home, "revert", "champion", "--fresh", "2")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 fresh pairs: 1.000 before, 0.000 after" in done.stdout
    assert git(home, "diff", "ratchet/e2e", "ratchet/e2e~2", "--stat") == ""
    assert "TEMPERATURE = 10" in (home / "agent" / "scaffold" / "settings.py").read_text()
