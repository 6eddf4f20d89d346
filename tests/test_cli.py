"""The command line as a user meets it: a real process, one line for each mistake, nothing left behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib.metadata import version
from pathlib import Path

import click
import pytest
import typer

from agent.cli.app import app
from agent.cli.options import again

CONFIG = """
name: night
suite: {suite}
models:
  solver: {model}
  improver: {model}
"""
EMBEDDED = "{provider: embedded}"
SHORT = 66
"""Characters that `ratchet --help` has for a command on 80 columns."""


def ratchet(folder: Path, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "agent.cli", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1]), **env},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.fixture
def home(tmp_path: Path, checkout: Path) -> Path:
    """A user's repository with a scaffold and a campaign.yaml."""
    for name in ("agent/scaffold", "prompts"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "x.txt").write_text("x\n")
    (tmp_path / "campaign.yaml").write_text(config(checkout))
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-qm", "start")
    return tmp_path


def config(checkout: Path, *, model: str = EMBEDDED, suite: str | None = None) -> str:
    return CONFIG.format(suite=suite or checkout / "tasks" / "starter", model=model)


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-c", "user.name=u", "-c", "user.email=u@x", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout


@pytest.fixture(scope="module")
def refusing() -> Iterator[str]:
    """A server that refuses every call: 401 for the key `wrong`, 404 for any other."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", 0)))
            code = 401 if "wrong" in self.headers.get("authorization", "") else 404
            body = json.dumps({"error": {"message": "no such model" if code == 404 else "bad key"}}).encode()
            self.send_response(code)
            self.send_header("content-length", str(len(body)))
            self.send_header("content-type", "application/json")
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST  # noqa: N815 (the base class asks for this name)

        def log_message(self, *_: object) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()


def assert_one_line(done: subprocess.CompletedProcess[str], home: Path, *words: str, branch: bool = False) -> None:
    assert done.returncode == 2, done.stderr
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    for word in words:
        assert word in done.stderr
    assert not (home / "runs").exists() or not any((home / "runs").iterdir())
    assert branch or "ratchet/night" not in git(home, "branch", "--list", "--all")


def test_a_missing_file_is_one_line(home: Path) -> None:
    assert_one_line(ratchet(home, "run", "nothing.yaml"), home, "nothing.yaml", "ratchet init")


def test_malformed_yaml_is_one_line(home: Path) -> None:
    (home / "campaign.yaml").write_text("name: [\n")
    assert_one_line(ratchet(home, "run"), home, "campaign.yaml line 2")


def test_a_misspelt_key_is_one_line_with_the_right_one(home: Path, checkout: Path) -> None:
    (home / "campaign.yaml").write_text(config(checkout) + "budgte: {hours: 1}\n")
    assert_one_line(ratchet(home, "run"), home, "budgte", "'budget'")


def test_a_missing_suite_is_one_line(home: Path, checkout: Path) -> None:
    (home / "campaign.yaml").write_text(config(checkout, suite="no/such/suite"))
    assert_one_line(ratchet(home, "run"), home, "no/such/suite")


def test_a_folder_without_a_repository_is_one_line(home: Path) -> None:
    (home / ".git").rename(home / "elsewhere")
    done = ratchet(home, "run")
    (home / "elsewhere").rename(home / ".git")
    assert_one_line(done, home, "scaffold.repo", "git init")


def test_a_branch_of_someone_else_is_one_line_and_stays(home: Path) -> None:
    git(home, "branch", "ratchet/night")
    git(home, "commit", "-qm", "theirs", "--allow-empty")
    git(home, "branch", "-f", "ratchet/night", "HEAD")
    git(home, "reset", "-q", "--hard", "HEAD~1")
    before = git(home, "rev-parse", "ratchet/night")
    assert_one_line(ratchet(home, "run"), home, "ratchet/night", "did not make", branch=True)
    assert git(home, "rev-parse", "ratchet/night") == before


def test_uncommitted_changes_of_the_scaffold_are_one_line(home: Path) -> None:
    (home / "prompts" / "x.txt").write_text("changed\n")
    assert_one_line(ratchet(home, "run"), home, "prompts/x.txt", "git commit")


def test_a_missing_engine_is_one_line(home: Path) -> None:
    assert_one_line(ratchet(home, "run", DOCKER_HOST="unix:///nonexistent/docker.sock"), home, "docker")


def test_a_folder_that_cannot_be_written_is_one_line(home: Path) -> None:
    (home / "runs").write_text("a file is in the way")
    done = ratchet(home, "run")
    (home / "runs").unlink()
    assert_one_line(done, home, "runs")


@pytest.mark.docker
def test_a_dead_endpoint_is_one_line(home: Path, checkout: Path) -> None:
    model = '{provider: openai, model: m, base_url: "http://127.0.0.1:9/v1"}'
    (home / "campaign.yaml").write_text(config(checkout, model=model))
    assert_one_line(ratchet(home, "run"), home, "models.solver", "127.0.0.1:9")


@pytest.mark.docker
def test_a_wrong_key_is_one_line_that_names_the_variable_and_not_the_key(
    home: Path, checkout: Path, refusing: str
) -> None:
    model = f'{{provider: openai, model: m, base_url: "{refusing}", api_key_env: MY_KEY}}'
    (home / "campaign.yaml").write_text(config(checkout, model=model))
    done = ratchet(home, "run", MY_KEY="wrong-and-secret")
    assert_one_line(done, home, "MY_KEY")
    assert "wrong-and-secret" not in done.stdout + done.stderr


@pytest.mark.docker
def test_an_unknown_model_is_one_line(home: Path, checkout: Path, refusing: str) -> None:
    model = f'{{provider: openai, model: gpt-nothing, base_url: "{refusing}"}}'
    (home / "campaign.yaml").write_text(config(checkout, model=model))
    assert_one_line(ratchet(home, "run"), home, "models.solver", "gpt-nothing")


def test_a_missing_key_is_one_line(home: Path, checkout: Path) -> None:
    (home / "campaign.yaml").write_text(config(checkout, model="{provider: anthropic, model: m}"))
    assert_one_line(ratchet(home, "run", ANTHROPIC_API_KEY=""), home, "ANTHROPIC_API_KEY", "is not set")


def test_a_money_cap_that_cannot_bind_is_one_line(home: Path, checkout: Path) -> None:
    model = '{provider: openai, model: nobody-knows-me, base_url: "http://127.0.0.1:9/v1"}'
    (home / "campaign.yaml").write_text(config(checkout, model=model) + "budget: {dollars: 5}\n")
    assert_one_line(ratchet(home, "run"), home, "budget.dollars", "nobody-knows-me")


def test_init_writes_a_file_that_the_doctor_reads(home: Path) -> None:
    done = ratchet(home, "init", "new.yaml")
    assert done.returncode == 0
    assert ratchet(home, "init", "new.yaml").returncode == 2
    doctor = ratchet(home, "doctor", "new.yaml", DOCKER_HOST="unix:///nonexistent/docker.sock")
    assert doctor.returncode == 2
    assert "FAIL docker" in doctor.stdout
    assert "fix:" in doctor.stdout
    assert "ok   repo" in doctor.stdout


def test_a_budget_that_can_prove_nothing_is_reported_before_it_is_spent(home: Path, checkout: Path) -> None:
    (home / "campaign.yaml").write_text(config(checkout) + "budget: {trials: 20}\n")
    doctor = ratchet(home, "doctor", DOCKER_HOST="unix:///nonexistent/docker.sock")
    assert "FAIL proof" in doctor.stdout
    said = "20 trials leave 5 pairs for the gate, and 6 are needed even if all are won"
    assert said in " ".join(doctor.stdout.split())
    running = ratchet(home, "run", DOCKER_HOST="unix:///nonexistent/docker.sock")
    assert said in " ".join(running.stdout.split())
    (home / "campaign.yaml").write_text(config(checkout) + "budget: {trials: 2000}\n")
    doctor = ratchet(home, "doctor", DOCKER_HOST="unix:///nonexistent/docker.sock")
    assert "ok   proof    2,000 trials can prove an improvement of" in doctor.stdout


def test_status_and_log_of_a_campaign_that_never_ran_are_one_line(home: Path) -> None:
    for command in ("status", "log"):
        assert_one_line(ratchet(home, command), home, "no campaign 'night'")
    assert_one_line(ratchet(home, "stop"), home, "no process is running")


RUNNING = """
import signal, sys, time
from pathlib import Path
from agent.kernel.record.ledger import Ledger
from agent.kernel.record.lock import held
from agent.kernel.record.running import listed

