"""The dashboard over real HTTP beside a campaign that grows in another process."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from agent.kernel.record.ledger import Ledger
from tests.review.dashboard.dashboards import (
    ENDING,
    Served,
    configure,
    environment,
    growing,
    served,
    streaming,
    trials_in,
)
from tests.review.dashboard.growing import HOSTILE


@pytest.fixture
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("home")
    configure(folder)
    return folder


def follow(dashboard: Served, until: str = "stopped") -> tuple[list[str], list[dict[str, str]]]:
    """The panels and the report's tags that one reader is sent until the campaign is in some state."""
    panels, reports = list[str](), list[dict[str, str]]()
    with streaming(dashboard) as stream:
        for kind, data in stream:
            if kind == "report":
                reports.append(data)
                if panels and f'data-doing="{until}"' in panels[-1] and len(reports) > 1:
                    return panels, reports
            else:
                panels.append(data["html"])
    raise AssertionError("the stream ended first")


@pytest.mark.slow
def test_two_readers_see_a_campaign_grow_and_it_waits_for_neither(home: Path) -> None:
    with served(home) as dashboard, growing(home, pause=0.1, trials=45) as campaign, ThreadPoolExecutor(2) as pool:
        both = [pool.submit(follow, dashboard) for _ in range(2)]
        for panels, reports in (one.result(ENDING) for one in both):
            counts = [trials_in(panel) for panel in panels]
            assert counts == sorted(counts)
            assert len(set(counts)) > 3
            assert any("search trial of #" in panel for panel in panels)
            assert all(HOSTILE[0] not in panel for panel in panels)
            assert reports[0] != reports[-1]
        assert campaign.wait(ENDING) == 0
        with Ledger(home / "runs" / "night" / "ledger.sqlite", read_only=True) as ledger:
            assert ledger.count_trials() == max(counts)
        with streaming(dashboard) as stream:
            drawn = (httpx.get(f"{dashboard.page}part/events").text for kind, _ in stream if kind == "report")
            assert any("used up" in part for part in drawn)


def test_a_stop_over_http_ends_the_campaign_in_order(home: Path) -> None:
    with served(home) as dashboard, growing(home, pause=0.1, trials=5000) as campaign:
        with streaming(dashboard) as stream:
            next(data for kind, data in stream if kind == "now" and trials_in(data["html"]) > 3)
            bearer = {"authorization": f"Bearer {dashboard.token}"}
            said = httpx.post(f"{dashboard.page}start", headers=bearer, timeout=ENDING)
            assert f"process {campaign.pid} is running this campaign" in said.text
            said = httpx.post(f"{dashboard.page}stop", headers=bearer, timeout=ENDING)
            assert f"asked process {campaign.pid} to stop" in said.text
            last = next(data for kind, data in stream if kind == "now" and data["doing"] == "stopped")
        assert "stopped on request" in last["html"]
        assert campaign.wait(ENDING) == 0


@pytest.mark.slow
def test_a_test_is_watched_and_its_patch_approved_by_the_campaign_that_runs(home: Path) -> None:
    with (
        served(home) as dashboard,
        growing(home, pause=0.02, trials=5000, approve="human") as campaign,
        streaming(dashboard) as stream,
    ):
        test = next(data["html"] for kind, data in stream if kind == "now" and 'id="evalue"' in data["html"])
        assert "At the gate" in test
        assert "<meter" in test
        waiting = next(data["html"] for kind, data in stream if kind == "now" and 'class="wait"' in data["html"])
        candidate = waiting.partition('id="wait')[2].partition('"')[0]
        bearer = {"authorization": f"Bearer {dashboard.token}"}
        fields = {"candidate": candidate, "by": "alice \x1b[31m<b>"}
        said = httpx.post(f"{dashboard.page}approve", headers=bearer, data=fields, timeout=ENDING)
        assert said.status_code == 200
        crowned = f'champion <a href="#c{candidate}">'
        next(data for kind, data in stream if kind == "now" and crowned in data["html"])
        campaign.send_signal(signal.SIGTERM)
        assert campaign.wait(ENDING) == 0
    with Ledger(home / "runs" / "night" / "ledger.sqlite", read_only=True) as ledger:
        assert [text for _, _, kind, text in ledger.events() if kind == "approved"] == [
            f"#{candidate} was approved by alice <b>"
        ]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_dashboard_ends_at_once_with_streams_open_and_the_campaign_runs_on(home: Path, number: int) -> None:
    with served(home) as dashboard, growing(home, pause=0.1, trials=5000) as campaign:
        with streaming(dashboard) as one, streaming(dashboard) as two:
            assert (next(one)[0], next(two)[0]) == ("now", "now")
            dashboard.process.send_signal(number)
            assert dashboard.process.wait(ENDING) in {0, -signal.SIGTERM}
            assert all(kind in {"now", "report"} for kind, _ in one)  # and the stream comes to its end
        said = dashboard.process.stdout.read() if dashboard.process.stdout else ""
        assert "Traceback" not in said
        assert campaign.poll() is None


def test_a_record_that_is_removed_while_it_is_watched_is_said_to_be_gone(home: Path) -> None:
    with growing(home, pause=0.0, trials=30) as campaign:
        campaign.wait(ENDING)
    with served(home) as dashboard, streaming(dashboard) as stream:
        assert next(data for kind, data in stream if kind == "now")["doing"] == "stopped"
        kept = home / "kept"
        shutil.move(home / "runs" / "night", kept)
        assert next(data for kind, data in stream if kind == "now" and data["doing"] == "gone")
        shutil.move(kept, home / "runs" / "night")
        assert next(data for kind, data in stream if kind == "now" and data["doing"] == "stopped")


def test_malformed_requests_do_not_hurt_the_server(home: Path) -> None:
    with served(home) as dashboard:
        host, port = dashboard.url.removeprefix("http://").split(":")
        for nonsense in (
            b"\x00\xff\r\n\r\n",
            b"GET / HTTP/1.1\r\n\r\n",
            b"GET http://evil.example/ HTTP/1.1\r\nHost: evil.example\r\n\r\n",
            b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n",
        ):
            with socket.create_connection((host, int(port)), timeout=ENDING) as raw:
                raw.sendall(nonsense)
                raw.shutdown(socket.SHUT_WR)
                answer = raw.recv(4096)
            assert b" 200 " not in answer.split(b"\r\n")[0]
        assert httpx.get(dashboard.page).status_code == 200


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])  # noqa: S104
def test_listening_to_other_machines_needs_a_token(home: Path, host: str) -> None:
    command = [sys.executable, "-m", "agent.cli", "serve", "--host", host, "--port", "0"]
    done = subprocess.run(command, cwd=home, env=environment(), capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    assert "--token-file" in done.stderr
    assert len(done.stderr.splitlines()) == 1
