"""Real processes for the dashboard's tests: a campaign that grows, and `ratchet serve` beside it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).parents[3]
CONFIG = "name: night\nsuite: {suite}\nmodels: {{solver: {{provider: embedded}}, improver: {{provider: embedded}}}}\n"
ENDING = 180


@dataclass(frozen=True)
class Served:
    """A dashboard that runs: its address, its token, and its process."""

    url: str
    token: str
    process: subprocess.Popen[str]

    @property
    def page(self) -> str:
        return f"{self.url}/c/night/"


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}


def configure(home: Path) -> None:
    (home / "campaign.yaml").write_text(CONFIG.format(suite=ROOT / "tasks" / "starter"))
    subprocess.run(["git", "init", "-q"], cwd=home, check=True)


@contextmanager
def ended(process: subprocess.Popen[str]) -> Iterator[subprocess.Popen[str]]:
    """End a process with the block, however it leaves it."""
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


@contextmanager
def growing(home: Path, *, pause: float, trials: int, approve: str = "auto") -> Iterator[subprocess.Popen[str]]:
    command = [
        sys.executable,
        "-m",
        "tests.review.dashboard.growing",
        str(home),
        "night",
        str(pause),
        str(trials),
        approve,
    ]
    with ended(
        subprocess.Popen(
            command, cwd=ROOT, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
    ) as process:
        yield process


@contextmanager
def served(home: Path) -> Iterator[Served]:
    """`ratchet serve` on a free port, with a token."""
    command = [sys.executable, "-m", "agent.cli", "serve", "--port", "0", "--token-file", "token"]
    pipe = subprocess.PIPE
    with ended(
        subprocess.Popen(command, cwd=home, env=environment(), stdout=pipe, stderr=subprocess.STDOUT, text=True)
    ) as process:
        first = process.stdout.readline() if process.stdout else ""
        found = re.search(r"http://127\.0\.0\.1:\d+", first)
        if found is None:
            raise RuntimeError(f"no dashboard: {first}")
        yield Served(found[0], (home / "token").read_text().strip(), process)


def events(stream: httpx.Response) -> Iterator[tuple[str, Any]]:
    """The events of a stream: (kind, data)."""
    kind = ""
    for line in stream.iter_lines():
        name, _, value = line.partition(": ")
        if name == "event":
            kind = value
        elif name == "data":
            yield kind, json.loads(value)


@contextmanager
def streaming(dashboard: Served) -> Iterator[Iterator[tuple[str, Any]]]:
    with httpx.Client(timeout=ENDING) as client, client.stream("GET", f"{dashboard.page}events") as stream:
        yield events(stream)


def trials_in(panel: str) -> int:
    found = re.search(r"([\d,]+) trials", panel)
    return int(found[1].replace(",", "")) if found else 0