folder = Path(sys.argv[1])
with held(folder), listed(folder), Ledger(folder / "ledger.sqlite") as ledger:
    ledger.note("begin", "x")
    signal.signal(signal.SIGTERM, lambda *_: ledger.note("stopping", "on request"))
    print("runs", flush=True)
    sys.stdin.read()
"""


@contextmanager
def running(folder: Path, **env: str) -> Iterator[subprocess.Popen[str]]:
    """A process that runs a campaign as far as `ratchet stop` can see, until its input ends."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1]), **env}
    command, pipe = [sys.executable, "-c", RUNNING, str(folder)], subprocess.PIPE
    with subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "runs\n"
        yield process


def test_the_first_stop_lets_work_end_and_the_second_discards_it(home: Path) -> None:
    with running(home / "runs" / "night") as process:
        first = ratchet(home, "stop")
        assert first.stdout == f"asked process {process.pid} to stop; it finishes the work in flight first\n"
        assert "it stops now and discards the work in flight" in ratchet(home, "stop").stdout


def test_all_campaigns_are_asked_to_stop_though_one_cannot_be(home: Path) -> None:
    state = {"XDG_STATE_HOME": str(home / "state")}
    with running(home / "runs" / "a", **state) as first, running(home / "runs" / "b", **state) as second:
        (home / "runs" / "a" / "pid").write_text("")  # as of a process that has not written its number yet
        done = ratchet(home, "stop", "--all", **state)
        assert done.stdout.splitlines()[0].startswith("a: ")
        assert "is just starting" in done.stdout
        assert f"asked process {second.pid} (b) to stop" in done.stdout
        assert first.poll() is None


