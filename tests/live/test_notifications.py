"""Notifications arrive; one that fails is logged and changes nothing else."""

from __future__ import annotations

import json
import re
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from agent.base.errors import UserError
from agent.config.campaign import Config
from agent.kernel.record.ledger import Ledger
from agent.live.notifications import Notifier

WRITE = (
    "import os, sys; f = open(sys.argv[1], 'a'); f.write(sys.stdin.read() + '\\n'); f.write(os.environ['RATCHET_KIND'])"
)
HINT = "ratchet {} night.yaml".format


def config(**notify: object) -> Config:
    role = {"provider": "scripted", "script": "x.yaml"}
    models = {"solver": role, "improver": role}
    return Config.model_validate({"name": "night", "suite": "s", "models": models, "notify": notify})


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(tmp_path / "ledger.sqlite") as made:
        yield made


async def sent(notifier: Notifier) -> None:
    """Send everything that has happened."""
    notifier.end()
    await notifier.run()


async def test_a_command_gets_the_event_as_json(ledger: Ledger, tmp_path: Path) -> None:
    out = tmp_path / "out"
    notifier = Notifier(config(command=[sys.executable, "-c", WRITE, str(out)]), ledger, HINT)
    ledger.note("commit", "#3 is champion: a\x1b[31mb")
    ledger.note("proposal", "not asked for")
    await sent(notifier)
    event, kind = out.read_text().split("\n")
    assert json.loads(event) == {"campaign": "night", "event": "commit", "text": "#3 is champion: ab"} | {
        name: json.loads(event)[name] for name in ("id", "at")
    }
    assert kind == "commit"


async def test_a_command_never_sees_a_model_key(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLANTED_KEY", "sk-secret")
    role = {"provider": "openai", "model": "m", "api_key_env": "PLANTED_KEY"}
    out = tmp_path / "out"
    code = "import os, sys; open(sys.argv[1], 'w').write(repr(dict(os.environ)))"
    notify = {"command": [sys.executable, "-c", code, str(out)]}
    raw = {"suite": "s", "models": {"solver": role, "improver": role}, "notify": notify}
    notifier = Notifier(Config.model_validate(raw), ledger, HINT)
    ledger.note("end", "over")
    await sent(notifier)
    assert "RATCHET_EVENT" in out.read_text()
    assert "sk-secret" not in out.read_text()


@pytest.mark.parametrize("command", [["/no/such/program"], ["false"]])
async def test_a_failing_command_is_logged_once_and_changes_nothing_else(ledger: Ledger, command: list[str]) -> None:
    notifier = Notifier(config(command=command), ledger, HINT)
    ledger.note("end", "over")
    await sent(notifier)
    noted = [text for _, _, kind, text in ledger.events() if kind == "notify"]
    assert len(noted) == 1
    assert "command failed for 'end'" in noted[0]


async def test_one_outage_is_one_pause_however_often_it_is_retried(ledger: Ledger, tmp_path: Path) -> None:
    out = tmp_path / "out"
    notifier = Notifier(config(command=[sys.executable, "-c", WRITE, str(out)]), ledger, HINT)
    for kind in ("paused", "paused", "paused", "resumed", "paused"):
        ledger.note(kind, "x")
    await sent(notifier)
    assert out.read_text().count('"event": "pause"') == 2


async def test_what_a_killed_run_did_not_send_is_sent_by_the_next(ledger: Ledger, tmp_path: Path) -> None:
    out = tmp_path / "out"
    given = config(command=[sys.executable, "-c", WRITE, str(out)])
    first = Notifier(given, ledger, HINT)
    ledger.note("commit", "first")
    await sent(first)
    ledger.note("commit", "second")
    await sent(Notifier(given, ledger, HINT))
    assert [line.count("first") + 2 * line.count("second") for line in out.read_text().split("\n")] == [1, 2, 0]


class Hook(BaseHTTPRequestHandler):
    got: list[bytes]

    def do_POST(self) -> None:
        self.got.append(self.rfile.read(int(self.headers["content-length"])))
        self.send_response(500 if self.path == "/broken" else 204)
        self.end_headers()

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def hook() -> Iterator[str]:
    Hook.got = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hook)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


async def test_a_webhook_gets_the_event_and_its_secret_address_is_never_written_down(
    ledger: Ledger, hook: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOOK", f"{hook}/broken")
    for address in (f"{hook}/fine", "$HOOK"):
        notifier = Notifier(config(webhook=address), ledger, HINT)
        ledger.note("end", "over")
        await sent(notifier)
    assert [json.loads(body)["event"] for body in Hook.got] == ["end", "end"]
    (noted,) = [text for _, _, kind, text in ledger.events() if kind == "notify"]
    assert "127.0.0.1" in noted
    assert "broken" not in noted


def test_a_variable_that_is_not_set_is_one_line_before_anything_is_spent(ledger: Ledger) -> None:
    with pytest.raises(UserError, match=r"notify\.webhook"):
        Notifier(config(webhook="$NOT_SET_ANYWHERE"), ledger, HINT)


async def test_a_patch_that_waits_comes_with_the_commands_that_decide(tmp_path: Path, ledger: Ledger) -> None:
    out = tmp_path / "out"
    notifier = Notifier(config(command=[sys.executable, "-c", WRITE, str(out)]), ledger, HINT)
    ledger.note("waiting", "#7 waits for `ratchet approve 7`: Ask twice")
    ledger.note("commit", "#6 is champion: Ask once")
    await sent(notifier)
    waiting, commit = (json.loads(line) for line in re.findall(r"\{.*\}", out.read_text()))
    assert waiting["commands"] == [f"ratchet {verb} 7 night.yaml" for verb in ("show", "approve", "reject")]
    assert "commands" not in commit