@pytest.mark.parametrize(
    ("given", "right"),
    [
        (["show", "campaign.yaml", "7"], "ratchet show 7 campaign.yaml"),
        (["diff", "campaign.yaml", "seed", "7"], "ratchet diff seed 7 campaign.yaml"),
        (["verify", "campaign.yaml", "7"], "ratchet verify 7 campaign.yaml"),
        (["revert", "campaign.yaml", "7"], "ratchet revert 7 campaign.yaml"),
        (["approve", "campaign.yaml", "7"], "ratchet approve 7 campaign.yaml"),
        (["reject", "other.yaml", "#7"], "ratchet reject '#7' other.yaml"),
        (["show", "other.yaml"], "ratchet show ID other.yaml"),
    ],
)
def test_an_id_after_the_file_is_an_error_that_shows_the_right_order(home: Path, given: list[str], right: str) -> None:
    (home / "campaign.yaml").rename(home / "other.yaml") if "other.yaml" in given else None
    done = ratchet(home, *given)
    assert_one_line(done, home, "the configuration file comes last", f"`{right}`")


def test_what_is_not_a_number_cannot_be_approved(home: Path) -> None:
    assert_one_line(ratchet(home, "approve", "champion"), home, "'champion' is not the number", "ratchet status")


def test_the_version_is_the_installed_one() -> None:
    done = ratchet(Path.cwd(), "--version")
    assert (done.returncode, done.stdout) == (0, f"ratchet {version('ratchet-rsi')}\n")


def test_hints_repeat_the_file_and_the_name_that_were_given(home: Path) -> None:
    done = ratchet(home, "init", "my campaign.yaml")
    assert "ratchet doctor 'my campaign.yaml'" in done.stdout
    assert "ratchet run 'my campaign.yaml'" in done.stdout
    assert again("show 3", Path("x.yaml"), "night") == "ratchet show 3 x.yaml --name night"


def test_every_command_and_option_says_what_it_does() -> None:
    for path, command in every_command(typer.main.get_command(app)):
        assert command.help, path
        assert path == "ratchet" or "..." not in command.get_short_help_str(SHORT), path
        for parameter in command.params:
            assert getattr(parameter, "help", None), (path, parameter.name)


def every_command(command: click.Command, path: str = "ratchet") -> Iterator[tuple[str, click.Command]]:
    yield path, command
    for name, inner in getattr(command, "commands", {}).items():
        yield from every_command(inner, f"{path} {name}")


def test_help_imports_nothing_heavy() -> None:
    code = "import sys; sys.argv = ['ratchet', '--help']; import agent.cli.app\n"
    code += "try: agent.cli.app.main()\nexcept SystemExit: pass\nprint(sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    for heavy in ("numpy", "pydantic", "docker", "openai", "anthropic", "starlette", "git"):
        assert f"'{heavy}'" not in done.stdout


def test_a_prediction_that_assumes_the_length_of_trials_is_a_note(home: Path, checkout: Path) -> None:
    """`run` begins all the same; a suite that cannot be read is another matter."""
    found = []
    for suite in (None, str(home / "none")):
        (home / "campaign.yaml").write_text(config(checkout, suite=suite) + "budget: {hours: 0.01}\n")
        said = ratchet(home, "doctor", DOCKER_HOST="unix:///nonexistent/docker.sock").stdout
        found.append(("note proof" in said, "FAIL suite" in said))
    assert found == [(True, False), (False, True)]
